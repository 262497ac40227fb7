"""One transaction on the user's database, and its refusals in one sentence each."""

from __future__ import annotations

import contextlib
import difflib
import sqlite3
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from corrida.bridges.database.address import Address, TableName
from corrida.errors import CorridaError, DatabaseError, InvalidData

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import ReflectedColumn

WAIT = 30  # seconds for a lock that somebody else holds
_NO_SCHEMA = ("unknown database", "sqlite_master")
_CONNECT = 10  # seconds for a server to answer


class TryAgain(DatabaseError):
    """The database ended this transaction for the sake of another; nothing was changed."""


@contextlib.contextmanager
def transaction(address: Address, *, write: bool = False) -> Iterator[Connection]:
    """Open the database for one transaction, which is undone when the block raises.

    Args:
        address: the database.
        write: to change it. A SQLite file is locked against other writers from the start.

    Raises:
        InvalidData: there is no such file or database, or it is none.
        DatabaseError: it cannot be reached, or declines.
    """
    engine = _engine(address, write=write)
    try:
        with engine.connect() as connection, connection.begin():
            if address.dialect == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT}s'")
            yield connection
    except _driver_errors(address) as error:
        raise _explained(address, getattr(error, "orig", None) or error) from None
    finally:
        engine.dispose()


def _engine(address: Address, *, write: bool) -> Engine:
    from sqlalchemy import NullPool, create_engine, event

    if address.dialect == "postgresql":
        url = address.url
        assert url is not None  # noqa: S101 - parse_address sets it
        arguments: dict[str, Any] = {"application_name": "corrida"}
        if "connect_timeout" not in url.query:
            arguments["connect_timeout"] = _CONNECT
        return create_engine(url, connect_args=arguments, poolclass=NullPool)
    file = address.file
    if file is None or not file.is_file():  # sqlite3 would make it
        raise InvalidData(f"there is no database {address.place}; check the path")
    mode = "rw" if write and not address.read_only else "ro"
    place = f"file:{quote(str(file))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # Without transactions of the driver's own, which leave ALTER TABLE outside.
        return sqlite3.connect(place, uri=True, timeout=WAIT, isolation_level=None)

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def columns_of(connection: Connection, address: Address, table: TableName) -> list[ReflectedColumn]:
    """Return the columns of a table or view.

    Raises:
        InvalidData: there is none of that name; the nearest are offered.
    """
    from sqlalchemy import inspect
    from sqlalchemy.exc import DBAPIError, NoSuchTableError, SAWarning

    inspector = inspect(connection)
    try:
        # SQLite answers to Offers for offers, and then knows no primary key of it: ask for the name as it is.
        inspector.get_pk_constraint(table.name, schema=table.schema)
        with warnings.catch_warnings():  # of types that only an extension of the server knows
            warnings.simplefilter("ignore", SAWarning)
            return inspector.get_columns(table.name, schema=table.schema)
    except NoSuchTableError:
        pass
    except DBAPIError as error:  # SQLite: of a schema that is not there
        if address.dialect != "sqlite" or not any(sign in str(error) for sign in _NO_SCHEMA):
            raise
    names: list[str] = []
    for schema in [None, *inspector.get_schema_names()]:
        if schema in {"information_schema", "main", inspector.default_schema_name} and schema is not None:
            continue
        found_here = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        names += [str(TableName(schema, name)) for name in found_here]
    near = _nearest(str(table), names)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {_listed(names)}"
    raise InvalidData(
        f"there is no table {table} in {address.place}; {hint if names else 'it has no tables'}"
    )


def refuse_unknown(column: str, columns: list[ReflectedColumn], table: TableName, more: str = "") -> None:
    """Refuse a column that the table lacks, and offer the nearest.

    Raises:
        InvalidData: it lacks it.
    """
    names = [c["name"] for c in columns]
    if column not in names:
        near = _nearest(column, names)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {_listed(names)}"
        raise InvalidData(f"the table {table} has no column {column}; {hint}{more}")


def _nearest(name: str, names: list[str]) -> list[str]:
    folded = {n.casefold(): n for n in reversed(names)}
    by_last = {n.casefold().rpartition(".")[2]: n for n in reversed(names)}
    near = difflib.get_close_matches(name.casefold(), [*folded, *by_last], n=3)
    return list(dict.fromkeys(folded.get(n) or by_last[n] for n in near))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def first_line(error: BaseException) -> str:
    """Return what a driver says, without its advice and without its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _driver_errors(address: Address) -> tuple[type[Exception], ...]:
    from sqlalchemy.exc import DBAPIError

    if address.dialect == "sqlite":
        return (DBAPIError,)
    import psycopg

    return (DBAPIError, psycopg.Error)  # COPY is the driver's own


def _explained(address: Address, reason: BaseException) -> CorridaError:
    said = first_line(reason)
    case = _OTHER
    if address.dialect == "sqlite":
        case = next((c for c in _SQLITE if any(sign in said for sign in c.signs)), _OTHER)
    else:
        of_values = type(reason).__name__ == "DataError"  # also of the driver: a date after the year 9999
        state = getattr(reason, "sqlstate", None) or ("22" if of_values else _refused_at_the_door(said))
        case = next((c for c in _POSTGRESQL if state.startswith(c.signs)), _OTHER)
    said = said.rpartition("failed: ")[2] or said
    return case.kind(f"{address.place} {case.sentence.format(said=said, wait=WAIT)}")


def _refused_at_the_door(said: str) -> str:
    """Return the state behind the words of a server that lets nobody in: the driver passes on the words only."""
    if "no password supplied" in said:
        return "28"
    if any(w in said for w in ("invalid connection option", "invalid port number", "invalid integer value")):
        return "address"
    if "FATAL" not in said:
        return "08"
    if 'database "' in said and "does not exist" in said:
        return "3D000"
    return (
        "28"
        if any(w in said for w in ("authentication", "role ", "pg_hba.conf", "permission denied"))
        else "08"
    )


class _Case(NamedTuple):
    """What a refusal means: the states (PostgreSQL) or words (SQLite) that tell it, and what to say after the place."""

    signs: tuple[str, ...]
    kind: type[CorridaError]
    sentence: str


_OTHER = _Case((), DatabaseError, "declines: {said}; nothing was changed")
_LOCKED = (
    "is locked: another program has held what is needed here for {wait} s; nothing was changed, "
    "try again when it has ended"
)
_POSTGRESQL = (
    _Case(("40P01", "40001"), TryAgain, "declines: {said}; nothing was changed, try again"),
    _Case(
        ("42501", "25006"),
        DatabaseError,
        "declines: {said}; nothing was changed, ask its owner for the right or use another role",
    ),
    _Case(("55P03",), DatabaseError, _LOCKED),
    _Case(("3D000",), InvalidData, "is not there: {said}; check the name of the database"),
    _Case(
        ("22",), InvalidData, "declines: {said}; nothing was changed"
    ),  # a value that its type does not take
    _Case(("address",), InvalidData, "cannot be used: {said}; check the address and its parameters"),
    _Case(("28",), DatabaseError, "does not let this user in: {said}; check user and password"),
    _Case(("08", "57P"), DatabaseError, "cannot be reached: {said}; check the address, and that it runs"),
)
_SQLITE = (
    _Case(("locked", "busy"), DatabaseError, _LOCKED),
    _Case(
        ("readonly",),
        DatabaseError,
        "cannot be written (read-only); check the rights of the file and its folder",
    ),
    _Case(("not a database", "malformed"), InvalidData, "is no SQLite database that can be read ({said})"),
)
