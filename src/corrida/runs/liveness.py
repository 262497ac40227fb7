"""Is the process that writes a run still alive? Proof of life and the heartbeat that gives it elsewhere."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
import weakref
from pathlib import Path

import msgspec

HEARTBEAT_SECONDS = 15.0
STALE_SECONDS = 90.0
"""A run on another machine counts as crashed when its heartbeat is older than this."""


class Process(msgspec.Struct, frozen=True, omit_defaults=True):
    """The process that writes a run.

    Attributes:
        host: name of the machine.
        pid: process id there.
        started: start time of the process in the kernel's ticks, since process ids are reused; 0 when unknown.
        world: boot of the kernel and namespace of process ids, within which ``pid`` has a meaning; empty when
            unknown.
        patience: seconds without a sign of life after which the run counts as crashed, where the writer cannot be
            asked; 0 for :data:`STALE_SECONDS`.
    """

    host: str
    pid: int
    started: int = 0
    world: str = ""
    patience: float = 0.0


def this_process() -> Process:
    """Describe the running process."""
    return _process(os.getpid())  # a fork has another


@functools.cache
def _process(pid: int) -> Process:
    return Process(host=_host(), pid=pid, started=_start_ticks(pid) or 0, world=_world())


@functools.cache
def _host() -> str:
    return os.uname().nodename


@functools.cache
def _world() -> str:
    if not sys.platform.startswith("linux"):
        return ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot[:13]}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116 - follows the link itself
    return ""


def _start_ticks(pid: int) -> int | None:
    """Return the start time of ``pid`` in ticks, or None when there is no such process or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name before may hold blanks and brackets
    return None if fields[0] in {b"Z", b"X"} else int(fields[19])


def is_local(process: Process) -> bool:
    """Tell whether a process is, or was, one of this boot of this machine, so that the kernel knows of it."""
    return bool(process.world) and process.world == _world()


def is_alive(process: Process, heartbeat: float, now: float) -> bool:
    """Tell whether the writer of a run still lives.

    Within one boot of one machine the kernel knows. From elsewhere only the heartbeat tells.

    Args:
        process: the writer as recorded in the run.
        heartbeat: time of its last sign of life, in seconds since the epoch.
        now: the time to compare with, likewise.
    """
    if is_local(process):
        return _start_ticks(process.pid) == process.started
    return now - heartbeat < (process.patience or STALE_SECONDS)


class _Heartbeat:
    """Touches the run files of all open runs of this process, from one daemon thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: weakref.WeakKeyDictionary[object, Path] = weakref.WeakKeyDictionary()
        self._thread: threading.Thread | None = None

    def add(self, owner: object, file: Path) -> None:
        with self._lock:
            self._files[owner] = file
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="corrida-heartbeat", daemon=True)
                self._thread.start()

    def remove(self, owner: object) -> None:
        with self._lock:
            self._files.pop(owner, None)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            with self._lock:
                for file in list(self._files.values()):
                    # A folder removed under a running process must not kill the heartbeat of the others.
                    with contextlib.suppress(OSError):
                        os.utime(file)


_heartbeat = _Heartbeat()


def _start_afresh() -> None:
    # Threads do not survive a fork, a lock may have been held by one, and the runs are the parent's.
    global _heartbeat  # noqa: PLW0603 - one a process
    _heartbeat = _Heartbeat()


os.register_at_fork(after_in_child=_start_afresh)


def start_heartbeat(owner: object, file: Path) -> None:
    """Touch ``file`` every few seconds until :func:`stop_heartbeat` or the end of ``owner``."""
    _heartbeat.add(owner, file)


def stop_heartbeat(owner: object) -> None:
    """End the heartbeat of ``owner``."""
    _heartbeat.remove(owner)
