"""Real databases: SQLite files, and a PostgreSQL server of the tests' own."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from psycopg import sql
from tests.postgres_server import PASSWORD, Server

import corrida as product


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.stop()


class Database:
    """A database of one test: its address, and a way to look into it past the product."""

    dialect: str
    address: str

    def url(self, parameters: str = "") -> str:
        return self.address + (f"?{parameters}" if parameters else "")

    def connect(self) -> Any:
        raise NotImplementedError

    def do(self, *statements: str) -> None:
        with contextlib.closing(self.connect()) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(self.connect()) as connection:
            return [tuple(row) for row in connection.execute(query).fetchall()]

    def offers(self, count: int = 4, *, key: str = "integer", run_id: str | None = "text") -> None:
        """Make the table offers with ``count`` rows."""
        column = f", run_id {run_id}" if run_id else ""
        numbers = (
            f"generate_series(1, {count}) AS n"
            if self.dialect == "postgresql"
            else f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c)"
        )
        self.do(
            f"CREATE TABLE offers (id {key} PRIMARY KEY, title text{column})",
            f"INSERT INTO offers (id, title) SELECT n, 'offer ' || n FROM {numbers}",
        )


class SqliteDatabase(Database):
    dialect = "sqlite"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.address = f"sqlite:///{file}"
        self.do("CREATE TABLE other_table (n integer)")

    def connect(self) -> Any:
        return sqlite3.connect(self.file, timeout=20)


class PostgresDatabase(Database):
    dialect = "postgresql"

    def __init__(self, server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.name = server, name
        monkeypatch.setenv("DB_PASSWORD", PASSWORD)
        self.address = f"postgresql://owner:${{DB_PASSWORD}}@127.0.0.1:{server.port}/{name}"
        self.do("CREATE TABLE other_table (n integer)")

    def connect(self) -> Any:
        return psycopg.connect(**self.server.settings(self.name))


def _postgres(server: Server, monkeypatch: pytest.MonkeyPatch) -> PostgresDatabase:
    """Return the database of the server, emptied: to make one for each test takes longer than the tests."""
    with psycopg.connect(**server.settings("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'jobs'").fetchone():
            connection.execute("CREATE DATABASE jobs")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'jobs'")
    with psycopg.connect(**server.settings("jobs"), autocommit=True) as connection:
        for (role,) in connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname ~ '^reader'"
        ).fetchall():
            connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information)'")
        for (schema,) in schemas.fetchall():
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        connection.execute("CREATE SCHEMA public")
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
    return PostgresDatabase(server, "jobs", monkeypatch)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "jobs.db")
    return _postgres(request.getfixturevalue("server"), monkeypatch)


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path / "jobs.db")


@pytest.fixture
def postgres(server: Server, monkeypatch: pytest.MonkeyPatch) -> PostgresDatabase:
    return _postgres(server, monkeypatch)


@pytest.fixture(autouse=True)
def _no_database_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORRIDA_DATABASE_URL", "PGPASSWORD", "PGHOST", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)


def make_run(run_id: str, item_ids: list[str], **options: Any) -> str:
    """Make a finished run with these items in the project of the working folder."""
    with product.start_run(run_id=run_id, capture=False, **options) as run:
        if item_ids:
            run.log_items(pl.DataFrame({"item_id": item_ids, "correct": [True] * len(item_ids)}))
    return run_id


class Runs:
    make = staticmethod(make_run)
    python = sys.executable


@pytest.fixture
def runs(project: Path) -> Runs:
    return Runs()
