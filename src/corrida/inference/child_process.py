"""A child as its worker sees it: a process that answers requests, is killed at the limit, and is never left behind."""

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
from typing import IO, TYPE_CHECKING

from corrida.inference import keeper
from corrida.inference.problems import PROCESS_DIED, TIME_LIMIT, Failed, Problem
from corrida.inference.protocol import Load, Loaded, Progress, Replies, Score, Scored, Trouble, send

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.inference.models import Model

_LAST_WORDS = 4000
_LOOK_SECONDS = 0.2
_KEEPER_SECONDS = 5.0
_KEPT = sys.platform.startswith("linux")
NOT_WANTED = "not_wanted"

Watch = Callable[[int | None], str | None]
"""Called a few times a second with the rows scored so far; returns why to stop, or None."""


class Child:
    """A process that scores, with at most one run loaded.

    Attributes:
        pid: of its keeper, which leads its session.
        run: digest of the run that it has loaded.
    """

    def __init__(self, memory_bytes: int, nice: int = 0) -> None:
        """Start the process; called in a thread that lives as long as the worker does.

        The kernel kills a child when the *thread* that started it ends.

        Args:
            memory_bytes: of address space; 0 for no limit.
            nice: how far it stands back behind others, 0 to 19.
        """
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        try:
            self._process = subprocess.Popen(
                _command(asked, answered, memory_bytes, nice),
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
        """Kill the process and all that it has started, and wait until it is gone."""
        with self._killing:
            if not self._killed:
                self._killed = True
                if _KEPT:
                    self._process.terminate()  # its keeper finds those that left the session, too
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(_KEEPER_SECONDS)
                if self._process.poll() is None:  # else the number may be another's
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


def _command(asked: int, answered: int, memory_bytes: int, nice: int) -> list[str]:
    limits = [str(memory_bytes), str(nice)]
    me, requests, replies = str(os.getpid()), str(asked), str(answered)
    if _KEPT:
        return [sys.executable, "-I", "-S", keeper.__file__, me, requests, replies, *limits]
    return [sys.executable, "-m", "corrida.inference.child", requests, replies, me, *limits]


def _too_long(limit: float) -> str:
    return f"it took longer than the limit of {limit:g} s; send the file in parts, or raise the limit"
