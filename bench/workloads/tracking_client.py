"""Code that logs through the MLflow client: into folders of corrida, MLflow's SQLite database, and MLflow's files."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any

from bench.harness.budgets import better_than_every_peer, never
from bench.harness.case import Case, Entry, Sample
from bench.workloads.parallel_start import INITIALISED, PROCESSES, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.harness.place import Place

_RUNS = 500
_EACH = 10
_TIME_LIMIT = 600.0
_NOT_WAITING = "not waiting for the disk"
_DURABILITY = (
    "corrida has handed each call to the system when it returns, so that a kill loses nothing, and waits for the disk when the run "
    "ends; SQLite waits in every call; MLflow's files, and SQLite where the table says so, never wait."
)


def _measure(calls: str) -> Callable[[Place, Entry], Sample]:
    def measure(place: Place, entry: Entry) -> Sample:
        options: dict[str, Any] = {"waiting": 0} if entry.variant == _NOT_WAITING else {}
        store, count = place.fresh(entry.contestant), place.size(entry.count, 3)
        found = place.call(entry.contestant, "client_runs", store=store, count=count, calls=calls, **options)
        return {"value": found["seconds"]}

    return measure


def _store(place: Place, entry: Entry) -> Path:
    return place.kept(f"{entry.contestant}_through_client")


def _fill(place: Place, entry: Entry) -> None:
    """Fill the store of an entry unless that is done."""
    store = _store(place, entry)
    filled = store.with_name(f"{store.name}.filled")
    if filled.exists():
        return
    place.remove(store)
    place.call(
        entry.contestant, "client_runs", store=store, count=place.size(_RUNS, 30), calls="batch", warm_up=0
    )
    filled.touch()


def _search(place: Place, entry: Entry) -> Sample:
    total = place.size(_RUNS, 30)
    found = place.call(entry.contestant, "client_search", store=_store(place, entry), total=total)
    return {"value": found["seconds"], "found": found["found"]}


def _parallel(place: Place, entry: Entry) -> Sample:
    store = place.fresh(entry.contestant)
    each = place.size(_EACH, 2)
    if entry.variant == INITIALISED:
        place.call(entry.contestant, "initialise", store=store)
    command = place.command(
        entry.contestant, "client_runs", store=store, count=each, calls="batch", warm_up=0
    )
    started = time.perf_counter()
    processes = [
        place.start(entry.contestant, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(PROCESSES)
    ]
    codes = [wait_for(process, started + _TIME_LIMIT) for process in processes]
    seconds = time.perf_counter() - started
    kept = int(place.call(entry.contestant, "client_count", store=store)["runs"])
    return {
        "value": seconds,
        "kept": kept,
        "lost": PROCESSES * each - kept,
        "ended_with_error": sum(code != 0 for code in codes),
    }


CASES = [
    Case(
        name="client_batch",
        title="a run through the MLflow client: 20 parameters in one call, 100 points in another",
        entries=(
            Entry("floor", "fsync", count=_RUNS),
            Entry("corrida", count=_RUNS),
            Entry("mlflow", count=100),
            Entry("mlflow", _NOT_WAITING, count=100),
            Entry("mlflow_files", count=100),
        ),
        measure=_measure("batch"),
        budgets=(better_than_every_peer(),),
        rounds=3,
        warm_up=False,
        note=f"{_DURABILITY} Seconds for one run, the mean of many in one process after three that do not count.",
    ),
    Case(
        name="client_single",
        title="a run through the MLflow client: 20 parameters and 100 points, a call each",
        entries=(
            Entry("floor", "fsync", count=_RUNS),
            Entry("corrida", count=100),
            Entry("mlflow", count=15),
            Entry("mlflow", _NOT_WAITING, count=15),
            Entry("mlflow_files", count=50),
        ),
        measure=_measure("single"),
        budgets=(better_than_every_peer(),),
        rounds=3,
        warm_up=False,
        note=f"{_DURABILITY} Here SQLite waits 120 times a run, and corrida once.",
    ),
    Case(
        name="client_search",
        title="the MLflow client searches 500 runs by a metric and a parameter",
        entries=(Entry("floor"), Entry("corrida"), Entry("mlflow"), Entry("mlflow_files")),
        measure=_search,
        prepare=_fill,
        budgets=(better_than_every_peer(),),
        note=(
            "`metrics.loss < 0.009 and params.depth = '3'`, the best 20 first; the mean of five searches after one. The floor reads "
            "the run.json of all runs. All find the same number of runs, which is checked."
        ),
        facts={"found": "found"},
    ),
    Case(
        name="client_parallel",
        title="8 processes × 10 runs through the MLflow client, started at once into a store that does not exist",
        entries=(
            Entry("corrida"),
            Entry("mlflow"),
            Entry("mlflow", INITIALISED),
            Entry("mlflow_files"),
        ),
        measure=_parallel,
        budgets=(
            better_than_every_peer(),
            never("lost", "no run lost"),
            never("ended_with_error", "no process refused"),
        ),
        rounds=3,
        warm_up=False,
        note="From the start of the first process to the end of the last; most of it is the import of MLflow. Kept are the runs that can be read back whole.",
        facts={"kept": "runs kept of 80", "ended_with_error": "processes that ended with an error"},
    ),
]
