"""What went wrong in versioned training runs, each as a test that it cannot happen here."""

from __future__ import annotations

import csv
import math
from datetime import date

import polars as pl
import pytest

pytestmark = pytest.mark.disk  # as people have it


@pytest.fixture
def sales(project):
    """Four years of two series; the ids look like numbers."""
    with (project / "sales.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["unique_id", "ds", "y"])
        for series in ("007", "1e3"):
            for i in range(48):
                wave = 10 * math.sin(math.pi * i / 6) + (i * 7919 % 13) / 6.5
                writer.writerow(
                    [series, f"{2016 + i // 12}-{i % 12 + 1:02d}-01", 50 + i * (series == "007") + wave]
                )
    return project


def train(corrida, *more):
    models = () if any("models=" in one for one in more) else ("--set", "models=DynamicOptimizedTheta")
    few = ("--set", "horizon=3", "--set", "n_windows=2", "--set", "report=false")
    return corrida("train", "--data", "sales.csv", *few, *models, *more)


def forecasts(project, corrida, *arguments):
    return pl.read_parquet(project / corrida("predict", *arguments, "--json").json["path"])


def test_plain_predict_works_after_every_training(sales, corrida):
    for run in ("first", "second"):
        train(corrida, "--run-id", run)
        assert corrida("predict").out.startswith(f"{run} predicts: ")
    assert set(forecasts(sales, corrida)["run_id"]) == {"second"}


def test_predict_goes_by_time_and_not_by_name(sales, corrida):
    for run in ("zz_custom", "run_20991231_235959", "Alpha"):
        train(corrida, "--run-id", run)
    assert set(forecasts(sales, corrida)["run_id"]) == {"Alpha"}
    assert set(forecasts(sales, corrida, "latest~2")["run_id"]) == {"zz_custom"}


def test_models_that_failed_are_not_counted(sales, corrida):
    train(corrida, "--run-id", "two", "--set", "models=[AutoETS, LightGBM]", "--set", "boosting.lags=[400]")
    head, row = corrida("list", "--pipeline", "forecasting").out.splitlines()
    assert head.split()[3] == "models"
    assert row.split()[4] == "2"  # SeasonalNaive and AutoETS; LightGBM has no such lag
    assert "LightGBM" not in set(forecasts(sales, corrida, "--cherry-pick")["model"])
    assert "it has SeasonalNaive, AutoETS" in corrida.refuses("predict", "--model", "LightGBM")


def test_a_prediction_starts_where_the_data_of_the_run_end(sales, corrida):
    train(corrida, "--run-id", "whole")
    (sales / "sales.csv").write_text("another,file\n1,2\n", encoding="utf-8")
    frame = forecasts(sales, corrida)
    assert set(frame["cutoff"]) == {date(2019, 12, 1)}  # all the data, and not where the last window began
    assert frame["ds"].unique().sort().to_list() == [date(2020, 1, 1), date(2020, 2, 1), date(2020, 3, 1)]
    assert frame["unique_id"].unique().sort().to_list() == ["007", "1e3"]


def test_cherry_pick_takes_a_model_for_each_series(sales, corrida):
    train(corrida, "--run-id", "picked")
    frame = forecasts(sales, corrida, "--cherry-pick")
    taken = dict(
        pl.read_csv(sales / "runs/picked/cherry_pick.csv", infer_schema=False)
        .select("unique_id", "model")
        .rows()
    )
    assert dict(frame.select("unique_id", "model").unique().rows()) == taken
    assert set(taken) == {"007", "1e3"}


def test_predictions_of_two_experiments_stand_side_by_side(sales, corrida):
    train(corrida, "--run-id", "experiment_baseline")
    train(corrida, "--run-id", "experiment_more_steps", "--set", "max_steps=5000")
    for run in ("experiment_baseline", "experiment_more_steps", "experiment_baseline"):
        corrida("predict", run, "--cherry-pick")
    made = {run: len(list((sales / "runs" / run / "predictions").glob("*.parquet"))) for run in (
        "experiment_baseline", "experiment_more_steps")}  # fmt: skip
    assert made == {"experiment_baseline": 2, "experiment_more_steps": 1}
    assert corrida("verify").code == 0


def test_list_runs_is_installed(toy, corrida):
    corrida("run", "jobs", "--run-id", "a")
    done = corrida.process("list-runs")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[:3] == ["a", "jobs", "finished"]
    assert done.stdout == corrida.process("list").stdout


def test_latest_is_the_last_that_ran_whatever_the_names(toy, corrida):
    for name in ("zz_custom", "run_20991231_235959", "my_experiment_v1", "Alpha"):
        corrida("run", "jobs", "--run-id", name)
    assert corrida("show", "latest", "--json").json["id"] == "Alpha"
    assert corrida("show", "latest~1", "--json").json["id"] == "my_experiment_v1"
    assert [r["id"] for r in corrida("list", "--json").json] == [
        "Alpha",
        "my_experiment_v1",
        "run_20991231_235959",
        "zz_custom",
    ]


def test_latest_passes_over_runs_that_failed(toy, corrida):
    corrida("run", "jobs", "--run-id", "good")
    corrida("exec", "--run-id", "bad", "--", "sh", "-c", "exit 4", code=4)
    assert corrida("show", "latest", "--json").json["id"] == "good"


def test_a_run_id_that_is_taken_is_refused_and_nothing_is_overwritten(toy, corrida):
    corrida("run", "jobs", "--run-id", "experiment_baseline", "--description", "the first")
    before = (toy.root / "runs/experiment_baseline/run.json").read_bytes()
    sentence = corrida.refuses("run", "jobs", "--run-id", "experiment_baseline")
    assert "experiment_baseline" in sentence
    assert "another id" in sentence
    assert (toy.root / "runs/experiment_baseline/run.json").read_bytes() == before
    corrida("rm", "experiment_baseline")
    assert "in the trash" in corrida.refuses("run", "jobs", "--run-id", "experiment_baseline")
    corrida("undo")
    assert (toy.root / "runs/experiment_baseline/run.json").read_bytes() == before


def test_data_and_environment_are_recorded(toy, corrida):
    corrida("run", "jobs")
    run = corrida("show", "--json").json
    data = run["manifest"]["data"][0]
    assert data["path"] == "data/texts.csv"
    assert data["sha256"].startswith("sha256:")
    assert data["size"] == (toy.root / "data/texts.csv").stat().st_size
    assert run["environment"]["python"]
    assert "polars" in run["environment"]["packages"]


def test_item_ids_stay_the_text_that_they_are(toy, corrida):
    toy.texts(["007,a cook,C", "1e3,a baker,B", "null,a waiter,W"])
    corrida("run", "jobs")
    assert [r["item_id"] for r in corrida("items", "--json").json] == ["007", "1e3", "null"]


def test_what_is_counted_is_what_happened(toy, corrida):
    (toy.root / "half.py").write_text(
        "def train(data, config, recorder):\n    recorder.save_text('models/a.txt', 'a')\n    raise RuntimeError('b')\n",
        encoding="utf-8",
    )
    corrida("run", "half:train", "--run-id", "half", code=1)
    run = corrida("show", "half", "--json").json
    assert run["status"] == "failed"
    assert run["artifacts"] == ["models/a.txt"]
    assert "there is no latest" in corrida.refuses("show", "latest")
