"""One item over many runs, by a process of its own: how long it takes, and how much memory."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_of, at_most_seconds
from bench.harness.case import Case, Entry, Sample
from bench.harness.place import ContestantFailed

if TYPE_CHECKING:
    from pathlib import Path

    from bench.harness.place import Place

_RUNS = 1_000
_ITEMS = 10_000


def _store(place: Place) -> Path:
    return place.kept("corrida_histories")


def _prepare(place: Place, entry: Entry) -> None:
    """Fill the one store that both entries read; an interrupted filling goes on where it was."""
    store = _store(place)
    filled = store.with_name(f"{store.name}.filled")
    if not filled.exists():
        count, items = place.size(_RUNS, 5), place.size(_ITEMS)
        place.call("corrida", "with_histories", store=store, count=count, items=items)
        filled.touch()
    place.output(entry.contestant, _command(place, entry))  # the catalog knows the runs


def _measure(place: Place, entry: Entry) -> Sample:
    started = time.perf_counter()
    process = place.start(
        entry.contestant, _command(place, entry), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)  # of all that wait for a process, this alone tells its memory
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ContestantFailed(f"{entry.contestant}: one item ended with {process.returncode}")
    return {"value": seconds, "megabytes": used.ru_maxrss * 1024 / 1e6}


def _command(place: Place, entry: Entry) -> list[str]:
    store, item_id = _store(place), f"item_{place.size(_ITEMS) // 2:07}"
    if entry.contestant == "corrida":
        return [str(place.python("corrida").with_name("corrida")), "item", item_id, "--store", str(store)]
    return place.command(entry.contestant, "item", store=store, item_id=item_id)


CASES = [
    Case(
        name="item_history",
        title="one item over 1,000 runs of 10,000 items, new process",
        entries=(Entry("floor"), Entry("corrida")),
        measure=_measure,
        prepare=_prepare,
        budgets=(
            at_most_seconds(2),
            at_most_of("megabytes", 500, "never more than 500 MB of memory"),
        ),
        facts={"megabytes": "peak memory, MB"},
        note=(
            "The answer of each run, right or wrong, and what changed where the answer changed. The floor reads the item "
            "tables of all runs with polars, one by one, and prints the rows of the item."
        ),
    )
]
