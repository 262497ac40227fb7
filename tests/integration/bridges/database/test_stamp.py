"""The id of a run is written onto the rows of its items, and onto no other."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

import corrida as product
from corrida import errors


def stamps(database: Any, table: str = "offers", key: str = "id") -> dict[Any, Any]:
    return dict(database.rows(f"SELECT {key}, run_id FROM {table} ORDER BY 1"))


def test_the_rows_of_the_items_get_the_run_id_and_no_other_row(
    database: Any, runs: Any, corrida: Any
) -> None:
    database.offers(6)
    database.do("UPDATE offers SET run_id = 'run_old' WHERE id IN (2, 6)")
    runs.make("run_a", ["2", "3", "5"])
    said = corrida("stamp", "run_a", "--database", database.url("table=offers"))
    assert stamps(database) == {1: None, 2: "run_a", 3: "run_a", 4: None, 5: "run_a", 6: "run_old"}
    assert "3 rows of offers" in said.out
    assert "run_id = run_a" in said.out
    assert "1 of them carried run_old before" in said.out
    again = corrida("stamp", "run_a", "--database", database.url("table=offers"), "--json").json
    assert (again["rows"], again["unchanged"], again["replaced"], again["missing"]) == (3, 3, {}, 0)
    assert stamps(database)[6] == "run_old"


def test_rows_that_were_deleted_since_are_said(database: Any, runs: Any, corrida: Any) -> None:
    database.offers(3)
    runs.make("run_a", [str(n) for n in (1, 2, 3, 11, 12, 13, 14, 15, 16)])
    said = corrida("stamp", "run_a", "--database", database.url("table=offers"))
    assert "6 of 9 items are not in the table" in said.out
    assert "11, 12, 13, 14, 15 …" in said.out
    assert set(stamps(database).values()) == {"run_a"}


def test_when_no_row_is_left_nothing_is_stamped(database: Any, runs: Any, corrida: Any) -> None:
    database.offers(3)
    runs.make("run_a", ["11", "12"])
    sentence = corrida.refuses("stamp", "run_a", "--database", database.url("table=offers"), code=1)
    assert "no row of offers is an item of the run run_a" in sentence
    assert "11, 12" in sentence
    assert "1, 2, 3" in sentence
    assert set(stamps(database).values()) == {None}


def test_the_column_is_added_only_on_request(database: Any, runs: Any, corrida: Any) -> None:
    database.offers(2, run_id=None)
    runs.make("run_a", ["1"])
    url = database.url("table=offers")
    sentence = corrida.refuses("stamp", "run_a", "--database", url)
    assert "offers has no column run_id" in sentence
    assert "--add-column" in sentence
    assert len(database.rows("SELECT * FROM offers")[0]) == 2
    said = corrida("stamp", "run_a", "--database", url, "--add-column")
    assert "the column run_id was added" in said.out
    assert stamps(database) == {1: "run_a", 2: None}
    assert not corrida("stamp", "run_a", "--database", url, "--add-column", "--json").json["column_added"]


def test_a_column_that_was_added_goes_with_a_stamp_that_fails(database: Any, runs: Any) -> None:
    database.offers(2, run_id=None)
    runs.make("run_a", ["77"])
    with pytest.raises(errors.Refused):
        product.stamp("run_a", database=database.url("table=offers"), add_column=True)
    assert len(database.rows("SELECT * FROM offers")[0]) == 2


KEYS = {
    "smallint": ("1", "2"),
    "integer": ("1", "-2"),
    "bigint": ("9007199254740993", "2"),
    "text": ("José", "職 1"),
    "varchar(40)": ("a'b\"c", "%s :x"),
    "char(6)": ("ab", "cd"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_each_type(database: Any, runs: Any, kind: str) -> None:
    first, second = KEYS[kind]
    database.do(f"CREATE TABLE offers (id {kind} PRIMARY KEY, run_id text)")
    for value in (first, second):
        quoted = value if kind.endswith("int") or kind == "integer" else "'" + value.replace("'", "''") + "'"
        database.do(f"INSERT INTO offers (id) VALUES ({quoted})")
    runs.make("run_a", [first])
    stamped = product.stamp("run_a", database=database.url("table=offers"))
    assert (stamped.rows, stamped.missing) == (1, 0)
    assert sorted(map(str, stamps(database).values())) == ["None", "run_a"]


def test_keys_that_are_uuids_dates_or_of_an_enumeration(postgres: Any, runs: Any) -> None:
    postgres.do("CREATE TYPE mood AS ENUM ('glad', 'sad')")
    for kind, (first, second) in {
        "uuid": ("11111111-2222-3333-4444-555555555555", "AAAAAAAA-2222-3333-4444-555555555555"),
        "date": ("2026-01-31", "2026-02-01"),
        "numeric": ("1.50", "2"),
        "mood": ("glad", "sad"),
    }.items():
        postgres.do(
            "DROP TABLE IF EXISTS offers",
            f"CREATE TABLE offers (id {kind} PRIMARY KEY, run_id text)",
            f"INSERT INTO offers (id) VALUES ('{first}'), ('{second}')",
        )
        run = runs.make(f"run_{kind}", [second])
        stamped = product.stamp(run, database=postgres.url("table=offers"))
        assert (stamped.rows, stamped.missing) == (1, 0), kind
        assert sorted(map(str, stamps(postgres).values())) == ["None", run]
        with pytest.raises(errors.InvalidData) as refused:
            product.stamp(
                runs.make(f"run_{kind}_odd", ["nothing of the kind"]), database=postgres.url("table=offers")
            )
        assert "nothing of the kind" in str(refused.value)


def test_a_sqlite_table_without_types_is_stamped(sqlite: Any, runs: Any) -> None:
    sqlite.do("CREATE TABLE offers (id, run_id)", "INSERT INTO offers (id) VALUES (1), (2)")
    runs.make("run_a", ["1"])
    stamped = product.stamp("run_a", database=sqlite.url("table=offers"), key="id")
    assert (stamped.rows, stamps(sqlite)) == (1, {1: "run_a", 2: None})


@pytest.mark.parametrize(
    "odd", [["T1", "2"], ["007", "2"], ["1.0", "2"], ["9" * 40, "2"], ["١", "2"], ["", "2"]]
)
def test_ids_that_are_no_keys_are_named_and_nothing_is_written(
    database: Any, runs: Any, corrida: Any, odd: list[str]
) -> None:
    database.offers(3)
    if odd == ["", "2"]:
        odd = [" ", "2"]
    runs.make("run_a", odd)
    sentence = corrida.refuses("stamp", "run_a", "--database", database.url("table=offers"))
    assert "1 of 2 item ids are no values of the key id of offers (INTEGER)" in sentence
    assert odd[0][:10] in sentence
    assert set(stamps(database).values()) == {None}


def test_a_key_that_is_not_unique_is_warned_of(database: Any, runs: Any, corrida: Any) -> None:
    database.do(
        "CREATE TABLE offers (id integer, run_id text)",
        "INSERT INTO offers (id) VALUES (1), (1), (2), (NULL), (NULL)",
    )
    runs.make("run_a", ["1", "2"])
    sentence = corrida.refuses("stamp", "run_a", "--database", database.url("table=offers"))
    assert "no primary key" in sentence
    assert "--key" in sentence
    said = corrida("stamp", "run_a", "--database", database.url("table=offers"), "--key", "id")
    assert "3 rows for 2 items: id is not unique" in said.out
    assert database.rows("SELECT count(*) FROM offers WHERE id IS NULL AND run_id IS NULL") == [(2,)]


def test_names_of_any_language_and_case(database: Any, runs: Any, corrida: Any) -> None:
    table, key, column = 'Ofertas de "José"', "職 ID", "50% :run"
    quoted = [name.replace('"', '""') for name in (table, key, column)]
    database.do(
        f'CREATE TABLE "{quoted[0]}" ("{quoted[1]}" text PRIMARY KEY, "{quoted[2]}" text)',
        f"INSERT INTO \"{quoted[0]}\" (\"{quoted[1]}\") VALUES ('José'), ('職')",
    )
    runs.make("run_a", ["職"])
    given = ["--database", database.url(), "--table", f'"{quoted[0]}"', "--column", column]
    said = corrida("stamp", "run_a", *given)
    assert "1 row of Ofertas" in said.out
    found = database.rows(f'SELECT "{quoted[1]}", "{quoted[2]}" FROM "{quoted[0]}" ORDER BY 1')
    assert found == [("José", None), ("職", "run_a")]
    added = corrida("stamp", "run_a", *given[:-1], "Läufe 2%", "--add-column", "--json").json
    assert added["column_added"]


def test_a_table_of_another_schema(postgres: Any, runs: Any) -> None:
    postgres.do(
        'CREATE SCHEMA "Data"',
        'CREATE TABLE "Data".offers (id integer PRIMARY KEY, run_id text)',
        'INSERT INTO "Data".offers (id) VALUES (1)',
    )
    runs.make("run_a", ["1"])
    with pytest.raises(errors.InvalidData, match=r"no table offers .* did you mean Data\.offers"):
        product.stamp("run_a", database=postgres.url("table=offers"))
    assert product.stamp("run_a", database=postgres.url("table=Data.offers")).rows == 1


def test_a_run_that_has_not_finished_or_has_no_items_is_refused(
    database: Any, runs: Any, corrida: Any
) -> None:
    database.offers(1)
    url = database.url("table=offers")
    assert "has no items" in corrida.refuses("stamp", runs.make("run_a", []), "--database", url, code=1)
    with contextlib.suppress(ZeroDivisionError), product.start_run(run_id="run_b", capture=False) as run:
        run.log_items([{"item_id": "1"}])
        assert "run_b is running" in corrida.refuses("stamp", "run_b", "--database", url, code=1)
        raise ZeroDivisionError
    assert "run_b is failed" in corrida.refuses("stamp", "run_b", "--database", url, code=1)
    assert "no run 'run_c'" in corrida.refuses("stamp", "run_c", "--database", url)
    assert stamps(database) == {1: None}


def test_the_run_remembers_the_stamp_without_the_password(postgres: Any, runs: Any, corrida: Any) -> None:
    postgres.offers(2)
    runs.make("run_a", ["1", "2"])
    corrida("stamp", "run_a", "--database", postgres.url("table=offers"))
    line = json.loads(Path("runs/run_a/annotations.jsonl").read_text(encoding="utf-8"))
    assert line["stamp"] == {
        "database": f"postgresql://owner:${{DB_PASSWORD}}@127.0.0.1:{postgres.server.port}/{postgres.name}",
        "table": "offers", "key": "id", "column": "run_id", "rows": 2,
    }  # fmt: skip
    assert postgres.server.password not in json.dumps(line)
    assert "2 rows of offers" in corrida("show", "run_a").out
    corrida("verify", "run_a")


WRITER = """
import sys, time
import corrida
run, url, start = sys.argv[1:]
time.sleep(max(0, float(start) - time.time()))
for _ in range(3):
    corrida.stamp(run, database=url)
"""


@pytest.mark.slow
def test_two_at_once_each_whole_and_the_later_wins(database: Any, runs: Any) -> None:
    database.offers(5_000)
    everything = [str(n) for n in range(1, 5_001)]
    runs.make("run_a", everything)
    runs.make("run_b", everything[::-1])
    start = str(time.time() + 1.5)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, run, database.url("table=offers"), start], stderr=subprocess.PIPE
        )
        for run in ("run_a", "run_b")
    ]
    seen = set()
    while any(process.poll() is None for process in both):
        seen |= {tuple(sorted(r[0] or "" for r in database.rows("SELECT DISTINCT run_id FROM offers")))}
        time.sleep(0.02)
    for process in both:
        _, problem = process.communicate()
        assert process.returncode == 0, problem.decode()
    assert seen <= {("",), ("run_a",), ("run_b",)}  # nobody ever saw a mixture
    assert set(stamps(database).values()) in ({"run_a"}, {"run_b"})


@pytest.mark.slow
def test_two_that_add_the_column_at_once(database: Any, runs: Any) -> None:
    database.offers(200, run_id=None)
    for run in ("run_a", "run_b"):
        runs.make(run, [str(n) for n in range(1, 201)])
    problems: list[BaseException] = []

    def stamp(run: str) -> None:
        try:
            product.stamp(run, database=database.url("table=offers"), add_column=True)
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=stamp, args=(run,)) for run in ("run_a", "run_b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert set(stamps(database).values()) in ({"run_a"}, {"run_b"})


@pytest.mark.slow
def test_killed_midway_no_row_is_changed(database: Any, runs: Any) -> None:
    database.offers(100)
    if database.dialect == "postgresql":
        database.do(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(0.01); RETURN new; END $$",
            "CREATE TRIGGER slow BEFORE UPDATE ON offers FOR EACH ROW EXECUTE FUNCTION slow()",
        )
    else:
        database.do(
            "CREATE TABLE waste (n integer)",
            "CREATE TRIGGER slow AFTER UPDATE ON offers BEGIN INSERT INTO waste WITH RECURSIVE "
            "c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50000) SELECT max(n) FROM c; END",
        )
    runs.make("run_a", [str(n) for n in range(1, 101)])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, "run_a", database.url("table=offers"), "0"], stderr=subprocess.PIPE
    )
    _wait_until_it_writes(database)
    assert process.poll() is None
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while database.dialect == "postgresql" and _writers(database):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert set(stamps(database).values()) == {None}
    assert product.stamp("run_a", database=database.url("table=offers")).rows == 100


def _wait_until_it_writes(database: Any) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if database.dialect == "postgresql":
            if any("UPDATE offers" in query for query in _writers(database)):
                time.sleep(0.3)
                return
        elif database.file.with_name("jobs.db-journal").exists():
            time.sleep(0.3)
            return
        time.sleep(0.01)
    raise AssertionError("it never wrote")


def _writers(database: Any) -> list[str]:
    query = "SELECT query FROM pg_stat_activity WHERE application_name = 'corrida' AND datname = current_database()"
    return [row[0] for row in database.rows(query)]


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds(database: Any, runs: Any) -> None:
    database.offers(100_000)
    runs.make("run_a", [str(n) for n in range(1, 100_001)])
    before = time.monotonic()
    stamped = product.stamp("run_a", database=database.url("table=offers"))
    assert stamped.rows == 100_000
    assert time.monotonic() - before < 20  # about one second; a row a statement would take a minute
    assert database.rows("SELECT DISTINCT run_id FROM offers") == [("run_a",)]


def test_few_ids_of_a_large_table_are_found_by_the_index(postgres: Any, runs: Any) -> None:
    postgres.offers(50_000)
    postgres.do("ANALYZE offers")
    runs.make("run_a", ["7", "49999"])
    with psycopg.connect(**postgres.server.settings(postgres.name)) as connection:
        before = connection.execute(
            "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'offers'"
        ).fetchone()
    assert product.stamp("run_a", database=postgres.url("table=offers")).rows == 2
    with psycopg.connect(**postgres.server.settings(postgres.name)) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        query = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'offers'"
        after = connection.execute(query).fetchone()
    assert before
    assert after
    assert after[0] == before[0]
    assert after[1] > 0
