"""Stores that hold many runs; filled once, and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bench.harness.case import Entry
    from bench.harness.place import Place

_STEP = 1_000


def filled_store(place: Place, entry: Entry) -> Path:
    """Return the path of a contestant's store of ``entry.runs`` runs."""
    return place.kept(f"{entry.contestant}_{entry.runs}")


def fill(place: Place, entry: Entry) -> None:
    """Fill the store of an entry unless that is done; an interrupted filling goes on where it was.

    Runs are made by the contestant's own calls, without artifacts.
    """
    if not entry.runs:
        return
    store, wanted = filled_store(place, entry), place.size(entry.runs, 30)
    progress = store.with_name(f"{store.name}.filled")
    done = int(progress.read_text(encoding="utf-8")) if progress.exists() else 0
    if done == 0:
        place.remove(store)
    while done < wanted:
        count = min(_STEP, wanted - done)
        place.call(
            entry.contestant, "fill", store=store, first=done, count=count, scratch=place.folder / "artifacts"
        )
        done += count
        progress.write_text(str(done), encoding="utf-8")
