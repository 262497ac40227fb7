"""The address of a table: ``postgresql://me:${DB_PASSWORD}@host/jobs?table=public.offers&columns=id,title``."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from corrida.errors import InvalidData, MissingExtra
from corrida.runs.snapshot.addresses import without_password

if TYPE_CHECKING:
    from sqlalchemy import URL

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
    "postgres": "postgresql",
}
_OWN = ("table", "key", "columns")
_EMPTY = re.compile(r"[?&](table|key|columns)=(?=&|\Z)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_STEERING = re.compile(r"[%&#+;\s]")  # what means something else in a parameter
_NAME = r'"(?:[^"]|"")+"|[^".]+'
_TABLE = re.compile(rf"(?:({_NAME})\.)?({_NAME})\Z")


class TableName(NamedTuple):
    """A table: its schema, or None for the default one, and its name."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class Address:
    """A database, and the table in it where the address names one.

    Attributes:
        origin: what may be written down and shown: without a password, a SQLite file relative to the project.
        place: the same without the parameters.
        dialect: ``sqlite`` or ``postgresql``.
        file: the SQLite file; None of PostgreSQL.
        url: what is connected to; holds the password.
        read_only: a SQLite file with ``mode=ro``.
        table, key, columns: as the address says; the key orders the rows, and columns are those that are read.
    """

    origin: str
    place: str
    dialect: str
    file: Path | None = None
    url: URL | None = field(default=None, repr=False)
    read_only: bool = False
    table: TableName | None = None
    key: str | None = None
    columns: tuple[str, ...] = ()


def parse_address(text: str, root: Path) -> Address:
    """Read the address of a database; nothing is connected to.

    Args:
        text: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``, with the parameters ``table``,
            ``key`` and ``columns`` (separated by commas) where wanted; others of PostgreSQL go to its driver.
            ``${NAME}`` stands for a variable of the environment.
        root: the folder to which a SQLite file is relative.

    Raises:
        InvalidData: it cannot be read, is of another database, or names a variable that is not set.
        MissingExtra: SQLAlchemy, or the driver, is not installed.
    """
    shown = without_password(text)
    dialect = _DRIVERS.get(text.partition("://")[0].lower())
    if dialect is None:
        raise InvalidData(
            f"{shown} is of no database that corrida reads; addresses start with sqlite:/// or postgresql://"
        )
    require_drivers(dialect)
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if _VARIABLE.sub("", text.partition("?")[0]).count("@") > 1:
        raise InvalidData(
            f"{shown}: there is more than one @ in the address; write %40 for one in the password, or "
            "put the password into a variable and write ${NAME}"
        )
    if empty := _EMPTY.search(text):
        raise InvalidData(f"{shown}: {empty[1]}= is empty; name one, or leave it out")
    filled = _with_variables(text, shown)
    try:
        url = make_url(filled)
    except (ArgumentError, ValueError):
        raise InvalidData(
            f"the address {shown} cannot be read; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE?table=NAME, "
            "with %xx for special characters in the password"
        ) from None
    given = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    found = _own_parameters(given)
    url = url.difference_update_query(_OWN).set(
        drivername="sqlite+pysqlite" if dialect == "sqlite" else "postgresql+psycopg"
    )
    if dialect == "sqlite":
        return _sqlite(url, root, shown, found)
    if any("password" in name.lower() for name in url.query):
        raise InvalidData(
            f"{shown}: the password belongs before the @, as in postgresql://me:${{DB_PASSWORD}}@host/jobs"
        )
    if not url.database:
        raise InvalidData(f"{shown} names no database; write postgresql://USER@HOST/DATABASE?table=NAME")
    # The text as it was given keeps ${NAME} of a variable, and so can be used again.
    return Address(shown, shown.partition("?")[0], dialect, url=url, **found)


class _Own(dict):  # type: ignore[type-arg]
    """The parameters of an address that are corrida's own."""


def _own_parameters(given: Mapping[str, str]) -> _Own:
    columns = tuple(c.strip() for c in given["columns"].split(",") if c.strip()) if "columns" in given else ()
    table = parse_table(given["table"]) if "table" in given else None
    return _Own(table=table, key=given.get("key"), columns=columns)


def _sqlite(url: URL, root: Path, shown: str, found: _Own) -> Address:
    if url.host or not url.database or url.database == ":memory:":
        raise InvalidData(f"{shown} names no file; write sqlite:///jobs.db, or sqlite:////home/me/jobs.db")
    others = set(url.query) - {"mode"}
    if others or url.query.get("mode", "ro") not in {"ro", "rw"}:
        name = min(others) if others else "mode"
        near = difflib.get_close_matches(name, [*_OWN, "mode"], n=1)
        hint = f"did you mean {near[0]}?" if near and others else "known are table, key, columns and mode=ro"
        raise InvalidData(f"{shown}: the parameter {name} cannot be used; {hint}")
    file = Path(os.path.normpath(root / url.database))
    relative = os.path.relpath(file, root)
    parameters = "&".join(
        f"{name}={_STEERING.sub(lambda m: quote(m[0]), text)}"
        for name, text in (
            ("table", quoted_table(found["table"]) if found["table"] else None),
            ("key", found["key"]),
            ("columns", ",".join(found["columns"])),
        )
        if text
    )
    place = f"sqlite:///{relative}"
    origin = place + (f"?{parameters}" if parameters else "")
    return Address(origin, place, "sqlite", file, url, url.query.get("mode") == "ro", **found)


def _with_variables(text: str, shown: str) -> str:
    """Put the values of variables in; what stands in the user or the password is quoted as an address wants it."""
    end = text.partition("?")[0].rfind("@")

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise InvalidData(f"{shown}: the variable {match[1]} is not set in the environment; set it")
        return quote(found, safe="") if match.start() < end else found

    return _VARIABLE.sub(value, text)


def parse_table(text: str) -> TableName:
    """Read the name of a table: ``offers``, ``public.offers``; a part with a dot in it in double quotes.

    Raises:
        InvalidData: it cannot be read.
    """
    found = _TABLE.match(text.strip())
    if not found:
        raise InvalidData(
            f'the table {text!r} cannot be read; write TABLE or SCHEMA.TABLE, with a part that has a dot as "a.b"'
        )
    schema, name = (_unquoted(part) if part else None for part in found.groups())
    return TableName(schema, name or "")


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.strip()


def quoted_table(table: TableName) -> str:
    """Return the name as :func:`parse_table` reads it."""
    parts = [table.schema, table.name] if table.schema else [table.name]
    return ".".join('"' + p.replace('"', '""') + '"' if {*'".'} & {*p} else p for p in parts)


def require_drivers(dialect: str) -> None:
    """Make sure that what it takes to reach a database is there.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import sqlalchemy  # noqa: F401

        if dialect == "postgresql":
            import psycopg  # noqa: F401
    except ImportError:
        raise MissingExtra(
            "databases need SQLAlchemy and the driver psycopg; pip install 'corrida[database]'"
        ) from None
