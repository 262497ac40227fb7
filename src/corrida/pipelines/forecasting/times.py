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


def read_times(given: pl.Series, path: Path, column: str) -> pl.Series:
    """Return a column of times as ``Datetime("us")`` without time zone, or as Int64 where it holds whole numbers.

    Times with a zone become UTC.

    Raises:
        InvalidData: naming the rows where no time stands, or none that can be read.
    """
    times = _parsed(given)
    if times is None:
        raise InvalidData(
            f"{shown(path)}: column {column!r} must be dates or whole numbers but holds {given.dtype}."
        )
    if (bad := times.is_null().arg_true().to_list()) != []:
        value = given[bad[0]]
        what = "is empty" if value is None else f"is {value!r}"
        raise InvalidData(
            f"{shown(path)}: column {column!r} {what} at {rows_named(path, bad)}. "
            "Write every time alike, as in 2024-01-31, 2024-01-31 13:00 or 17."
        )
    return times


def _parsed(given: pl.Series) -> pl.Series | None:
    if given.dtype == pl.String:
        return _from_text(given.str.strip_chars())
    if given.dtype.is_integer():
        return given.cast(pl.Int64)
    if given.dtype.is_float():
        whole = given.cast(pl.Int64, strict=False)
        return whole.set((whole.cast(given.dtype) != given).fill_null(value=False), None)
    if isinstance(given.dtype, pl.Datetime):
        zoned = (
            given.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if given.dtype.time_zone else given
        )
        return zoned.cast(pl.Datetime("us"))
    return given.cast(pl.Datetime("us")) if given.dtype == pl.Date else None


def _from_text(text: pl.Series) -> pl.Series:
    """Read text by the notation that fits most of it; what does not fit is null."""
    best = text.cast(pl.Int64, strict=False)
    for notation in _FORMATS:
        if not best.null_count():
            break
        kind: type[pl.Date] | pl.Datetime = pl.Datetime("us") if "%H" in notation else pl.Date
        read = text.str.strptime(kind, notation, strict=False).cast(pl.Datetime("us"))
        if read.null_count() < best.null_count():
            best = read
    zoned = text.str.strptime(pl.Datetime("us", "UTC"), "%Y-%m-%dT%H:%M:%S%#z", strict=False)
    if zoned.null_count() < best.null_count():
        best = zoned.dt.replace_time_zone(None)
    return best
