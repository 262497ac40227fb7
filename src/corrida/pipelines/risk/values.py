"""Amounts and dates as people write them, read the same way wherever the value stands.

The way of writing is settled once for a file: the mark before the decimals by what its first rows prove. A value that
does not fit is null and is reported; nothing is guessed for a value alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal

import polars as pl

Decimal = Literal[".", ","]
# Amounts are exact: whole hundredths in 64 bits. Up to this one, 90,000 of them can be summed without overflow.
GREATEST_AMOUNT: Final = 1e12
_DIGITS_POINT = r"^[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?$"
_DIGITS_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d*)?$"
_TIME = r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = rf"^(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TIME}$"
_YEAR_LAST = rf"^(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}}){_TIME}$"
_COMPACT = r"^(\d{4})(\d{2})(\d{2})$"
DAY: Final = 86_400
_EARLIEST, _LATEST = -2_208_988_800, 4_133_980_799  # the years 1900 to 2100


def plain_number(text: pl.Expr) -> pl.Expr:
    """Return texts without what people write around an amount: blanks, a currency sign or code."""
    return text.str.replace_all(r"[\s\u00a0$€']|(?i:mxn|m\.n\.|mn$)", "")


def decimal_mark(sample: pl.Series, *, semicolons: bool) -> tuple[Decimal, str]:
    """Return the mark before the decimals in a file, and why.

    ``1.234,56`` and ``12,5`` prove a comma, ``1,234.56`` and ``12.5`` a point; ``1.234`` and ``1,234`` prove nothing. Without
    a proof it is a comma where fields are parted by semicolons, as spreadsheets do it in countries of the comma.

    Args:
        sample: amounts of the first rows, as text.
        semicolons: whether fields are parted by semicolons.
    """
    if sample.dtype != pl.String:
        return ".", "the column holds numbers"
    text = pl.DataFrame({"t": sample}).select(plain_number(pl.col("t")))["t"].drop_nulls()
    ambiguous = r"^[+-]?\d{1,3}[.,]\d{3}$"
    text = text.filter(text.str.contains(r"[.,]") & ~text.str.contains(ambiguous))
    point, comma = text.str.contains(_DIGITS_POINT), text.str.contains(_DIGITS_COMMA)
    points, commas = int((point & ~comma).sum()), int((comma & ~point).sum())
    if points or commas:
        return ("," if commas > points else "."), f"{max(points, commas):,} of the first amounts show it"
    return (",", "fields are parted by semicolons") if semicolons else (".", "no amount shows another one")


def read_amounts(values: pl.Series, decimal: Decimal) -> pl.Series:
    """Return amounts in hundredths as whole numbers; null where there is no number or a number out of range.

    Args:
        values: texts, or numbers.
        decimal: the mark before the decimals, for texts.
    """
    if values.dtype != pl.String:
        found = values.cast(pl.Float64, strict=False)
    else:
        # Most amounts are written plainly; only the others need a close look.
        plain = values if decimal == "." else _where(~values.str.contains(".", literal=True), values)
        plain = plain if decimal == "." else plain.str.replace(",", ".", literal=True)
        found = _filled(plain.cast(pl.Float64, strict=False), values, lambda rest: _written(rest, decimal))
    kept = found.is_finite() & (found.abs() <= GREATEST_AMOUNT)
    return (_where(kept, found) * 100).round().cast(pl.Int64)


def _written(values: pl.Series, decimal: Decimal) -> pl.Series:
    text = pl.DataFrame({"t": values}).select(plain_number(pl.col("t")))["t"]
    text = _where(text.str.contains(_DIGITS_POINT if decimal == "." else _DIGITS_COMMA), text)
    text = text.str.replace_all("." if decimal == "," else ",", "", literal=True)
    return text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)


def read_times(values: pl.Series, *, day_first: bool) -> tuple[pl.Series, pl.Series]:
    """Return when transactions were, and whether their time of day is known.

    Understood are ``2025-01-15``, ``2025/1/15``, ``20250115`` and ``15/01/2025``, ``15-1-2025``, ``15.01.2025``, each with or without
    a time such as ``T14:30``, ``14:30:05.12`` or ``14:30Z``. A time is local time; an offset from UTC is not applied, since hours of
    the day are those of the place.

    Args:
        values: texts, dates or times.
        day_first: whether 03/04/2025 is the 3rd of April.

    Returns:
        Seconds since 1970 (Int64, null where there is no date of the years 1900 to 2100), and booleans.
    """
    if values.dtype == pl.Date:
        seconds, timed = values.cast(pl.Int32).cast(pl.Int64) * DAY, pl.repeat(False, len(values), eager=True)
    elif values.dtype == pl.Datetime:
        seconds = values.dt.replace_time_zone(None).dt.epoch("s")
        timed = pl.repeat(True, len(values), eager=True)
    else:
        text = values.cast(pl.String)
        seconds = pl.repeat(None, len(text), dtype=pl.Int64, eager=True)
        timed = pl.repeat(True, len(text), eager=True)
        # No text has two of these forms, so which is tried first makes no difference but of time.
        for read, form in sorted(_forms(day_first=day_first), key=partial(_misfits, text.head(50))):
            unread = seconds.is_null()
            seconds = _filled(seconds, text, partial(read, form=form))
            if read is _days:
                timed = timed & ~(unread & seconds.is_not_null())
        if seconds.null_count():
            rest = text.filter(seconds.is_null())
            found = pl.DataFrame({"t": rest}).select(*_written_time(pl.col("t"), day_first=day_first))
            at = seconds.is_null().arg_true()
            seconds = seconds.scatter(at, found["seconds"])
            timed = timed.scatter(at, found["timed"])
    return _where(seconds.is_between(_EARLIEST, _LATEST), seconds), timed


def _forms(*, day_first: bool) -> list[tuple[Callable[..., pl.Series], str]]:
    own = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    return [
        (_days, "%Y-%m-%d"),
        (_days, own),
        (_moments, "%Y-%m-%dT%H:%M:%S"),
        (_moments, "%Y-%m-%d %H:%M:%S"),
    ]


def _misfits(text: pl.Series, one: tuple[Callable[..., pl.Series], str]) -> int:
    return int(one[0](text, form=one[1]).null_count())


def _days(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_date(form, strict=False).cast(pl.Int32).cast(pl.Int64) * DAY


def _moments(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, strict=False).dt.epoch("s")


def _written_time(column: pl.Expr, *, day_first: bool) -> tuple[pl.Expr, pl.Expr]:
    text = column.str.strip_chars()
    year_first = text.str.extract_groups(_YEAR_FIRST).struct.rename_fields([*"ymdHMSz"])
    order = "dmyHMSz" if day_first else "mdyHMSz"
    year_last = text.str.extract_groups(_YEAR_LAST).struct.rename_fields([*order])
    compact = text.str.extract_groups(_COMPACT).struct.rename_fields([*"ymd"])

    def part(name: str) -> pl.Expr:
        found = [year_first, year_last, *([compact] if name in "ymd" else [])]
        return pl.coalesce(one.struct.field(name) for one in found).cast(pl.Int32, strict=False)

    hour = part("H")
    clock = hour.fill_null(0) * 3600 + part("M").fill_null(0) * 60 + part("S").fill_null(0)
    right = (hour.fill_null(0) < 24) & (part("M").fill_null(0) < 60) & (part("S").fill_null(0) < 60)
    iso = pl.concat_str(
        [part(n).cast(pl.String).str.zfill(4 if n == "y" else 2) for n in "ymd"], separator="-"
    )
    day = iso.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Int64)
    seconds = pl.when(right).then(day * DAY + clock).cast(pl.Int64)
    return seconds.alias("seconds"), hour.is_not_null().alias("timed")


def _where(kept: pl.Series, values: pl.Series) -> pl.Series:
    """Return values, null where they are not kept."""
    return values.zip_with(kept.fill_null(value=False), pl.Series([None], dtype=values.dtype))


def _filled(found: pl.Series, values: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Return ``found``, and where that is null what ``read`` makes of the value."""
    if not found.null_count():
        return found
    open_ = found.is_null()
    return found.clone().scatter(open_.arg_true(), read(values.filter(open_)))
