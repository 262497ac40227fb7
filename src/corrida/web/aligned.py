"""Numbers of a column that stand with their decimal points under each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_PLAIN = re.compile(r"[−-]?[\d,]+(?:\.(?P<decimals>\d+))?")
_MOST = 8


def gaps(texts: Sequence[str]) -> list[str]:
    """Return for each number of a column the classes of the gap to its right.

    ``pad-N`` stands for the width of N digits, ``no-point`` for that of a point, which whole numbers lack. What is no plain number
    (nothing, NaN, 1e-07) gets none, and says nothing about the others.

    Args:
        texts: of the cells, as they are shown.
    """
    found = [_PLAIN.fullmatch(text) for text in texts]
    decimals = [None if one is None else len(one["decimals"] or "") for one in found]
    most = min(_MOST, max((count for count in decimals if count is not None), default=0))
    return [_gap(count, most) for count in decimals]


def column_gaps(rows: Sequence[Sequence[str]], numbers: Sequence[Any]) -> list[list[str]]:
    """Return the gaps of all cells of a table; none in columns that do not hold numbers.

    Args:
        rows: the texts of its cells.
        numbers: for each column, whether it holds numbers.
    """
    columns = [
        gaps([row[i] for row in rows]) if number else [""] * len(rows) for i, number in enumerate(numbers)
    ]
    return [[column[i] for column in columns] for i in range(len(rows))]


def _gap(decimals: int | None, most: int) -> str:
    if decimals is None or decimals >= most:
        return ""
    return f" pad-{most - decimals}" + (" no-point" if not decimals else "")
