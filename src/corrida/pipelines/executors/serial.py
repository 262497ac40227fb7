"""Tasks one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from corrida.pipelines.executors.contract import Finished

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


class SerialExecutor:
    """Runs tasks in this process, in their order."""

    name = "serial"
    slots = 1

    def run(
        self, function: Callable[[TaskT], ResultT], tasks: Iterable[TaskT]
    ) -> Iterator[Finished[ResultT]]:
        """Run ``function`` on each task; see :meth:`Executor.run <corrida.pipelines.executors.contract.Executor.run>`."""
        for index, task in enumerate(tasks):
            try:
                result = function(task)
            except SystemExit as ended:
                yield Finished(index, error=RuntimeError(f"SystemExit: {ended}"))
            except Exception as error:  # noqa: BLE001 - an error of the function is a result like any other
                yield Finished(index, error=error)
            else:
                yield Finished(index, result)
