"""The database of the jobs: their truth, in one SQLite file or in PostgreSQL, beside the tables of the engine."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from corrida.bridges.database.address import Address, parse_address
from corrida.errors import DatabaseError, InvalidData
from corrida.runs.files import explained, make_folder

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

T = TypeVar("T")

SCHEMA_VERSION = 1
_WAIT_MS = 30_000
_LONGEST_PAUSE = 5.0
metadata = sa.MetaData()
_numbered = sa.BigInteger().with_variant(sa.Integer, "sqlite")

about = sa.Table(
    "corrida_about",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""What the database says of itself: ``schema_version``."""

analyses = sa.Table(
    "corrida_analyses",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("spool", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("alias", sa.String(128), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("suffix", sa.String(16), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(80), nullable=False),
    sa.Column("staged", sa.Text),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("client", sa.Text),
    sa.Column("webhook", sa.Text),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("ended", sa.Double),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("claims", sa.Integer, nullable=False),
    sa.Column("claim", sa.String(40)),
    sa.Column("executor", sa.Text),
    sa.Column("cancel", sa.Boolean, nullable=False),
    sa.Column("run_id", sa.String(128)),
    sa.Column("run_digest", sa.String(80)),
    sa.Column("pipeline", sa.Text),
    sa.Column("outcome", sa.String(16)),
    sa.Column("winner", sa.String(40)),
    sa.Column("code", sa.String(64)),
    sa.Column("message", sa.Text),
    sa.Column("rows", sa.BigInteger),
    sa.Column("scored", sa.BigInteger),
    sa.Column("progress", sa.BigInteger),
    sa.Column("report", sa.Text),
    sa.Column("result_sha256", sa.String(80)),
    sa.Column("charged", sa.Double),
    sa.Index("corrida_analyses_by_status", "spool", "status", "created"),
    sa.Index("corrida_analyses_by_run", "run_id"),
)
"""One row an analysis, for ever; see :class:`corrida.inference.jobs.Job`."""

events = sa.Table(
    "corrida_events",
    metadata,
    sa.Column("seq", _numbered, primary_key=True, autoincrement=True),
    sa.Column("analysis", sa.String(128), nullable=False, index=True),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
"""What happened to each analysis, appended."""

ledger = sa.Table(
    "corrida_ledger",
    metadata,
    sa.Column("seq", _numbered, primary_key=True, autoincrement=True),
    sa.Column("analysis", sa.String(128), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.String(40)),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("run_id", sa.String(128)),
    sa.Column("client", sa.Text),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("analysis", "kind"),
)
"""Charges and refunds, appended; one row of a kind for each analysis."""

shadows = sa.Table(
    "corrida_shadows",
    metadata,
    sa.Column("analysis", sa.String(128), primary_key=True),
    sa.Column("spool", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("run_id", sa.String(128)),
    sa.Column("run_digest", sa.String(80)),
    sa.Column("pipeline", sa.Text),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
    sa.Column("due", sa.Double, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("claims", sa.Integer, nullable=False),
    sa.Column("claim", sa.String(40)),
    sa.Column("executor", sa.Text),
    sa.Column("code", sa.String(64)),
    sa.Column("message", sa.Text),
    sa.Column("rows", sa.BigInteger),
    sa.Column("differ", sa.BigInteger),
    sa.Column("summary", sa.Text),
    sa.Index("corrida_shadows_by_status", "spool", "status"),
)
"""Analyses that a second run scores as well; see :class:`corrida.inference.shadow.Shadow`."""

executors = sa.Table(
    "corrida_executors",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started", sa.Double, nullable=False),
)
"""Workers that live, or died without a word; which of the two, their locks say."""

workers = sa.Table(
    "corrida_workers",
    metadata,
    sa.Column("executor", sa.String(200), primary_key=True),
    sa.Column("spool", sa.String(64), nullable=False),
    sa.Column("alias", sa.String(128)),
    sa.Column("run_digest", sa.String(80)),
    sa.Column("why", sa.Text),
    sa.Column("time", sa.Double, nullable=False),
)
"""What each of them last said of the run that it loads; see :mod:`corrida.inference.readiness`."""

keys = sa.Table(
    "corrida_keys",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("sees_all", sa.Boolean, nullable=False),
    sa.Column("per_minute", sa.Integer),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("revoked", sa.Double),
)
"""Keys of the API, as digests; see :mod:`corrida.inference.keys`."""

deliveries = sa.Table(
    "corrida_deliveries",
    metadata,
    sa.Column("id", sa.String(160), primary_key=True),
    sa.Column("analysis", sa.String(128), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due", sa.Double, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
    sa.Column("said", sa.Text),
    sa.Index("corrida_deliveries_by_status", "status", "due"),
)
"""Webhooks that are to be sent, or were; see :mod:`corrida.inference.outbox`."""


postings = sa.Table(
    "corrida_postings",
    metadata,
    sa.Column("analysis", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due", sa.Double, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
    sa.Column("said", sa.Text),
    sa.Index("corrida_postings_by_status", "status", "due"),
)
"""Charges and refunds that a gateway outside is told of; see :mod:`corrida.inference.postings`."""


class Database:
    """The jobs' database.

    Attributes:
        address: as it may be shown.
        engine: of SQLAlchemy.
        dialect: ``sqlite`` or ``postgresql``.
        patience: seconds after which :meth:`persevere` gives up; never when None.
    """

    def __init__(self, address: Address) -> None:
        """Prepare to connect; nothing is connected to yet."""
        self.address = address
        self.dialect = address.dialect
        self.patience: float | None = None
        self.engine = _engine(address)

    @property
    def engine_url(self) -> str:
        """The address with its password, for the job engine."""
        return self.engine.url.render_as_string(hide_password=False)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open one transaction, which is undone when the block raises; writers of a SQLite file go one by one."""
        with self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads, and keeps no writer waiting."""
        with self.engine.connect().execution_options(reads=True) as connection, connection.begin():
            yield connection

    def persevere(self, work: Callable[[Connection], T], stop: threading.Event | None = None) -> T:
        """Do ``work`` in a transaction, again and again while the database is away, locked or full.

        A connection may be lost after the commit: ``work`` must be fit to be done twice.

        Args:
            work: gets the connection.
            stop: gives up with the error when set.
        """
        pause = 0.05
        end = None if self.patience is None else time.monotonic() + self.patience
        while True:
            try:
                with self.transaction() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not _may_pass(error) or (stop is not None and stop.is_set()):
                    raise
                if end is not None and time.monotonic() > end:
                    raise
            if stop is not None:
                stop.wait(pause)
            else:
                time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """Return an INSERT of the dialect, which knows ON CONFLICT."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def open_database(text: str, root: Path) -> Database:
    """Open the jobs' database, and lay it out where it is new.

    Args:
        text: its address; ``${NAME}`` stands for a variable of the environment.
        root: the folder to which a SQLite file is relative.

    Raises:
        InvalidData: the address cannot be read, or names a database of a later version.
        DatabaseError: it cannot be reached.
        MissingExtra: a driver is not installed.
    """
    address = parse_address(text, root)
    if address.table is not None or address.read_only:
        raise InvalidData(f"{address.origin}: the database of the jobs takes neither table= nor mode=ro")
    if address.file is not None:
        with explained("making the folder of the jobs' database", "choose another with --database"):
            make_folder(address.file.parent)
    database = Database(address)
    try:
        _lay_out(database)
    except DBAPIError as error:
        first = str(error.orig).strip().splitlines()
        raise DatabaseError(
            f"the jobs' database {address.place} cannot be used: {first[0] if first else 'no answer'}"
        ) from None
    return database


def _lay_out(database: Database) -> None:
    if database.address.file is not None:
        # Kept in the file; without it readers and writers wait for each other.
        with contextlib.closing(sqlite3.connect(database.address.file, timeout=_WAIT_MS / 1000)) as file:
            file.execute("PRAGMA journal_mode=WAL")
    with database.transaction() as connection:
        if database.dialect == "postgresql":  # two workers that start at once
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236215)"))
        metadata.create_all(connection)
        insert = database.insert(about).values(name="schema_version", value=str(SCHEMA_VERSION))
        connection.execute(insert.on_conflict_do_nothing())
        found = connection.execute(sa.select(about.c.value).where(about.c.name == "schema_version")).scalar()
    if int(found or 0) > SCHEMA_VERSION:
        raise InvalidData(
            f"the jobs' database {database.address.place} is of a later version of corrida; update corrida"
        )


def _engine(address: Address) -> Engine:
    if address.file is None:
        assert address.url is not None  # noqa: S101 - parse_address sets it
        engine = sa.create_engine(
            address.url,
            connect_args=connect_arguments(address),
            pool_size=4,
            max_overflow=8,
            pool_pre_ping=True,
        )
        sa.event.listen(engine, "connect", _let_the_server_notice)
        return engine
    engine = sa.create_engine(f"sqlite:///{address.file}", pool_size=4, max_overflow=8)

    @sa.event.listens_for(engine, "connect")
    def settle(connection: Any, record: Any) -> None:
        del record
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        connection.execute(f"PRAGMA busy_timeout={_WAIT_MS}")
        connection.execute("PRAGMA synchronous=FULL")  # a commit survives a power cut

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def connect_arguments(address: Address) -> dict[str, Any]:
    """Return how to connect to a server, so that a cable that was cut is noticed here within some 15 seconds.

    What the address itself says stands. Without this a statement waits for a quarter of an hour.
    """
    assert address.url is not None  # noqa: S101 - only files have none
    said = address.url.query
    wanted = {"application_name": "corrida", "connect_timeout": 10, "tcp_user_timeout": 15_000, **_PROBES}
    return {name: value for name, value in wanted.items() if name not in said}


_PROBES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}


def _let_the_server_notice(connection: Any, record: Any) -> None:
    """Ask the server to probe this connection: else it keeps the locks of a machine that lost its power for two hours."""
    del record
    with connection.cursor() as cursor:
        for name, value in _PROBES.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (f"tcp_{name}", str(value)))
    connection.commit()


def _may_pass(error: DBAPIError) -> bool:
    """Tell whether the database is merely away, busy or full."""
    known = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return known and "no such" not in str(error.orig)
