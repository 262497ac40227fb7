"""The best 20 of many runs by a metric, by a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.contestants.material import METRIC
from bench.harness.budgets import at_most_times, better_than_every_peer
from bench.harness.case import Case, Entry, Sample
from bench.harness.filled import fill, filled_store
from bench.harness.place import ContestantFailed

if TYPE_CHECKING:
    from pathlib import Path

    from bench.harness.place import Place

_SHOWN = 20
_FIRST = "first list of a store"


def _prepare(place: Place, entry: Entry) -> None:
    fill(place, entry)
    if entry.contestant == "floor" and not _table(place, entry).exists():
        place.call("floor", "index", store=filled_store(place, entry), table=_table(place, entry))
    lines = place.output(entry.contestant, _command(place, entry)).splitlines()
    if sum(METRIC in line or "0." in line for line in lines) < _SHOWN:
        raise ContestantFailed(f"{entry.label} listed less than {_SHOWN} runs")


def _measure(place: Place, entry: Entry) -> Sample:
    variables = {"CORRIDA_CACHE_DIR": str(place.fresh("cache"))} if entry.variant == _FIRST else {}
    return {"value": place.timed(entry.contestant, _command(place, entry), variables=variables)}


def _command(place: Place, entry: Entry) -> list[str]:
    store = filled_store(place, entry)
    if entry.contestant == "corrida":
        program = place.python("corrida").with_name("corrida")
        options = ["--sort", f"-metrics.{METRIC}", "--limit", str(_SHOWN), "--store", str(store)]
        return [str(program), "list", *options]
    if entry.contestant == "floor":
        if entry.variant == "reading every run":
            return place.command("floor", "list_scan", store=store)
        return place.command("floor", "list_table", table=_table(place, entry))
    return place.command(entry.contestant, "list_best", store=store)


def _table(place: Place, entry: Entry) -> Path:
    return filled_store(place, entry).with_suffix(".sqlite")


CASES = [
    Case(
        name="list_10000",
        title="the best 20 of 10,000 runs by a metric, new process",
        entries=(
            Entry("floor", "indexed SQLite", runs=10_000),
            Entry("floor", "reading every run", runs=10_000),
            Entry("corrida", runs=10_000),
            Entry("corrida", _FIRST, runs=10_000),
            Entry("mlflow", "of 1,000 runs only", runs=1_000),
            Entry("trackio", "of 5,000 runs only", runs=5_000),
            Entry("sacred", runs=10_000),
            Entry("aim", "of 1,000 runs only", runs=1_000),
        ),
        measure=_measure,
        prepare=_prepare,
        budgets=(at_most_times(4, "plain Python, indexed SQLite"), better_than_every_peer()),
        rounds=5,
        note=(
            "The first list of a store reads every run into the catalog. The stores may hold some runs more, which the "
            "small runs above add. Sacred has no reader of its folders: the metrics of each run are read, as one would. "
            "W&B offline and DVCLive without git list nothing."
        ),
    ),
    Case(
        name="list_100000",
        title="the best 20 of 100,000 runs by a metric, new process",
        entries=(Entry("floor", "indexed SQLite", runs=100_000), Entry("corrida", runs=100_000)),
        measure=_measure,
        prepare=_prepare,
        budgets=(at_most_times(8, "plain Python, indexed SQLite"),),
        rounds=7,
    ),
]
