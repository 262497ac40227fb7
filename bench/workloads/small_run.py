"""One small run: 20 parameters, 10 final metrics, 3 artifacts of 10 KB; also where the store holds many already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.harness.budgets import at_most_times, better_than_every_peer
from bench.harness.case import Case, Entry, Sample
from bench.harness.filled import fill, filled_store

if TYPE_CHECKING:
    from bench.harness.place import Place


def _measure(place: Place, entry: Entry) -> Sample:
    store = filled_store(place, entry) if entry.runs else place.fresh(entry.contestant)
    options: dict[str, Any] = {"store": store, "scratch": place.folder / "artifacts"}
    if entry.variant == "fsync":
        options["fsync"] = 1
    if entry.contestant == "corrida":
        options["ids"] = "small"
    found = place.call(entry.contestant, "small_runs", count=place.size(entry.count, 2), **options)
    return {"value": found["seconds"]}


CASES = [
    Case(
        name="small_run",
        title="one small run: 20 parameters, 10 metrics, 3 artifacts of 10 KB",
        entries=(
            Entry("floor", "fsync", count=100),
            Entry("floor", count=300),
            Entry("corrida", count=100),
            Entry("mlflow", count=30),
            Entry("trackio", count=20),
            Entry("wandb", count=20),
            Entry("aim", count=10),
            Entry("dvclive", count=30),
            Entry("sacred", count=50),
        ),
        measure=_measure,
        budgets=(at_most_times(2, "plain Python, fsync"), better_than_every_peer()),
        rounds=5,
        note="Seconds for one run, the mean of many in one process after three that do not count.",
    ),
    Case(
        name="small_run_in_store",
        title="one small run in a store that holds runs already",
        entries=(
            Entry("corrida", "new store", count=100),
            Entry("corrida", "10,000 runs", count=50, runs=10_000),
            Entry("corrida", "100,000 runs", count=50, runs=100_000),
            Entry("mlflow", "1,000 runs", count=20, runs=1_000),
            Entry("trackio", "5,000 runs", count=10, runs=5_000),
            Entry("sacred", "10,000 runs", count=20, runs=10_000),
            Entry("dvclive", "1,000 runs", count=20, runs=1_000),
            Entry("wandb", "1,000 runs", count=10, runs=1_000),
            Entry("aim", "1,000 runs", count=5, runs=1_000),
        ),
        measure=_measure,
        prepare=fill,
        budgets=(
            at_most_times(1.2, "corrida, new store", of="corrida, 10,000 runs"),
            at_most_times(1.2, "corrida, new store", of="corrida, 100,000 runs"),
        ),
        rounds=5,
        note=(
            "Compare each with its own figure in the table above. Where filling a store with 10,000 runs takes too "
            "long, it holds fewer; that favours those contestants. The runs in the stores have no artifacts."
        ),
    ),
]
