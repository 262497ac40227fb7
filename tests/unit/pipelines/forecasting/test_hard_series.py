"""Series that models stumble over, and the intervals that every model must have."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from corrida.errors import InvalidData
from corrida.pipelines.contract import Data
from corrida.pipelines.forecasting.models import MODELS

WITHOUT_NETWORKS = ("SeasonalNaive", "DynamicOptimizedTheta", "AutoTheta", "AutoETS", "AutoARIMA", "LightGBM")
HARD = {
    "constant": [5.0] * 40,
    "zeros": [0.0] * 40,
    "negative": [-100 + 3 * math.sin(i / 2) + i % 5 for i in range(40)],
    "around zero": [math.sin(i / 2) + 0.1 * (i % 3) for i in range(40)],
    "now and then": [float(i % 7 == 0) * (3 + i % 4) for i in range(40)],
    "huge": [1e12 * (1 + 0.1 * math.sin(i / 2) + 0.01 * (i % 3)) for i in range(40)],
    "tiny": [1e-9 * (2 + math.sin(i / 2) + 0.1 * (i % 3)) for i in range(40)],
    "short": [1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 7.0, 5.0, 8.0, 9.0, 7.0],
    "one jump": [1.0] * 39 + [100.0],
}


@pytest.mark.parametrize("values", HARD.values(), ids=HARD)
@pytest.mark.parametrize("name", WITHOUT_NETWORKS)
def test_a_forecast_is_finite_whatever_the_series(bench, tmp_path, name, values):
    panel = bench.read(bench.write(bench.series("a", values)), season_length=4).panel
    fitted = MODELS[name].fit(panel, bench.configure(horizon=3), 1)
    forecast = fitted.predict(panel, 3, (80, 95))["a"]
    assert forecast.mean.shape == (3,)
    assert np.isfinite(forecast.mean).all()
    spread = np.ptp(values) or max(abs(values[0]), 1)
    assert np.abs(forecast.mean - np.mean(values)).max() <= 20 * spread
    if MODELS[name].own_intervals:
        for level in (80, 95):
            lower, upper = forecast.bounds[level]
            assert (lower <= forecast.mean + 1e-9 * spread).all()
            assert (forecast.mean <= upper + 1e-9 * spread).all()
        assert (forecast.bounds[95][0] <= forecast.bounds[80][0] + 1e-9 * spread).all()
        assert (forecast.bounds[95][1] >= forecast.bounds[80][1] - 1e-9 * spread).all()
    folder = tmp_path / "model"
    folder.mkdir()
    fitted.save(folder)
    assert np.array_equal(MODELS[name].load(folder).predict(panel, 3, ())["a"].mean, forecast.mean)


def promoted(bench, count, known=0):
    """Sales that a promotion lifts by 30, with its plan for some steps ahead."""
    days = bench.months(count + known)
    on = [(i * 5 % 7) < 2 for i in range(count + known)]
    noise = np.random.default_rng(4).normal(0, 1, count + known)
    return [
        ["a", day, 100 + 30 * on[i] + noise[i] if i < count else "", int(on[i])] for i, day in enumerate(days)
    ], on


def test_arima_uses_exogenous_columns_and_their_future(bench):
    lines, on = promoted(bench, 60, 6)
    panel = bench.read(bench.write(lines, header=("unique_id", "ds", "y", "promo")), season_length=1).panel
    model = MODELS["AutoARIMA"]
    assert model.uses_exogenous
    said = model.fit(panel, bench.configure(), 1).predict(panel, 6, (80,))["a"]
    future = np.array([100 + 30 * one for one in on[60:]])
    assert np.abs(said.mean - future).max() < 5
    blind = bench.read(bench.write(lines, header=("unique_id", "ds", "y", "promo")), season_length=1, columns={"exogenous": []}).panel  # fmt: skip
    without = model.fit(blind, bench.configure(), 1).predict(blind, 6, (80,))["a"]
    assert np.abs(without.mean - future).mean() > 2 * np.abs(said.mean - future).mean()
    lower, upper = said.bounds[80]
    assert (upper - lower).mean() < (without.bounds[80][1] - without.bounds[80][0]).mean()


def test_arima_with_exogenous_columns_is_validated_saved_and_loaded(bench):
    header = ("unique_id", "ds", "y", "promo")
    lines, _ = promoted(bench, 48)
    path = bench.write(lines, header=header)
    outcome = bench.run(path, models=["AutoARIMA"], season_length=1, horizon=4, n_windows=2, report=False)
    assert outcome.metrics["AutoARIMA.mase"] < 0.5 * outcome.metrics["SeasonalNaive.mase"]
    predictor = bench.load()
    with pytest.raises(InvalidData, match="no values of promo for 2019-01-01"):
        predictor.predict(model="AutoARIMA")
    planned = [["a", day, "", 1] for day in bench.months(4, 2019)]
    whole = bench.write([*lines, *planned], header=header, name="whole.csv")
    said = predictor.predict(Data([whole]), model="AutoARIMA").frame
    assert said["forecast"].to_numpy() == pytest.approx([130.0] * 4, abs=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_NETWORKS)
def test_every_model_has_intervals_that_cover_roughly_what_they_say(bench, name):
    rng = np.random.default_rng(11)
    lines = []
    for i in range(4 if name == "AutoARIMA" else 8):
        y = 100 + 10 * np.sin(np.arange(60) * 2 * np.pi / 4) + rng.normal(0, 3, 60)
        lines += bench.series(f"s{i}", [float(v) for v in y])
    outcome = bench.run(
        bench.write(lines),
        models=[name],
        horizon=4,
        n_windows=4,
        season_length=4,
        levels=[80, 95],
        report=False,
    )
    cover = {level: outcome.metrics[f"{name}.coverage_{level}"] for level in (80, 95)}
    assert 0.62 <= cover[80] <= 0.98
    assert 0.84 <= cover[95] <= 1.0
    table = bench.recorder.tables[f"cv_results_{name}.csv"]
    assert table.null_count().select(pl.sum_horizontal(pl.all())).item() == 0
    assert (table["lower_95"] <= table["lower_80"]).all()


def test_conformal_intervals_for_a_model_that_has_its_own(bench):
    rng = np.random.default_rng(5)
    lines = []
    for i in range(8):
        lines += bench.series(f"s{i}", [float(v) for v in 100 + np.cumsum(rng.normal(0, 2, 60))])
    path = bench.write(lines)
    widths = {}
    for kind in ("own", "conformal"):
        bench.recorder.tables.clear()
        outcome = bench.run(path, models=["SeasonalNaive"], intervals=kind, season_length=12)
        table = bench.recorder.tables["cv_results_SeasonalNaive.csv"]
        assert bench.recorder.tables["models.csv"]["intervals"].to_list() == [kind]
        widths[kind] = table["upper_80"] - table["lower_80"]
        said = bench.load().predict().frame
        widths[f"{kind} ahead"] = said["upper_80"] - said["lower_80"]
        assert table.null_count().select(pl.sum_horizontal(pl.all())).item() == 0
    assert widths["own"].to_list() != widths["conformal"].to_list()
    assert widths["own ahead"].to_list() != widths["conformal ahead"].to_list()
    assert 0.68 <= outcome.metrics["SeasonalNaive.coverage_80"] <= 0.92
