"""The children of a worker: one a slot, started when needed, killed at the limit, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

from corrida.inference.problems import PROCESS_DIED, TIME_LIMIT, Failed, Problem
from corrida.inference.protocol import Load, Loaded, Progress, Replies, Score, Scored, Trouble, send
from corrida.inference.telemetry import log

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.inference.models import Model

_LAST_WORDS = 4000
_LOOK_SECONDS = 0.2

Watch = Callable[[int | None], str | None]
"""Called a few times a second with the rows scored so far; returns why to stop, or None."""


class Child:
    """A process that scores, with at most one run loaded.

    Attributes:
        pid: of the process.
        run: digest of the run that it has loaded.
    """

    def __init__(self, memory_bytes: int) -> None:
        """Start the process; called in a thread that lives as long as the worker does.

        The kernel kills a child when the *thread* that started it ends.
        """
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        arguments = [str(number) for number in (asked, answered, os.getpid(), memory_bytes)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "corrida.inference.child", *arguments],
                stdin=subprocess.DEVNULL, stdout=self._words, stderr=self._words,
                pass_fds=(asked, answered), start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(ask)
            os.close(answer)
            self._words.close()
            raise
        finally:
            os.close(asked)
            os.close(answered)
        self._ask, self._answer = ask, answer
        self._replies = Replies(answer)
        self.pid = self._process.pid
        self.run: str | None = None
        self._killed = False
        self._killing = threading.Lock()

    def load(self, model: Model, root: Path, limit: float, watch: Watch) -> float:
        """Load a run, and return the seconds that took."""
        self.run = None
        request = Load(
            run_id=model.run_id, digest=model.digest, pipeline=model.pipeline, uses=model.uses,
            folder=str(model.folder), root=str(root),
        )  # fmt: skip
        reply = self._exchange(request, limit, watch)
        assert isinstance(reply, Loaded)  # noqa: S101 - what Load is answered with
        self.run = model.digest
        return reply.seconds

    def score(self, request: Score, limit: float, watch: Watch) -> Scored:
        """Score a file.

        Args:
            request: what is scored.
            limit: seconds until the process is killed.
            watch: asked now and then whether to go on.

        Raises:
            Failed: it did not succeed; after a kill the child is no longer of use.
        """
        reply = self._exchange(request, limit, watch)
        assert isinstance(reply, Scored)  # noqa: S101 - what Score is answered with
        return reply

    def _exchange(self, request: Load | Score, limit: float, watch: Watch) -> Loaded | Scored:
        end = time.monotonic() + limit
        rows: int | None = None
        try:
            send(self._ask, request)
            while True:
                reply = self._replies.next(min(_LOOK_SECONDS, max(0.0, end - time.monotonic())))
                if isinstance(reply, Progress):
                    rows = reply.rows
                elif isinstance(reply, Trouble):
                    raise Failed(reply.problem)
                elif reply is not None:
                    return reply
                if time.monotonic() >= end:
                    self.kill()
                    raise Failed(Problem(code=TIME_LIMIT, message=_too_long(limit)))
                if reply is None and (reason := watch(rows)) is not None:
                    self.kill()
                    raise Failed(Problem(code=reason, message="it was cancelled"))
        except (EOFError, BrokenPipeError):
            self.kill()
            raise Failed(self._obituary()) from None

    def _obituary(self) -> Problem:
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - _LAST_WORDS))
        words = self._words.read().decode("utf-8", "replace")
        return Problem(
            code=PROCESS_DIED,
            message=f"the process that scores died ({how}); it may have run out of memory",
            may_pass=True,
            detail=words,
        )

    def alive(self) -> bool:
        """Tell whether the process lives."""
        return not self._killed and self._process.poll() is None

    def kill(self) -> None:
        """Kill the process and all of its session, and wait until it is gone."""
        with self._killing:
            if not self._killed:  # once: afterwards the number may be another's
                self._killed = True
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()

    def close(self) -> None:
        """Kill the process and let go of its pipes."""
        self.kill()
        for fd in (self._ask, self._answer):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._words.close()


def _too_long(limit: float) -> str:
    return f"it took longer than the limit of {limit:g} s; send the file in parts, or raise the limit"


class Children:
    """The children of a worker, at most one a slot."""

    def __init__(self, slots: int, root: Path, limit: float, memory_bytes: int = 0) -> None:
        self._slots, self._root, self._limit, self._memory = slots, root, limit, memory_bytes
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(slots)
        # One thread starts them all and lives as long as the worker: see Child.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="corrida-children")
        self.closing = threading.Event()

    def score(self, model: Model, request: Score, watch: Watch) -> Scored:
        """Score a file in a child that has the run loaded, or loads it.

        Raises:
            Failed: it did not succeed.
        """
        with self._free:
            return self._score(model, request, watch)

    def _score(self, model: Model, request: Score, watch: Watch) -> Scored:
        child = self._take(model.digest)
        try:
            if child.run != model.digest:
                seconds = child.load(model, self._root, self._limit, watch)
                log("loaded", run=model.run_id, child=child.pid, seconds=round(seconds, 3))
            return child.score(request, self._limit, watch)
        except Failed:
            if self.closing.is_set():
                # The worker is about to end; what it did not finish, others take over. Nothing is written down.
                threading.Event().wait()
            raise
        finally:
            self._put_back(child)

    def _take(self, run: str) -> Child:
        with self._lock:
            for number, child in enumerate(self._idle):
                if child.run == run and child.alive():
                    return self._idle.pop(number)
            if self._idle and len(self._all) >= self._slots:
                spare = self._idle.pop(0)
                if spare.alive():
                    return spare
                self._all.discard(spare)
                spare.close()
        if self.closing.is_set():
            threading.Event().wait()
        child = self._starter.submit(Child, self._memory).result()
        with self._lock:
            self._all.add(child)
        return child

    def _put_back(self, child: Child) -> None:
        with self._lock:
            if child.alive() and not self.closing.is_set():
                self._idle.append(child)
                return
            self._all.discard(child)
        child.close()

    def kill_all(self) -> None:
        """Kill every child; whoever waits for one waits until the process ends."""
        self.closing.set()
        with self._lock:
            children = list(self._all)
        for child in children:
            child.kill()

    def close(self) -> None:
        """Kill the idle children."""
        self.kill_all()
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()
        self._starter.shutdown(wait=False)
