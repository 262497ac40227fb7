"""Small files of transactions through the runner, beside folder loops around the bare models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.harness.budgets import at_least_times, at_most_times
from bench.harness.case import Case, Entry, Sample
from bench.workloads.risk_scoring import prepared, risk_folder

if TYPE_CHECKING:
    from bench.harness.place import Place

_STARTING, _RESIDENT = "Python started for each file", "one process that stays"
_SUBMITTED, _DROPPED, _HTTP = "submitted", "dropped into the folder", "HTTP"
_WAYS = {
    _STARTING: "starting",
    _RESIDENT: "resident",
    _SUBMITTED: "submitted",
    _DROPPED: "dropped",
    _HTTP: "HTTP",
}
_ALONE, _CLIENTS, _EACH = 60, 8, 20
_WORKERS = 2
_FEW = 6  # files of the slow loop, one after the other; with many clients each hands over one
_SLOW = f"plain Python, {_STARTING}"
_ENTRIES = (
    Entry("floor", _STARTING),
    Entry("floor", _RESIDENT),
    Entry("corrida", _SUBMITTED),
    Entry("corrida", _DROPPED),
    Entry("corrida", _HTTP),
)
_NOTE = (
    "Files of 100 rows, from handing one over to its results in `processed`, or in the answer. The first is a `while` loop over `pending` "
    "that starts Python for each file, which loads the models by joblib, scores, writes JSON and moves the file; there are two such loops, as "
    "corrida has two workers. The second has the models loaded. Both get features that are made already, lose files when they are killed, and wait for no disk. "
    "corrida makes the features, and every file survives a kill and a power cut: it waits for the disk for the job, the results, and each move. "
    "First files are handed over one after the other, of which the median is given; then 8 clients hand over the next file each when they have the results of the last."
)


def _measure(place: Place, entry: Entry) -> Sample:
    slow = entry.variant == _STARTING
    found = place.call(
        entry.contestant,
        "risk_jobs",
        folder=risk_folder(place),
        spool=place.fresh("spool"),
        way=_WAYS[entry.variant],
        workers=place.size(_WORKERS, 1),
        alone=place.size(_FEW if slow else _ALONE, 1),
        clients=place.size(_CLIENTS, 1),
        each=place.size(1 if slow else _EACH, 1),
    )
    return {
        "value": found["p50"],
        "p99": found["p99"] * 1000,
        "a_minute": found["rate_of_many"] * 60,
        "p50_of_many": found["p50_of_many"] * 1000,
        "p99_of_many": found["p99_of_many"] * 1000,
    }


_OURS = tuple(f"corrida, {way}" for way in (_SUBMITTED, _DROPPED, _HTTP))

CASES = [
    Case(
        name="risk_jobs",
        title="files of 100 transactions",
        entries=_ENTRIES,
        measure=_measure,
        prepare=prepared(),
        budgets=(
            *(at_most_times(0.5, _SLOW, of=label) for label in _OURS),
            *(
                at_least_times(
                    2, _SLOW, of=label, fact="a_minute", text=f"{label}: at least 2 × the files a minute"
                )
                for label in _OURS
            ),
        ),
        facts={
            "p99": "p99, ms",
            "a_minute": "8 clients: files a minute",
            "p50_of_many": "p50, ms",
            "p99_of_many": "p99, ms",
        },
        rounds=3,
        warm_up=False,
        note=_NOTE,
    )
]
