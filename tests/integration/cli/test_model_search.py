"""The model search on the command line, on real days: Seattle's weather."""

from __future__ import annotations

import csv
import json
import signal
import time

import polars as pl
import psutil
import pytest


@pytest.fixture
def weather(project):
    from importlib.resources import files

    place = files("vega_datasets") / "_data" / "seattle-weather.csv"
    (project / "weather.csv").write_text(place.read_text(encoding="utf-8"), encoding="utf-8")
    return project


@pytest.fixture
def two_years(weather):
    """Only the last two years, to be quick."""
    lines = (weather / "weather.csv").read_text().splitlines()
    (weather / "weather.csv").write_text("\n".join([lines[0], *lines[-730:]]) + "\n")
    return weather


SEARCH = ("run", "model_search", "--data", "weather.csv", "--set", "target=temp_max", "--seed", "1")
QUICK = (*SEARCH, "--set", "n_iter=3", "--set", "cv=3", "--set", "report=false", "--set", "repeats=1")


def trials(folder):
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()][1:]


def test_search_list_compare_predict_and_promote(weather, corrida):
    said = corrida(*QUICK, "--run-id", "first", "--set", "models=[linear,ridge]").out
    assert "regression of temp_max, tested from 2015-03-15 on" in said
    corrida(*QUICK, "--run-id", "no_low", "--set", "models=[linear,ridge]", "--set", "ignore=[temp_min]")
    runs = {run["id"]: run for run in corrida("list", "--all", "--json").json}
    assert {"first", "first-linear", "first-ridge"} <= set(runs)
    assert runs["first-ridge"]["parent"] == "first"
    assert runs["first-ridge"]["params"]["best_alpha"] > 0
    assert runs["first"]["metrics"]["models_trained"] == 2
    assert (weather / "runs" / "first-ridge" / "ridge_cv_results.csv").exists()
    assert (weather / "runs" / "first-linear" / "linear_search_params.csv").exists()
    assert "best model" in corrida("list").out
    verdict = corrida("compare", "first", "no_low", "--json").json["verdict"]
    assert (verdict["outcome"], verdict["metric"], verdict["clusters"]) == ("worse", "test_loss", 42)
    between = corrida("compare", "first-linear", "first-ridge", "--slices", "month", "--json").json
    assert between["verdict"]["outcome"] in {"tied", "underpowered", "better", "worse"}
    assert corrida("verify").code == 0
    corrida("promote", "first")
    (weather / "new.csv").write_text(
        "weather,date,wind,temp_min,precipitation\nsun,2016-07-01,3,12,0\nsnow,2016-01-01,3,-2,9\n",
        encoding="utf-8",
    )
    corrida("predict", "@production", "--data", "new.csv", "--out", "said.parquet")
    warm, cold = pl.read_parquet("said.parquet")["prediction"].to_list()
    assert warm > 20
    assert cold < 10
    named = corrida("predict", "first", "--data", "new.csv", "--model", "linear", "--json").json
    assert named["run"] == "first-linear"


def test_the_folder_alone_predicts(weather, corrida):
    corrida(*QUICK, "--run-id", "first", "--set", "models=[ridge]")
    (weather / "elsewhere").mkdir()
    (weather / "runs" / "first").rename(weather / "elsewhere" / "first")
    rows = (weather / "weather.csv").read_text().splitlines()
    (weather / "few.csv").write_text("\n".join([rows[0], *rows[-3:]]) + "\n")
    (weather / "weather.csv").unlink()
    got = corrida("predict", "elsewhere/first", "--data", "few.csv", "--out", "said.csv", "--store", "other")
    assert got.code == 0
    with (weather / "said.csv").open(encoding="utf-8") as file:
        assert [row["date"] for row in csv.DictReader(file)] == ["2015-12-29", "2015-12-30", "2015-12-31"]


@pytest.mark.slow
def test_a_killed_search_goes_on_from_its_candidates_and_ends_as_if_nothing_had_been(two_years, corrida):
    asked = (
        *SEARCH,
        "--set",
        "models=[ridge,random_forest]",
        "--set",
        "n_iter=6",
        "--set",
        "cv=3",
        "--set",
        "report=false",
    )
    process = corrida.start(*asked, "--run-id", "killed")
    child = two_years / "runs" / "killed-random_forest"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (child / "trials.jsonl").exists() and len((child / "trials.jsonl").read_bytes().splitlines()) > 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        stream.close()
    before = trials(child)
    assert 2 <= len(before) < 6
    done = corrida("run", "--resume", "killed", "--run-id", "resumed")
    assert "finished" in done.out
    after = {one["number"]: one for one in trials(two_years / "runs" / "resumed-random_forest")}
    assert len(after) == 6
    for one in before:  # taken over, not measured again
        assert after[one["number"]]["folds"] == one["folds"]
    corrida(*asked, "--run-id", "whole")
    runs = {run["id"]: run for run in corrida("list", "--all", "--json").json}
    for name in ("", "-ridge", "-random_forest"):
        one, two = runs[f"resumed{name}"]["metrics"], runs[f"whole{name}"]["metrics"]
        assert {k: v for k, v in one.items() if not k.endswith("_sec")} == {
            k: v for k, v in two.items() if not k.endswith("_sec")
        }
    assert runs["killed"]["status"] == "crashed"
    same = [pl.read_parquet(two_years / "runs" / name / "items.parquet") for name in ("resumed", "whole")]
    assert same[0].equals(same[1])


@pytest.mark.slow
def test_ctrl_c_ends_a_fit_that_hangs_in_a_worker_and_leaves_no_process(two_years, corrida):
    (two_years / "own_hangs.py").write_text(
        "import time, pathlib\nfrom sklearn.linear_model import Ridge\nfrom corrida.model_search import ModelSpec\n"
        "class Hangs(Ridge):\n    def fit(self, X, y):\n        pathlib.Path('hangs').touch()\n        time.sleep(600)\n"
        "hangs = ModelSpec('hangs', Hangs)\n",
        encoding="utf-8",
    )
    process = corrida.start(
        *QUICK, "--run-id", "cut", "--set", "models=[own_hangs:hangs]", "--set", "pickle=true",
        "--executor", "local", "--jobs", "2",
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (two_years / "hangs").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted; cut keeps what was done; go on with: corrida run --resume cut" in said
    assert not psutil.wait_procs(workers, timeout=30)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", [("--executor", "local", "--jobs", "2"), ("--executor", "ray", "--jobs", "2")]
)
def test_other_executors_find_the_same(two_years, corrida, where):
    models = ("--set", "models=[ridge,xgboost]")
    corrida(*QUICK, *models, "--run-id", "serial")
    corrida(*QUICK, *models, "--run-id", "spread", *where)
    same = [pl.read_parquet(two_years / "runs" / name / "items.parquet") for name in ("serial", "spread")]
    assert same[0].equals(same[1])
    compared = corrida("compare", "serial", "spread").out
    assert "tied" in compared


def test_the_same_run_again_is_the_same(weather, corrida):
    corrida(*QUICK, "--run-id", "first", "--set", "models=[ridge]")
    assert "identical" in corrida("rerun", "first").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--set", "target=tempmax"), "Did you mean 'temp_max'?"),
        (("--set", "target=temp_max", "--set", "models=[rigde]"), "Did you mean 'ridge'?"),
        (("--set", "target=temp_max", "--set", "modles=[ridge]"), "Did you mean 'models'?"),
        (
            ("--set", "target=temp_max", "--set", "scoring=accuracy"),
            "there is no metric 'accuracy' for regression",
        ),
        ((), "no target is named"),
    ],
)
def test_wrong_use_leaves_no_run(weather, corrida, arguments, sentence):
    assert sentence in corrida.refuses("run", "model_search", "--data", "weather.csv", *arguments)
    assert corrida("list", "--json").json == []
    assert not [p for p in (weather / "runs").glob("*") if p.is_dir() and p.name[0] != "."]


def test_when_every_model_fails_one_sentence_says_so(weather, corrida):
    (weather / "never_built.py").write_text(  # a name of its own: imported modules stay
        "from corrida.model_search import ModelSpec\nbroken = ModelSpec('broken', lambda: 1 / 0)\n",
        encoding="utf-8",
    )
    sentence = corrida.refuses(*QUICK, "--run-id", "none", "--set", "models=[never_built:broken]", code=1)
    assert sentence.startswith(
        "no model could be fitted; broken: InvalidConfig: the model broken cannot be built"
    )
    assert corrida("show", "none", "--json").json["status"] == "failed"
    assert (weather / "runs" / "none" / "training_report.csv").exists()


def test_rows_that_do_not_fit_are_refused(weather, corrida):
    corrida(*QUICK, "--run-id", "first", "--set", "models=[ridge]")
    (weather / "new.csv").write_text("date,wind,temp_min\n2016-07-01,3,12\n", encoding="utf-8")
    sentence = corrida.refuses("predict", "first", "--data", "new.csv")
    assert "there are no columns 'precipitation', 'weather', from which ridge learnt" in sentence
    assert not (weather / "runs" / "first" / "predictions").exists()


def test_features_that_were_given_in_python_predict_tables_too(weather, corrida):
    from corrida import run_model_search

    frame = pl.read_csv(weather / "weather.csv")
    features = frame.select("temp_min", "wind", "weather")
    got = run_model_search(
        ["ridge"], features[:1200], frame["temp_max"][:1200], features[1200:], frame["temp_max"][1200:],
        n_iter=2, cv=3, random_state=1, target="temp_max", run_id="python",
    )  # fmt: skip
    corrida("predict", "python", "--data", "weather.csv", "--out", "said.parquet")
    said = pl.read_parquet("said.parquet")["prediction"].to_list()
    assert said == got.best.estimator.predict(features).tolist()


@pytest.mark.slow
def test_the_demo_runs_and_its_story_holds(project, corrida):
    said = corrida("demo", "model-search").out
    assert said.count("finished, in runs/run_") == 3
    assert "not enough items: test_loss" in said
    assert "worse: test_loss" in said
    assert "@production is run_first" in said
    assert "31 rows in runs/run_first/predictions/" in said
    assert (project / "runs" / "run_first" / "report.html").exists()
    assert len(list((project / "runs" / "run_first" / "assets").glob("*.png"))) == 5
