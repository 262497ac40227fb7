"""Tasks in processes of this machine, by loky (the process pool of joblib).

Each slot is a pool of one process, so that it is known which task a dead worker had, and the tasks of the others go on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from corrida.errors import MissingExtra
from corrida.pipelines.executors.calls import Function, answer
from corrida.pipelines.executors.dispatch import Call, Dead, dispatch

if TYPE_CHECKING:
    from concurrent.futures import Future

    from corrida.pipelines.executors.contract import Executor, Finished

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "POLARS_MAX_THREADS",
    ),
    "1",
)
"""Workers share the cores: more threads in each only make them wait for each other."""


@contextlib.contextmanager
def open_local(jobs: int) -> Iterator[Executor]:
    """Open ``jobs`` processes, started when they are first needed; 0 is the number of cores.

    Raises:
        MissingExtra: joblib is not installed.
    """
    try:
        from joblib import cpu_count
    except ImportError:
        raise MissingExtra(
            "work in several processes needs joblib: pip install 'corrida[parallel]'"
        ) from None
    slots = [_Slot() for _ in range(jobs or cpu_count())]
    try:
        yield LocalExecutor(slots)
    finally:
        _end(slots)


class LocalExecutor:
    """Runs tasks in processes of this machine."""

    name = "local"

    def __init__(self, slots: list[_Slot]) -> None:
        self.slots = len(slots)
        self._slots = slots

    def run(
        self, function: Callable[[TaskT], ResultT], tasks: Iterable[TaskT]
    ) -> Iterator[Finished[ResultT]]:
        """Run ``function`` on each task; see :meth:`Executor.run <corrida.pipelines.executors.contract.Executor.run>`."""
        packed = Function(function)
        with packed.in_file() as source:
            yield from dispatch(_Processes(self._slots, packed, source), packed, tasks)


class _Slot:
    """A pool of one process."""

    def __init__(self) -> None:
        self._pool: Any = None

    def submit(self, *call: object) -> Future[bytes]:
        """Start a call; a process that died while it had nothing to do is replaced first."""
        from joblib.externals.loky.process_executor import (
            BrokenProcessPool,
            ProcessPoolExecutor,
        )

        for last in (False, True):
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    max_workers=1, initializer=_begin, initargs=(os.getpid(),), env=ONE_THREAD
                )
            try:
                future: Future[bytes] = self._pool.submit(answer, *call)
            except BrokenProcessPool:
                self.end()
                if last:
                    raise
            else:
                return future
        raise AssertionError  # pragma: no cover - the second turn returns or raises

    def end(self) -> None:
        """End the process, and whatever it started."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


class _Processes:
    """The slots at work."""

    def __init__(self, slots: list[_Slot], function: Function, source: Path | bytes) -> None:
        self.slots = len(slots)
        self._slots, self._function, self._source = slots, function, source
        self._under_way: dict[Future[bytes], tuple[_Slot, Call]] = {}

    def start(self, call: Call) -> None:
        busy = [slot for slot, _ in self._under_way.values()]
        slot = next(slot for slot in self._slots if slot not in busy)
        self._under_way[slot.submit(self._function.token, self._source, call.packed)] = slot, call

    def wait(self) -> Iterable[tuple[Call, bytes | Exception]]:
        from concurrent.futures import FIRST_COMPLETED, wait
        from concurrent.futures.process import BrokenProcessPool

        # A signal that another thread gets (Linux may choose any) wakes no wait without end: Ctrl-C would come after the task.
        while not (ended := wait(self._under_way, timeout=1, return_when=FIRST_COMPLETED).done):
            pass
        found: list[tuple[Call, bytes | Exception]] = []
        for future in ended:
            slot, call = self._under_way.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                slot.end()
                error = Dead(_cause(error))
            found.append((call, error if isinstance(error, Exception) else future.result()))
        return sorted(found, key=lambda pair: pair[0].index)

    def stop(self) -> None:
        _end([slot for slot, _ in self._under_way.values()])
        self._under_way.clear()


def _end(slots: list[_Slot]) -> None:
    for slot in slots:
        slot.end()


def _begin(parent: int) -> None:
    """Prepare a worker: Ctrl-C is for the parent to handle, and a parent that is killed takes its workers along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it could be asked for
            os._exit(1)


def _cause(error: Exception) -> str:
    found = re.search(r"exit codes of the workers are \{([^}]+)\}", str(error))
    return f"exit code {found.group(1)}" if found else "its process is gone"
