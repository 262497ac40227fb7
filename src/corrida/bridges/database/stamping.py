"""Writing the id of a run onto the rows that it processed: one transaction, by key, all rows or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.bridges.database.connection import TryAgain, columns_of, refuse_unknown, transaction
from corrida.bridges.database.keys import converted_ids
from corrida.errors import InvalidData, Refused

if TYPE_CHECKING:
    from sqlalchemy import Connection, TableClause
    from sqlalchemy.engine.interfaces import ReflectedColumn

    from corrida.bridges.database.address import Address, TableName

_IDS = "corrida_stamp_ids"
_SHOWN = 5
_ATTEMPTS = 5  # where two transactions hold what the other needs, the database ends one of them


class Stamped(msgspec.Struct, frozen=True, kw_only=True):
    """What came of stamping the rows of a table.

    Attributes:
        run: the run id that they carry now.
        database: the address, without a password.
        table, key, column: the table, the column with the item ids, and the column that got the run id.
        column_added: whether that column was added.
        items: item ids of the run.
        rows: rows that carry the run id now; more than the items found where the key is not unique.
        unchanged: those of them that carried it before.
        missing: item ids that no row has.
        missing_ids: the first of those.
        replaced: rows that carried the id of another run before, by that run.
    """

    run: str
    database: str
    table: str
    key: str
    column: str
    column_added: bool
    items: int
    rows: int
    unchanged: int
    missing: int
    missing_ids: tuple[str, ...]
    replaced: dict[str, int]

    @property
    def twice(self) -> int:
        """Rows beyond one for each item: the key is not unique in the table."""
        return self.rows - (self.items - self.missing)


def stamp_rows(
    address: Address,
    table: TableName,
    run_id: str,
    item_ids: Sequence[str],
    *,
    key: str | None = None,
    column: str = "run_id",
    add_column: bool = False,
) -> Stamped:
    """Write ``run_id`` into ``column`` of the rows whose key is among ``item_ids``; no other row is touched.

    Repeating it changes nothing. Of two at once the later one wins on the rows that both have.

    Args:
        address: the database.
        table: the table.
        run_id: what to write.
        item_ids: texts; converted to the type of the key, never the other way round, so that an index is used.
        key: the column with the item ids; the primary key when None.
        column: the column that gets the run id.
        add_column: add it, as text, where the table lacks it.

    Raises:
        InvalidData: the table, the key or the column is not there or is of another type; nothing was changed.
        Refused: no row has any of the ids.
        DatabaseError: the database cannot be reached, or declines; nothing was changed.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transaction(address, write=True) as connection:
                return _stamp(
                    connection,
                    address,
                    table,
                    run_id,
                    item_ids,
                    key=key,
                    column=column,
                    add_column=add_column,
                )
        except TryAgain:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def check_columns(
    connection: Connection,
    address: Address,
    table: TableName,
    run_id: str | None,
    *,
    key: str | None,
    column: str,
    add_column: bool,
) -> tuple[ReflectedColumn, bool]:
    """Check that a table can be stamped, and return its key column and whether the other one is to be added.

    Raises:
        InvalidData: the table, the key or the column is not there or is of another type.
    """
    from sqlalchemy import inspect, types

    found = columns_of(connection, address, table)
    if key is None:
        primary = inspect(connection).get_pk_constraint(table.name, schema=table.schema)[
            "constrained_columns"
        ]
        if len(primary) != 1:
            state = f"a primary key of {len(primary)} columns" if primary else "no primary key"
            raise InvalidData(
                f"the table {table} has {state}; say with --key which column holds the item ids"
            )
        key = primary[0]
    refuse_unknown(key, found, table, "; name the one with the item ids with --key")
    by_name = {c["name"]: c for c in found}
    if column == key:
        raise InvalidData(
            f"the column {column} is the key of {table}; name another for the run id with --column"
        )
    if column not in by_name:
        if not add_column:
            refuse_unknown(column, found, table, "; `--add-column` adds it")
        return by_name[key], True
    kind = by_name[column]["type"]
    others = (types.Integer, types.Numeric, types.Date, types.DateTime, types.Boolean, types.Uuid)
    if isinstance(kind, (*others, types.LargeBinary, types.Enum)) and address.dialect == "postgresql":
        raise InvalidData(
            f"the column {column} of {table} is {kind}, and a run id is text; name another with --column"
        )
    length = getattr(kind, "length", None)
    if run_id is not None and length is not None and length < len(run_id):
        raise InvalidData(
            f"the column {column} of {table} is {kind}, too narrow for {run_id} ({len(run_id)} characters); "
            "widen it, or name another with --column"
        )
    return by_name[key], False


def _stamp(
    connection: Connection,
    address: Address,
    table: TableName,
    run_id: str,
    item_ids: Sequence[str],
    *,
    key: str | None,
    column: str,
    add_column: bool,
) -> Stamped:
    from sqlalchemy import column as named
    from sqlalchemy import func, select, update
    from sqlalchemy import table as named_table

    key_column, missing_column = check_columns(
        connection, address, table, run_id, key=key, column=column, add_column=add_column
    )
    rows: Any = named_table(table.name, named(key_column["name"]), named(column), schema=table.schema)
    row_key, row_run = rows.c[key_column["name"]], rows.c[column]
    values = converted_ids(connection, item_ids, key_column, table, address.dialect, rows)
    if missing_column:  # before anything else holds the table: two at once would wait for each other
        _add_column(connection, rows, column)
    ids: Any = _upload(connection, rows, key_column["name"], values)
    chosen = select(ids.c.key)
    # Locked in the order of the key: two that stamp the same rows wait for each other, and never both.
    locked = select(row_run.label("before")).where(row_key.in_(chosen)).order_by(row_key).with_for_update()
    held = locked.subquery()
    before = {
        run: int(count)
        for run, count in connection.execute(
            select(held.c.before, func.count()).group_by(held.c.before).order_by(func.count().desc())
        )
    }
    gone = select(ids.c.key).select_from(ids.outerjoin(rows, row_key == ids.c.key)).where(row_key.is_(None))
    lost = gone.distinct().subquery()
    missing = int(connection.execute(select(func.count()).select_from(lost)).scalar_one())
    first = [
        str(v).rstrip()
        for v in connection.execute(select(lost.c.key).order_by(lost.c.key).limit(_SHOWN)).scalars()
    ]
    if not before:
        have = connection.execute(
            select(row_key).where(row_key.is_not(None)).order_by(row_key).limit(3)
        ).scalars()
        there = ", ".join(str(value) for value in have)
        raise Refused(
            f"no row of {table} is an item of the run {run_id}: its ids are such as {', '.join(item_ids[:3])}, and "
            f"{key_column['name']} holds {there or 'nothing'}; nothing was changed, name another column with --key"
        )
    connection.execute(
        update(rows).where(row_key.in_(chosen), row_run.is_distinct_from(run_id)).values({column: run_id})
    )
    return Stamped(
        run=run_id,
        database=address.place,
        table=str(table),
        key=key_column["name"],
        column=column,
        column_added=missing_column,
        items=len(set(values)),
        rows=sum(before.values()),
        unchanged=before.get(run_id, 0),
        missing=missing,
        missing_ids=tuple(first),
        replaced={str(run): count for run, count in before.items() if run is not None and run != run_id},
    )


def _add_column(connection: Connection, rows: TableClause, column: str) -> None:
    preparer = connection.dialect.identifier_preparer
    # Two that add it at once are one after the other, and the second finds it there.
    unless = "IF NOT EXISTS " if connection.dialect.name == "postgresql" else ""
    table = preparer.format_table(rows)
    connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {unless}{preparer.quote(column)} TEXT")


def _upload(connection: Connection, rows: Any, key: str, values: Sequence[Any]) -> TableClause:
    """Write the ids into a temporary table, whose column has the very type of the key."""
    from sqlalchemy import column, false, insert, select, table

    ids = table(_IDS, column("key"))
    like = select(rows.c[key].label("key")).where(false()).compile(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {_IDS} ON COMMIT DROP AS {like}")
        cursor: Any = connection.connection.cursor()
        with cursor.copy(f"COPY {_IDS} (key) FROM STDIN") as copy:
            for value in values:
                copy.write_row((value,))
        connection.exec_driver_sql(f"ANALYZE {_IDS}")
    else:
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {_IDS} AS {like}")
        connection.execute(insert(ids), [{"key": value} for value in values])
    return ids
