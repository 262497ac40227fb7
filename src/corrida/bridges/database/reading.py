"""A table of the user's database as data of a run: read once, in a fixed order, into a Parquet file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.bridges.database.address import Address, TableName, parse_address
from corrida.bridges.database.connection import columns_of, first_line, refuse_unknown, transaction
from corrida.errors import InvalidData
from corrida.runs.tables import write_parquet

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.engine.interfaces import ReflectedColumn

_CHUNK = 50_000  # rows that exist as Python objects at a time
_MAX_DIGITS = 38  # of a decimal in Parquet


@dataclass(frozen=True)
class TableSource:
    """A table that a run reads: what :class:`corrida.runs.snapshot.data.DataSource` asks for.

    Attributes:
        address: the database, with the table.
        table: the table.
        stamped: a column that is not read unless the address names it: it holds the ids of runs, and each stamp
            would make other data of the same rows.
    """

    address: Address
    table: TableName
    stamped: str = "run_id"

    @property
    def origin(self) -> str:
        """The address without a password."""
        return self.address.origin

    @property
    def name(self) -> str:
        """The name of the copy: that of the table."""
        return (re.sub(r"[^\w.-]+", "_", self.table.name).lstrip(".") or "table") + ".parquet"

    def write(self, target: Path) -> None:
        """Read the table and write it as Parquet, ordered by its key, so that equal rows give equal bytes.

        Raises:
            InvalidData: there is no such database, table or column, it has no rows or no key, or a value is not
                what its column says.
            DatabaseError: the database cannot be reached, or declines.
        """
        import polars as pl

        with transaction(self.address) as connection:
            columns = self._columns(columns_of(connection, self.address, self.table))
            rows = connection.execution_options(stream_results=True, max_row_buffer=_CHUNK).execute(
                _query(connection, self.table, columns, self.address.key)
            )
            frames = [_frame(self.table, columns, part) for part in rows.partitions(_CHUNK)]
        if not frames:
            raise InvalidData(f"the table {self.table} in {self.address.place} has no rows")
        write_parquet(target, pl.concat(frames, rechunk=True))

    def _columns(self, found: list[ReflectedColumn]) -> list[_Column]:
        wanted = self.address.columns or tuple(c["name"] for c in found if c["name"] != self.stamped)
        for name in (*wanted, *([self.address.key] if self.address.key else [])):
            refuse_unknown(name, found, self.table)
        by_name = {c["name"]: c for c in found}
        return [_column(by_name[name], self.address.dialect) for name in dict.fromkeys(wanted)]


def table_source(text: str, root: Path, stamped: str = "run_id") -> TableSource:
    """Return the table that an address names; nothing is read yet.

    Args:
        text: such as ``sqlite:///jobs.db?table=offers``; see :func:`parse_address`.
        root: the folder to which a SQLite file is relative.
        stamped: the column that gets run ids, which is not read unless the address names it.

    Raises:
        InvalidData: the address cannot be read, or names no table.
        MissingExtra: SQLAlchemy or the driver is not installed.
    """
    address = parse_address(text, root)
    if address.table is None:
        raise InvalidData(f"{address.origin} names no table; add it, as in {address.place}?table=offers")
    return TableSource(address, address.table, stamped)


class _Column(NamedTuple):
    """A column to read: its name, the type in Parquet, and whether the database turns it into text."""

    name: str
    kind: pl.DataType
    as_text: bool
    said: str


def _column(found: ReflectedColumn, dialect: str) -> _Column:
    """Choose how a column is stored. SQLite keeps dates as the text or number that was written: so do we."""
    import polars as pl
    from sqlalchemy import types

    kind, said = found["type"], str(found["type"])
    choices: list[tuple[type[Any], Any]] = [
        (types.Boolean, pl.Boolean()),
        (types.Integer, pl.Int64()),
        (types.Float, pl.Float64()),
        (types.LargeBinary, pl.Binary()),
    ]
    if dialect == "postgresql":
        zone = "UTC" if getattr(kind, "timezone", False) else None
        choices += [
            (types.Date, pl.Date()),
            (types.DateTime, pl.Datetime("us", zone)),
            (types.Numeric, _decimal(kind)),
        ]
    else:
        choices += [(types.Numeric, pl.Float64())]
    for sql, stored in choices:
        if isinstance(kind, sql):
            return _Column(found["name"], stored, as_text=False, said=said)
    plain = isinstance(kind, types.String) and not isinstance(kind, types.Enum)
    return _Column(found["name"], pl.String(), as_text=dialect == "postgresql" and not plain, said=said)


def _decimal(kind: Any) -> pl.DataType:
    import polars as pl

    scale, precision = getattr(kind, "scale", None), getattr(kind, "precision", None)
    if scale is None or scale < 0 or (precision or 0) > _MAX_DIGITS:
        return pl.Float64()
    return pl.Decimal(precision or _MAX_DIGITS, scale)


def _query(connection: Connection, table: TableName, columns: Sequence[_Column], key: str | None) -> Any:
    """Return the query: the columns in the order asked for, the rows in that of the key."""
    from sqlalchemy import Text, cast, column, inspect, select
    from sqlalchemy import table as named

    inspector = inspect(connection)
    primary = inspector.get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]
    if key is None and not primary:
        raise InvalidData(
            f"the table {table} has no primary key; say with key=COLUMN in the address what orders its rows"
        )
    order: list[ColumnElement[Any]] = [
        column(name) for name in dict.fromkeys([*([key] if key else []), *primary])
    ]
    if not primary:  # a view: rows of the same key are told apart by all that they hold
        order += [cast(column(c.name), Text) for c in columns if c.name != key]
    chosen: list[ColumnElement[Any]] = [
        cast(column(c.name), Text).label(c.name) if c.as_text else column(c.name) for c in columns
    ]
    return select(*chosen).select_from(named(table.name, schema=table.schema)).order_by(*order)


def _frame(table: TableName, columns: Sequence[_Column], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    import polars as pl

    series = []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        try:
            series.append(_series(column, values))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            odd = next((v for v in values if not _fits(column, v)), None)
            what = f"holds {odd!r}" if odd is not None else f"cannot be stored ({first_line(error)})"
            raise InvalidData(
                f"the column {column.name} of {table} is {column.said}, and {what}; mend the row, or name other "
                "columns with columns= in the address"
            ) from None
    return pl.DataFrame(series)


def _series(column: _Column, values: Sequence[Any]) -> pl.Series:
    import polars as pl

    kind = column.kind
    if kind == pl.Boolean:
        if not all(_fits(column, value) for value in values):
            raise ValueError
        values = [None if value is None else bool(value) for value in values]
    elif kind == pl.String:  # SQLite keeps any value in any column
        values = [value if value is None or isinstance(value, str) else _text(value) for value in values]
    elif kind == pl.Float64:
        values = [
            value if value is None or isinstance(value, str | bytes) else float(value) for value in values
        ]
    elif isinstance(kind, pl.Datetime) and kind.time_zone:
        values = [value if value is None else value.astimezone(dt.UTC) for value in values]
    return pl.Series(column.name, values, dtype=kind, strict=True)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _fits(column: _Column, value: Any) -> bool:
    """Tell whether a value alone can be stored in the column; SQLite holds truth values as 0 and 1."""
    import polars as pl

    if column.kind == pl.Boolean:
        return value is None or value in (0, 1)
    try:
        _series(column, [value])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return False
    return True
