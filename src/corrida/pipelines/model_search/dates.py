"""Dates: which columns hold them, and what a model can learn from them.

Only what a date holds becomes a feature: a date without a time of day has no hour, and a table of one month has no month.
The year is left out unless it is asked for: the test rows of a split by time often lie in a year that training never saw.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

# Year, month and day in an order that cannot be mistaken; 03/04/2024 can, so that it is no date here.
_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
)
_ZONED = "%Y-%m-%dT%H:%M:%S%#z"
_TIME = pl.Datetime("us")
_DAYS_OF_YEAR = 365.25


def as_times(given: pl.Series) -> pl.Series | None:
    """Return a column as times without zone (those with one become UTC); null where a text is no date.

    Returns:
        None when the column holds something else than text or dates.
    """
    if isinstance(given.dtype, pl.Datetime):
        zoned = given.dtype.time_zone is not None
        plain = given.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else given
        return plain.cast(_TIME)
    if given.dtype == pl.Date:
        return given.cast(_TIME)
    if given.dtype != pl.String:
        return None
    text = given.str.strip_chars()
    best = pl.Series(given.name, [None] * given.len(), dtype=_TIME)
    for notation in _FORMATS:
        kind: type[pl.Date] | pl.Datetime = _TIME if "%H" in notation else pl.Date
        read = text.str.strptime(kind, notation, strict=False).cast(_TIME)
        if read.null_count() < best.null_count():
            best = read
        if best.null_count() == text.null_count():
            return best
    zoned_text = text.str.strptime(pl.Datetime("us", "UTC"), _ZONED, strict=False)
    if zoned_text.null_count() < best.null_count():
        best = zoned_text.dt.replace_time_zone(None)
    return best


def times_by_row(given: pl.Series) -> pl.Series | None:
    """Return a column as times like :func:`as_times`, each text by the first notation that fits it, whatever the others are.

    Returns:
        None when the column holds something else than text or dates.
    """
    if given.dtype != pl.String:
        return as_times(given)
    text = given.str.strip_chars()
    found = pl.Series(given.name, [None] * given.len(), dtype=_TIME)
    for notation in _FORMATS:
        kind: type[pl.Date] | pl.Datetime = _TIME if "%H" in notation else pl.Date
        found = _either(found, text.str.strptime(kind, notation, strict=False).cast(_TIME))
        if found.null_count() == text.null_count():
            return found
    zoned = text.str.strptime(pl.Datetime("us", "UTC"), _ZONED, strict=False)
    return _either(found, zoned.dt.replace_time_zone(None))


def _either(first: pl.Series, second: pl.Series) -> pl.Series:
    return first.zip_with(first.is_not_null(), second)


def holds_dates(given: pl.Series) -> bool:
    """Tell whether a column is unmistakably one of dates: each of its values is one."""
    if given.dtype == pl.Date or isinstance(given.dtype, pl.Datetime):
        return given.null_count() < given.len()
    if given.dtype != pl.String or given.null_count() == given.len():
        return False
    first = given.drop_nulls().head(20)
    seen = as_times(first)
    if seen is None or seen.null_count():
        return False
    times = as_times(given)
    return times is not None and times.null_count() == given.null_count()


def parts_held(times: pl.Series) -> tuple[str, ...]:
    """Return the parts of dates that differ among them, and that are alike from year to year.

    Args:
        times: of the training rows.
    """
    known = times.drop_nulls()
    if not known.len():
        return ()
    varies = {
        "month": known.dt.month().n_unique() > 1,
        "weekday": known.dt.weekday().n_unique() > 1,
        "hour": known.dt.hour().n_unique() > 1,
        "minute": known.dt.minute().n_unique() > 1,
    }
    return tuple(part for part, differs in varies.items() if differs)


def calendar_features(name: str, times: pl.Series, parts: Sequence[str]) -> list[pl.Series]:
    """Return what is learnt from dates, as numbers; null where the date is missing.

    The season of the year and the time of day are circles: their sine and cosine put 31 December beside 1 January.

    Args:
        name: of the column; the features are called after it.
        times: the dates.
        parts: ``year``, ``month``, ``day``, ``weekday``, ``hour``, ``minute``.
    """
    found: list[pl.Series] = []

    def add(suffix: str, values: pl.Series) -> None:
        found.append(values.cast(pl.Float64).alias(f"{name}.{suffix}"))

    for part in parts:
        add(part, getattr(times.dt, part)())
        if part == "month":
            turn = (times.dt.ordinal_day() - 1).cast(pl.Float64) * (2 * math.pi / _DAYS_OF_YEAR)
            add("season_sin", turn.sin())
            add("season_cos", turn.cos())
        elif part == "hour":
            turn = (times.dt.hour() * 60 + times.dt.minute()).cast(pl.Float64) * (2 * math.pi / 1440)
            add("hour_sin", turn.sin())
            add("hour_cos", turn.cos())
    return found


def have_hours(times: pl.Series) -> bool:
    """Tell whether any of some times has a time of day."""
    return not (times.dt.truncate("1d") == times).fill_null(value=True).all()


def time_text(times: pl.Series) -> list[str]:
    """Return times as people write them: without a time of day where none of them has one."""
    dated = not have_hours(times)
    return times.dt.strftime("%Y-%m-%d" if dated else "%Y-%m-%d %H:%M:%S").to_list()
