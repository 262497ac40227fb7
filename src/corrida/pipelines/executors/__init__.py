"""Where tasks run: in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from corrida.errors import BadInput
from corrida.pipelines.executors.contract import Executor, Finished
from corrida.pipelines.executors.serial import SerialExecutor

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Executor", "Finished", "check_executor", "choose_executor", "open_executor"]

_SAID = "serial, local, ray, ray://auto or ray://HOST:PORT"


def check_executor(name: str) -> str:
    """Return ``name`` when it names an executor; nothing is started.

    Raises:
        BadInput: it names none.
    """
    scheme, mark, address = name.partition("://")
    if name in {"serial", "local", "ray"} or (scheme == "ray" and mark and address):
        return name
    raise BadInput(f"there is no executor {name!r}; it is {_SAID}")


def choose_executor(name: str | None, jobs: int | None, default_jobs: int) -> tuple[str, int]:
    """Return the executor and the number of tasks at once, of what the person asked for and a pipeline suggests.

    Args:
        name: that the person gave, or None.
        jobs: that the person gave, or None; 0 is the number of cores.
        default_jobs: of the pipeline. It gives way to what the person said: processes of the machine that were
            asked for without a number are as many as the cores.
    """
    if name is None:
        wanted = default_jobs if jobs is None else jobs
        return ("serial", 1) if wanted == 1 else ("local", wanted)
    if jobs is None:
        jobs = default_jobs if name == "local" and default_jobs > 1 else 0
    return check_executor(name), jobs


@contextlib.contextmanager
def open_executor(name: str, jobs: int = 0) -> Iterator[Executor]:
    """Open an executor; leaving the block ends its processes, and what runs in them.

    Args:
        name: ``serial`` (this process), ``local`` (processes of this machine), ``ray`` (a Ray of its own on this
            machine), ``ray://auto`` (the Ray that runs on this machine) or ``ray://host:port`` (a cluster).
        jobs: tasks at once; 0 is the number of cores, or all that the cluster has.

    Raises:
        BadInput: no executor has the name, or the number is negative.
        ClusterUnreachable: nothing answers at the address.
        MissingExtra: a library is not installed.
    """
    if jobs < 0:
        raise BadInput(f"the number of jobs is {jobs}; it must be 0 (all cores) or more")
    with _opened(check_executor(name), jobs) as executor:
        yield executor


def _opened(name: str, jobs: int) -> AbstractContextManager[Executor]:
    if name == "serial":
        return contextlib.nullcontext(SerialExecutor())
    if name == "local":
        from corrida.pipelines.executors.local import open_local

        return open_local(jobs)
    from corrida.pipelines.executors.cluster import open_ray

    return open_ray(name.partition("://")[2], jobs)
