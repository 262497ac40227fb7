"""What a database declines: one clear sentence, and nothing changed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import corrida as product
from corrida import errors
from corrida.bridges.database import connection
from corrida.runs import annotations


def test_a_sqlite_file_that_is_not_there_is_not_made(project: Path, runs: Any, corrida: Any) -> None:
    runs.make("run_a", ["1"])
    for asked in (
        ["stamp", "run_a", "--database", "sqlite:///absent.db?table=offers"],
        ["stamp", "run_a", "--database", "sqlite:///nowhere/absent.db?table=offers", "--add-column"],
        ["exec", "--data", "sqlite:///absent.db?table=offers", "--", "true"],
    ):
        assert "there is no database sqlite:///" in corrida.refuses(*asked)
    assert sorted(p.name for p in project.iterdir()) == ["runs"]
    assert len(product.Store().runs()) == 1


def test_a_file_that_is_no_database(project: Path, runs: Any, corrida: Any) -> None:
    (project / "jobs.db").write_text("id,title\n1,cook\n" * 100, encoding="utf-8")
    runs.make("run_a", ["1"])
    for asked in (
        ["stamp", "run_a", "--database", "sqlite:///jobs.db?table=offers"],
        ["exec", "--data", "sqlite:///jobs.db?table=offers", "--", "true"],
    ):
        assert "sqlite:///jobs.db is no SQLite database" in corrida.refuses(*asked)


def test_nobody_listens(runs: Any, corrida: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runs.make("run_a", ["1"])
    url = f"postgresql://me:topsecret@127.0.0.1:{port}/jobs?table=offers"
    sentence = corrida.refuses("stamp", "run_a", "--database", url, code=1)
    assert f"postgresql://me@127.0.0.1:{port}/jobs cannot be reached" in sentence
    assert "refused" in sentence
    assert "topsecret" not in sentence
    assert "cannot be reached" in corrida.refuses("exec", "--data", url, "--", "true", code=1)
    named = "postgresql://me:topsecret@no.such.host.invalid/jobs?table=offers"
    assert "cannot be reached" in corrida.refuses("stamp", "run_a", "--database", named, code=1)


def test_the_wrong_password_and_the_wrong_database(postgres: Any, runs: Any, corrida: Any) -> None:
    runs.make("run_a", ["1"])
    wrong = postgres.url("table=offers").replace("${DB_PASSWORD}", "wr0ng")
    sentence = corrida.refuses("stamp", "run_a", "--database", wrong, code=1)
    assert "does not let this user in: FATAL: password authentication failed" in " ".join(sentence.split())
    assert "wr0ng" not in sentence
    spaced = wrong.replace("wr0ng", "wr0ng too")
    assert "wr0ng" not in corrida.refuses("stamp", "run_a", "--database", spaced, code=1)
    without = postgres.url("table=offers").replace(":${DB_PASSWORD}", "")
    sentence = corrida.refuses("stamp", "run_a", "--database", without, code=1)
    assert "does not let this user in" in sentence
    for unusable in (
        postgres.url("table=offers&sslmoode=require"),
        postgres.url("table=offers").replace("127.0.0.1:", "127.0.0.1:99999"),
    ):
        assert "cannot be used" in corrida.refuses("stamp", "run_a", "--database", unusable)
    other = postgres.url("table=offers").replace(postgres.name, "nothing")
    assert "check the name of the database" in corrida.refuses("stamp", "run_a", "--database", other)


def test_a_password_with_special_characters_as_it_is_typed(postgres: Any, runs: Any) -> None:
    postgres.offers(1)
    runs.make("run_a", ["1"])
    typed = postgres.url("table=offers").replace("${DB_PASSWORD}", quote(postgres.server.password, safe=""))
    assert product.stamp("run_a", database=typed).rows == 1
    with pytest.raises(errors.InvalidData, match="more than one @") as refused:
        product.stamp(
            "run_a", database=postgres.url("table=o").replace("${DB_PASSWORD}", postgres.server.password)
        )
    assert "s3cret" not in str(refused.value)
    assert "p@ss" not in str(refused.value)


def test_the_table_or_the_key_is_not_there(database: Any, runs: Any, corrida: Any) -> None:
    database.offers(1)
    runs.make("run_a", ["1"])

    def refused(parameters: str, *more: str) -> str:
        return corrida.refuses("stamp", "run_a", "--database", database.url(parameters), *more)

    assert "there is no table offer in" in refused("table=offer")
    assert "did you mean offers?" in refused("table=offer")
    assert "did you mean offers?" in refused("table=Offers")
    assert "there is no table elsewhere.offers" in refused("table=elsewhere.offers")
    assert "offers has no column ids; did you mean id?" in refused("table=offers&key=ids")
    assert "offers has no column sku; it has id, title, run_id" in refused("table=offers", "--key", "sku")
    assert "the column id is the key" in refused("table=offers", "--column", "id")
    assert "which table of" in refused("")
    assert "table= is empty" in refused("table=")
    assert "no database is known" in corrida.refuses("stamp", "run_a")
    assert "is no address" in corrida.refuses("stamp", "run_a", "--database", "jobs.db")


def test_a_key_of_several_columns(database: Any, runs: Any, corrida: Any) -> None:
    database.do("CREATE TABLE offers (a integer, b integer, run_id text, PRIMARY KEY (a, b))")
    runs.make("run_a", ["1"])
    sentence = corrida.refuses("stamp", "run_a", "--database", database.url("table=offers"))
    assert "a primary key of 2 columns; say with --key" in sentence


def test_a_column_that_cannot_hold_the_run_id(postgres: Any, runs: Any, corrida: Any) -> None:
    runs.make("run_long_enough", ["1"])
    for kind, words in {
        "varchar(10)": "VARCHAR(10), too narrow for run_long_enough (15 characters)",
        "integer": "INTEGER, and a run id is text",
        "timestamptz": "TIMESTAMP, and a run id is text",
    }.items():
        postgres.do("DROP TABLE IF EXISTS offers")
        postgres.offers(1, run_id=kind)
        sentence = corrida.refuses("stamp", "run_long_enough", "--database", postgres.url("table=offers"))
        assert words in sentence
        assert postgres.rows("SELECT run_id FROM offers") == [(None,)]


def test_a_role_without_the_right(postgres: Any, runs: Any, corrida: Any) -> None:
    postgres.offers(2)
    role = "reader"
    postgres.do(f"CREATE ROLE {role} LOGIN PASSWORD 'abc'", f"GRANT SELECT ON offers TO {role}")
    url = postgres.url("table=offers").replace("owner:${DB_PASSWORD}", f"{role}:abc")
    runs.make("run_a", ["1"], data=url)
    sentence = corrida.refuses("stamp", "run_a", "--database", url, code=1)
    assert "declines: permission denied for table offers; nothing was changed, ask its owner" in sentence
    added = corrida.refuses("stamp", "run_a", "--database", url, "--column", "other", "--add-column", code=1)
    assert "must be owner of table offers" in added
    before = corrida.refuses("exec", "--stamp", "--data", url, "--", "true", code=1)
    assert "this user may not change run_id of offers" in before
    assert len(product.Store().runs()) == 1
    postgres.do(f"GRANT UPDATE (run_id) ON offers TO {role}")
    assert corrida("stamp", "run_a", "--database", url, "--json").json["rows"] == 1
    postgres.do(f"REVOKE SELECT ON offers FROM {role}")
    with pytest.raises(errors.DatabaseError, match="permission denied"):
        runs.make("run_b", ["1"], data=url)
    postgres.do(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
import corrida.bridges.database as database
address = database.parse_address(sys.argv[1], Path("/"))
for item in ("2", "1"):
    try:
        database.stamp_rows(address, address.table, "run_a", [item])
    except Exception as error:
        print(error)
    if os.geteuid() == 0:  # with all modules loaded, which another user may not reach
        os.setuid(65534)
"""


def test_a_sqlite_file_that_may_only_be_read(sqlite: Any, runs: Any, corrida: Any) -> None:
    sqlite.offers(1)
    runs.make("run_a", ["1"])
    url = sqlite.url("table=offers&mode=ro")
    words = "cannot be written (read-only); check the rights"
    assert words in corrida.refuses("stamp", "run_a", "--database", url, code=1)
    assert "(read-only)" in corrida.refuses("exec", "--stamp", "--data", url, "--", "true", code=1)
    with tempfile.TemporaryDirectory(prefix="corrida-") as folder:  # those of pytest are closed to others
        file = Path(folder) / "jobs.db"
        shutil.copy(sqlite.file, file)
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, f"sqlite:///{file}?table=offers"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        Path(folder).chmod(0o755)
        assert words in done.stdout, done.stdout + done.stderr
        assert file.read_bytes() == sqlite.file.read_bytes()


def test_a_locked_database_is_waited_for_and_then_said(
    database: Any, runs: Any, corrida: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.offers(2)
    runs.make("run_a", ["1"])
    other = database.connect()
    other.execute("UPDATE offers SET title = 'mine' WHERE id = 1")
    monkeypatch.setattr(connection, "WAIT", 0.5)
    sentence = corrida.refuses("stamp", "run_a", "--database", database.url("table=offers"), code=1)
    assert (
        "is locked: another program has held what is needed here for 0.5 s; nothing was changed" in sentence
    )
    monkeypatch.setattr(connection, "WAIT", 20)
    release = threading.Timer(0.5, lambda: subprocess.run([sys.executable, "-c", ""], check=False))
    release.start()
    waiting = threading.Thread(
        target=product.stamp, args=("run_a",), kwargs={"database": database.url("table=offers")}
    )
    waiting.start()
    time.sleep(0.5)
    other.rollback()
    other.close()
    waiting.join(20)
    release.join()
    assert database.rows("SELECT id, run_id FROM offers ORDER BY id") == [(1, "run_a"), (2, None)]


def test_a_deadlock_with_another_program_is_tried_again(postgres: Any, runs: Any) -> None:
    postgres.offers(2)
    runs.make("run_a", ["1", "2"])
    other = postgres.connect()
    other.execute("SET deadlock_timeout = '20s'")  # so that it is the stamp that is ended
    other.execute("UPDATE offers SET title = 'mine' WHERE id = 2")
    stamping = threading.Thread(
        target=product.stamp, args=("run_a",), kwargs={"database": postgres.url("table=offers")}
    )
    stamping.start()
    end = time.monotonic() + 10
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'corrida' AND wait_event_type = 'Lock'"
    while postgres.rows(query) == [(0,)]:
        assert time.monotonic() < end
        time.sleep(0.02)
    other.execute("UPDATE offers SET title = 'mine' WHERE id = 1")
    other.commit()
    other.close()
    stamping.join(20)
    assert postgres.rows("SELECT id, title, run_id FROM offers ORDER BY id") == [
        (1, "mine", "run_a"),
        (2, "mine", "run_a"),
    ]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://me:topsecret@host/jobs", "is of no database that corrida reads"),
        ("s3://bucket/offers.csv", "is of no database that corrida reads"),
        ("postgresql+asyncpg://me:topsecret@host/jobs", "is of no database that corrida reads"),
        ("postgresql://me:topsecret@host:port/jobs", "cannot be read"),
        ("postgresql://", "names no database"),
        ("postgresql://me:topsecret@host", "names no database"),
        ("postgresql://me@host/jobs?password=topsecret", "the password belongs before the @"),
        ("postgresql://me:topsecret@host/jobs?table=", "table= is empty"),
        ("postgresql://me:topsecret@host/jobs?table=a.b.c", "the table 'a.b.c' cannot be read"),
        ("postgresql://me:${NOT_SET}@host/jobs", "the variable NOT_SET is not set"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://jobs.db", "names no file"),
        ("sqlite:///jobs.db?tabel=offers", "the parameter tabel cannot be used; did you mean table?"),
        ("sqlite:///jobs.db?mode=rwc", "the parameter mode cannot be used"),
    ],
)
def test_addresses_that_cannot_be_used(
    project: Path, runs: Any, corrida: Any, address: str, words: str
) -> None:
    runs.make("run_a", ["1"])
    for asked in (["stamp", "run_a", "--database", address], ["exec", "--data", address, "--", "true"]):
        sentence = corrida.refuses(*asked)
        assert words in sentence
        assert "topsecret" not in sentence
    assert sorted(p.name for p in project.iterdir()) == ["runs"]


def test_a_password_in_the_settings_is_refused(project: Path, corrida: Any) -> None:
    for text in (
        '[database]\nurl = "postgresql://me:topsecret@host/jobs"\n',
        '[pipelines.jobs]\ndata = ["postgresql://me:topsecret@host/jobs?table=offers"]\n',
    ):
        (project / "corrida.toml").write_text(text, encoding="utf-8")
        sentence = corrida.refuses("stamp")
        assert "holds a password" in sentence
        assert "${DB_PASSWORD}" in sentence
        assert "topsecret" not in sentence
    (project / "corrida.toml").write_text('[database]\ntabel = "offers"\n', encoding="utf-8")
    assert "[database] unknown key 'tabel'; did you mean table?" in corrida.refuses("stamp")


def test_several_tables_were_read(sqlite: Any, runs: Any, corrida: Any) -> None:
    sqlite.offers(2)
    runs.make("run_a", ["1"], data=[sqlite.url("table=offers"), sqlite.url("table=offers&columns=id")])
    assert "the run read several tables" in corrida.refuses("stamp", "run_a")
    given = ["--database", sqlite.url(), "--table", "offers"]
    assert corrida("stamp", "run_a", *given, "--json").json["rows"] == 1


def test_a_store_that_cannot_be_written_is_said_after_the_stamp(
    sqlite: Any, runs: Any, corrida: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.offers(1)
    runs.make("run_a", ["1"])

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(annotations, "atomic_write", full)
    sentence = corrida.refuses("stamp", "run_a", "--database", sqlite.url("table=offers"), code=1)
    assert "1 row of offers got the id run_a, but the run could not be told so" in sentence
    assert sqlite.rows("SELECT run_id FROM offers") == [("run_a",)]
