"""What went wrong where files of transactions were scored, each as a test that it cannot happen here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from corrida.errors import NotFound, PipelineFailed
from corrida.inference.billing import Ledger
from corrida.inference.jobs import ENDED, Job
from corrida.inference.service import opened
from corrida.inference.settings import runner_of
from corrida.inference.spool import Spool
from corrida.pipelines.risk import pipeline
from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions
from corrida.pipelines.risk.settings import Thresholds
from corrida.project import find_project

HEADER = "cliente_id,monto,fecha,tipo_operacion,sector_actividad\n"
QUICK = ["supervised.boosting_rounds=12", "supervised.forest_trees=12", "anomaly.trees=20", "report=false"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with a run, made by the command line as a person makes it."""
    folder = tmp_path_factory.mktemp("payments")
    write_transactions(generate_transactions(4, Shape(clients=110, days=180, schemes=0.4)), folder / "t.csv")
    settings = [argument for one in QUICK for argument in ("--set", one)]
    command = [
        str(Path(sys.executable).with_name("corrida")),
        "run",
        "risk",
        "--data",
        "t.csv",
        "--run-id",
        "a",
        *settings,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def predictor(root):
    return pipeline.load(root / "runs" / "a" / "models")


@pytest.fixture
def score(predictor, tmp_path):
    def scored(*rows):
        (tmp_path / "new.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
        stream = predictor.score(tmp_path / "new.csv")
        return pl.concat(list(stream)), stream.report

    return scored


ROW = "X,4321.5,2025-03-03T12:00:00,{},comercio"


def test_a_category_means_the_same_in_a_file_of_one_row(score):
    kinds = ("efectivo", "tarjeta", "transferencia")
    together, _ = score(*(ROW.format(kind).replace("X", f"X{i}") for i, kind in enumerate(kinds)))
    alone = [score(ROW.format(kind))[0] for kind in kinds]
    said = ["class", "risk_inusual", "risk_preocupante", "isolation", "distance"]
    assert together.select(said).rows() == [one.select(said).row(0) for one in alone]
    assert len({one["distance"][0] for one in alone}) == 3  # the category is not lost


def test_missing_values_are_filled_with_medians_of_training(root, predictor, score):
    about = predictor.layers.alignment
    hour = about.median[about.features.index("hour")]
    assert 0 < hour < 23
    _, report = score("X,100,2025-03-03,tarjeta,comercio", "X,100,2025-03-03T23:00:00,tarjeta,comercio")
    assert report.alignment["filled"]["hour"] == 1


def test_a_quiet_file_accuses_nobody(score):
    rows, _ = score(
        *(f"Q{i},{300 + i},2025-03-{i % 27 + 1:02d}T1{i % 9}:00:00,tarjeta,comercio" for i in range(60))
    )
    assert rows["class"].to_list() == ["limpio"] * 60
    assert rows["isolation"].max() < 1  # the most unusual of a file is not the most unusual there is


def test_a_date_without_a_time_gives_no_hour_and_no_night(score):
    _, dated = score("X,100,2025-03-03,tarjeta,comercio")
    _, timed = score("X,100,2025-03-03T00:00:00,tarjeta,comercio")
    assert {"hour", "night"} <= set(dated.alignment["filled"])
    assert not {"hour", "night"} & set(timed.alignment["filled"])


def test_the_sector_of_the_user_is_kept(score):
    rows, report = score(
        "X,950000,2025-03-03,transferencia,inmobiliaria", "X,950000,2025-03-03,transferencia,random"
    )
    assert "inmuebles" in rows["reasons"][0]
    assert report.alignment["unseen"]["sector"]["most"] == {"random": 1}
    assert "inmuebles" not in rows["reasons"][1]


def test_the_learned_thresholds_are_used(root, predictor, score):
    metrics = json.loads((root / "runs/a/metrics.json").read_text())
    metrics = metrics.get("metrics", metrics)
    policy = predictor.layers.policy
    assert policy.inusual == metrics["threshold.inusual"]
    assert policy.preocupante == metrics["threshold.preocupante"]
    items = pl.read_parquet(root / "runs/a/items.parquet")
    by_model = items.filter(pl.col("decided_by") == "supervised")
    assert by_model.height > 10
    for row in by_model.iter_rows(named=True):
        level = (
            "preocupante"
            if row["risk_preocupante"] >= policy.preocupante
            else "inusual"
            if row["risk_inusual"] >= policy.inusual
            else "relevante"
        )
        assert row["class"] == level
    table = pl.read_csv(root / "runs/a/thresholds.csv")
    assert table.group_by("alarm").len()["len"].to_list() == [21, 21]


def test_all_four_classes_occur(root, predictor):
    scores = pl.concat(list(predictor.score(root / "t.csv")))
    assert set(scores["class"].unique()) == {"limpio", "relevante", "inusual", "preocupante"}
    assert scores["reasons"].null_count() == 0


def test_the_result_holds_every_row_and_not_the_first_hundred(score):
    given = [f"C{i},{'x' if i % 50 == 7 else i + 1},2025-03-03,tarjeta,comercio" for i in range(2_345)]
    rows, report = score(*given)
    assert rows["row"].to_list() == list(range(1, 2_346))
    bad = rows.filter(pl.col("problem").is_not_null())
    assert bad["row"].to_list() == [i + 1 for i in range(2_345) if i % 50 == 7]
    assert report.not_scored == {"the amount is no number that can be used": bad.height}


def test_an_error_of_a_model_is_an_error_and_never_a_class(predictor, score, monkeypatch):
    last = predictor.layers.ensemble.stack.final_estimator_
    monkeypatch.setattr(last, "coef_", last.coef_ * float("nan"))
    with pytest.raises(PipelineFailed, match="not classified"):
        score(ROW.format("tarjeta"))


def test_limits_go_by_the_year_and_stand_in_a_dated_file(root, score):
    law = json.loads((root / "runs/a/models/predictor/predictor.json").read_text())["guardrails"]
    assert {one["value"] for one in law["uma"]} >= {103.74, 108.57, 113.14, 117.31}
    assert all(one["from"] and one["to"] and one["source"] for one in law["uma"])
    amount = 8025 * 113.14 + 1  # notice for real estate in 2025, and not any more in 2026
    rows, _ = score(
        f"A,{amount},2025-06-01,transferencia,inmobiliaria",
        f"B,{amount},2026-06-01,transferencia,inmobiliaria",
        f"C,{3210 * 113.14 + 1},2025-06-01,efectivo,automotriz",
        "D,100000,2025-06-01,transferencia,joyeria",
        "D,100000,2025-07-01,transferencia,joyeria",
        "E,5000,2035-06-01,transferencia,inmobiliaria",
    )
    said = rows["reasons"].to_list()
    assert "reaches the limit of notice for inmuebles, 907,948.50" in said[0]
    assert "limit of notice" not in said[1]
    assert "reaches the limit of cash for vehículos" in said[2]
    assert "has moved 200,000.00 for metales, piedras, joyas y relojes in 180 days" in said[4]
    assert [rows["class"][i] for i in (0, 2, 4)] == ["preocupante"] * 3
    assert "no limits are known for this day" in said[5]


COMMAND = [sys.executable, "-c", "from corrida.cli.main import main; main()"]


@pytest.fixture
def counter(root, tmp_path):
    """The project with its run in production, and a spool of the test's own."""
    subprocess.run([*COMMAND, "promote", "a"], cwd=root, check=True, capture_output=True)

    def run(*arguments):
        where = ["--spool", str(tmp_path / "spool")]
        return subprocess.run(
            [*COMMAND, *arguments, *where], cwd=root, capture_output=True, text=True, check=False
        )

    workers = []

    def work(*arguments):
        with (tmp_path / f"worker{len(workers)}.log").open("wb") as log:
            command = [*COMMAND, "worker", "--spool", str(tmp_path / "spool"), *arguments]
            workers.append(subprocess.Popen(command, cwd=root, stdout=log, stderr=log))

    def ended(*ids):
        """Wait until analyses have ended, and those that succeeded are charged; return them and what was charged."""
        end = time.monotonic() + 90

        def gone_through(service, one):
            try:
                job = service.jobs.get(one)
            except NotFound:  # nobody has picked the file up yet
                return False
            return job.status in ENDED and (job.charged is not None or job.status != "processed")

        with opened(runner_of(find_project(root), spool=str(tmp_path / "spool"))) as service:
            while not all(gone_through(service, one) for one in ids):
                assert time.monotonic() < end, [path.read_text()[-2000:] for path in tmp_path.glob("*.log")]
                time.sleep(0.05)
            charged = [entry.analysis for entry in Ledger(service.database).entries()]
            return [service.jobs.get(one) for one in ids], charged

    run.work, run.ended, run.spool = work, ended, tmp_path / "spool"
    yield run
    for worker in workers:
        worker.terminate()
    for worker in workers:
        assert worker.wait(60) == 0


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_two_workers_score_each_file_once_and_leave_no_half_of_one(counter, tmp_path):
    ids = [f"f{number}" for number in range(12)]
    counter.ended()  # lays the spool out
    for number, one in enumerate(ids):
        file = tmp_path / f"{one}.csv"
        file.write_text(HEADER + f"C,{number + 1},2025-03-03,tarjeta,comercio\n")
        os.utime(file, (1, 1))
        file.rename(counter.spool / "pending" / file.name)
    counter.work("--slots", "2")
    counter.work("--slots", "2")
    jobs, charged = counter.ended(*ids)
    assert [(job.status, job.claims) for job in jobs] == [("processed", 1)] * 12
    assert sorted(charged) == sorted(ids)
    assert names(counter.spool / "pending") == []
    assert names(counter.spool / "processed") == sorted(
        f"{one}{end}" for one in ids for end in (".csv", ".json", ".parquet")
    )
    for number, one in enumerate(ids):
        result = json.loads((counter.spool / "processed" / f"{one}.json").read_text())
        assert [row["amount"] for row in result["rows"]] == [number + 1]


@pytest.mark.slow
def test_a_file_that_takes_too_long_does_not_stay_in_pending(counter, root, tmp_path):
    body = (root / "t.csv").read_text().partition("\n")
    rows = body[2] * (300_000 // body[2].count("\n"))
    (tmp_path / "long.csv").write_text(f"{body[0]}\n{rows}")
    assert counter("submit", str(tmp_path / "long.csv"), "--id", "long").returncode == 0
    settings = root / "corrida.toml"
    settings.write_text("[serve]\ntime_limit = 0.3\n")
    try:
        counter.work()
        (job,), charged = counter.ended("long")
    finally:
        settings.unlink()
    assert (job.status, job.code, charged) == ("failed", "time_limit", [])
    assert names(counter.spool / "pending") == names(counter.spool / "processed") == []
    assert names(counter.spool / "failed") == ["long.csv", "long_error.json"]


def test_the_error_stands_there_before_the_file_leaves_pending(tmp_path):
    spool = Spool(tmp_path / "spool")
    (spool.pending / "may.csv").write_text(HEADER)
    job = Job(
        id="may", spool=spool.id, status="running", alias="production", file="may.csv", suffix=".csv", size=len(HEADER),
        sha256="", source="drop", created=0.0, outcome="failed", winner="w", code="invalid_file", message="no rows",
    )  # fmt: skip
    (spool.failed / "may_error.json").mkdir()  # the error cannot be written
    with pytest.raises(OSError, match="directory"):
        spool.publish(job)
    assert (names(spool.pending), names(spool.failed)) == (["may.csv"], ["may_error.json"])
    (spool.failed / "may_error.json").rmdir()
    for _ in range(2):  # and it may be done twice
        spool.publish(job)
        assert (names(spool.pending), names(spool.failed)) == ([], ["may.csv", "may_error.json"])
    said = json.loads((spool.failed / "may_error.json").read_text())
    assert said["error"] == {"code": "invalid_file", "message": "no rows"}


@pytest.mark.slow
def test_the_same_id_overwrites_nothing(counter, tmp_path):
    file = tmp_path / "may.csv"
    file.write_text(HEADER + "C,1,2025-03-03,tarjeta,comercio\n")
    first = file.read_bytes()
    for _ in range(2):  # the same file is the same analysis
        assert counter("submit", str(file), "--id", "may").returncode == 0
    file.write_text(HEADER + "C,2,2025-03-03,tarjeta,comercio\n")
    again = counter("submit", str(file), "--id", "may")
    assert again.returncode == 2
    assert again.stderr.startswith("corrida: the analysis may exists with another file (may.csv, ")
    assert names(counter.spool / "pending") == ["may.csv"]
    assert (counter.spool / "pending" / "may.csv").read_bytes() == first
    assert names(counter.spool / ".corrida" / "incoming") == []


def test_the_costs_and_the_grid_are_the_ones_that_thresholds_are_learned_on():
    learned = Thresholds()
    assert (learned.low, learned.high, learned.points) == (0.45, 0.65, 21)
    assert (learned.preocupante.missed, learned.preocupante.false_alarm) == (10_000, 100)
    assert (learned.inusual.missed, learned.inusual.false_alarm) == (1_500, 20)
