"""From the texts of a file to transactions, each of which can be scored or says why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from corrida.pipelines.risk.columns import NEEDED, find_columns
from corrida.pipelines.risk.guardrails import folded
from corrida.pipelines.risk.values import decimal_mark, read_amounts, read_times
from corrida.pipelines.table_stream import PROBLEM, ROW, open_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from corrida.pipelines.risk.settings import Columns, Reading
    from corrida.pipelines.risk.values import Decimal
    from corrida.pipelines.table_stream import TableStream

MISSING: Final = "(missing)"
SCHEMA: Final[dict[str, Any]] = {
    ROW: pl.UInt32,
    PROBLEM: pl.String,
    "client": pl.String,
    "cents": pl.Int64,  # hundredths of pesos
    "seconds": pl.Int64,  # since 1970, local time
    "timed": pl.Boolean,  # whether the time of day is known
    "operation": pl.String,
    "sector": pl.String,
    "section": pl.String,
}
_NO_CLIENT = "there is no client"
_NO_AMOUNT = "there is no amount"
_NO_NUMBER = "the amount is no number that can be used"
_NEGATIVE = "the amount is negative"
_NO_DATE = "there is no date"
_BAD_DATE = "the date cannot be read as one of the years 1900 to 2100"


@dataclass
class TransactionFile:
    """A file of transactions, read in pieces.

    Attributes:
        path: the file.
        roles: the name of the column for each role.
        ignored: columns that have no role.
        decimal: the mark before the decimals.
        decimal_why: what it is taken from.
    """

    path: Path
    stream: TableStream
    roles: dict[str, str]
    reading: Reading
    decimal: Decimal
    decimal_why: str
    ignored: list[str] = field(default_factory=list)

    def chunks(self, extra: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """Yield the transactions in the order of the file.

        Args:
            extra: further roles (``label``, ``id``) that come along as text.

        Returns:
            Frames of ``SCHEMA``; where ``problem`` is not null the other values may be.
        """
        roles = [role for role in (*NEEDED, "section", *extra) if role in self.roles]
        for chunk in self.stream.chunks(list(dict.fromkeys(self.roles[role] for role in roles))):
            yield self._typed(chunk, roles, extra)

    def how_read(self) -> dict[str, str]:
        """Return how the file was read, for a report."""
        return {
            **self.stream.reading,
            "decimal mark": f"{self.decimal} ({self.decimal_why})",
            "dates": "day first" if self.reading.day_first else "month first",
        }

    def _typed(self, chunk: pl.DataFrame, roles: Sequence[str], extra: Sequence[str]) -> pl.DataFrame:
        given = {role: chunk[self.roles[role]] for role in roles}
        client, amount, date = _text(given["client"]), given["amount"], given["date"]
        cents = read_amounts(amount, self.decimal)
        seconds, timed = read_times(date, day_first=self.reading.day_first)
        columns = [
            chunk[ROW],
            client.alias("client"),
            cents.alias("cents"),
            seconds.alias("seconds"),
            timed.alias("timed"),
            *(_category(given.get(role), chunk.height).alias(role) for role in ("operation", "sector")),
            _category(given.get("section"), chunk.height, missing=None).alias("section"),
            chunk[PROBLEM],
            *(_text(given[role]).alias(role) for role in extra if role in given),
        ]
        frame = pl.DataFrame(columns)
        problem = _problems(frame, amount, date)
        kept = [*SCHEMA, *(role for role in extra if role in given)]
        return frame.with_columns(problem).select(kept)


def _problems(frame: pl.DataFrame, amount: pl.Series, date: pl.Series) -> pl.Series:
    """Return why rows cannot be scored, null where they can."""
    needed = ("client", "cents", "seconds")
    if (
        frame[PROBLEM].null_count() == frame.height
        and not any(frame[name].null_count() for name in needed)
        and not (frame["cents"] < 0).any()
    ):
        return frame[PROBLEM]
    blanks = frame.with_columns(_blank(amount).alias("_no_amount"), _blank(date).alias("_no_date"))
    said = (
        pl.when(pl.col(PROBLEM).is_not_null())
        .then(pl.col(PROBLEM))
        .when(pl.col("client").is_null())
        .then(pl.lit(_NO_CLIENT))
        .when(pl.col("cents").is_null())
        .then(pl.when(pl.col("_no_amount")).then(pl.lit(_NO_AMOUNT)).otherwise(pl.lit(_NO_NUMBER)))
        .when(pl.col("cents") < 0)
        .then(pl.lit(_NEGATIVE))
        .when(pl.col("seconds").is_null())
        .then(pl.when(pl.col("_no_date")).then(pl.lit(_NO_DATE)).otherwise(pl.lit(_BAD_DATE)))
    )
    return blanks.select(said.alias(PROBLEM))[PROBLEM]


def open_transactions(
    path: Path,
    columns: Columns,
    reading: Reading,
    *,
    needed: Sequence[str] = NEEDED,
    trains: bool = False,
    max_bytes: int | None = None,
    max_rows: int | None = None,
) -> TransactionFile:
    """Open a file of transactions, to be scored or, if it ``trains``, to be learned from.

    Raises:
        InvalidData: there is no such file, it is no table, or a column is missing.
    """
    stream = open_table(path, max_bytes=max_bytes, max_rows=max_rows)
    roles = find_columns(stream.header, path, columns, needed=needed, trains=trains)
    decimal: Decimal
    if reading.decimal == "auto":
        semicolons = stream.reading.get("delimiter") == "semicolons"
        decimal, why = decimal_mark(stream.sample[roles["amount"]], semicolons=semicolons)
    else:
        decimal, why = reading.decimal, "as configured"
    used = set(roles.values())
    ignored = [name for name in stream.header if name and name not in used]
    return TransactionFile(path, stream, roles, reading, decimal, why, ignored)


def _text(values: pl.Series) -> pl.Series:
    """Return texts, stripped, with blank as null; whole numbers as their digits."""
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        text = (
            whole.cast(pl.String) if (whole == values).fill_null(value=True).all() else values.cast(pl.String)
        )
    else:
        text = values.cast(pl.String)
    if text.dtype == pl.String and len(text):
        text = text.str.strip_chars()
        return text.set(text == "", None)
    return text


def _blank(values: pl.Series) -> pl.Series:
    if values.dtype != pl.String:
        return values.is_null()
    return values.is_null() | (values.str.strip_chars() == "")


def _category(values: pl.Series | None, height: int, missing: str | None = MISSING) -> pl.Series:
    """Return categories as they are compared: folded; a blank one is ``missing``."""
    if values is None:
        return pl.Series([missing], dtype=pl.String).new_from_index(0, height)
    text = values.cast(pl.String)
    known = text.unique()
    names = [missing if value is None else folded(value)[:80] or missing for value in known.to_list()]
    return text.replace_strict(known, pl.Series(names, dtype=pl.String), return_dtype=pl.String)
