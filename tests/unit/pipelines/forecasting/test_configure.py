from __future__ import annotations

import importlib.util

import pytest

from corrida.errors import InvalidConfig, MissingExtra
from corrida.pipelines.contract import ConfigFile, Data
from corrida.pipelines.forecasting import pipeline
from corrida.pipelines.forecasting.settings import STATISTICAL

OLD = {
    "run_id": None,
    "data_file": None,
    "output_dir": None,
    "horizon": 12,
    "input_size": 48,
    "max_steps": 1000,
    "models": ["AutoETS"],
    "n_windows": 3,
    "test_size": None,
    "log_file": None,
}


def configure(settings=None, **overrides):
    return pipeline.configure([ConfigFile("train_config.yaml", settings or {})], overrides)


def test_the_keys_of_older_training_configurations_are_understood():
    config = configure(OLD)
    assert (config.horizon, config.input_size, config.models) == (12, 48, ["AutoETS"])


def test_without_settings_the_statistical_models_run():
    assert configure().models == STATISTICAL


def test_overrides_win_and_models_may_be_one_text():
    config = configure({"horizon": 3}, horizon=4, models="autoets, LIGHTGBM", levels=95)
    assert (config.horizon, config.models, config.levels) == (4, ["AutoETS", "LightGBM"], [95])


def test_windows_side_by_side_or_spread_over_a_test_size():
    assert (configure(horizon=6).step, configure(horizon=6).held_out) == (6, 18)
    spread = configure(horizon=6, test_size=10)
    assert (spread.step, spread.held_out) == (2, 10)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"models": ["AutoETT"]}, "there is no model 'AutoETT'; did you mean AutoETS"),
        ({"models": ["NBEAST"]}, "did you mean NBEATS"),
        ({"models": ["zzz"]}, "there are SeasonalNaive, "),
        ({"models": ["AutoETS", "autoets"]}, "AutoETS is named twice"),
        ({"models": []}, "train_config.yaml: models: "),
        ({"horizont": 3}, "train_config.yaml: horizont: there is no such setting. Did you mean 'horizon'?"),
        ({"horizon": 0}, "train_config.yaml: horizon: expected int >= 1"),
        ({"horizon": "12"}, "horizon: expected int, got str"),
        ({"boosting": {"round": 1}}, "boosting.round: there is no such setting. Did you mean 'rounds'?"),
        ({"levels": [80, 80]}, "names one twice"),
        ({"levels": [100]}, r"levels\[...\]: expected int <= 99|levels"),
        ({"freq": "fortnight"}, "'fortnight' is no frequency"),
        ({"gaps": "ignore"}, "gaps: invalid enum value"),
        ({"test_size": 20, "horizon": 12, "n_windows": 4}, "does not hold 4 windows of 12 steps"),
        ({"test_size": 20, "n_windows": 1}, "with one window it is the horizon"),
    ],
)
def test_what_cannot_be_used_is_said(settings, sentence):
    with pytest.raises(InvalidConfig, match=sentence):
        configure(settings)


def test_a_network_without_its_library_says_what_to_install(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "neuralforecast" else there(name, *more),
    )
    with pytest.raises(
        MissingExtra, match=r"NBEATS needs .*neuralforecast.*: pip install 'corrida\[neural\]'"
    ):
        configure({"models": ["NBEATS"]})


def test_settings_of_other_places_are_accepted_and_said(bench):
    bench.run(bench.write(bench.series()), output_dir="data/output", log_file="train.log", run_id="mine")
    said = " ".join(bench.recorder.warnings)
    assert "output_dir is not used here: the store" in said
    assert "run_id is not used here: --run-id" in said
    assert "log_file is not used here" in said


def test_the_data_file_of_the_configuration(bench):
    path = bench.write(bench.series())
    config = bench.configure(data_file="series.csv", models=["SeasonalNaive"])
    assert pipeline.data_files(config) == {"series": "series.csv"}
    outcome = pipeline.run(Data([], {"series": path}), config, bench.recorder)
    assert outcome.metrics["series"] == 1
    from corrida.errors import InvalidData

    with pytest.raises(InvalidData, match="both --data and data_file"):
        pipeline.run(Data([path], {"series": path}), config, bench.recorder)
    with pytest.raises(InvalidData, match="there is no data"):
        pipeline.run(Data([]), bench.configure(), bench.recorder)
