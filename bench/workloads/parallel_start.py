"""8 processes that start at once and make 25 runs each, into a store that does not exist yet."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_seconds, better_than_every_peer, never
from bench.harness.case import Case, Entry, Sample
from bench.harness.place import ContestantFailed

if TYPE_CHECKING:
    from pathlib import Path

    from bench.harness.place import Place

PROCESSES = 8
RUNS_EACH = 25
INITIALISED = "store initialised beforehand"
_TIME_LIMIT = 300.0


def _measure(place: Place, entry: Entry) -> Sample:
    store = place.fresh(entry.contestant)
    if entry.variant == INITIALISED:
        place.call(entry.contestant, "initialise", store=store)
    each = place.size(RUNS_EACH, 3)
    options: dict[str, object] = {"store": store, "scratch": place.folder / "artifacts", "warm_up": 0}
    if entry.variant == "fsync":
        options["fsync"] = 1
    command = place.command(entry.contestant, "small_runs", count=each, **options)
    started = time.perf_counter()
    processes = [
        place.start(entry.contestant, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(PROCESSES)
    ]
    codes = [wait_for(process, started + _TIME_LIMIT) for process in processes]
    seconds = time.perf_counter() - started
    kept = _kept(place, entry, store)
    return {
        "value": seconds,
        "kept": kept,
        "lost": PROCESSES * each - kept,
        "ended_with_error": sum(code != 0 for code in codes),
    }


def wait_for(process: subprocess.Popen[bytes], until: float) -> int:
    """Return what a process ends with; it is killed when its time is up."""
    try:
        return process.wait(max(until - time.perf_counter(), 0))
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _kept(place: Place, entry: Entry, store: Path) -> int:
    try:
        return int(place.call(entry.contestant, "count_runs", store=store)["runs"])
    except ContestantFailed as error:  # a store that its own reader cannot read keeps nothing
        print(f"\n{entry.label} cannot be read back: {str(error).splitlines()[-1]}", file=sys.stderr)
        return 0


CASES = [
    Case(
        name="parallel_start",
        title="8 processes × 25 small runs, started at once into a store that does not exist",
        entries=(
            Entry("floor"),
            Entry("floor", "fsync"),
            Entry("corrida"),
            Entry("mlflow"),
            Entry("mlflow", INITIALISED),
            Entry("trackio"),
            Entry("wandb"),
            Entry("aim", INITIALISED),
            Entry("dvclive", INITIALISED),
            Entry("sacred"),
        ),
        measure=_measure,
        budgets=(
            at_most_seconds(1),
            better_than_every_peer(),
            never("lost", "no run lost"),
            never("ended_with_error", "no process refused"),
        ),
        note=(
            "From the start of the first process to the end of the last, imports included. Kept are the runs that "
            "can be read back whole: ended, with 10 metrics and 3 artifacts."
        ),
        rounds=3,
        warm_up=False,
        facts={"kept": "runs kept of 200", "ended_with_error": "processes that ended with an error"},
    ),
]
