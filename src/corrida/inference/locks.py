"""The lock that tells a live executor from a dead one: the kernel or the server frees it when its process ends."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from corrida.inference.database import Database
    from corrida.inference.spool import Spool


class ExecutorLock(Protocol):
    """The lock of one executor id."""

    def acquire(self) -> bool:
        """Take the lock if it is free, and return whether it is ours now."""
        ...

    def held(self) -> bool:
        """Tell whether the lock is still ours; one of a server goes with the connection."""
        ...

    def release(self) -> None:
        """Give the lock back."""
        ...


class FileLock:
    """A ``flock`` on a file in the folder of the database: for executors of one machine."""

    def __init__(self, folder: Path, executor: str) -> None:
        self._path = folder / f"{executor}.lock"
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.fstat(fd).st_ino == os.stat(self._path).st_ino  # noqa: PTH116
        except (BlockingIOError, FileNotFoundError):
            same = False
        if not same:  # held by another, or removed by who held it last
            os.close(fd)
            return False
        self._fd = fd
        return True

    def held(self) -> bool:
        """Tell whether the lock is ours; a file lock stays until the process ends."""
        return self._fd is not None

    def release(self) -> None:
        """Give the lock back and remove its file: an id is used once."""
        if self._fd is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108
            os.close(self._fd)
            self._fd = None


class AdvisoryLock:
    """A session lock of PostgreSQL, on a connection of its own: for executors of any machine."""

    def __init__(self, database: Database, executor: str) -> None:
        self._database = database
        digest = hashlib.sha256(f"corrida-executor:{executor}".encode()).digest()
        self.key = int.from_bytes(digest[:8], "big", signed=True)
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free."""
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            taken = connection.execute(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": self.key})
            if taken.scalar():
                self._connection = connection
                return True
        except BaseException:
            _drop(connection)
            raise
        connection.close()
        return False

    def held(self) -> bool:
        """Ask the server; a connection that was lost took the lock along."""
        if self._connection is None:
            return False
        try:
            self._connection.execute(sa.text("SELECT 1"))
        except DBAPIError:
            _drop(self._connection)
            self._connection = None
            return False
        return True

    def release(self) -> None:
        """Give the lock back, at once and by ending the session."""
        if self._connection is not None:
            with contextlib.suppress(DBAPIError):
                self._connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": self.key})
            _drop(self._connection)
            self._connection = None


def _drop(connection: Connection) -> None:
    """End the session itself: a pool would keep it, and the lock with it."""
    with contextlib.suppress(DBAPIError):
        connection.invalidate()
    connection.close()


def is_held(database: Database, executor: str) -> bool:
    """Tell whether an executor lives, without taking its lock."""
    if database.address.file is not None:
        try:
            fd = os.open(_folder(database.address.file) / f"{executor}.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False
    key = AdvisoryLock(database, executor).key % (1 << 64)
    # The server shows the two halves of the key.
    query = sa.text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND CAST(classid AS bigint) = :high AND CAST(objid AS bigint) = :low"
    )
    with database.reading() as connection:
        return bool(connection.execute(query, {"high": key >> 32, "low": key & 0xFFFFFFFF}).scalar())


def _folder(database: Path) -> Path:
    return database.parent / ".executors"


def lock_of(database: Database, spool: Spool, executor: str) -> ExecutorLock:
    """Return the lock of an executor, by what its database can do."""
    if database.address.file is not None:
        # Beside the database, since that is what executors have in common.
        folder = _folder(database.address.file)
        folder.mkdir(exist_ok=True)
        return FileLock(folder, executor)
    del spool
    return AdvisoryLock(database, executor)
