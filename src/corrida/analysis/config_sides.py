"""Two texts side by side: lines that differ next to each other, with the words that differ marked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Kind = Literal["same", "changed", "removed", "added", "left_out"]

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_LONGEST_LINE = 20_000
_MOST_LINE_PAIRS = 4_000_000
_MOST_WORD_PAIRS = 1_000_000
# Lines that have less than this in common are another line each, not one that was changed.
_ALIKE = 0.35


class Piece(NamedTuple):
    """Part of a line, and whether the other side lacks it."""

    text: str
    differs: bool = False


class Side(NamedTuple):
    """A line of one text: its number from 1, and what it says."""

    number: int
    pieces: tuple[Piece, ...]


class Row(NamedTuple):
    """What stands side by side.

    Attributes:
        kind: ``left_out`` stands for lines that are the same in both.
        a, b: the line of each text; None where it has none.
        lines: of ``left_out``: how many.
    """

    kind: Kind
    a: Side | None = None
    b: Side | None = None
    lines: int = 0


def side_by_side(
    a: Sequence[str], b: Sequence[str], *, around: int = 3, most: int = 2_000
) -> list[Row] | None:
    """Lay two texts side by side.

    Args:
        a: the lines before.
        b: the lines after.
        around: how many equal lines to show around those that differ.
        most: at most so many rows; the last then says how many lines of the longer text follow.

    Returns:
        The rows, none where the texts are the same; None when they are too large to be laid side by side.
    """
    start = _shared(a, b)
    end = _shared(a[start:][::-1], b[start:][::-1])
    inner_a, inner_b = a[start : len(a) - end], b[start : len(b) - end]
    if len(inner_a) * len(inner_b) > _MOST_LINE_PAIRS:
        return None
    if not inner_a and not inner_b:
        return []
    matcher = difflib.SequenceMatcher(None, inner_a, inner_b, autojunk=False)
    codes = [("equal", 0, start, 0, start)] if start else []
    codes += [(tag, i + start, k + start, j + start, m + start) for tag, i, k, j, m in matcher.get_opcodes()]
    if end:
        codes.append(("equal", len(a) - end, len(a), len(b) - end, len(b)))
    rows: list[Row] = []
    for place, (tag, i, k, j, m) in enumerate(codes):
        if tag == "equal":
            rows += _same(a[i:k], i, j, around if place else 0, around if place < len(codes) - 1 else 0)
        else:
            rows += _differing(a, b, range(i, k), range(j, m))
        if len(rows) > most:
            shown = rows[:most]
            last_a = max((row.a.number for row in shown if row.a), default=0)
            last_b = max((row.b.number for row in shown if row.b), default=0)
            return [*shown, Row("left_out", lines=max(len(a) - last_a, len(b) - last_b))]
    return rows


def words_apart(a: str, b: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return two texts in pieces, those marked that the other lacks."""
    whole = ((Piece(a, differs=True),), (Piece(b, differs=True),))
    if a == b:
        return (Piece(a),), (Piece(b),)
    if max(len(a), len(b)) > _LONGEST_LINE:
        return whole
    left, right = _WORDS.findall(a), _WORDS.findall(b)
    if len(left) * len(right) > _MOST_WORD_PAIRS:
        return whole
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    pieces_a: list[Piece] = []
    pieces_b: list[Piece] = []
    for tag, i, k, j, m in matcher.get_opcodes():
        differs = tag != "equal"
        if i < k:
            pieces_a.append(Piece("".join(left[i:k]), differs))
        if j < m:
            pieces_b.append(Piece("".join(right[j:m]), differs))
    return tuple(pieces_a), tuple(pieces_b)


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """Return with how many equal lines two texts begin."""
    count = 0
    for one, two in zip(a, b, strict=False):
        if one != two:
            break
        count += 1
    return count


def _same(lines: Sequence[str], at_a: int, at_b: int, after: int, before: int) -> Iterator[Row]:
    """Yield equal lines: the first ``after`` and the last ``before`` of them."""
    hidden = len(lines) - after - before
    for place, line in enumerate(lines):
        if hidden > 0 and after <= place < after + hidden:
            if place == after:
                yield Row("left_out", lines=hidden)
            continue
        pieces = (Piece(line),)
        yield Row("same", Side(at_a + place + 1, pieces), Side(at_b + place + 1, pieces))


def _differing(a: Sequence[str], b: Sequence[str], in_a: range, in_b: range) -> Iterator[Row]:
    """Yield lines that differ, in pairs where they have enough in common."""
    paired = min(len(in_a), len(in_b))
    for i, j in zip(in_a[:paired], in_b[:paired], strict=True):
        left, right = words_apart(a[i], b[j])
        if _common(left) >= _ALIKE * max(len(a[i].strip()), len(b[j].strip())):
            yield Row("changed", Side(i + 1, left), Side(j + 1, right))
        else:
            yield Row("removed", a=Side(i + 1, (Piece(a[i]),)))
            yield Row("added", b=Side(j + 1, (Piece(b[j]),)))
    for i in in_a[paired:]:
        yield Row("removed", a=Side(i + 1, (Piece(a[i]),)))
    for j in in_b[paired:]:
        yield Row("added", b=Side(j + 1, (Piece(b[j]),)))


def _common(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.text.strip()) for piece in pieces if not piece.differs)
