"""Training: what is learned, from whom, and what is said of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.contract import ConfigFile, Data
from corrida.pipelines.risk import pipeline
from corrida.pipelines.risk.features import NAMES
from corrida.pipelines.risk.guardrails import default_guardrails
from corrida.pipelines.risk.metrics import item_costs
from corrida.pipelines.risk.settings import Split, Thresholds
from corrida.pipelines.risk.split import split
from corrida.pipelines.risk.supervised import calibrate, stacked_probabilities


def test_no_client_that_measures_was_learned_from(trained, transactions):
    items = trained.outcome.items
    assert trained.outcome.cluster == "client"
    assert 0.1 < items["client"].n_unique() / transactions["cliente_id"].n_unique() < 0.4
    rows = transactions.filter(pl.col("cliente_id").is_in(items["client"].unique().to_list()))
    assert items.height == rows.height  # all of their transactions measure


@pytest.mark.parametrize("by", ["client", "time", "both"])
def test_splits_do_not_leak(by):
    draw = np.random.default_rng(1)
    frame = pl.DataFrame(
        {"client": draw.integers(0, 40, 1000).astype(str), "seconds": draw.integers(0, 300, 1000)}
    )
    parts = split(frame, np.ones(1000, dtype=bool), Split(by=by), 1)
    assert not (parts.train & parts.test).any()
    clients = [
        set(frame.filter(part)["client"].to_list()) for part in (parts.train, parts.calibration, parts.test)
    ]
    times = [frame.filter(part)["seconds"] for part in (parts.train, parts.calibration, parts.test)]
    if by != "time":
        assert not clients[0] & clients[2]
        assert not clients[0] & clients[1]
        assert not clients[1] & clients[2]
    if by != "client":
        assert times[0].max() < times[1].min() <= times[1].max() < times[2].min()


def test_metrics_come_from_the_items(trained):
    outcome, items = trained.outcome, trained.outcome.items
    assert outcome.metrics["cost"] == pytest.approx(items["loss"].mean())
    assert outcome.metrics["accuracy"] == pytest.approx((items["output"] == items["expected"]).mean())
    said, so = items["output"] == "inusual", items["expected"] == "inusual"
    assert outcome.metrics["recall.inusual"] == pytest.approx((said & so).sum() / so.sum())
    assert set(outcome.measures) <= set(outcome.metrics)
    assert outcome.metrics["f1_macro"] > 0.6
    assert outcome.metrics["auc_pr.preocupante"] > 0.6


def test_costs_of_mistakes():
    level, truth = np.array([0, 0, 2, 3, 3, 1]), np.array([3, 2, 3, 0, 3, 0])
    assert item_costs(level, truth, Thresholds()).tolist() == [11500, 1500, 10000, 120, 0, 0]


def test_thresholds_are_recorded_with_their_costs_and_convergence(trained):
    tables = trained.recorder.tables
    grid = tables["thresholds.csv"]
    for alarm in ("inusual", "preocupante"):
        own = grid.filter(pl.col("alarm") == alarm)
        assert own.height == 21
        assert own["threshold"].to_list()[::20] == [0.45, 0.65]
        assert own.filter(pl.col("used"))["cost"].to_list() == [own["cost"].min()]
        assert trained.outcome.metrics[f"threshold.{alarm}"] == own.filter(pl.col("used"))["threshold"][0]
    assert any("q.inusual.change" in metrics for _, metrics in trained.recorder.steps)


def test_features_are_documented_and_ranked(trained):
    table = trained.recorder.tables["features.csv"]
    assert table["feature"].to_list() == list(NAMES)
    assert 26 <= table.height <= 28
    assert table["meaning"].str.len_chars().min() > 8


def test_linear_parts_agree_with_scikit_learn(predictor):
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(400, len(NAMES))).astype(np.float32)
    stack = predictor.layers.ensemble.stack
    found = stacked_probabilities(stack, rows)
    assert np.allclose(found, stack.predict_proba(rows), atol=1e-9)
    for few in (1, 2, 63):
        assert (stacked_probabilities(stack, rows[:few]) == found[:few]).all()
        one, other = predictor.layers.anomaly.shares(rows[:few])
        assert (one == predictor.layers.anomaly.shares(rows)[0][:few]).all()
        assert (other == predictor.layers.anomaly.shares(rows)[1][:few]).all()


@pytest.mark.parametrize("kind", ["isotonic", "sigmoid"])
def test_calibration_makes_shares_honest(kind):
    draw = np.random.default_rng(1)
    honest = draw.random(20_000)
    truth = draw.random(20_000) < honest
    shares = honest**3  # far too sure of itself
    found = calibrate(shares, truth, kind)(shares)
    assert found.min() > 0
    assert found.max() < 1
    assert np.abs(found - honest).mean() < (0.02 if kind == "isotonic" else 0.08)


def test_labels_of_three_classes(train, transactions, tmp_path):
    frame = transactions.with_columns(pl.col("clasificacion").replace("limpio", "relevante"))
    found = train(tmp_path, frame)
    assert set(found.outcome.items["output"].unique()) <= {"relevante", "inusual", "preocupante"}
    assert any("no label is limpio" in one for one in found.recorder.warnings)
    scores = pipeline.load(found.models).predict(Data(files=[found.file])).frame
    assert scores["class"].n_unique() == 4
    assert "risk_relevante" not in scores.columns


def test_labels_in_other_words(train, transactions, tmp_path):
    frame = transactions.with_columns(
        pl.col("clasificacion").replace_strict(
            {"limpio": "0", "relevante": "0", "inusual": "1", "preocupante": "1"}
        )
    )
    found = train(tmp_path, frame, **{"reading.labels": {"0": "limpio", "1": "preocupante"}})
    assert set(found.outcome.items["expected"].unique()) == {"limpio", "preocupante"}


def test_without_labels_nothing_is_learned(train, transactions, tmp_path):
    with pytest.raises(InvalidData, match="no column of true classes"):
        train(tmp_path, transactions.drop("clasificacion"))


def test_a_label_that_is_none_is_named(train, transactions, tmp_path):
    frame = transactions.with_columns(pl.lit("gravísimo").alias("clasificacion"))
    with pytest.raises(InvalidData, match="'gravísimo' of row 1 is none of limpio"):
        train(tmp_path, frame)


def test_one_class_teaches_nothing(train, transactions, tmp_path):
    with pytest.raises(InvalidData, match="every label is 'limpio'"):
        train(tmp_path, transactions.with_columns(pl.lit("limpio").alias("clasificacion")))


def test_the_file_of_limits_is_known_by_what_it_holds():
    import msgspec

    law = msgspec.to_builtins(default_guardrails())
    config = pipeline.configure([ConfigFile("guardrails.json", {**law, "version": "mine"})], {})
    assert config.guardrails.version == "mine"
    with pytest.raises(InvalidConfig, match="guardrails"):
        pipeline.configure([ConfigFile("g.json", {"uma": [], "activities": []})], {})
    with pytest.raises(InvalidConfig, match="unknown key 'thresholdz'"):
        pipeline.configure([ConfigFile("a.yaml", {"thresholdz": {}})], {})
    with pytest.raises(InvalidConfig, match="low"):
        pipeline.configure([], {"thresholds.low": 0.9})
