"""The forecasting pipeline on the command line, on real series: monthly employment in the United States."""

from __future__ import annotations

import csv

import pytest

SECTORS = ("construction", "government", "utilities")


@pytest.fixture
def jobs(project):
    from importlib.resources import files

    place = files("vega_datasets") / "_data" / "us-employment.csv"
    rows = list(csv.DictReader(place.read_text(encoding="utf-8").splitlines()))
    with (project / "jobs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["unique_id", "ds", "y"])
        writer.writerows([sector, row["month"], row[sector]] for sector in SECTORS for row in rows)
    return project


TRAIN = ("--data", "jobs.csv", "--set", "models=DynamicOptimizedTheta")


def test_train_list_compare_and_predict_from_the_folder(jobs, corrida):
    said = corrida("run", "forecasting", *TRAIN, "--run-id", "experiment_baseline", "--set", "max_steps=500")
    assert "cherry-pick MASE" in said.out
    corrida("train", *TRAIN, "--run-id", "shorter", "--set", "horizon=6")
    listed = corrida("list", "--pipeline", "forecasting")
    assert "models  horizon  steps" in listed.out
    runs = {run["id"]: run for run in corrida("list", "--json").json}
    assert runs["experiment_baseline"]["pipeline"] == runs["shorter"]["pipeline"] == "forecasting"
    assert runs["shorter"]["params"]["horizon"] == 6
    assert runs["experiment_baseline"]["metrics"]["models_trained"] == 2
    compared = corrida("compare", "experiment_baseline", "shorter").out
    assert "horizon: 12 → 6" in compared
    assert corrida("verify", "experiment_baseline").code == 0

    from corrida.pipelines.forecasting import pipeline

    moved = jobs / "elsewhere"
    (jobs / "runs" / "experiment_baseline" / "models").rename(moved)
    (jobs / "jobs.csv").unlink()
    frame = pipeline.load(moved).predict(cherry_pick=True).frame
    assert frame.height == len(SECTORS) * 12
    assert str(frame["ds"][0]).startswith("2016-01-01")


def test_the_same_run_again_is_the_same(jobs, corrida):
    corrida("train", *TRAIN, "--run-id", "first")
    assert "identical: 9 items and " in corrida("rerun", "first").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--set", "models=DynamicTheta"), "did you mean"),
        (("--set", "horizon=100"), "too short for a horizon of 100 steps in 3 windows"),
        (("--set", "freq=1d"), "has no value for 2006-01-02"),
    ],
)
def test_wrong_use_leaves_no_run(jobs, corrida, arguments, sentence):
    assert sentence in corrida.refuses("train", "--data", "jobs.csv", *arguments)
    assert corrida("list", "--json").json == []
    assert not [p for p in (jobs / "runs").glob("*") if p.is_dir() and p.name[0] != "."]
