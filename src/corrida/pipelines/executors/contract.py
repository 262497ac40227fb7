"""What a pipeline hands its tasks to: processes of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Finished(Generic[ResultT]):
    """What came of one task.

    Attributes:
        index: its place among the tasks, from 0.
        result: what the function returned; None when it raised.
        error: what the function raised, or :class:`~corrida.errors.WorkerDied` when the worker died with it each
            time; None when it returned.
        attempts: how often it was started; more than one after a worker died.
    """

    index: int
    result: ResultT | None = None
    error: Exception | None = None
    attempts: int = 1


class Executor(Protocol):
    """Runs tasks, each of its own.

    Attributes:
        name: as recorded: ``serial``, ``local`` or the address of the cluster.
        slots: how many tasks run at once.
    """

    name: str
    slots: int

    def run(
        self, function: Callable[[TaskT], ResultT], tasks: Iterable[TaskT]
    ) -> Iterator[Finished[ResultT]]:
        """Run ``function`` on each task and yield what came of them in the order in which they end.

        An error of the function is a result like any other. A task whose worker dies is given to another worker, a
        few times; tasks that had ended are not lost. Closing the iterator (or Ctrl-C) ends what still runs.

        Args:
            function: of a module, so that a worker can import it; it takes one task.
            tasks: may be an iterator: it is asked for the next task when a slot is free, after what ended before was
                yielded, so that a search can choose the next candidate by what the others gave.
        """
        ...
