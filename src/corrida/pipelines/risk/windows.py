"""What a client did before a transaction: counts and sums over days back from it, and nothing of what came after.

*Before* is earlier in time; among transactions of one moment (a day, where times are not known) earlier in the file, and what a
history file holds comes before what the file holds. Counts and sums are of whole numbers, so that they are exact: a row has the
same history, to the last bit, whatever other rows stand around it. (Running sums of floating point numbers do not.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

DAY: Final = 86_400
LONGEST: Final = 180  # days; nothing older has a say, so that a history of 180 days is a whole one
_SPAN = np.int64(1) << np.int64(34)  # more seconds than lie between any two transactions


def time_order(group: Integers, seconds: Integers) -> Integers:
    """Return the order by group, in it by time, in that as the rows stand.

    Args:
        group: numbers from 0.
        seconds: since 1970, of the years 1900 to 2100.
    """
    return np.argsort(_keys(group, seconds), kind="stable")


class Windows:
    """Rows in the order of :func:`time_order`, and for each the rows of its group before it."""

    def __init__(self, group: Integers, seconds: Integers) -> None:
        self._keys, self._group = _keys(group, seconds), group
        self._first = np.searchsorted(group, group)
        self._here = np.arange(len(group))
        self._starts: dict[int, Integers] = {}

    def count(self, days: int) -> Integers:
        """Return how many rows of the group lie at most ``days`` back."""
        return self._here - self._start(days)

    def total(self, values: Integers, days: int) -> Integers:
        """Return the sum of ``values`` over the rows of the group at most ``days`` back, the row itself not among them."""
        running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(values)])
        found: Integers = running[:-1] - running[self._start(days)]
        return found

    def since_last(self, seconds: Integers) -> Integers:
        """Return the seconds since the row before; those of ``LONGEST`` days where none is nearer."""
        longest = LONGEST * DAY
        before = np.where(self._here > self._first, seconds - np.roll(seconds, 1), longest)
        found: Integers = np.minimum(before, longest)
        return found

    def _start(self, days: int) -> Integers:
        if days not in self._starts:
            found = np.searchsorted(self._keys, self._keys - days * DAY, side="left")
            self._starts[days] = np.maximum(found, self._first)
        return self._starts[days]


def within(
    group: Integers, part: Integers, seconds: Integers, values: Integers, days: int
) -> tuple[Integers, Integers]:
    """Return count and sum over the rows before that are of the same group and part, such as of one type of operation.

    Args:
        group: in the order of :func:`time_order`.
        seconds: in that order too.
        part: numbers from 0, few of them.
        values: what is summed.
        days: how far back.
    """
    parts = int(part.max(initial=0)) + 1
    both = group * parts + part
    order = np.argsort(both, kind="stable")  # in time already
    dense = np.cumsum(np.diff(both[order], prepend=both[order[:1]]) != 0)
    windows = Windows(dense.astype(np.int64), seconds[order])
    count, total = np.empty_like(values), np.empty_like(values)
    count[order], total[order] = windows.count(days), windows.total(values[order], days)
    return count, total


def _keys(group: Integers, seconds: Integers) -> Integers:
    # A window reaches at most 180 days back; with this span it cannot reach into another group.
    return group * _SPAN + (seconds + (_SPAN >> 1))
