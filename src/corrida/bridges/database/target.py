"""Which table a run is stamped onto, and the stamp as the run remembers it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.bridges.database.address import Address, TableName, parse_address, parse_table
from corrida.bridges.database.connection import transaction
from corrida.bridges.database.stamping import Stamped, check_columns, stamp_rows
from corrida.errors import BadInput, DatabaseError, InvalidData, Refused, StoreError
from corrida.project import DATABASE_VARIABLE, find_project
from corrida.runs.annotations import annotate
from corrida.runs.snapshot.addresses import is_address
from corrida.runs.store import Store

if TYPE_CHECKING:
    from corrida.project import Project
    from corrida.runs.record import RunRecord


@dataclass(frozen=True)
class Target:
    """The table that gets the run id.

    Attributes:
        address, table: where.
        key: the column with the item ids; the primary key when None.
        column: the column that gets the run id.
    """

    address: Address
    table: TableName
    key: str | None
    column: str


def find_target(
    project: Project,
    sources: Mapping[str, Address] | None = None,
    *,
    database: str | None = None,
    table: str | None = None,
    key: str | None = None,
    column: str | None = None,
) -> Target:
    """Return the table to stamp: as given, else as the environment or corrida.toml says, else where the data is from.

    Args:
        project: its settings.
        sources: the tables that the run read, by what may be shown of their addresses.
        database: an address; a SQLite file is relative to the working folder.
        table: in place of that of the address and the settings.
        key: the same.
        column: the same.

    Raises:
        InvalidData: no database or table is known, or the address cannot be read.
        MissingExtra: SQLAlchemy or the driver is not installed.
    """
    settings = project.settings.database
    root, text = project.root, settings.url
    if named := database or os.environ.get(DATABASE_VARIABLE):
        root, text = Path.cwd(), named
    if text is not None:
        if not is_address(text):
            raise InvalidData(
                f"the database {text!r} is no address; write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
            )
        address = parse_address(text, root)
    elif sources:
        if len(sources) > 1:
            raise InvalidData(
                f"the run read several tables ({', '.join(sources)}); name the one to stamp with --database"
            )
        address = next(iter(sources.values()))
    else:
        raise InvalidData(
            f"no database is known; name it with --database, the variable {DATABASE_VARIABLE}, or url under "
            "[database] in corrida.toml"
        )
    wanted = parse_table(table) if table else address.table
    if wanted is None and settings.table:
        wanted = parse_table(settings.table)
    if wanted is None:
        raise InvalidData(f"which table of {address.place} to stamp is not known; name it with --table")
    return Target(address, wanted, key or address.key or settings.key, column or settings.column)


def check_target(target: Target, *, add_column: bool = False) -> None:
    """Look before a long run whether its rows could be stamped.

    Raises:
        InvalidData, DatabaseError: they could not; see :func:`stamp_rows`.
    """
    address, table = target.address, target.table
    if address.read_only or (
        address.file is not None and address.file.exists() and not os.access(address.file, os.W_OK)
    ):
        raise DatabaseError(f"{address.place} cannot be written (read-only); check the rights of the file")
    with transaction(address) as connection:
        _, add = check_columns(
            connection, address, table, None, key=target.key, column=target.column, add_column=add_column
        )
        if address.dialect == "postgresql" and not add:
            from sqlalchemy import func, select
            from sqlalchemy import table as named

            full = connection.dialect.identifier_preparer.format_table(named(table.name, schema=table.schema))
            asked = select(func.has_column_privilege(full.replace("%%", "%"), target.column, "UPDATE"))
            if not connection.execute(asked).scalar():
                raise DatabaseError(
                    f"{address.place}: this user may not change {target.column} of {table}; "
                    "ask its owner for the right, or use another role"
                )


def stamp_run(store: Store, run: RunRecord, target: Target, *, add_column: bool = False) -> Stamped:
    """Write the id of a finished run onto the rows of its items, and note it with the run.

    Raises:
        Refused: the run has not finished or has no items, or no row is one of its items.
        InvalidData, DatabaseError: see :func:`stamp_rows`.
        StoreError: the rows are stamped, and the run could not be told so.
    """
    refuse_unfit(run)
    item_ids = run.items()["item_id"].to_list()
    stamped = stamp_rows(
        target.address,
        target.table,
        run.id,
        item_ids,
        key=target.key,
        column=target.column,
        add_column=add_column,
    )
    said = {name: getattr(stamped, name) for name in ("database", "table", "key", "column", "rows")}
    try:
        annotate(run.dir, {"stamp": said})
        store.catalog.recheck([run.id])
    except StoreError as error:
        rows = f"{stamped.rows} row{'s' if stamped.rows != 1 else ''} of {stamped.table}"
        raise StoreError(f"{rows} got the id {run.id}, but the run could not be told so: {error}") from None
    return stamped


def refuse_unfit(run: RunRecord) -> None:
    """Refuse a run whose id must not stand on rows.

    Raises:
        Refused: it has not finished, or has no items.
    """
    if run.status != "finished":
        raise Refused(f"the run {run.id} is {run.status}; only a finished run is stamped")
    if not (run.item_counts or {}).get("count"):
        raise Refused(f"the run {run.id} has no items, so there are no rows to stamp")


def read_tables(run: RunRecord, root: Path) -> dict[str, Address]:
    """Return the addresses of the tables that a run read, as its manifest has them."""
    entries: list[dict[str, Any]] = run.manifest().get("data", [])
    paths = [str(entry["path"]) for entry in entries if "file" in entry]
    return {path: parse_address(path, root) for path in paths if is_address(path)}


def stamp(
    run: str = "latest",
    *,
    store: str | os.PathLike[str] | Store | None = None,
    database: str | None = None,
    table: str | None = None,
    key: str | None = None,
    column: str | None = None,
    add_column: bool = False,
) -> Stamped:
    """Write the id of a finished run onto the rows of its items in your database, in one transaction.

    Rows of other items stay as they are. Repeating it changes nothing.

    Args:
        run: an id, a prefix of one, ``latest`` or ``@alias``.
        store: folder or Store; that of the project when not given.
        database: ``sqlite:///jobs.db`` or ``postgresql://me:${DB_PASSWORD}@host/jobs``; else the variable
            ``CORRIDA_DATABASE_URL``, ``[database]`` in corrida.toml, or the table that the run read.
        table: the table, with its schema where it needs one.
        key: the column with the item ids; the primary key when not given.
        column: the column that gets the run id; ``run_id`` when not given.
        add_column: add that column where the table lacks it.

    Returns:
        What came of it: ``rows``, ``unchanged``, ``missing``, ``missing_ids``, ``replaced`` and more.

    Raises:
        RunNotFound: no such run.
        Refused: the run has not finished or has no items, or no row is one of its items.
        InvalidData: the table, the key or the column is not there or is of another type; nothing was changed.
        DatabaseError: the database cannot be reached, or declines; nothing was changed.
        MissingExtra: SQLAlchemy is not installed.

    Example:
        >>> import corrida
        >>> corrida.stamp("latest", database="sqlite:///jobs.db", table="offers").rows
        1200
    """
    if not isinstance(run, str):
        raise BadInput(f"stamp takes the id of a run, not {type(run).__name__}")
    project = find_project(store=None if isinstance(store, Store) else store)
    opened = store if isinstance(store, Store) else project.store()
    record = opened.get(run)
    refuse_unfit(record)
    named = database or os.environ.get(DATABASE_VARIABLE) or project.settings.database.url
    sources = {} if named else read_tables(record, project.root)
    target = find_target(project, sources, database=database, table=table, key=key, column=column)
    return stamp_run(opened, record, target, add_column=add_column)
