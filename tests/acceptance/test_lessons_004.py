"""What went wrong in searches over models, each as a test that it cannot happen here."""

from __future__ import annotations

import csv
import json

import numpy as np
import polars as pl
import pytest

pytestmark = pytest.mark.disk  # as people have it


@pytest.fixture
def table(project):
    """Ten-minute readings that wander: the neighbour in time says nearly all, the past little."""
    random = np.random.default_rng(8)
    rows = 600
    level = np.cumsum(random.normal(0, 1, rows))
    noise = random.normal(0, 1, rows)
    frame = pl.DataFrame(
        {
            "time": pl.datetime_range(pl.datetime(2024, 3, 1), pl.datetime(2024, 3, 5, 3, 50), "10m", eager=True).dt.to_string("%Y-%m-%d %H:%M:%S"),
            "clock": np.arange(rows),
            "noise": noise,
            "load": level + 0.2 * noise,
        }
    )  # fmt: skip
    frame.write_csv(project / "readings.csv")
    return project


QUICK = ("--data", "readings.csv", "--set", "target=load", "--set", "n_iter=2", "--set", "cv=3", "--set", "report=false", "--seed", "1")  # fmt: skip


@pytest.fixture
def rows():
    random = np.random.default_rng(3)
    x = pl.DataFrame({"a": random.normal(size=80), "b": random.normal(size=80)})
    y = 3 * x["a"].to_numpy() + random.normal(size=80)
    return x[:60], y[:60], x[60:], y[60:]


def test_dated_rows_are_not_shuffled_and_leakage_is_not_a_score(table, corrida):
    corrida(
        "run",
        "model_search",
        *QUICK,
        "--set",
        "models=[knn]",
        "--set",
        "features=[clock]",
        "--run-id",
        "honest",
    )
    said = corrida(
        "run",
        "model_search",
        *QUICK,
        "--set",
        "models=[knn]",
        "--set",
        "features=[clock]",
        "--set",
        "split=random",
        "--run-id",
        "leaky",
    ).out
    assert "scores are likely too good" in " ".join(said.split())
    runs = {run["id"]: run for run in corrida("list", "--json").json}
    # Shuffled, the neighbours of each test row are in training, and the score is of remembering.
    assert runs["leaky"]["metrics"]["test_r2"] > 0.9
    assert runs["honest"]["metrics"]["test_r2"] < 0.5
    split = json.loads((table / "runs" / "honest" / "manifest.json").read_text())["dataset"]["split"]
    assert split["by"] == "time"
    assert split["train_until"] < split["test_from"]


def test_the_callback_fires_after_the_model_is_saved_each_time(project, rows):
    from corrida import run_model_search
    from corrida.model_search import SearchCallback, load_fitted

    seen = []

    class Look(SearchCallback):
        def on_model_fitted(self, spec, estimator, metrics, extras):
            saved = load_fitted(extras["model_path"])
            assert np.array_equal(saved.predict(rows[2]), estimator.predict(rows[2]))
            seen.append((spec.name, extras["run_id"]))

    for name in ("first", "second"):
        results = run_model_search(
            ["linear", "ridge"], *rows, n_iter=2, cv=3, random_state=1, run_id=name, callbacks=[Look()]
        )
        assert not results.callback_errors
    assert seen == [(m, f"{run}-{m}") for run in ("first", "second") for m in ("linear", "ridge")]


def test_errors_of_a_callback_are_kept_and_said_and_end_nothing(project, rows, corrida):
    from corrida import run_model_search

    def broken(spec, estimator, metrics, extras):
        raise RuntimeError("the tracker is away")

    results = run_model_search(
        ["linear", "ridge"], *rows, n_iter=2, cv=3, random_state=1, run_id="kept", callbacks=[broken]
    )
    assert len(results.fitted) == 2
    assert results.callback_errors[0].count == 2
    assert "the tracker is away" in " ".join(corrida("show", "kept").out.split())
    assert (project / "runs" / "kept" / results.callback_errors[0].file).exists()


def test_one_failing_model_does_not_lose_the_report_of_the_others(table, corrida):
    (table / "own_falls.py").write_text(
        "from sklearn.linear_model import Ridge\n"
        "from corrida.model_search import ModelSpec\n\n\n"
        "class Falls(Ridge):\n"
        "    def fit(self, X, y):\n"
        "        raise MemoryError('too large')\n\n\n"
        "falls = ModelSpec('falls', Falls)\n",
        encoding="utf-8",
    )
    said = corrida(
        "run", "model_search", *QUICK, "--set", "models=[ridge,own_falls:falls,linear]", "--run-id", "mixed"
    ).out
    assert "falls failed and is left out" in " ".join(said.split())
    with (table / "runs" / "mixed" / "training_report.csv").open(encoding="utf-8") as file:
        report = {row["model"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in report.items()} == {
        "ridge": "fitted",
        "linear": "fitted",
        "falls": "failed",
    }
    runs = {run["id"]: run for run in corrida("list", "--all", "--json").json}
    assert runs["mixed"]["status"] == runs["mixed-linear"]["status"] == "finished"
    assert runs["mixed-falls"]["status"] == "failed"
    assert (runs["mixed"]["metrics"]["models_trained"], runs["mixed"]["metrics"]["models_failed"]) == (2, 1)


SLOW = """
import time

from sklearn.linear_model import Ridge


class SlowOnAll(Ridge):
    def fit(self, X, y):
        if len(y) == 60:
            time.sleep(0.5)
        return super().fit(X, y)
"""


def test_the_refit_is_timed_apart(project, rows, monkeypatch):
    import importlib

    from corrida import run_model_search
    from corrida.model_search import ModelSpec

    (project / "slow_on_all.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.syspath_prepend(project)
    slow = importlib.import_module("slow_on_all").SlowOnAll
    spec = ModelSpec("slow", slow, space={"alpha": [0.1, 1.0]})
    metrics = run_model_search([spec], *rows, n_iter=2, cv=3, random_state=1, pickle=True, run_id="slow")[
        "slow"
    ].metrics
    trials = [
        json.loads(line)
        for line in (project / "runs" / "slow-slow" / "trials.jsonl").read_text().splitlines()[1:]
    ]
    fits = [fold["fit_sec"] for trial in trials for fold in trial["folds"]]
    assert metrics["refit_sec"] >= 0.5  # only the refit is given all 60 rows
    assert min(fits) < 0.5
    assert metrics["train_duration_sec"] >= sum(fits)


def test_metrics_that_are_not_defined_are_absent_and_nothing_is_lost(project, corrida):
    frame = tuple(
        {"day": f"2024-01-{day:02d}", "x": day % 7, "kind": "b" if day > 28 else "ac"[day % 2]}
        for day in range(1, 32)
    )
    with (project / "days.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["day", "x", "kind"])
        writer.writeheader()
        writer.writerows(frame)
    corrida("run", "model_search", "--data", "days.csv", "--set", "target=kind", "--set", "models=[naive_bayes]", "--set", "cv=2", "--set", "test_size=0.1", "--set", "n_iter=2", "--run-id", "days")  # fmt: skip
    metrics = json.loads((project / "runs" / "days" / "metrics.json").read_text())
    assert "test_log_loss" not in metrics  # of a class that training never saw there is no probability
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert metrics["test_accuracy"] == 0
