"""Segments of items: which sets of items to look at, each once and none too small."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from corrida.analysis.column_cuts import Column, combined, cut
from corrida.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from corrida.analysis.paired_items import PairedItems

AUTO = "auto"
# What a run says of an item is no property of it: among the items that A got right, B can only be worse.
_OUTCOMES = frozenset({"item_id", "output", "correct", "score", "loss", "tp", "fp", "fn"})


class SkippedColumn(msgspec.Struct, frozen=True):
    """A column that could not be looked at, and why."""

    column: str
    reason: str


@dataclass(frozen=True)
class ItemSegment:
    """Some items.

    Attributes:
        columns: that tell them from others.
        labels: what holds in each column.
        rows: their places.
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    rows: NDArray[np.int64]


@dataclass
class Segments:
    """The segments to look at.

    Attributes:
        found: those with enough items, each set of items once.
        columns: that were cut.
        overlapping: whether an item may lie in several of them.
        too_small: how many have fewer items than the minimum.
        repeated: how many have exactly the items of another.
        beyond: how many were left out by the limit.
        pairs: pairs of columns that were looked at.
        pairs_beyond: pairs of columns that were left out by the limit.
        skipped: columns that could not be used.
    """

    found: list[ItemSegment] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    overlapping: bool = False
    too_small: int = 0
    repeated: int = 0
    beyond: int = 0
    pairs: int = 0
    pairs_beyond: int = 0
    skipped: list[SkippedColumn] = field(default_factory=list)


def read_specs(specs: Sequence[str], columns: Sequence[str]) -> tuple[list[tuple[str, ...]], bool]:
    """Return the columns, and combinations of columns, that are asked for, and whether all are (``auto``).

    Args:
        specs: names of columns, several with a comma between them, or ``auto``.
        columns: that there are.

    Raises:
        BadInput: there is no such column, or a combination names one twice.
    """
    found: list[tuple[str, ...]] = []
    for spec in specs:
        if spec == AUTO:
            continue
        names = (spec,) if spec in columns else tuple(name.strip() for name in spec.split(","))
        for name in names:
            if name not in columns:
                near = difflib.get_close_matches(name, columns, n=3)
                hint = (
                    f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(columns[:12])}"
                )
                raise BadInput(f"the items have no column {name!r} to slice by; {hint}")
        if len(set(names)) < len(names):
            raise BadInput(f"the slices {spec!r} name a column twice; name each once")
        found.append(names)
    return list(dict.fromkeys(found)), AUTO in specs


def find_segments(
    paired: PairedItems, specs: Sequence[str], *, min_items: int, limit: int, without: str | None = None
) -> Segments:
    """Return the segments of the shared items.

    Args:
        paired: the items of both runs.
        specs: as of :func:`read_specs`. ``auto`` takes every column that both runs have, that is the same in both,
            and that has few values or numbers; then pairs of them, as long as all their segments fit the limit.
        min_items: the least items of a segment.
        limit: look at so many segments at most.
        without: a column that ``auto`` leaves out, such as that of the clusters.

    Raises:
        BadInput: there is no such column.
    """
    there = list(dict.fromkeys([*paired.b.frame.columns, *paired.a.frame.columns]))
    asked, auto = read_specs(specs, there)
    result = Segments()
    cutter = _Cutter(paired, result)
    parts: list[Column] = []
    for names in asked:
        members = [column for name in names if (column := cutter.column(name, unasked=False))]
        if len(members) == len(names):
            parts.append(combined(members))
    if auto:
        unasked = [cutter.column(name, unasked=True) for name in there if name not in _OUTCOMES | {without}]
        known = {part.names for part in parts}
        parts += [column for column in unasked if column is not None and column.names not in known]
    result.columns = [" and ".join(part.names) for part in parts]
    result.overlapping = len(parts) > 1 or any(part.overlaps for part in parts)
    seen: set[tuple[int, int]] = set()
    for part in parts:
        _add(result, list(_segments(part)), seen, paired.size, min_items, limit)
    if auto:
        for pair in cutter.pairs():
            segments = list(_segments(pair))
            if len(result.found) + sum(len(s.rows) >= min_items for s in segments) > limit:
                result.pairs_beyond += 1
                continue
            result.pairs += 1
            _add(result, segments, seen, paired.size, min_items, limit)
    return result


class _Cutter:
    """Cuts each column once, and notes those that cannot be cut."""

    def __init__(self, paired: PairedItems, result: Segments) -> None:
        self._paired, self._result = paired, result
        self._made: dict[str, Column | None] = {}

    def column(self, name: str, *, unasked: bool) -> Column | None:
        if name not in self._made:
            made = cut(self._paired, name, unasked=unasked)
            self._made[name] = made if isinstance(made, Column) else None
            if isinstance(made, str):
                self._result.skipped.append(SkippedColumn(name, made))
        return self._made[name]

    def pairs(self) -> Iterator[Column]:
        """Yield the combinations of two columns, those with few segments first."""
        singles = [column for column in self._made.values() if column is not None]
        pairs = itertools.combinations(singles, 2)
        for pair in sorted(pairs, key=lambda pair: len(pair[0].labels) * len(pair[1].labels)):
            yield combined(pair)


def _add(
    result: Segments, segments: Iterator[ItemSegment] | list[ItemSegment], seen: set[tuple[int, int]], size: int,
    min_items: int, limit: int,
) -> None:  # fmt: skip
    large = []
    for segment in segments:
        if len(segment.rows) < min_items:
            result.too_small += 1
        else:
            large.append(segment)
    large.sort(key=lambda s: -len(s.rows))  # the limit leaves out the smallest
    for segment in large:
        mark = (len(segment.rows), hash(segment.rows.tobytes()))
        if mark in seen or len(segment.rows) == size:
            result.repeated += 1
        elif len(result.found) >= limit:
            result.beyond += 1
        else:
            seen.add(mark)
            result.found.append(segment)


def _segments(column: Column) -> Iterator[ItemSegment]:
    import numpy as np

    order = np.argsort(column.codes, kind="stable")
    codes, rows = column.codes[order], column.rows[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for start, stop in itertools.pairwise([*starts.tolist(), codes.size]):
        yield ItemSegment(column.names, column.labels[int(codes[start])], rows[start:stop])
