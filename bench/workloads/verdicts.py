"""The verdict on a million items, beside reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_times
from bench.harness.case import Case, Entry, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from bench.harness.place import Place

_ITEMS = 1_000_000
_RESAMPLES = 10_000
_RUNS = ("before", "after")


def _store(place: Place) -> Path:
    return place.kept("corrida_million_items")


def _prepare(place: Place, _entry: Entry) -> None:
    """Fill the one store that both entries read."""
    store = _store(place)
    filled = store.with_name(f"{store.name}.filled")
    if filled.exists():
        return
    place.remove(store)
    for number, run_id in enumerate(_RUNS):
        count = place.size(_ITEMS, 300)
        place.call("corrida", "with_many_items", store=store, run_id=run_id, count=count, offset=number)
    filled.touch()


def _measure(place: Place, entry: Entry) -> Sample:
    options: dict[str, object] = dict(zip("ab", _RUNS, strict=True))
    if entry.contestant == "corrida":
        options["resamples"] = place.size(_RESAMPLES, 200)
    found = place.call(entry.contestant, "verdict", store=_store(place), cwd=None, **options)
    return {"value": found["seconds"]}


CASES = [
    Case(
        name="verdict",
        title="verdict on 1,000,000 shared items",
        entries=(Entry("floor"), Entry("corrida")),
        measure=_measure,
        prepare=_prepare,
        budgets=(
            at_most_times(
                3,
                "plain Python",
                why_missed=(
                    "polars reads the tables on all cores, and what comes after is a dozen passes over a million rows: one for "
                    "each measure and run, one to count the patterns of each metric, four over the losses, and the table "
                    "of the 100,000 items that flipped."
                ),
            ),
        ),
        note=(
            "Accuracy, F1 and the mean of a loss that is another number for every item, each tested with 10,000 resamples. "
            "corrida reads both item tables, pairs their items, says which flipped, and tests; the floor reads both "
            "tables with polars. The second time in a process."
        ),
    )
]
