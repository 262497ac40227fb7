"""``corrida demo forecasting``: from a baseline to a promoted run that forecasts."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from corrida.demos import DEMOS, Replace, read_step
from corrida.pipelines.contract import ConfigFile
from corrida.pipelines.forecasting import pipeline


@pytest.mark.slow
def test_the_demo_goes_from_a_baseline_to_a_run_that_forecasts(project, corrida):
    said = corrida("demo", "forecasting").out
    assert said.count("finished, in runs/experiment_") == 2
    assert "better: cherry_pick.mase" in said
    assert 'models: + "AutoETS"' in said
    assert "experiment_more_models predicts: it was named" in said
    assert "experiment_more_models predicts: it is @production" in said
    folder = project / "runs" / "experiment_more_models"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["cherry_pick.mase"] < 0.5 * metrics["naive.mase"]
    assert metrics["series"] == 22
    assert (folder / "report.html").exists()
    assert len(list((folder / "assets").glob("*.png"))) == 4
    assert len(list((folder / "predictions").glob("*.parquet"))) == 2
    assert corrida("show", "@production", "--json").json["id"] == "experiment_more_models"
    assert corrida("verify").code == 0
    # What the demo says to try next, works.
    assert "construction@2014-12-01" in corrida("item", "construction@2014-12-01").out


def test_every_configuration_of_the_demo_is_accepted(project):
    for demo in (DEMOS["forecasting"], DEMOS["forecasting"].neural):
        for step in demo.steps:
            if isinstance(step, Replace):
                content = yaml.safe_load(read_step(demo, step.source))
                config = pipeline.configure([ConfigFile(step.target, content)], {})
                assert config.n_windows == 4
    assert {"NBEATS", "NHITS", "LSTM"} <= set(config.models)


def test_the_data_are_those_of_the_package_they_were_taken_from(tmp_path):
    tool = Path(__file__).parents[3] / "tools" / "extract_employment.py"
    subprocess.run([sys.executable, tool, tmp_path], check=True)
    kept = files("corrida.demos").joinpath("forecasting", "data", "employment.csv").read_bytes()
    assert (tmp_path / "employment.csv").read_bytes() == kept
    rows = list(csv.DictReader(kept.decode().splitlines()))
    assert len(rows) == 22 * 120
    assert {row["unique_id"] for row in rows} >= {"nonfarm", "trade_transportation_utilities"}


@pytest.mark.parametrize(
    ("lacking", "options", "extra"),
    [("statsforecast", (), "forecasting"), ("neuralforecast", ("--neural",), "neural")],
)
def test_without_the_extra_the_demo_says_what_to_install(
    project, corrida, monkeypatch, lacking, options, extra
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "corrida.demos.story.find_spec", lambda name, *more: None if name == lacking else find(name, *more)
    )
    sentence = corrida.refuses("demo", "forecasting", *options, code=1)
    assert f"pip install 'corrida[{extra}]'" in sentence
    assert list(project.iterdir()) == []


def test_a_demo_without_networks_says_so(project, corrida):
    assert "leave --neural out, or take forecasting" in corrida.refuses("demo", "matching", "--neural")
    assert list(project.iterdir()) == []
