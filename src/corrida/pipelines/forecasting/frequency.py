"""The time between two values of a series: given, or read off the data; and the calendar that follows from it.

A frequency is a number of months, of seconds, of business days (Monday to Friday), or of whole numbers where time is
counted. Weeks, days and hours are seconds; quarters and years are months. Times have no time zone.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from corrida.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

Unit = Literal["month", "second", "business day", "step"]
_DAY = 86_400
_MICRO = 1_000_000
_WEEKDAYS = 5
_ALIASES: dict[str, tuple[Unit, int]] = {
    **dict.fromkeys(("y", "ye", "ys", "a", "year", "yearly", "annual"), ("month", 12)),
    **dict.fromkeys(("q", "qe", "qs", "quarter", "quarterly"), ("month", 3)),
    **dict.fromkeys(("mo", "me", "ms", "month", "monthly"), ("month", 1)),
    **dict.fromkeys(("w", "week", "weekly"), ("second", 7 * _DAY)),
    **dict.fromkeys(("d", "day", "daily"), ("second", _DAY)),
    **dict.fromkeys(("b", "bd", "business"), ("business day", 1)),
    **dict.fromkeys(("h", "hour", "hourly"), ("second", 3600)),
    **dict.fromkeys(("min", "t", "minute"), ("second", 60)),
    **dict.fromkeys(("s", "sec", "second"), ("second", 1)),
}
_NAMES: dict[Unit, tuple[tuple[int, str], ...]] = {
    "month": ((12, "y"), (3, "q"), (1, "mo")),
    "second": ((7 * _DAY, "w"), (_DAY, "d"), (3600, "h"), (60, "m"), (1, "s")),
    "business day": ((1, "b"),),
    "step": ((1, ""),),
}
_SEASONS: dict[tuple[Unit, int], int] = {
    ("month", 1): 12,
    ("month", 3): 4,
    ("second", 7 * _DAY): 52,
    ("second", _DAY): 7,
    ("business day", 1): 5,
}
_LONGEST_DAY = 1440
_IN_EVERY_MONTH = 28


@dataclass(frozen=True)
class Frequency:
    """A number of units of time.

    Attributes:
        unit: what is counted.
        count: how many, 1 or more.
        month_end: whether months are named by their last day.
    """

    unit: Unit
    count: int
    month_end: bool = False

    def __str__(self) -> str:
        """Return it as it is written: 1mo, 15m, 1b; a number alone where time is counted."""
        for size, name in _NAMES[self.unit]:
            if self.count % size == 0:
                return f"{self.count // size}{name}"
        return f"{self.count}{self.unit}"

    @property
    def season_length(self) -> int:
        """Steps of the season that usually goes with it: 12 months, 4 quarters, 52 weeks, 7 days, 24 hours; else 1."""
        if self.unit == "second" and self.count < _DAY:
            steps, rest = divmod(_DAY, self.count)
            return steps if not rest and steps <= _LONGEST_DAY else 1
        return _SEASONS.get((self.unit, self.count), 1)

    @property
    def days(self) -> bool:
        """Whether it is whole days or longer."""
        return self.unit != "second" or self.count % _DAY == 0

    def positions(self, times: pl.Series) -> NDArray[np.int64] | None:
        """Return how many steps after the first each time is, or None when one lies between two steps.

        Args:
            times: ascending, Datetime or Int64.
        """
        import numpy as np

        numbers = _numbers(times, self)
        if numbers is None:
            return None
        passed = numbers - numbers[0]
        if (passed % self.count).any():
            return None
        return np.asarray(passed // self.count, dtype=np.int64)

    def times(self, start: object, first: int, count: int) -> pl.Series:
        """Return the times of some steps.

        Args:
            start: the time of step 0.
            first: the first step wanted.
            count: how many.
        """
        import polars as pl

        kind = pl.Int64 if self.unit == "step" else pl.Datetime("us")
        starts = pl.Series([start], dtype=kind).new_from_index(0, count)
        return self.times_from(starts, pl.Series(range(first, first + count), dtype=pl.Int64))

    def times_from(self, starts: pl.Series, steps: pl.Series) -> pl.Series:
        """Return the time of a step after each of many starts.

        Args:
            starts: Datetime, or Int64 where time is counted.
            steps: Int64, as many.
        """
        import polars as pl

        frame = pl.DataFrame({"at": starts, "step": steps * self.count})
        at = pl.col("at")
        if self.unit == "step":
            return frame.select((at + pl.col("step")).alias("ds"))["ds"]
        if self.unit == "month":
            moved = at.dt.offset_by(pl.format("{}mo", "step"))
            moved = moved.dt.month_end() if self.month_end else moved
        elif self.unit == "second":
            moved = at + pl.duration(seconds="step", time_unit="us")
        else:
            moved = at.dt.add_business_days("step")
        return frame.select(moved.alias("ds"))["ds"]

    def text(self, time: object) -> str:
        """Return a time as it is written in ids of items: a date where it is midnight."""
        if self.unit == "step":
            return str(time)
        written = f"{time:%Y-%m-%dT%H:%M:%S}"
        return written.removesuffix("T00:00:00").removesuffix(":00")


def _numbers(times: pl.Series, frequency: Frequency) -> NDArray[np.int64] | None:
    """Return times as numbers of units; None when they are not of one kind (day of the month, time of the day)."""
    import numpy as np

    if frequency.unit == "step":
        return times.to_numpy()
    micro = times.dt.timestamp("us").to_numpy()
    clock = micro % (_DAY * _MICRO)
    if frequency.unit == "second":
        return None if (micro % _MICRO != micro[0] % _MICRO).any() else micro // _MICRO
    if (clock != clock[0]).any():
        return None
    if frequency.unit == "business day":
        if (times.dt.weekday() > _WEEKDAYS).any():
            return None
        days = (micro // (_DAY * _MICRO)).astype("datetime64[D]")
        return np.asarray(np.busday_count(days[0], days), dtype=np.int64)
    return _months(times, month_end=frequency.month_end)


def _months(times: pl.Series, *, month_end: bool) -> NDArray[np.int64] | None:
    import numpy as np

    days = times.dt.day()
    if month_end:
        fitting = bool((times.dt.month_end().dt.day() == days).all())
    else:
        fitting = bool((days == days[0]).all()) and days[0] <= _IN_EVERY_MONTH
    if not fitting:
        return None
    return np.asarray(times.dt.year().to_numpy() * 12 + times.dt.month().to_numpy(), dtype=np.int64)


def parse_frequency(text: str | int) -> Frequency:
    """Read a frequency: ``1mo``, ``MS``, ``M``, ``W``, ``D``, ``B``, ``h``, ``15m``, ``weekly``; a number where time is counted.

    A capital M alone means months and a small one minutes, as in the two usual notations.

    Raises:
        InvalidConfig: it cannot be read.
    """
    found = re.fullmatch(r"(\d*)\s*([A-Za-z]*)(?:-[A-Za-z]+)?", str(text).strip())
    if found and found[0] and (found[1] == "" or int(found[1]) > 0):
        count, name = int(found[1] or 1), found[2]
        if not name:
            return Frequency("step", count)
        unit = {"M": ("month", 1), "m": ("second", 60)}.get(name) or _ALIASES.get(name.lower())
        if unit is not None:
            return Frequency(unit[0], unit[1] * count)  # type: ignore[arg-type]
    raise InvalidConfig(
        f"freq: {text!r} is no frequency; write it as 1y, 1q, 1mo, 1w, 1d, 1b (business days), 1h, 15m or 10s, "
        "or as a number where time is counted."
    )


def infer_frequency(series: Iterable[pl.Series]) -> Frequency | None:
    """Return the frequency of most values; None when no series has two.

    Of one series it is the greatest step that reaches all its times, so that a gap does not hide it.

    Args:
        series: the times of each, ascending, without repetition.
    """
    votes: Counter[Frequency] = Counter()
    for times in series:
        if (found := _infer(times)) is not None:
            votes[found] += len(times)
    return max(votes, key=lambda one: (votes[one], -one.count)) if votes else None


def _infer(times: pl.Series) -> Frequency | None:
    if len(times) < 2:
        return None
    if times.dtype.is_integer():
        return Frequency("step", _common_step(times.to_numpy()))
    for month_end in (False, True):
        months = _numbers(times, Frequency("month", 1, month_end))
        if months is not None and len(set(months.tolist())) == len(months):
            return Frequency("month", _common_step(months), month_end)
    workdays = _numbers(times, Frequency("business day", 1))
    seconds = _numbers(times, Frequency("second", 1))
    if seconds is None:
        return None
    step = _common_step(seconds)
    if step == _DAY and workdays is not None and len(times) > _WEEKDAYS:
        return Frequency("business day", 1)
    return Frequency("second", step)


def _common_step(numbers: NDArray[np.int64]) -> int:
    return math.gcd(*(later - sooner for sooner, later in itertools.pairwise(numbers.tolist())))
