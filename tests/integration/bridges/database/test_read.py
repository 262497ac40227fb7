"""A table as the data of a run: copied into it, so that the run can be repeated when the table has changed."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest

import corrida as product
from corrida import errors

PIPELINE = """
import polars as pl
from corrida import Outcome

def run(data, config, recorder):
    frame = pl.concat([pl.read_parquet(f) if f.suffix == ".parquet" else pl.read_csv(f) for f in data.files], how="diagonal_relaxed")
    items = frame.select(item_id=pl.col("id").cast(pl.String), output="title")
    if config.get("drop"):
        import os, psycopg, sqlite3
        exec(config["drop"])
    return Outcome(metrics={"rows": frame.height}, items=items)
"""


@pytest.fixture
def jobs(project: Path) -> Path:
    (project / "jobs.py").write_text(PIPELINE, encoding="utf-8")
    (project / "corrida.toml").write_text('[pipelines.jobs]\nuses = "jobs:run"\n', encoding="utf-8")
    return project


def everything(folder: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


def test_a_pipeline_reads_a_table_and_the_run_keeps_what_it_read(
    database: Any, jobs: Path, corrida: Any
) -> None:
    database.offers(3)
    run = corrida("run", "jobs", "--data", database.url("table=offers"), "--run-id", "run_a", "--json").json
    assert run["metrics"] == {"rows": 3}
    entry = product.Store("runs").get("run_a").manifest()["data"][0]
    assert entry["file"] == "data/offers.parquet"
    assert (entry["rows"], entry["columns"]) == (3, ["id", "title"])
    kept = pl.read_parquet(jobs / "runs/run_a/data/offers.parquet")
    assert kept["title"].to_list() == ["offer 1", "offer 2", "offer 3"]
    assert kept.schema == {"id": pl.Int64, "title": pl.String}
    database.do("UPDATE offers SET title = 'another' WHERE id = 2")
    database.do("DELETE FROM offers WHERE id = 3")
    corrida("run", "jobs", "--data", database.url("table=offers"), "--run-id", "run_b")
    assert pl.read_parquet(jobs / "runs/run_a/data/offers.parquet").equals(kept)
    corrida("verify", "run_a")
    assert "table=offers has other content: 3 → 2 rows" in corrida("compare", "run_a", "run_b").out


def test_a_stamp_does_not_make_other_data(database: Any, runs: Any) -> None:
    database.offers(2)
    for run in ("run_a", "run_b"):
        runs.make(run, ["1", "2"], data=database.url("table=offers"))
        product.stamp(run)
    a, b = (product.Store().get(run).manifest()["data"][0] for run in ("run_a", "run_b"))
    assert a == b
    with product.start_run(data=database.url("table=offers&columns=id,run_id"), capture=False) as run:
        assert pl.read_parquet(run.data_files[0])["run_id"].to_list() == ["run_b", "run_b"]


def test_equal_rows_give_equal_bytes_whatever_their_order(database: Any, runs: Any) -> None:
    database.do(
        "CREATE TABLE offers (id integer PRIMARY KEY, title text)",
        "INSERT INTO offers VALUES (3, 'c'), (1, 'a'), (2, NULL)",
    )
    runs.make("run_a", ["1"], data=database.url("table=offers"))
    database.do("DELETE FROM offers", "INSERT INTO offers VALUES (2, NULL), (3, 'c'), (1, 'a')")
    runs.make("run_b", ["1"], data=database.url("table=offers"))
    a, b = (product.Store().get(run).manifest()["data"][0] for run in ("run_a", "run_b"))
    assert a == b
    assert pl.read_parquet("runs/run_b/data/offers.parquet")["id"].to_list() == [1, 2, 3]


def test_files_and_tables_keep_their_order(sqlite: Any, project: Path) -> None:
    sqlite.offers(2)
    (project / "a.csv").write_text("id\n1\n", encoding="utf-8")
    (project / "b.csv").write_text("id\n2\n", encoding="utf-8")
    address = sqlite.url("table=offers")
    with product.start_run(run_id="run_a", data=["a.csv", address, "b.csv", address + "&columns=id"]) as run:
        names = [p.relative_to(project).as_posix() for p in run.data_files]
    assert names == ["a.csv", "runs/run_a/data/offers.parquet", "b.csv", "runs/run_a/data/offers-2.parquet"]
    entries = product.Store().get("run_a").manifest()["data"]
    assert [e.get("file", e["path"]) for e in entries] == [
        "a.csv",
        "data/offers.parquet",
        "b.csv",
        "data/offers-2.parquet",
    ]
    assert product.Store().get("run_a").run_file().invocation.data[1] == entries[1]["path"]


def test_the_type_of_each_column_of_postgresql(postgres: Any, project: Path) -> None:
    postgres.do(
        "CREATE TYPE mood AS ENUM ('glad', 'sad')",
        "CREATE TABLE offers (id bigint PRIMARY KEY, ok boolean, part real, amount numeric(10,2), free numeric, day date,"
        " moment timestamptz, local timestamp, code uuid, facts jsonb, words text[], raw bytea, feels mood, span interval)",
        "INSERT INTO offers VALUES (1, true, 0.5, 12.30, 1.5, '2026-01-31', '2026-01-31 12:00+02', '2026-01-31 12:00',"
        " '11111111-2222-3333-4444-555555555555', '{\"a\": 1}', '{x,y}', '\\x00ff', 'sad', '1 day')",
        "INSERT INTO offers (id) VALUES (2)",
    )
    with product.start_run(run_id="run_a", data=postgres.url("table=offers"), capture=False) as run:
        frame = pl.read_parquet(run.data_files[0])
    assert frame.row(0) == (
        1, True, 0.5, Decimal("12.30"), 1.5, dt.date(2026, 1, 31),
        dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC), dt.datetime(2026, 1, 31, 12),  # noqa: DTZ001
        "11111111-2222-3333-4444-555555555555", '{"a": 1}', "{x,y}", b"\x00\xff", "sad", "1 day",
    )  # fmt: skip
    assert frame.row(1) == (2, *[None] * 13)


def test_types_that_nobody_knows_and_dates_beyond_all_calendars(postgres: Any, runs: Any) -> None:
    postgres.do(
        "CREATE TYPE pair AS (a integer, b text)",
        "CREATE TABLE offers (id pair PRIMARY KEY, day date, run_id text)",
        "INSERT INTO offers VALUES (ROW(1, 'x'), '2026-01-31')",
    )
    with product.start_run(run_id="run_a", data=postgres.url("table=offers"), capture=False) as run:
        assert pl.read_parquet(run.data_files[0]).rows() == [("(1,x)", dt.date(2026, 1, 31))]
        run.log_items([{"item_id": "(1,x)"}])
    assert product.stamp("run_a").rows == 1
    postgres.do("UPDATE offers SET day = 'infinity'")
    with pytest.raises(errors.InvalidData, match=r"declines: .*date"):
        runs.make("run_b", ["1"], data=postgres.url("table=offers"))


def test_the_type_of_each_column_of_sqlite(sqlite: Any, project: Path) -> None:
    sqlite.do(
        "CREATE TABLE offers (id INTEGER PRIMARY KEY, ok BOOLEAN, part REAL, amount DECIMAL(10,2), day DATE, raw BLOB, any_)",
        "INSERT INTO offers VALUES (1, 1, 0.5, 12, '31.1.2026', x'00ff', 7), (2, 0, 1, 1.5, 20260131, NULL, 'x')",
    )
    with product.start_run(run_id="run_a", data=sqlite.url("table=offers"), capture=False) as run:
        frame = pl.read_parquet(run.data_files[0])
    assert frame.rows() == [
        (1, True, 0.5, 12.0, "31.1.2026", b"\x00\xff", "7"),
        (2, False, 1.0, 1.5, "20260131", None, "x"),
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("INTEGER", "'abc'"), ("BOOLEAN", "7"), ("REAL", "'1,5'"), ("BLOB", "'text'"), ("TEXT", "x'ff00'")],
)
def test_a_value_that_is_not_what_its_column_says(sqlite: Any, runs: Any, kind: str, value: str) -> None:
    sqlite.do(
        f"CREATE TABLE offers (id INTEGER PRIMARY KEY, odd {kind})",
        f"INSERT INTO offers VALUES (1, NULL), (2, {value})",
    )
    with pytest.raises(errors.InvalidData, match=r"the column odd of offers is .* and holds"):
        product.start_run(run_id="run_a", data=sqlite.url("table=offers"))
    assert not product.Store().runs()
    assert not Path("runs/run_a").exists()


def test_chosen_columns_a_view_and_names_of_any_language(database: Any, runs: Any) -> None:
    database.do(
        'CREATE TABLE "職" ("Id" integer PRIMARY KEY, "Año" integer, secret text)',
        "INSERT INTO \"職\" VALUES (2, 2025, 's'), (1, 2026, 's'), (3, 2026, 's')",
        'CREATE VIEW recent AS SELECT * FROM "職" WHERE "Año" = 2026',
    )
    with product.start_run(
        run_id="run_a", data=database.url("table=職&columns=Año,Id"), capture=False
    ) as run:
        assert pl.read_parquet(run.data_files[0]).rows() == [(2026, 1), (2025, 2), (2026, 3)]
    assert product.Store().get("run_a").manifest()["data"][0]["file"] == "data/職.parquet"
    with pytest.raises(errors.InvalidData, match="recent has no primary key; say with key=COLUMN"):
        runs.make("run_b", ["1"], data=database.url("table=recent"))
    with product.start_run(run_id="run_c", data=database.url("table=recent&key=Año"), capture=False) as run:
        assert pl.read_parquet(run.data_files[0])["Id"].to_list() == [1, 3]
    for parameters, words in [
        ("table=offer", "did you mean|there are"),
        ("table=Recent", "did you mean recent"),
        ("table=職&columns=id", "no column id; did you mean Id"),
        ("table=職&key=nothing", "no column nothing"),
    ]:
        with pytest.raises(errors.InvalidData, match=words):
            runs.make("run_d", ["1"], data=database.url(parameters))
    assert len(product.Store().runs()) == 2


def test_an_empty_table_and_one_without_name(database: Any, runs: Any) -> None:
    database.do("CREATE TABLE offers (id integer PRIMARY KEY)")
    with pytest.raises(errors.InvalidData, match=r"offers in .* has no rows"):
        runs.make("run_a", ["1"], data=database.url("table=offers"))
    with pytest.raises(errors.InvalidData, match=r"names no table; add it"):
        runs.make("run_a", ["1"], data=database.url())
    assert not product.Store().runs()


@pytest.mark.slow
def test_a_table_of_many_chunks(database: Any, runs: Any) -> None:
    database.offers(120_001)
    with product.start_run(run_id="run_a", data=database.url("table=offers"), capture=False) as run:
        frame = pl.read_parquet(run.data_files[0])
    assert frame["id"].to_list() == list(range(1, 120_002))


def test_run_and_stamp_in_one(database: Any, jobs: Path, corrida: Any) -> None:
    database.offers(3, run_id=None)
    asked = ["run", "jobs", "--data", database.url("table=offers"), "--stamp", "--run-id"]
    assert "`--add-column` adds it" in corrida.refuses(*asked, "run_a")
    assert not product.Store().runs()
    said = corrida(*asked, "run_a", "--add-column")
    assert "3 rows of offers" in said.out
    assert database.rows("SELECT DISTINCT run_id FROM offers") == [("run_a",)]
    assert corrida(*asked, "run_b", "--json").json["stamped"]["replaced"] == {"run_a": 3}
    assert corrida("stamp", "run_a", "--json").json["rows"] == 3  # where the run read from
    corrida("run", "jobs", "--data", database.url("table=offers"), "--run-id", "run_c")
    assert database.rows("SELECT DISTINCT run_id FROM offers") == [("run_a",)]
    assert "leave out --no-save" in corrida.refuses(*asked, "run_d", "--no-save")


def test_a_stamp_that_fails_leaves_the_run_finished(database: Any, jobs: Path, corrida: Any) -> None:
    database.offers(3)
    if database.dialect == "sqlite":
        drop = f"sqlite3.connect({str(database.file)!r}).execute('DROP TABLE offers')"
    else:
        settings = database.server.settings(database.name)
        settings.pop("password")
        drop = (
            f"c = psycopg.connect(**{settings}, password=os.environ['DB_PASSWORD']); "
            "c.execute('DROP TABLE offers'); c.commit(); c.close()"
        )
    (jobs / "drop.json").write_text(__import__("json").dumps({"drop": drop}), encoding="utf-8")
    asked = ["--config", "drop.json", "--data", database.url("table=offers"), "--stamp", "--run-id", "run_a"]
    said = corrida("run", "jobs", *asked, code=1)
    assert "run_a  finished" in said.out
    assert "not stamped: there is no table offers" in said.err
    assert "`corrida stamp run_a` repeats the stamp" in said.err
    assert product.Store().get("run_a").status == "finished"
    database.offers(3)
    assert corrida("stamp", "run_a", "--json").json["rows"] == 3


def test_a_command_reads_the_copy_and_its_items_are_stamped(sqlite: Any, project: Path, corrida: Any) -> None:
    sqlite.offers(2)
    script = "import os, shutil; open(os.environ['CORRIDA_RUN_DIR'] + '/items.csv', 'w').write('item_id,correct\\n2,true\\n'); "
    script += "print(os.listdir(os.environ['CORRIDA_RUN_DIR'] + '/data'))"
    asked = [
        "exec",
        "--stamp",
        "--data",
        sqlite.url("table=offers"),
        "--run-id",
        "run_a",
        "--",
        sys.executable,
        "-c",
        script,
    ]
    done = corrida.process(*asked)
    assert done.returncode == 0, done.stderr
    assert "['offers.parquet']" in done.stdout
    assert "1 row of offers" in done.stderr
    assert sqlite.rows("SELECT id, run_id FROM offers ORDER BY id") == [(1, None), (2, "run_a")]


def test_a_script_under_exec_copies_its_table_into_the_run_of_its_command(
    sqlite: Any, project: Path, corrida: Any
) -> None:
    sqlite.offers(2)
    (project / "script.py").write_text(
        "import corrida, polars\n"
        f"with corrida.start_run(data={sqlite.url('table=offers')!r}) as run:\n"
        "    print(polars.read_parquet(run.data_files[0]).height, 'rows')\n",
        encoding="utf-8",
    )
    done = corrida.process("exec", "--run-id", "run_a", "--", sys.executable, "script.py")
    assert "2 rows" in done.stdout, done.stderr
    assert product.Store().get("run_a").manifest()["data"][0]["file"] == "data/offers.parquet"
    corrida("verify", "run_a")


def test_what_corrida_toml_says_of_the_database(database: Any, jobs: Path, corrida: Any) -> None:
    database.offers(3)
    (jobs / "ids.csv").write_text("id,title\n1,a\n3,b\n", encoding="utf-8")
    (jobs / "corrida.toml").write_text(
        f'[database]\nurl = "{database.url()}"\ntable = "offers"\nkey = "id"\ncolumn = "run_id"\n'
        '[pipelines.jobs]\nuses = "jobs:run"\ndata = ["ids.csv"]\nstamp = true\n',
        encoding="utf-8",
    )
    corrida("run", "jobs", "--run-id", "run_a")
    assert database.rows("SELECT id, run_id FROM offers ORDER BY id") == [
        (1, "run_a"),
        (2, None),
        (3, "run_a"),
    ]
    corrida("run", "jobs", "--run-id", "run_b", "--no-stamp")
    corrida("run", "jobs", "--no-save")
    assert database.rows("SELECT count(*) FROM offers WHERE run_id = 'run_a'") == [(2,)]
    assert product.stamp("run_b").rows == 2


def test_a_relative_file_is_relative_to_where_it_is_named(
    sqlite: Any, jobs: Path, corrida: Any, monkeypatch: Any
) -> None:
    sqlite.offers(2)
    (jobs / "deep").mkdir()
    sqlite.file.rename(jobs / "deep" / "jobs.db")
    monkeypatch.chdir(jobs / "deep")
    corrida("run", "jobs", "--data", "sqlite:///jobs.db?table=offers", "--run-id", "run_a")
    assert (
        product.Store("../runs").get("run_a").manifest()["data"][0]["path"]
        == "sqlite:///deep/jobs.db?table=offers"
    )
    assert product.stamp("run_a", database="sqlite:///jobs.db", table="offers").rows == 2
    monkeypatch.setenv("CORRIDA_DATABASE_URL", "sqlite:///jobs.db?table=offers")
    assert product.stamp("run_a").unchanged == 2
    monkeypatch.delenv("CORRIDA_DATABASE_URL")
    monkeypatch.chdir(jobs)
    assert product.stamp("run_a").unchanged == 2
    assert str(jobs.parent) not in (jobs / "runs/run_a/run.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_password_reaches_no_file(postgres: Any, jobs: Path, corrida: Any) -> None:
    postgres.offers(2)
    secret = postgres.server.password
    script = jobs.parent / "script.py"
    for number, written in enumerate(["${DB_PASSWORD}", quote(secret, safe="")]):
        url = f"{postgres.address.replace('${DB_PASSWORD}', written)}?table=offers"
        run = f"run_{number}"
        done = corrida("run", "jobs", "--data", url, "--run-id", run, "--stamp", "--add-column")
        again = corrida("stamp", run, "--database", url, "--table", "nothing", code=2)
        script.write_text(
            f"import corrida\nwith corrida.start_run(run_tag='s{number}', data={url!r}): pass\n",
            encoding="utf-8",
        )
        asked = ["exec", "--run-id", f"exec_{number}", "--", sys.executable, script, f"--db={url}"]
        third = corrida.process(*asked)
        assert third.returncode == 0, third.stderr
        said = done.out + done.err + again.out + again.err + third.stdout + third.stderr
        for text in (secret, quote(secret, safe=""), "s3cret"):
            assert text not in said
            assert text.encode() not in everything(jobs / "runs")
    paths = [product.Store().get(run).manifest()["data"][0]["path"] for run in ("run_0", "run_1")]
    assert paths[0].startswith("postgresql://owner:${DB_PASSWORD}@127.0.0.1")
    assert paths[1].startswith("postgresql://owner@127.0.0.1")


def test_without_the_extra_one_sentence_says_what_to_install(sqlite: Any, jobs: Path) -> None:
    sqlite.offers(2)
    code = "import sys; sys.modules['sqlalchemy'] = None; from corrida.cli.main import main; main()"
    for asked in (
        ["run", "jobs", "--data", sqlite.url("table=offers")],
        ["run", "jobs", "--stamp", "--no-save"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *asked], capture_output=True, text=True, check=False
        )
        assert done.returncode in {1, 2}
        assert len(done.stderr.splitlines()) == 1, done.stderr
        if "--data" in asked:
            assert "pip install 'corrida[database]'" in done.stderr


def test_the_command_line_starts_without_sqlalchemy() -> None:
    code = "import sys, corrida.cli.main as m; m.run_cli(['--help']); sys.exit('sqlalchemy' in sys.modules or 'psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
