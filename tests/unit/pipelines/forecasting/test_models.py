from __future__ import annotations

import numpy as np
import pytest

from corrida.pipelines.forecasting.models import MODELS
from corrida.pipelines.forecasting.models.state import read_state, write_state


@pytest.fixture
def panel(bench):
    rows = bench.series("a") + bench.series("b", bench.wave(60, level=500, slope=-2), bench.months(60, 2016))
    return bench.read(bench.write(rows)).panel


@pytest.mark.parametrize(
    "name", ["SeasonalNaive", "DynamicOptimizedTheta", "AutoTheta", "AutoETS", "LightGBM"]
)
def test_a_saved_model_says_the_same(bench, panel, tmp_path, name):
    model = MODELS[name]
    config = bench.configure()
    fitted = model.fit(panel, config, 1)
    folder = tmp_path / "model"
    folder.mkdir()
    fitted.save(folder)
    again = model.load(folder)
    before = fitted.predict(panel, 14, (80, 95))
    after = again.predict(panel, 14, (80, 95))
    assert set(before) == {"a", "b"}
    for one, forecast in before.items():
        assert len(forecast.mean) == 14
        assert np.array_equal(forecast.mean, after[one].mean)
        assert set(forecast.bounds) == ({80, 95} if model.own_intervals else set())
        for level, (lower, upper) in forecast.bounds.items():
            assert (lower <= upper).all()
            assert np.array_equal(lower, after[one].bounds[level][0])
            assert np.array_equal(upper, after[one].bounds[level][1])
    assert not [p.name for p in folder.iterdir() if p.suffix in {".pkl", ".joblib", ".pt"}]


@pytest.mark.parametrize("name", ["SeasonalNaive", "DynamicOptimizedTheta", "AutoETS", "LightGBM"])
def test_a_model_is_applied_to_newer_values(bench, panel, name):
    model, known = MODELS[name], panel.until(12)
    fitted = model.fit(known, bench.configure(), 1)
    said = fitted.predict(panel, 12, (), newer=frozenset({"a", "b"}))
    future = bench.wave(84)[72:]
    naive = np.abs(np.array(future) - np.array(bench.wave(72)[60:])).mean()
    assert np.abs(said["a"].mean - future).mean() <= naive + 1e-9


def test_seasonal_naive_repeats_the_last_season(bench, panel):
    fitted = MODELS["SeasonalNaive"].fit(panel, bench.configure(), 1)
    assert fitted.predict(panel, 24, ())["a"].mean.tolist() == bench.wave(72)[60:] * 2
    assert fitted.knows("a")
    assert not fitted.knows("c")


def test_lightgbm_is_the_same_with_the_same_seed(bench, panel):
    said = [
        MODELS["LightGBM"].fit(panel, bench.configure(), 3).predict(panel, 6, ())["a"].mean for _ in range(2)
    ]
    assert np.array_equal(*said)


def test_a_state_comes_back_as_it_was(tmp_path):
    tree = {
        "series": {"a.b": {"x": np.arange(6.0).reshape(2, 3), "empty": np.empty((0, 2)), "n": 3, "on": True}},
        "values": [1.5, float("nan"), float("-inf"), None, "text", (1, 2)],
        "scalar": np.float64(0.1),
        "small": np.arange(3, dtype=np.float32),
        "mask": np.array([True, False]),
        7: "a key that is no text",
    }
    write_state(tmp_path, tree)
    again = read_state(tmp_path)
    assert np.array_equal(again["series"]["a.b"]["x"], tree["series"]["a.b"]["x"])
    assert again["series"]["a.b"]["empty"].shape == (0, 2)
    assert again["series"]["a.b"]["on"] is True
    assert str(again["values"]) == str(tree["values"])
    assert isinstance(again["scalar"], np.float64)
    assert again["small"].dtype == np.float32
    assert again["mask"].tolist() == [True, False]
    assert again[7] == "a key that is no text"


@pytest.mark.parametrize("value", [object(), np.array([object()]), np.array(["text"]), {1, 2}])
def test_what_is_no_data_is_not_saved(tmp_path, value):
    with pytest.raises(TypeError):
        write_state(tmp_path, {"x": value})
    assert not list(tmp_path.iterdir())
