"""The pipeline as a whole, in memory: what a search reports, and what the models and their report say."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from corrida.errors import BadInput, InvalidConfig
from corrida.pipelines.contract import Data
from corrida.pipelines.model_search import pipeline

from . import tables

QUICK = {"n_iter": 2, "cv": 3, "models": ["ridge", "lasso"], "report": False, "repeats": 2}


@pytest.fixture
def run(tmp_path, recorder):
    def run(frame, item_ids=None, **settings):
        path = tmp_path / "data.csv"
        frame.write_csv(path)
        config = pipeline.configure([], {**QUICK, **settings})
        return pipeline.run(Data([path], item_ids=item_ids, seed=1), config, recorder)

    return run


def children(recorder):
    return {child.params["model"]: child for child in recorder.children}


def test_a_search_keeps_a_child_a_model_and_the_chosen_one(run, recorder):
    outcome = run(tables.weather(), target="high")
    assert set(children(recorder)) == {"ridge", "lasso"}
    best = outcome.findings["best_model"]
    child = children(recorder)[best]
    assert outcome.metrics["models_trained"] == 2
    assert outcome.metrics["models_failed"] == 0
    assert {"val_r2", "test_r2", "test_mae", "test_loss"} <= set(outcome.metrics)
    assert {"train_duration_sec", "refit_sec"} <= set(child.outcome.metrics)
    assert not {"train_duration_sec", "refit_sec"} & set(outcome.metrics)
    assert set(recorder.models) == {best, "predictor"}
    assert set(child.models) == {best, "predictor"}
    assert "best_alpha" in child.params
    assert outcome.items["item_id"].to_list() == [str(i) for i in range(97, 121)]
    assert child.outcome.items.equals(outcome.items)
    assert child.outcome.metrics["test_loss"] == outcome.metrics["test_loss"]
    assert child.outcome.measures["test_loss"] == "mean(loss)"
    assert child.outcome.cluster == outcome.cluster == "block"
    assert {"kind", "date", "block", "residual", "model"} <= set(outcome.items.columns)
    assert set(recorder.tables) == {"training_report.csv", "leaderboard.csv"}
    assert {"importances.csv", f"{best}_cv_results.csv"} <= set(child.tables)
    assert outcome.dataset["split"]["test_from"] == "2024-04-06"
    assert outcome.dataset["models"] == {name: c.run_id for name, c in children(recorder).items()}
    assert not recorder.warnings


def test_the_metrics_come_about_from_the_items(run):
    outcome = run(tables.weather(), target="high")
    y, said = (outcome.items[name].cast(pl.Float64).to_numpy() for name in ("expected", "output"))
    assert outcome.metrics["test_loss"] == pytest.approx(((y - said) ** 2).mean(), rel=1e-4)
    assert outcome.metrics["test_loss"] == pytest.approx(outcome.items["loss"].mean())
    assert outcome.metrics["test_mae"] == pytest.approx(np.abs(y - said).mean(), rel=1e-4)
    assert outcome.items["residual"].to_numpy() == pytest.approx(y - said, abs=1e-5)


def test_models_of_trees_say_themselves_what_they_go_by(run, recorder):
    frame = tables.weather().with_columns(
        pl.when(pl.int_range(pl.len()) % 9 == 0).then(None).otherwise("low").alias("low")
    )
    run(frame, target="high", models=["extra_trees", "ridge"])
    table = children(recorder)["extra_trees"].tables["importances.csv"]
    assert set(table["column"]) == {"date", "low", "kind"}
    assert table["own_share"].sum() == pytest.approx(1)
    assert table.sort("own_share")["column"][-1] == "low"
    assert "own_share" not in children(recorder)["ridge"].tables["importances.csv"].columns


def test_a_search_by_absolute_error_loses_absolute_errors(run):
    outcome = run(tables.weather(), target="high", scoring="neg_mean_absolute_error")
    assert outcome.metrics["test_loss"] == pytest.approx(outcome.metrics["test_mae"])


def test_validation_chooses_and_not_the_test_rows(run, recorder):
    outcome = run(tables.weather(), target="high", models=["ridge", "knn", "linear"])
    report = {row["model"]: row for row in recorder.tables["training_report.csv"].to_dicts()}
    best = max(report, key=lambda name: report[name]["val_r2"])
    assert outcome.findings["best_model"] == best
    board = recorder.tables["leaderboard.csv"].to_dicts()
    assert board[0]["model"] == best
    assert board[0]["state"] == "chosen"
    assert [row["val_r2"] for row in board] == sorted((row["val_r2"] for row in board), reverse=True)
    assert next(row for row in board if row["model"] == "knn")["state"] == "worse"


def test_classes_have_right_and_wrong_answers(run, recorder):
    outcome = run(tables.patients(), target="state", id="code", models=["linear", "naive_bayes"])
    items = outcome.items
    assert items["correct"].to_list() == (items["output"] == items["expected"]).to_list()
    assert items["loss"].to_list() == [0.0 if right else 1.0 for right in items["correct"]]
    assert outcome.metrics["test_loss"] == pytest.approx(1 - outcome.metrics["test_accuracy"])
    assert set(items["item_id"]) <= set(tables.patients()["code"])
    assert outcome.measures["test_accuracy"] == "accuracy"
    assert outcome.cluster is None


def test_a_model_that_fails_is_a_failed_child_and_the_report_still_comes(
    run, recorder, tmp_path, monkeypatch
):
    (tmp_path / "own_models.py").write_text(
        "from corrida.pipelines.model_search.specs import ModelSpec\n"
        "from sklearn.linear_model import Ridge\n\n\n"
        "def build():\n    return Ridge(alpha='heavy')\n\n\n"
        "broken = ModelSpec('broken', build)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    outcome = run(tables.weather(), target="high", models=["ridge", "own_models:broken"], report=True)
    assert outcome.metrics["models_trained"] == 1
    assert outcome.metrics["models_failed"] == 1
    assert children(recorder)["broken"].error is not None
    assert any(text.startswith("broken failed and is left out") for text in recorder.warnings)
    assert recorder.tables["leaderboard.csv"]["state"].to_list() == ["chosen", "failed"]
    assert "broken failed:" in recorder.texts["report.md"]


def test_the_report_has_its_pictures(run, recorder):
    run(tables.weather(), target="high", n_iter=5, report=True)
    assert set(recorder.files) == {
        f"assets/{n}.png" for n in ("leaderboard", "residuals", "importances", "search", "settings")
    }
    assert all(content.startswith(b"\x89PNG") for content in recorder.files.values())
    text = recorder.texts["report.md"]
    assert text.startswith("# Models for high")
    for name in recorder.files:
        assert f"({name})" in text
    assert "split by time: 96 to learn from, 24 to test" in text
    assert recorder.texts["report.html"].startswith("<!doctype html>")


def test_the_report_of_classes_shows_what_is_mixed_up(run, recorder):
    run(tables.patients(), target="state", id="code", models=["linear"], n_iter=5, report=True)
    assert "assets/confusion.png" in recorder.files
    assert "assets/residuals.png" not in recorder.files


def test_a_score_too_good_to_be_true_is_said(run, recorder):
    frame = tables.weather().with_columns(
        fahrenheit=pl.col("high") * 1.8 + 32 + pl.int_range(pl.len()) * 1e-6
    )
    run(frame, target="high", models=["linear"])
    assert any("almost perfect on the test rows" in t and "'fahrenheit'" in t for t in recorder.warnings)


def test_only_the_items_that_are_asked_for_are_reported(run, recorder):
    outcome = run(tables.weather(), item_ids=frozenset({"100", "110", "3"}), target="high")
    assert outcome.items["item_id"].to_list() == ["100", "110"]
    assert outcome.metrics["test_loss"] == pytest.approx(outcome.items["loss"].mean())
    with pytest.raises(BadInput, match="none of the 1 items that are asked for is a test row"):
        run(tables.weather(), item_ids=frozenset({"3"}), target="high")


def test_the_same_seed_gives_the_same_and_text_may_be_in_any_language(run, recorder):
    frame = (
        tables.weather()
        .rename({"kind": "天気", "high": "température"})
        .with_columns(pl.col("天気").replace({"sun": "晴れ", "rain": "雨", "fog": "霧"}))
    )
    first = run(frame, target="température", models=["random_forest"], report=True)
    again = run(frame, target="température", models=["random_forest"])
    assert first.items.equals(again.items)
    assert first.metrics["test_loss"] == again.metrics["test_loss"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"models": ["rigde"]}, "Did you mean 'ridge'?"),
        ({"models": ["naive_bayes"]}, "it is for classification, and the task is regression"),
        ({"scoring": "accuracy"}, "there is no metric 'accuracy' for regression"),
        ({"models": ["nowhere:spec"]}, "'nowhere:spec' cannot be loaded"),
    ],
)
def test_unknown_models_and_metrics_are_refused_before_any_work(run, recorder, settings, sentence):
    with pytest.raises(InvalidConfig) as caught:
        run(tables.weather(), target="high", **settings)
    assert sentence in str(caught.value)
    assert not recorder.children
    assert not recorder.tables
