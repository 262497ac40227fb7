"""Comparisons that were made a moment ago: turning a page of items does not test everything again."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from corrida.errors import BadInput
from corrida.runs import layout
from corrida.runs.files import digest_bytes
from corrida.runs.run_file import SEALED

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from corrida.analysis.compare import Comparison
    from corrida.analysis.pages import Figure
    from corrida.runs.record import RunRecord

_MOST = 32
_MOST_BYTES = 64 * 1024 * 1024
SLICED_UP_TO = 20_000
"""Segments of more items are looked at when a person asks: testing them takes longer than a page may."""


class Compared(NamedTuple):
    """Two runs compared, with the figures of the page."""

    comparison: Comparison
    figures: dict[str, Figure | None]


class Comparisons:
    """Compares runs, and remembers the last comparisons of runs that have ended.

    What is remembered is known by everything that a run says of itself, and by the state of its items.
    """

    def __init__(self, list_keys: Sequence[str] = ()) -> None:
        """Remember nothing yet.

        Args:
            list_keys: as of :func:`corrida.analysis.compare.compare_runs`.
        """
        self._list_keys = list_keys
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Compared] = OrderedDict()

    def get(self, a: RunRecord, b: RunRecord, *, metric: str = "", slices: Sequence[str] = ()) -> Compared:
        """Compare two runs.

        Args:
            a: the run before.
            b: the run after.
            metric: the metric that decides; that of the runs when empty.
            slices: columns to cut the items by, or ``auto``.

        Raises:
            BadInput, DamagedRun, InvalidData, InvalidMetric: as of :func:`corrida.analysis.compare.compare_runs`.
        """
        from corrida.analysis.compare import compare_runs
        from corrida.analysis.comparison_page import comparison_figures

        ended = a.status in SEALED and b.status in SEALED
        key = (_state(a), _state(b), metric, tuple(slices)) if ended else None
        with self._lock:
            found = self._known.get(key) if key else None
            if found is not None:
                self._known.move_to_end(key)
        if found is not None:
            fresh = dataclasses.replace(found.comparison, a=a, b=b)
            return Compared(fresh, found.figures)
        comparison = compare_runs(a, b, metric=metric or None, list_keys=self._list_keys, slices=slices)
        made = Compared(comparison, comparison_figures(comparison))
        if key:
            self._keep(key, made)
        return made

    def _keep(self, key: Hashable, made: Compared) -> None:
        with self._lock:
            self._known[key] = made
            while len(self._known) > 1 and (
                len(self._known) > _MOST or sum(map(_size, self._known.values())) > _MOST_BYTES
            ):
                self._known.popitem(last=False)


def sliced_by(a: RunRecord, b: RunRecord, asked: str) -> tuple[str, ...]:
    """Return the columns to cut the items of two runs by.

    Args:
        a: the run before.
        b: the run after.
        asked: columns as on the command line, or ``no``; empty for all, unless there are very many items.

    Raises:
        BadInput: no column is named.
    """
    if asked == "no":
        return ()
    if asked:
        names = tuple(dict.fromkeys(part.strip() for part in asked.split(";") if part.strip()))
        if not names:
            raise BadInput("slices names no column; write columns with ; between them, or auto")
        return names
    counts = [(run.item_counts or {}).get("count", 0) for run in (a, b)]
    return ("auto",) if min(counts) > 0 and max(counts) <= SLICED_UP_TO else ()


def _state(run: RunRecord) -> tuple[str, str, float, int]:
    """Return what tells one state of an ended run from another."""
    said = digest_bytes(msgspec.json.encode(run, enc_hook=str)).sha256
    try:
        items = (run.dir / layout.ITEMS).stat()
    except OSError:
        return run.id, said, 0.0, 0
    return run.id, said, items.st_mtime, items.st_size


def _size(compared: Compared) -> int:
    items = compared.comparison.items
    if items is None:
        return 0
    frames = (items.differing.estimated_size(), items.expected_changed.estimated_size())
    return int(sum(frames) + items.only_a.estimated_size() + items.only_b.estimated_size())
