"""Two runs compared, by a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_seconds, at_most_times, better_than_every_peer
from bench.harness.case import Case, Entry, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from bench.harness.place import Place

_RUNS = 20
_ITEMS = 1_000
_PEERS = ("mlflow", "trackio", "aim", "dvclive", "sacred")


def compared_store(place: Place, entry: Entry) -> Path:
    """Return the path of a contestant's store of a few runs."""
    return place.kept(f"{entry.contestant}_compared")


def fill_compared(place: Place, entry: Entry) -> None:
    """Fill that store unless that is done."""
    store = compared_store(place, entry)
    filled = store.with_name(f"{store.name}.filled")
    if not filled.exists():
        place.remove(store)
        place.call(entry.contestant, "fill", store=store, count=_RUNS, scratch=place.folder / "artifacts")
        if entry.contestant == "corrida":
            for number, run_id in enumerate(_WITH_ITEMS):
                place.call("corrida", "with_items", store=store, run_id=run_id, count=_ITEMS, offset=number)
        filled.touch()


def _prepare(place: Place, entry: Entry) -> None:
    fill_compared(place, entry)
    place.output(entry.contestant, _command(place, entry))


def _measure(place: Place, entry: Entry) -> Sample:
    return {"value": place.timed(entry.contestant, _command(place, entry))}


_PLAIN = ("run_0000000", "run_0000001")
_WITH_ITEMS = ("items_a", "items_b")


def _command(place: Place, entry: Entry) -> list[str]:
    store = compared_store(place, entry)
    if entry.contestant == "corrida":
        pair = _WITH_ITEMS if entry.variant else _PLAIN
        return [str(place.python("corrida").with_name("corrida")), "compare", *pair, "--store", str(store)]
    if entry.contestant == "floor":
        a, b = _PLAIN
    else:
        found = place.call(entry.contestant, "two_runs", store=store)
        a, b = found["a"], found["b"]
    return place.command(entry.contestant, "compare", store=store, a=a, b=b)


CASES = [
    Case(
        name="compare",
        title="two runs compared, new process",
        entries=(
            Entry("floor"),
            Entry("corrida"),
            Entry("corrida", "1,000 items each"),
            *(Entry(name) for name in _PEERS),
        ),
        measure=_measure,
        prepare=_prepare,
        budgets=(
            at_most_times(4, "plain Python"),
            at_most_seconds(0.5, of="corrida, 1,000 items each"),
            better_than_every_peer(),
        ),
        rounds=5,
        note=(
            "20 parameters and 10 metrics a run. corrida also compares configurations, data, environment and, where "
            "there are items, which of them flipped; the others print the parameters and metrics that differ."
        ),
    )
]
