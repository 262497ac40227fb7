from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from corrida.errors import DamagedRun, InvalidConfig, InvalidData, NotFound, Refused
from corrida.pipelines.contract import Data
from corrida.pipelines.forecasting import pipeline
from corrida.pipelines.model_files import check_model, library_changes, written_model


@pytest.fixture
def trained(bench):
    bench.run(bench.write(bench.series("a") + bench.series("b", bench.wave(72, slope=-0.5))), levels=[80, 95])
    return bench.load()


def test_prediction_from_the_folder_alone(bench, trained):
    (bench.root / "series.csv").unlink()
    frame = trained.predict(cherry_pick=True).frame
    assert frame.columns == [
        "unique_id", "ds", "forecast", "lower_80", "upper_80", "lower_95", "upper_95", "model", "cutoff",
    ]  # fmt: skip
    assert frame.height == 2 * 6
    assert frame["ds"].to_list()[:2] == [date(2021, 1, 1), date(2021, 2, 1)]
    assert set(frame["cutoff"]) == {date(2020, 12, 1)}
    assert dict(zip(frame["unique_id"], frame["model"], strict=True)) == trained.about.choices
    assert (frame["lower_95"] <= frame["lower_80"]).all()


def test_one_model_some_series_and_another_horizon(bench, trained):
    frame = trained.predict(model="SeasonalNaive", series=["b"], horizon=13).frame
    y = bench.wave(72, slope=-0.5)
    assert frame["forecast"].to_list() == [*y[60:], y[60]]
    assert set(frame["model"]) == {"SeasonalNaive"}
    assert set(trained.predict().frame["model"]) == {trained.about.single}


def test_newer_values_continue_the_history(bench, trained):
    y = bench.wave(76)
    newer = bench.write(bench.series("a", y[70:], bench.months(6, 2020, 11)), name="newer.csv")
    frame = trained.predict(Data([newer]), model="SeasonalNaive").frame
    assert frame["unique_id"].unique().to_list() == ["a"]
    assert frame["forecast"].to_list() == y[64:70]
    assert frame["cutoff"][0] == date(2021, 4, 1)
    whole = bench.write(bench.series("a", y), name="whole.csv")
    theta = [trained.predict(Data([p]), model="DynamicOptimizedTheta").frame for p in (newer, whole)]
    assert theta[0].equals(theta[1])


def test_values_that_were_corrected_since_are_told(bench, trained):
    y = bench.wave(74)
    dates = bench.months(8, 2020, 7)
    newer = bench.write(bench.series("a", [*y[66:70], 7.0, 8.0, *y[72:]], dates), name="newer.csv")
    said = trained.predict(Data([newer]))
    assert said.notes == [
        "2 values that the models were trained on are others in the data (a); those of the data count"
    ]
    same = bench.write(bench.series("a", y[66:], dates), name="same.csv")
    assert trained.predict(Data([same])).notes == []


def test_data_that_end_before_the_training_are_told(bench, trained):
    old = bench.write(bench.series("a", bench.wave(40)), name="old.csv")
    said = trained.predict(Data([old]))
    assert said.frame["cutoff"][0] == date(2018, 4, 1)
    assert said.notes == [
        "the data end before the training did (a): the models know more than was known at these cutoffs"
    ]


@pytest.mark.parametrize(("year", "where"), [(2014, "towards"), (2020, "after")])
def test_a_series_off_the_grid_of_its_history_is_refused(bench, trained, year, where):
    days = [day[:8] + "15" for day in bench.months(14, year)]
    off = bench.write(bench.series("a", bench.wave(14), days), name="off.csv")
    with pytest.raises(InvalidData, match=f"'a' does not go by 1mo {where} its history"):
        trained.predict(Data([off]))


def test_forecasts_are_scored_by_what_happened_since(bench, trained):
    y = bench.wave(74)
    since = [v + 3 for v in bench.wave(86)[72:]]
    newer = bench.write(bench.series("a", [*y[70:72], *since], bench.months(16, 2020, 11)), name="newer.csv")
    said = trained.predict(Data([newer]), model="SeasonalNaive", score=True)
    frame = said.frame
    assert frame.columns[:4] == ["unique_id", "ds", "y", "forecast"]
    assert frame["y"].to_list() == since[:12]  # two windows of six; the last two months are no window
    assert frame["forecast"].to_list() == y[60:72]  # of the last year that was known at each cutoff
    assert frame["cutoff"].to_list() == [date(2020, 12, 1)] * 6 + [date(2021, 6, 1)] * 6
    errors = said.errors
    assert errors.schema == bench.recorder.tables["metrics.csv"].schema
    assert set(errors["model"]) == {"SeasonalNaive", "DynamicOptimizedTheta"}
    naive = errors.filter(pl.col("model") == "SeasonalNaive")
    assert naive["window"].to_list() == [1, 2]
    assert naive["steps"].to_list() == [6, 6]
    assert naive["mae"][0] == pytest.approx(np.mean(np.abs(np.array(since[:6]) - y[60:66])))
    assert naive["mase"][0] == pytest.approx(naive["mae"][0] / np.mean(np.abs(np.subtract(y[12:72], y[:60]))))


def test_fewer_values_than_a_window_are_scored_as_they_are(bench, trained):
    rows = bench.series("a", bench.wave(75)[72:], bench.months(3, 2021)) + bench.series("new")
    said = trained.predict(Data([bench.write(rows, name="newer.csv")]), cherry_pick=True, score=True)
    assert said.frame.height == 3
    assert set(said.errors["steps"]) == {3}
    assert said.notes == ["not scored, without a value after the training that they were in: new"]


def test_what_cannot_be_scored_is_refused(bench, trained):
    with pytest.raises(InvalidData, match="give them with --data"):
        trained.predict(score=True)
    with pytest.raises(InvalidData, match="nothing after the training"):
        trained.predict(Data([bench.root / "series.csv"]), score=True)


def test_a_hole_between_history_and_newer_values_is_refused(bench, trained):
    newer = bench.write(bench.series("a", [1.0, 2.0], bench.months(2, 2021, 4)), name="newer.csv")
    with pytest.raises(InvalidData, match="between the history of 'a' and the data 3 values are missing"):
        trained.predict(Data([newer]))


def test_unseen_series_are_refused_by_models_of_single_series(bench, trained):
    other = bench.write(bench.series("new"), name="other.csv")
    with pytest.raises(InvalidData, match=r"the run was not trained on new\. Train a run with them"):
        trained.predict(Data([other]), cherry_pick=True)


def test_unseen_series_are_forecast_by_a_global_model_and_it_is_said(bench):
    bench.run(
        bench.write(bench.series("a") + bench.series("b", bench.wave(72, slope=2))), models=["LightGBM"]
    )
    predictor = bench.load()
    other = bench.write(bench.series("new", bench.wave(60, slope=1.5)), name="other.csv")
    said = predictor.predict(Data([other]), cherry_pick=True)
    assert set(said.frame["model"]) == {"LightGBM"}
    assert said.notes == ["LightGBM forecasts series that the run was not trained on: new"]
    assert (said.frame["lower_80"] < said.frame["upper_80"]).all()
    with pytest.raises(InvalidData, match="LightGBM could forecast them"):
        predictor.predict(Data([other]), model="SeasonalNaive")


def test_the_future_of_exogenous_columns_must_be_known(bench):
    header = ("unique_id", "ds", "y", "promo")
    rows = [[*row, i % 2] for i, row in enumerate(bench.series("a"))]
    future = [["a", day, "", 1] for day in bench.months(6, 2021)]
    bench.run(bench.write(rows + future[:2], header), models=["LightGBM"])
    predictor = bench.load()
    with pytest.raises(InvalidData, match="'a' has no values of promo for 2021-03-01"):
        predictor.predict(model="LightGBM")
    assert predictor.predict(model="SeasonalNaive").frame.height == 6
    known = bench.write(rows + future, header, name="known.csv")
    assert predictor.predict(Data([known]), model="LightGBM").frame.height == 6
    assert predictor.predict(model="LightGBM", horizon=2).frame.height == 2
    alone = bench.write(future, header, name="alone.csv")
    here = predictor.predict(Data([known]), model="LightGBM").frame
    assert predictor.predict(Data([alone]), model="LightGBM").frame.equals(here)
    without = [[name, day, promo] for name, day, _, promo in future]
    plan = bench.write(without, ("unique_id", "ds", "promo"), name="plan.csv")
    assert predictor.predict(Data([plan]), model="LightGBM").frame.equals(here)
    happened = bench.write([["a", day, 100, 1] for day in bench.months(6, 2021)], header, name="happened.csv")
    assert (
        predictor.predict(Data([happened]), model="LightGBM", score=True).frame["y"].to_list() == [100.0] * 6
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "AutoETT"}, "the run has no model 'AutoETT'; it has SeasonalNaive, DynamicOptimizedTheta"),
        ({"model": "SeasonalNaive", "cherry_pick": True}, "not both"),
        ({"horizon": 0}, "a horizon of 0 steps"),
        ({"horizon": 1_000_000_000}, "give 1 to 100,000"),
    ],
)
def test_options_that_cannot_be_used(trained, options, sentence):
    with pytest.raises(InvalidConfig, match=sentence):
        trained.predict(**options)


def test_a_series_that_is_not_there(trained):
    with pytest.raises(InvalidData, match=r"there is no series 'A'\. Did you mean 'a'"):
        trained.predict(series=["A"])


def test_an_altered_model_is_not_loaded(bench, trained):
    file = bench.root / "models" / "DynamicOptimizedTheta" / "arrays.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(
        DamagedRun, match=r"models/DynamicOptimizedTheta/arrays\.npz was altered since the run"
    ):
        trained.predict(model="DynamicOptimizedTheta")
    assert trained.predict(model="SeasonalNaive").frame.height == 12
    (file.parent / "extra.pkl").write_bytes(b"")
    with pytest.raises(DamagedRun, match=r"extra\.pkl is not one of the model's"):
        check_model(file.parent)
    (bench.root / "models" / "predictor" / "history.parquet").unlink()
    with pytest.raises(DamagedRun, match=r"history\.parquet is missing"):
        pipeline.load(bench.root / "models")


def test_a_folder_without_models(tmp_path):
    with pytest.raises(NotFound, match="holds no models of this pipeline"):
        pipeline.load(tmp_path)


def test_a_format_that_can_run_code_needs_consent(tmp_path):
    for name, content in written_model(
        lambda folder: (folder / "model.pkl").write_bytes(b"code"),
        format="pickle",
        libraries=["numpy"],
        facts={},
    ):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused, match="can run any code when it is read; give --trust"):
        check_model(tmp_path)
    facts = check_model(tmp_path, trust=True)
    assert facts.libraries == {"numpy": np.__version__}


def test_versions_that_changed_are_told(bench, trained):
    assert library_changes(bench.root / "models") == {}
    about = bench.root / "models" / "SeasonalNaive" / "model.json"
    text = about.read_text(encoding="utf-8")
    at = text.index('"statsforecast": "') + len('"statsforecast": "')
    about.write_text(text[:at] + "0.1" + text[text.index('"', at) :], encoding="utf-8")
    then, now = library_changes(bench.root / "models")["statsforecast"]
    assert then == "0.1"
    assert now != then


def test_a_horizon_beyond_that_of_a_network(bench, trained, monkeypatch):
    from corrida.pipelines.forecasting.models.statistical import FittedStatistical

    monkeypatch.setattr(FittedStatistical, "longest", lambda _: 6)
    assert trained.predict(model="SeasonalNaive", horizon=6).frame.height == 12
    with pytest.raises(
        InvalidConfig, match="SeasonalNaive was trained for 6 steps, not 7; train with that horizon"
    ):
        trained.predict(model="SeasonalNaive", horizon=7)


def test_the_series_on_which_a_model_fails_is_named(bench, trained, monkeypatch):
    from corrida.pipelines.forecasting.models.statistical import FittedStatistical

    predict = FittedStatistical.predict

    def failing(self, panel, *arguments, **options):
        if "b" in panel.by_id:
            raise ValueError("the forecast is not finite")
        return predict(self, panel, *arguments, **options)

    monkeypatch.setattr(FittedStatistical, "predict", failing)
    with pytest.raises(
        InvalidData,
        match="SeasonalNaive cannot forecast the series 'b' of 72 values: the forecast is not finite",
    ):
        trained.predict(model="SeasonalNaive")
