"""The place that a store lies in: rights, room, the kind of file system, locks and clocks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from corrida.doctor.finding import Finding, Severity, Subject, plural, seconds_text, size_text
from corrida.doctor.mounts import meaning_of, mount_of, parse_mounts, syncing_program
from corrida.runs import layout
from corrida.runs.liveness import STALE_SECONDS
from corrida.runs.trash import trashed

LITTLE_ROOM = 1_000_000_000
NO_ROOM = 50_000_000
_FEW_INODES = 10_000
_SKEW = 2.0
_ODD_TIME = 1_700_000_000_123_456_000
_ELSEWHERE = "keep it on a disk of this machine, with --store DIR, CORRIDA_DIR or `store` in corrida.toml"


def store_folder(subject: Subject) -> Iterator[Finding]:
    """Whether the store is a folder that can be read."""
    root = subject.root
    if root.is_symlink() and not root.exists():
        yield Finding(
            "error", subject.shown_root, f"a link to {root.readlink()}, which is not there", _ELSEWHERE
        )
    elif root.exists() and not root.is_dir():
        yield Finding("error", subject.shown_root, "a file, so it cannot be a store", _ELSEWHERE)
    elif root.is_symlink():
        what = f"a link to {root.readlink()}; that works, but git and rsync keep the link and not the runs"
        yield Finding("note", subject.shown_root, what, "copy the folder itself where you copy runs")


def room(subject: Subject) -> Iterator[Finding]:
    """Free space and free inodes."""
    place = _nearest(subject.root)
    free = shutil.disk_usage(place).free
    if free < LITTLE_ROOM:
        severity: Severity = "error" if free < NO_ROOM else "warning"
        then = "free some space"
        if trashed(subject.root):
            then += f"; {subject.command('trash --empty')} deletes what is in the trash"
        yield Finding(severity, subject.shown_root, f"only {size_text(free)} of space are free", then)
    state = os.statvfs(place)
    if state.f_files and state.f_favail < _FEW_INODES:  # a file system without a fixed number of them says 0
        what = f"only {plural(state.f_favail, 'more file')} can be made (inodes), and a run needs about ten"
        yield Finding("warning", subject.shown_root, what, "delete small files, or " + _ELSEWHERE)


def file_system(subject: Subject) -> Iterator[Finding]:
    """A network file system, a folder of a host, memory, or a folder that a program keeps in step."""
    place = Path(os.path.realpath(subject.root))
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        text = ""
    mount = mount_of(place, parse_mounts(text))
    if mount and (meaning := meaning_of(mount.type)):
        severity: Severity = "warning" if meaning.severe else "note"
        what = f"on {mount.type} ({mount.source}, mounted at {mount.point}): {meaning.text}"
        then = (
            _ELSEWHERE if meaning.severe else "set the clocks of all machines (chrony or systemd-timesyncd)"
        )
        yield Finding(severity, subject.shown_root, what, then)
    if program := syncing_program(place):
        what = (
            f"in a folder that {program} keeps in step: it may upload half a run, bring removed ones back, and "
            "make second versions of aliases.jsonl"
        )
        yield Finding("warning", subject.shown_root, what, _ELSEWHERE)


def writing(subject: Subject) -> Iterator[Finding]:
    """Whether the store can be written, and what a file written there shows: locks, clock, time stamps, case."""
    root = subject.root
    if not root.exists():
        place = _nearest(root)
        if not os.access(place, os.W_OK | os.X_OK):
            what = f"is not there, and {place} cannot be written, so no run can be started"
            yield Finding("error", subject.shown_root, what, _ELSEWHERE)
        return
    private = root / layout.PRIVATE
    probe = (private if private.is_dir() else root) / f".doctor-{uuid.uuid4().hex[:12]}.tmp"
    try:
        before = time.time()
        fd = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        reason = {
            errno.EROFS: "the file system is read-only",
            errno.EACCES: "you have no rights to write there",
        }
        why = reason.get(error.errno or 0, error.strerror or str(error))
        what = f"cannot be written ({why}): runs can be read and compared, not started, noted or promoted"
        then = _ELSEWHERE if error.errno == errno.EROFS else f"`ls -ld {subject.file('')}` says whose it is"
        yield Finding("warning", subject.shown_root, what, then)
        return
    try:
        yield from _probed(subject, probe, fd, before)
    finally:
        os.close(fd)
        with contextlib.suppress(OSError):
            probe.unlink()


def _probed(subject: Subject, probe: Path, fd: int, before: float) -> Iterator[Finding]:
    try:
        os.write(fd, b"x")
    except OSError as error:
        what = f"a file of one byte cannot be written: {error.strerror}"
        yield Finding("error", subject.shown_root, what, "free some space")
        return
    state = os.fstat(fd)
    if finding := clock_finding(subject, state.st_mtime - before, time.time() - before):
        yield finding
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        what = (
            f"files cannot be locked there ({error.strerror}): two commands that note, promote or restore at the same "
            "moment may lose one of the two"
        )
        yield Finding(
            "warning", subject.shown_root, what, "let one command at a time write, or " + _ELSEWHERE
        )
    os.utime(probe, ns=(_ODD_TIME, _ODD_TIME))
    if finding := coarse_finding(subject, abs(probe.stat().st_mtime_ns - _ODD_TIME)):
        yield finding
    if probe.with_name(probe.name.swapcase()).exists():
        what = "names that differ by case only are one file there: the runs A and a cannot both be"
        yield Finding("note", subject.shown_root, what, "give runs names that differ by more")


def clock_finding(subject: Subject, ahead: float, took: float) -> Finding | None:
    """Return what is said of a file system whose clock differs from that of this machine.

    Args:
        subject: what is examined.
        ahead: time of change of a new file, less the time before it was made, in seconds.
        took: how long making it took, in seconds.
    """
    if -_SKEW <= ahead <= took + _SKEW:
        return None
    side = "ahead of" if ahead > 0 else "behind"
    what = f"its clock is {seconds_text(abs(ahead))} {side} that of this machine"
    if abs(ahead) > STALE_SECONDS:
        what += ": runs of other machines are taken for dead, or for alive, when they are not"
    severity: Severity = "error" if abs(ahead) > STALE_SECONDS else "warning"
    return Finding(
        severity, subject.shown_root, what, "set the clocks here and on the server (`timedatectl`)"
    )


def coarse_finding(subject: Subject, off_ns: int) -> Finding | None:
    """Return what is said of a file system that keeps times of change ``off_ns`` nanoseconds from what was asked."""
    if off_ns < 1_000:
        return None
    what = (
        "it keeps times of change in coarse steps: runs that start at the same moment may be listed in the order of "
        "their names, and changes by hand are noticed a moment later"
    )
    return Finding("note", subject.shown_root, what, "nothing, where runs are minutes apart")


def order_clock(subject: Subject) -> Iterator[Finding]:
    """Whether the last place in the order of runs lies in the future."""
    try:
        last = (subject.root / layout.PRIVATE / layout.CLOCK).stat().st_mtime
    except OSError:
        return
    if last > subject.now + 60:
        what = (
            f"the last run was started when the clock said {seconds_text(last - subject.now)} from now; until then "
            "new runs line up behind it, and their order holds"
        )
        yield Finding("note", f"{layout.PRIVATE}/{layout.CLOCK}", what, "check this clock (`timedatectl`)")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
