"""The column of times: dates, times or whole numbers, as Datetime without time zone or as Int64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.inputs import rows_named, shown

if TYPE_CHECKING:
    from pathlib import Path

# Day and month in an order that cannot be mistaken; a mere year is a whole number.
_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
)
_SEVERAL = 13  # numbers in a row; so many that not all end in the two digits of a month
_MONTH = r"^\d{4}-\d\d$"
_ZONE = r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?)\s*(?:Z|([+-])(\d\d):?(\d\d))$"


def read_times(given: pl.Series, path: Path, column: str, *, days: bool = True) -> pl.Series:
    """Return a column of times as ``Datetime("us")`` without time zone, or as Int64 where it holds whole numbers.

    Times with a zone become UTC, unless all of them are midnight where they were written: then they stay those days.

    Args:
        given: the column.
        path: the file, for the message.
        column: its name.
        days: False where times are known to be hours or less apart: then all of them become UTC.

    Raises:
        InvalidData: naming the rows where no time stands, or none that can be read.
    """
    times = _parsed(given, days=days)
    if times is None:
        raise InvalidData(
            f"{shown(path)}: column {column!r} must be dates or whole numbers but holds {given.dtype}."
        )
    if (bad := times.is_null().arg_true().to_list()) != []:
        value = given[bad[0]]
        what = "is empty" if value is None else f"is {value!r}"
        raise InvalidData(
            f"{shown(path)}: column {column!r} {what} at {rows_named(path, bad)}. "
            "Write every time alike, as in 2024-01-31, 2024-01, 2024-01-31 13:00 or 17."
        )
    if times.dtype.is_integer() and (written := _dates_as_numbers(times)) is not None:
        raise InvalidData(
            f"{shown(path)}: column {column!r} seems to hold dates written as numbers ({times[0]}), which would be counted "
            f"one by one. Write {times[0]} as {written}."
        )
    return times


def _dates_as_numbers(times: pl.Series) -> str | None:
    """Return how the first number would be written as a date, where all of them read as 20240131 or 202401."""
    if times.n_unique() < _SEVERAL:
        return None
    for notation, rest in (("%Y-%m-%d", ""), ("%Y-%m", "01")):
        dates = (times.cast(pl.String) + rest).str.strptime(pl.Date, "%Y%m%d", strict=False)
        if not dates.null_count() and dates.dt.year().is_between(1900, 2199).all():
            return str(dates.dt.strftime(notation)[0])
    return None


def _parsed(given: pl.Series, *, days: bool) -> pl.Series | None:
    if given.dtype == pl.String:
        return _from_text(given.str.strip_chars(), days=days)
    if given.dtype.is_integer():
        return given.cast(pl.Int64)
    if given.dtype.is_float():
        whole = given.cast(pl.Int64, strict=False)
        return whole.set((whole.cast(given.dtype) != given).fill_null(value=False), None)
    if isinstance(given.dtype, pl.Datetime):
        wall = given.dt.replace_time_zone(None).cast(pl.Datetime("us"))
        if given.dtype.time_zone is None:
            return wall
        universal = given.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))
        return _days_or(universal, wall) if days else universal
    return given.cast(pl.Datetime("us")) if given.dtype == pl.Date else None


def _from_text(text: pl.Series, *, days: bool) -> pl.Series:
    """Read text by the notation that fits most of it; what does not fit is null."""
    best = text.cast(pl.Int64, strict=False)
    for notation in _FORMATS:
        if not best.null_count():
            break
        kind: type[pl.Date] | pl.Datetime = pl.Datetime("us") if "%H" in notation else pl.Date
        read = text.str.strptime(kind, notation, strict=False).cast(pl.Datetime("us"))
        if read.null_count() < best.null_count():
            best = read
    if best.null_count() and text.str.contains(_MONTH).all():
        best = (text + "-01").str.strptime(pl.Date, "%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    if best.null_count():
        zoned = _zoned(text, days=days)
        return zoned if zoned.null_count() < best.null_count() else best
    return best


def _zoned(text: pl.Series, *, days: bool) -> pl.Series:
    """Read times that end with Z or a distance from UTC; what has none is null."""
    parts = text.str.extract_groups(_ZONE).struct.unnest()
    clock = parts["1"].str.replace("T", " ", literal=True)
    wall = clock.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S%.f", strict=False)
    hours, minutes = parts["3"].cast(pl.Int64), parts["4"].cast(pl.Int64)
    sign = pl.select(pl.when(parts["2"] == "-").then(-1).otherwise(1)).to_series()
    away = (sign * (hours * 60 + minutes)).fill_null(0) * 60_000_000
    universal = wall - away.cast(pl.Duration("us"))
    return _days_or(universal, wall) if days else universal


def _days_or(universal: pl.Series, wall: pl.Series) -> pl.Series:
    """Return the days on the wall where all times are midnight there; summer time would move them in UTC."""
    midnight = (wall == wall.dt.truncate("1d")).all()
    return wall if midnight else universal
