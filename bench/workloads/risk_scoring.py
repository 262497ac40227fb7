"""Large files of transactions through the runner, beside the bare calls of the models on a matrix that is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_of, at_most_times
from bench.harness.case import Case, Entry, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.harness.place import Place

_ROWS, _WIDE_ROWS = 1_000_000, 2_600_000
_BOTH = "both cores"
_MEMORY = 1000  # MB
_FACTS = {
    "cpu": "CPU, ms",
    "memory": "most memory of a process, MB",
    "tree": "of worker and child together, MB",
}
_ENTRIES = (Entry("floor"), Entry("floor", _BOTH), Entry("corrida"))
_BUDGETS = (
    at_most_times(1.15, "plain Python"),
    at_most_of("memory", _MEMORY, f"at most {_MEMORY} MB in a process"),
)
_NOTE = (
    "The floor calls `predict_proba` of the ensemble, `score_samples` of the isolation forest and `transform` of k-means of "
    "scikit-learn on the ready matrix and applies calibration and thresholds, on one thread; or with its own threads on both cores. "
    "corrida does the whole job in real processes: the file is submitted, digested, read, checked, made into 27 features with the history of "
    "each client, scored by the same models, checked against the law, given reasons in words, written as Parquet, and published durably. "
    "It puts blocks of rows through the models on both cores. "
)


def risk_folder(place: Place) -> str:
    """Return the folder of the files and models of the risk workloads."""
    return str(place.kept("risk"))


def prepared(rows: int = 0, wide_rows: int = 0) -> Callable[[Place, Entry], None]:
    """Return what makes files and models that are not there yet."""

    def prepare(place: Place, _entry: Entry) -> None:
        place.call(
            "corrida",
            "risk_material",
            folder=risk_folder(place),
            rows=place.size(rows, 400),
            wide_rows=place.size(wide_rows, 400),
            tiny="1" if place.tiny else "",
        )

    return prepare


def _measured(name: str) -> Callable[[Place, Entry], Sample]:
    def measure(place: Place, entry: Entry) -> Sample:
        if entry.contestant == "floor":
            cores = 2 if entry.variant == _BOTH else 1
            found = place.call("floor", "risk_models", folder=risk_folder(place), name=name, cores=cores)
        else:
            spool = place.fresh("spool")
            found = place.call("corrida", "risk_file", folder=risk_folder(place), spool=spool, name=name)
        return {**found, "value": found["seconds"], "cpu": found["cpu"] * 1000}

    return measure


CASES = [
    Case(
        name="risk_million",
        title="1,000,000 transactions scored by three layers of models",
        entries=_ENTRIES,
        measure=_measured("transactions"),
        prepare=prepared(rows=_ROWS),
        budgets=_BUDGETS,
        facts=_FACTS,
        rounds=3,
        warm_up=False,
        note=_NOTE + "A CSV file of 85 MB.",
    ),
    Case(
        name="risk_500_mb",
        title="a CSV file of 500 MB scored",
        entries=_ENTRIES,
        measure=_measured("wide"),
        prepare=prepared(wide_rows=_WIDE_ROWS),
        budgets=_BUDGETS,
        facts=_FACTS,
        rounds=3,
        warm_up=False,
        note=f"The same with {_WIDE_ROWS:,} rows and five further columns, as a bank exports them.",
    ),
]
