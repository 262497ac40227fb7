"""Where the id of a run was written onto the rows of a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from corrida.runs.annotations import read_annotations


class Stamp(NamedTuple):
    """Rows that got the id of a run.

    Attributes:
        place: table, database and column.
        rows: how many.
        time: UTC.
    """

    place: str
    rows: Any
    time: str


def last_stamps(run_dir: Path) -> list[Stamp]:
    """Return the last stamp of each table of a database that got the run id."""
    last: dict[str, Stamp] = {}
    for change in read_annotations(run_dir):
        stamp = change.get("stamp")
        if isinstance(stamp, dict):
            place = f"{stamp.get('table')} in {stamp.get('database')}, {stamp.get('column')}"
            last[place] = Stamp(place, stamp.get("rows"), str(change.get("time")))
    return list(last.values())
