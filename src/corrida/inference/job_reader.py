"""The jobs' database for those who only look: it is never made or changed, and whoever asks does not wait long for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from corrida.errors import DatabaseError, InvalidData, MissingExtra

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from corrida.bridges.database.address import Address
    from corrida.inference.jobs import Jobs
    from corrida.inference.settings import Runner

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds within which the database answers, or is away."""
_AT_ONCE = 4


class JobReader:
    """Asks the jobs' database of a project."""

    def __init__(self, runner: Callable[[], Runner], patience: float = PATIENCE) -> None:
        """Prepare to ask; nothing is connected to yet.

        Args:
            runner: tells where the jobs are.
            patience: seconds to wait for an answer.
        """
        self._runner, self._patience = runner, patience
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="corrida-jobs")
        self._lock = threading.Lock()
        self._jobs: Jobs | None = None
        self._closed = False

    def ask(self, question: Callable[[Jobs], T]) -> T | None:
        """Return the answer to a question; None where no file was ever scored.

        Args:
            question: asks the jobs; it runs in a thread of its own.

        Raises:
            DatabaseError: the database cannot be used, or does not answer in time.
            InvalidConfig, InvalidData, MissingExtra: it cannot be asked at all.
            CorridaError: as the question raises.
        """
        runner = self._runner()
        address = _address(runner)
        if address is None:
            return None
        asked = self._threads.submit(self._ask, address, question)
        try:
            return asked.result(self._patience)
        except TooSlow:
            asked.cancel()
            raise DatabaseError(
                f"the jobs' database {address.place} does not answer within {self._patience:g} seconds; try again soon"
            ) from None

    def _ask(self, address: Address, question: Callable[[Jobs], T]) -> T:
        from sqlalchemy.exc import DBAPIError

        jobs = self._opened(address)
        pool = jobs.database.engine.pool
        try:
            return question(jobs)
        except DBAPIError as error:
            first = str(error.orig).strip().splitlines()
            raise DatabaseError(
                f"the jobs' database {address.place} cannot be read: {first[0] if first else 'no answer'}"
            ) from None
        finally:
            if self._closed:
                pool.dispose()  # an answer that came after the end leaves its connection there

    def _opened(self, address: Address) -> Jobs:
        from corrida.inference.database import Database
        from corrida.inference.jobs import Jobs

        with self._lock:
            if self._jobs is None:
                database = Database(address)
                database.engine.dispose()
                database.engine = _engine(address, self._patience)
                self._jobs = Jobs(database, _no_queue)
            return self._jobs

    def close(self) -> None:
        """Let go of the database; nobody waits for an answer that is still to come."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            if self._jobs is not None:
                self._jobs.database.engine.dispose()
                self._jobs = None


def _address(runner: Runner) -> Address | None:
    """Return where the jobs are; None where nothing was ever handed over."""
    own = runner.spool / "jobs.db"
    if runner.database == f"sqlite:///{own}" and not own.exists():
        return None  # told without the driver, which need not be installed
    try:
        from corrida.bridges.database.address import parse_address

        address = parse_address(runner.database, runner.root)
    except ImportError as error:
        if isinstance(error, MissingExtra):
            raise
        raise MissingExtra(f"looking at the jobs needs {error.name}; pip install 'corrida[serve]'") from None
    if address.table is not None:
        raise InvalidData(f"{address.origin}: the database of the jobs takes no table=")
    return None if address.file is not None and not address.file.exists() else address


def _engine(address: Address, patience: float) -> Engine:
    """Return an engine whose connections can only read, and give up soon."""
    import sqlalchemy as sa

    if address.file is not None:
        # A file may be replaced by another one: each look opens it anew.
        place = quote(str(address.file))
        engine = sa.create_engine(
            f"sqlite:///file:{place}?mode=ro&uri=true",
            connect_args={"timeout": patience},
            poolclass=sa.pool.NullPool,
        )
        sa.event.listen(engine, "connect", _settle)
        return engine
    assert address.url is not None  # noqa: S101 - parse_address sets it
    limit = round(patience * 1000)
    arguments: dict[str, Any] = {
        "application_name": "corrida",
        "tcp_user_timeout": limit,
        "connect_timeout": max(2, round(patience)),  # the driver takes 1 for 2
        "options": f"-c default_transaction_read_only=on -c statement_timeout={limit} -c lock_timeout={limit}",
    }
    said = {name for name in arguments if name in address.url.query}
    return sa.create_engine(
        address.url,
        connect_args={name: value for name, value in arguments.items() if name not in said},
        pool_size=_AT_ONCE,
        pool_timeout=patience,
        pool_pre_ping=True,
    )


def _settle(connection: Any, record: Any) -> None:
    del record
    connection.execute("PRAGMA query_only=ON")


def _no_queue(*_: Any) -> None:
    raise RuntimeError("nothing is put on a queue here")
