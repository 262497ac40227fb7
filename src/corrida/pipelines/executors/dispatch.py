"""What executors with workers share: a few tasks under way, tasks of dead workers given to others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from corrida.errors import WorkerDied
from corrida.pipelines.executors.calls import Answer, Function, read_answer
from corrida.pipelines.executors.contract import Finished

MAX_ATTEMPTS = 3
"""How often a task is started whose worker dies: it may itself be what kills."""


@dataclass
class Call:
    """A task on its way.

    Attributes:
        index: its place among the tasks.
        packed: the task as bytes.
        attempts: how often it was started.
        death: of what its last worker died.
    """

    index: int
    packed: bytes
    attempts: int = 0
    death: str = ""


class Dead(Exception):
    """The worker died with the call that it had; the message says of what."""


class Workers(Protocol):
    """What makes calls at the same time."""

    slots: int

    def start(self, call: Call) -> None:
        """Start a call; there is a free slot."""
        ...

    def wait(self) -> Iterable[tuple[Call, bytes | Exception]]:
        """Wait until calls have ended, and return what they answered; :class:`Dead` where the worker died."""
        ...

    def stop(self) -> None:
        """End all calls that are under way."""
        ...


def dispatch(workers: Workers, function: Function, tasks: Iterable[Any]) -> Iterator[Finished[Any]]:
    """Hand tasks to workers, and yield what comes of them; see :meth:`Executor.run`."""
    remaining = enumerate(tasks)
    again: deque[Call] = deque()
    under_way, exhausted = 0, False
    try:
        while True:
            while under_way < workers.slots:
                call = again.popleft() if again else None
                if call is None:
                    if exhausted or (following := next(remaining, None)) is None:
                        exhausted = True
                        break
                    index, task = following
                    call = Call(index, function.pack(task))
                call.attempts += 1
                workers.start(call)
                under_way += 1
            if not under_way:
                return
            for call, came in workers.wait():
                under_way -= 1
                if isinstance(came, Dead):
                    call.death = str(came)
                    if call.attempts < MAX_ATTEMPTS:
                        again.append(call)
                        continue
                yield _finished(call, came)
    finally:
        if under_way:
            workers.stop()


def _finished(call: Call, came: bytes | Exception) -> Finished[Any]:
    if isinstance(came, Dead):
        times = "once" if call.attempts == 1 else f"{call.attempts} times"
        died = WorkerDied(
            f"the worker died {times} over this task ({call.death}); a library crashed, or the machine lacks the "
            "memory for it: fewer jobs at once need less"
        )
        return Finished(call.index, error=died, attempts=call.attempts)
    if isinstance(came, Exception):
        return Finished(call.index, error=came, attempts=call.attempts)
    found: Answer = read_answer(came)
    found.repeat_output()
    return Finished(call.index, found.result, found.error, call.attempts)
