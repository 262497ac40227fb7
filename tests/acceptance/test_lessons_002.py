"""What went wrong where files of transactions were scored, each as a test that it cannot happen here.

What concerns the queue of files (atomic moves, locks, the time limit, ids that are taken) is tested with the runner.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from corrida.errors import PipelineFailed
from corrida.pipelines.risk import pipeline
from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

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
