"""Forecasts by run on the command line: newer data, series in any script, other machines, and what cannot be used."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import pickle
import shutil
from datetime import date

import polars as pl
import pytest

NAMES = ("café", "東京", "Zürich-007")


def months(count, year=2015):
    return [f"{year + i // 12}-{i % 12 + 1:02d}-01" for i in range(count)]


def value(i, series=0):
    return 100 + series * 10 + i + 10 * math.sin(math.pi * i / 6) + (i * 7919 % 13) / 6.5


def write(path, rows, header=("unique_id", "ds", "y")):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs of 60 months of three series: one of two models, and one whose model looks at a column of its own."""
    import os

    from corrida.cli.main import run_cli

    root = tmp_path_factory.mktemp("trained")
    rows = [[name, day, value(i, k)] for k, name in enumerate(NAMES) for i, day in enumerate(months(60))]
    write(root / "sales.csv", rows)
    write(
        root / "promo.csv", [[*row, i % 2] for i, row in enumerate(rows)], ("unique_id", "ds", "y", "promo")
    )
    before = os.getcwd()
    os.chdir(root)
    try:
        common = ("--set", "n_windows=2", "--set", "horizon=6", "--set", "report=false")
        models = "models=[DynamicOptimizedTheta, LightGBM]"
        assert run_cli(["train", "--data", "sales.csv", "--run-id", "base", "--set", models, *common]) == 0
        promo = ("--run-id", "promo", "--set", "models=LightGBM")
        assert run_cli(["train", "--data", "promo.csv", *promo, *common]) == 0
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def sales(trained, project):
    shutil.copytree(trained / "runs", project / "runs")
    for name in ("sales.csv", "promo.csv"):
        shutil.copy(trained / name, project / name)
    return project


def table(project, said):
    return pl.read_parquet(project / said["path"])


def test_each_row_says_who_forecast_it_and_from_when(sales, corrida):
    said = corrida(
        "predict", "base", "--cherry-pick", "--series", "東京", "café", "--horizon", "3", "--json"
    ).json
    frame = table(sales, said)
    assert frame.columns == [
        "unique_id", "ds", "forecast", "lower_80", "upper_80", "model", "cutoff", "run_id", "prediction_id",
    ]  # fmt: skip
    assert frame["unique_id"].to_list() == ["café"] * 3 + ["東京"] * 3
    assert set(frame["cutoff"]) == {date(2019, 12, 1)}
    assert set(frame["run_id"]) == {"base"}
    assert set(frame["prediction_id"]) == {said["id"]}
    assert frame["ds"].to_list()[:3] == [date(2020, 1, 1), date(2020, 2, 1), date(2020, 3, 1)]
    assert said["options"] == {"cherry_pick": True, "series": ["東京", "café"], "horizon": 3}
    repeated = corrida("predict", "base", "--series", "東京", "--series", "Zürich-007", "--json").json
    assert set(table(sales, repeated)["unique_id"]) == {"東京", "Zürich-007"}
    as_csv = corrida("predict", "base", "--format", "csv", "--json").json
    assert "東京,2020-01-01," in (sales / as_csv["path"]).read_text(encoding="utf-8")
    assert corrida("verify", "base").code == 0


def test_newer_data_are_continued_and_recorded(sales, corrida):
    newer = [["東京", day, value(60 + i, 1)] for i, day in enumerate(months(3, 2020))]
    write(sales / "newer.csv", newer)
    said = corrida("predict", "base", "--data", "newer.csv", "--model", "SeasonalNaive", "--json").json
    frame = table(sales, said)
    assert set(frame["unique_id"]) == {"東京"}
    assert set(frame["cutoff"]) == {date(2020, 3, 1)}
    assert frame["forecast"].to_list() == pytest.approx([value(51 + i, 1) for i in range(6)])
    assert [(d["path"], d["rows"]) for d in said["data"]] == [("newer.csv", 3)]


def test_errors_of_what_happened_since_are_kept_beside_the_prediction(sales, corrida):
    rows = [["東京", day, value(60 + i, 1)] for i, day in enumerate(months(6, 2020))]
    write(sales / "newer.csv", rows)
    said = corrida("predict", "base", "--data", "newer.csv", "--score", "--json").json
    errors = pl.read_csv(sales / "runs/base/predictions" / said["errors"]["file"])
    assert errors.columns == pl.read_csv(sales / "runs/base/metrics.csv").columns
    assert (said["errors"]["rows"], errors.height) == (3, 3)
    assert table(sales, said)["y"].to_list() == pytest.approx([row[2] for row in rows])
    assert corrida("verify", "base").code == 0
    shown = corrida("predict", "base", "--data", "newer.csv", "--score").out
    assert "Forecasts from the end of the training, and what happened" in shown
    assert f"{'LightGBM':23}" in shown
    path = sales / "runs/base/predictions" / said["errors"]["file"]
    path.write_text(path.read_text().replace("LightGBM", "NiceGBM."))
    assert f"predictions/{path.name}" in corrida("verify", "base", code=1).out


def test_a_bisection_of_forecasts_goes_by_their_errors(sales, corrida):
    common = ("--set", "models=SeasonalNaive", "--set", "report=false")
    corrida("train", "--data", "sales.csv", "--run-id", "good", *common)
    more = ("--set", "season_length=1", "--set", "levels=[90]", "--set", "intervals=conformal")
    corrida("train", "--data", "sales.csv", "--run-id", "bad", *common, *more)
    found = corrida("bisect", "good", "bad", "--json").json
    assert [blame["causes"] for blame in found["blames"]] == [[["--set season_length not set → 1"]]]
    assert found["metric"]["name"] == "cherry_pick.mase"
    by_item = corrida("bisect", "good", "bad", "--item", "東京@2017-12-01", "--json").json
    assert by_item["blames"][0]["items"] == ["東京@2017-12-01"]
    assert by_item["blames"][0]["causes"] == [["--set season_length not set → 1"]]


def test_unseen_series_go_to_a_global_model_and_it_is_said(sales, corrida):
    write(sales / "other.csv", [["नया", day, value(i, 5)] for i, day in enumerate(months(60))])
    said = corrida("predict", "base", "--data", "other.csv", "--json").json
    assert set(table(sales, said)["model"]) == {"LightGBM"}
    assert "LightGBM forecasts series that the run was not trained on: नया" in said["notes"]
    refused = corrida.refuses("predict", "base", "--data", "other.csv", "--model", "SeasonalNaive")
    assert "the run was not trained on नया; LightGBM could forecast them" in refused


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "LightGMB"], "the run has no model 'LightGMB'"),
        (["--model", "LightGBM", "--cherry-pick"], "give either cherry-pick or a model, not both"),
        (["--series", "cafe"], "there is no series 'cafe'. Did you mean 'café'?"),
        (["--horizon", "0"], "a horizon of 0 steps is none; give 1 to 100,000"),
        (["--set", "horizon=soon"], "the option horizon is 'soon': it must be a whole number, not text"),
        (["--set", "level=80"], "has no option 'level'; it has cherry_pick, model, series, horizon, score"),
        (["--data", "hole.csv"], "between the history of 'café' and the data 2 values are missing"),
        (["--data", "short.csv"], "the series 'new' has 20 values, too few for LightGBM, which needs 36"),
        (["--data", "few.csv"], "the series 'new' has 4 values, too few to forecast from; 13 are needed"),
        (["--data", "text.csv"], "café"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(sales, corrida, arguments, sentence):
    write(sales / "hole.csv", [["café", day, 1.0] for day in months(5, 2020)[2:]])
    write(sales / "few.csv", [["new", day, 1.0] for day in months(4)])
    write(sales / "short.csv", [["new", day, value(i)] for i, day in enumerate(months(20))])
    write(sales / "text.csv", [["café", "2020-01-01", "much"]])
    assert sentence in corrida.refuses("predict", "base", *arguments)
    assert not (sales / "runs/base/predictions").exists()


def test_the_shortest_series_that_a_global_model_can_forecast(sales, corrida):
    for count, code in ((35, 2), (36, 0)):
        write(sales / "new.csv", [["new", day, value(i, 4)] for i, day in enumerate(months(count))])
        said = corrida("predict", "base", "--data", "new.csv", code=code)
    assert "6 rows in runs/base/predictions/" in said.out


def test_exogenous_values_that_the_future_lacks_are_named(sales, corrida):
    sentence = corrida.refuses("predict", "promo", "--model", "LightGBM")
    assert "the series 'Zürich-007' has no values of promo for 2020-01-01" in sentence
    assert "give rows of the future with those columns and an empty value, with --data" in sentence
    future = [[name, day, "", 1] for name in NAMES for day in months(6, 2020)]
    rows = list(csv.reader((sales / "promo.csv").read_text(encoding="utf-8").splitlines()))
    write(sales / "future.csv", [*rows[1:], *future], rows[0])
    said = corrida("predict", "promo", "--model", "LightGBM", "--data", "future.csv", "--json").json
    assert said["rows"] == 18


def test_from_the_run_folder_alone_on_another_machine(sales, corrida, tmp_path, monkeypatch):
    here = corrida("predict", "base", "--cherry-pick", "--json").json
    there = tmp_path / "there"
    shutil.copytree(sales / "runs/base", there / "base")
    shutil.rmtree(there / "base/predictions")
    frame = table(sales, here)
    monkeypatch.chdir(there)
    shutil.rmtree(sales)
    said = corrida("predict", there / "base", "--cherry-pick", "--out", "copy.csv", "--json").json
    assert (
        table(there, {"path": f"base/predictions/{said['file']}"})
        .drop("prediction_id")
        .equals(frame.drop("prediction_id"))
    )
    assert corrida("verify", "--store", there).code == 0


def test_a_model_whose_package_is_absent_says_what_to_install(sales, corrida, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "lightgbm" else find(name, *a)
    )
    sentence = corrida.refuses("predict", "base", "--model", "LightGBM", code=1)
    assert sentence == "LightGBM needs lightgbm: pip install 'corrida[forecasting]'"
    assert corrida("predict", "base", "--model", "SeasonalNaive").code == 0


def test_versions_that_changed_are_said(sales, corrida, monkeypatch):
    import importlib.metadata

    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "99.0" if name == "statsforecast" else version(name)
    )
    notes = corrida("predict", "base", "--json").json["notes"]
    assert any(
        n.startswith("the models were written with statsforecast ") and "99.0 is installed here" in n
        for n in notes
    )


def test_the_list_tells_what_was_trained_and_what_there_is(sales, corrida):
    corrida("predict", "base")
    head, *rows = corrida("list", "--pipeline", "forecasting").out.splitlines()
    assert head.split()[3:8] == ["models", "horizon", "steps", "best", "error"]
    told = {row.split()[0]: row for row in rows}
    assert told["base"].split()[4:7] == ["3", "6", "1000"]  # SeasonalNaive always runs
    assert "config, models, predictions" in told["base"]
    assert "config, models " in told["promo"]
    assert "predictions" not in told["promo"]
    shutil.rmtree(sales / "runs/base/models")
    assert "config, predictions" in corrida("list", "--columns", "id,has").out
    assert corrida("list", "--json").json[-1]["has"] == ["config", "predictions"]
    shown = corrida.terminal(80, "list", "--pipeline", "forecasting")
    assert max(map(len, shown.splitlines())) <= 80
    for word in ("models", "horizon", "steps", "best error", "has"):
        assert word in shown


def old_folder(root):
    """A folder of the old layout: pickles of statsforecast and mlforecast, fitted here."""
    import pandas as pd
    from mlforecast import MLForecast
    from sklearn.linear_model import LinearRegression
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, SeasonalNaive

    frame = pd.DataFrame(
        [(name, day, value(i, k)) for k, name in enumerate(NAMES) for i, day in enumerate(months(60))],
        columns=["unique_id", "ds", "y"],
    )
    frame["ds"] = pd.to_datetime(frame["ds"])
    models = root / "models"
    models.mkdir(parents=True)
    statistical = StatsForecast(models=[AutoETS(season_length=12), SeasonalNaive(12)], freq="MS")
    (models / "statistical.joblib").write_bytes(pickle.dumps(statistical.fit(frame)))
    boosted = MLForecast(models={"linear": LinearRegression()}, freq="MS", lags=[1, 12])
    (models / "linear.pkl").write_bytes(pickle.dumps(boosted.fit(frame)))
    (root / "metrics.csv").write_text("model,mae\nAutoETS,1.5\n", encoding="utf-8")
    (root / "config.yaml").write_text("horizon: 6\nmodels: [AutoETS]\n", encoding="utf-8")


def test_an_adopted_run_predicts_with_consent(project, corrida):
    old_folder(project / "output")
    corrida("adopt", "output")
    sentence = corrida.refuses("predict", "output", code=1)
    assert sentence == (
        "models/linear.pkl and 1 more can run any code when it is read (pickle or joblib); give --trust if you know "
        "who wrote it"
    )
    said = corrida("predict", "output", "--trust", "--series", "東京", "--horizon", "2", "--json").json
    frame = table(project, said)
    assert frame["model"].unique(maintain_order=True).to_list() == ["linear", "AutoETS", "SeasonalNaive"]
    assert frame.filter(model="SeasonalNaive")["forecast"].to_list() == pytest.approx(
        [value(48, 1), value(49, 1)]
    )
    assert frame["ds"].to_list()[:2] == [date(2020, 1, 1), date(2020, 2, 1)]
    assert said["trust"] is True
    assert "the models are of another program" in said["notes"][0]
    one = corrida("predict", "output", "--trust", "--model", "AutoETS", "--json").json
    assert set(table(project, one)["model"]) == {"AutoETS"}
    assert one["rows"] == 36
    for arguments, words in (
        (["--cherry-pick"], "hold no validation to pick by; give --model NAME"),
        (["--model", "autoets"], "the run has no model 'autoets'; it has linear, AutoETS, SeasonalNaive"),
        (["--data", "output/metrics.csv"], "forecast from their own history only"),
        (["--series", "Tokio"], "there is no series 'Tokio'"),
        (["--horizon", "0"], "a horizon of 0 steps is none"),
    ):
        assert words in corrida.refuses("predict", "output", "--trust", *arguments)
    assert corrida("verify", "output").code == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"a": [1, 2]}), "a holds a builtins.list, which cannot forecast by itself"),
        (b"\x80no pickle", "models/m.pkl cannot be read here: "),
        (b"cnowhere_at_all\nThing\n.", "models/m.pkl needs the package nowhere_at_all"),
    ],
)
def test_old_models_that_are_of_no_use(project, corrida, content, words):
    (project / "output/models").mkdir(parents=True)
    (project / "output/models/m.pkl").write_bytes(content)
    (project / "output/metrics.csv").write_text("model,mae\nA,1.5\n", encoding="utf-8")
    corrida("adopt", "output")
    run = corrida("list", "--json").json[0]["id"]
    code = 1 if "package" in words else 2
    assert words in corrida.refuses("predict", run, "--trust", code=code)
    assert "give --trust" in corrida.refuses("predict", run, code=1)
    assert not (project / "runs" / run / "predictions").exists()


def test_an_old_folder_without_models(project, corrida):
    (project / "output").mkdir()
    (project / "output/metrics.csv").write_text("model,mae\nA,1.5\n", encoding="utf-8")
    (project / "output/cv_results_1.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    corrida("adopt", "output", "--run-id", "old")
    assert "the run old has no models to predict with" in corrida.refuses("predict", "old")
    (project / "output/models").mkdir()
    (project / "output/models/notes.txt").write_text("nothing", encoding="utf-8")
    corrida("adopt", "output", "--run-id", "other")
    assert "holds no models of this pipeline" in corrida.refuses("predict", "other")
    about = json.loads((project / "runs/other/run.json").read_text(encoding="utf-8"))
    assert "models/notes.txt" in about["files"]
