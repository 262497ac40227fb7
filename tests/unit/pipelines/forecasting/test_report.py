"""The report of a run: its figures say what the tables say, whatever the series are."""

from __future__ import annotations

import builtins
import json
import re

import numpy as np
import polars as pl
import pytest

from corrida.pipelines.forecasting import charts, report
from corrida.pipelines.forecasting.models import MODELS

PICTURES = {
    "assets/series.png",
    "assets/cherry_pick.png",
    "assets/error_by_model.png",
    "assets/error_by_step.png",
}


def noisy(bench, names, count=60):
    lines = []
    for i, name in enumerate(names):
        rng = np.random.default_rng(i)
        values = 100 + np.cumsum(rng.normal(0, 1 + i, count)) + 6 * np.sin(np.arange(count) * 2 * np.pi / 12)
        lines += bench.series(name, [float(v) for v in values])
    return bench.write(lines)


@pytest.fixture
def run(bench, monkeypatch):
    """Run, and give what the report was made of."""
    seen = []
    whole = report.write_report

    def kept(results, recorder):
        seen.append(results)
        whole(results, recorder)

    monkeypatch.setattr(report, "write_report", kept)

    def made(path, **settings):
        outcome = bench.run(
            path, **{"models": ["DynamicOptimizedTheta", "LightGBM"], "report": True} | settings
        )
        return outcome, seen[-1]

    return made


def test_the_report_has_its_parts_and_says_the_optimism_in_words(bench, run):
    outcome, results = run(noisy(bench, [f"s{i}" for i in range(7)]))
    text = bench.recorder.texts["report.md"]
    assert set(bench.recorder.files) == PICTURES
    for picture in PICTURES:
        assert f"]({picture})" in text
        assert bench.recorder.files[picture].startswith(b"\x89PNG")
    metrics = outcome.metrics
    assert f"**MASE {metrics['cherry_pick.mase']:.3f}**" in text
    seen = metrics["cherry_pick.mase_seen"]
    assert f"the choice that saw them has {seen:.3f}" in text
    for name in ("cherry_pick", "best_single", "naive"):
        assert f"{metrics[f'{name}.mase']:.3f}" in text
    assert re.search(r"\| window 1 \| 2018-06-01 \| 6 steps \|", text)
    assert re.search(r"\| saved \| 2019-12-01 \|", text)
    assert "were not judged themselves" in text
    for model in results.trials.models:
        covered = 100 * metrics[f"{model}.coverage_80"]
        assert re.search(rf"\| {model} \| (its own|conformal) \| 80 % \| {covered:.1f} % \|", text)
    assert "Models that failed" not in text
    page = bench.recorder.texts["report.html"]
    assert page.count("<svg") >= 4


def test_figures_show_what_the_tables_hold(bench, run):
    outcome, results = run(noisy(bench, [f"s{i}" for i in range(7)]))
    losses = (
        outcome.items.drop_nulls("loss").group_by("unique_id").agg(error=pl.col("loss").mean()).sort("error")
    )
    best, median, worst = results.examples
    assert [one.word for one in results.examples] == ["best", "median", "worst"]
    assert [best.series, median.series, worst.series] == [losses["unique_id"][i] for i in (0, 3, 6)]
    assert worst.error == pytest.approx(losses["error"][6])
    for spread in results.spreads:
        assert spread.mean == pytest.approx(outcome.metrics[f"{spread.model}.mase"])
        assert np.mean(results.steps[spread.model]) == pytest.approx(spread.mean)
    difference = results.against_single
    assert difference.difference == pytest.approx(
        outcome.metrics["cherry_pick.mase"] - outcome.metrics["best_single.mase"]
    )
    assert difference.units == 7
    assert difference.items == 14
    panels = charts.examples(results)["vconcat"]
    assert [panel["title"]["text"] for panel in panels] == [
        f"{one.word}: {one.series}" for one in results.examples
    ]
    grey, cuts, _, history, said = (layer["data"]["values"] for layer in panels[0]["layer"])
    assert grey == [{"from": "2018-06-01T00:00:00", "to": "2019-12-01T00:00:00"}]
    assert [one["at"][:10] for one in cuts] == ["2018-06-01", "2018-12-01", "2019-06-01", "2019-12-01"]
    assert len(history) == 60
    validated = [row for row in said if row["kind"] == "forecast in the validation"]
    assert [row["at"][:7] for row in validated] == [
        f"20{18 + (6 + i) // 12}-{(6 + i) % 12 + 1:02d}" for i in range(18)
    ]
    ahead = [row for row in said if row["kind"] == "forecast after the data"]
    assert [row["at"][:7] for row in ahead] == [f"2020-{i:02d}" for i in range(1, 7)]
    assert all(row["low"] <= row["y"] <= row["high"] for row in said)
    json.dumps(panels, allow_nan=False)


@pytest.mark.parametrize(
    "names",
    [
        ["<script>alert(1)</script>", "売上_東京都_店舗001", "a | b", "[x](y)"],
        [f"customer/region=north-west/product=household-appliances/sku={i:09d}" for i in range(4)],
    ],
)
def test_ids_of_any_kind(bench, run, names):
    _, results = run(noisy(bench, names), models=["SeasonalNaive"])
    titles = [panel["title"]["text"] for panel in charts.examples(results)["vconcat"]]
    assert len(set(titles)) == len(titles)  # long ids that begin alike are still told apart
    assert all(len(title) < 80 for title in titles)
    page, text = bench.recorder.texts["report.html"], bench.recorder.texts["report.md"]
    assert "<script>alert" not in page
    assert not re.search(r"(?<!\\)<script>alert", text)
    assert not re.search(r"(?<!\\)\[x\]\(y\)", text)


def test_without_the_extra_the_text_is_there_and_what_is_missing_is_said(bench, run, monkeypatch):
    bring = builtins.__import__

    def refused(name, *more, **options):
        if name.partition(".")[0] == "vl_convert":
            raise ImportError(name)
        return bring(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", refused)
    run(noisy(bench, ["a", "b"]), models=["SeasonalNaive"])
    assert "report.html" not in bench.recorder.texts
    assert not bench.recorder.files
    assert "What was validated" in bench.recorder.texts["report.md"]
    assert "![" not in bench.recorder.texts["report.md"]
    assert any("pip install 'corrida[report]'" in one for one in bench.recorder.warnings)


def test_no_report_where_none_is_wanted(bench, run):
    bench.run(noisy(bench, ["a", "b"]), models=["SeasonalNaive"], report=False)
    assert not bench.recorder.texts
    assert not bench.recorder.files


@pytest.mark.parametrize(
    ("values", "settings", "words"),
    [
        ([5.0] * 60, {}, "no series has a MASE"),
        (None, {"n_windows": 1}, "With so few series"),
        (None, {"horizon": 1, "n_windows": 7, "levels": [50, 95]}, "95 %"),
        (None, {"models": ["DynamicOptimizedTheta"], "n_windows": 1}, "needs two windows or more"),
    ],
)
def test_odd_runs_have_a_report_too(bench, run, values, settings, words):
    path = bench.write(bench.series("a", values or bench.wave(60)))
    run(path, **{"models": ["SeasonalNaive"]} | settings)
    assert words in bench.recorder.texts["report.md"]
    assert "nan" not in bench.recorder.texts["report.md"].lower()


def test_models_that_failed_stand_in_the_report(bench, run, monkeypatch):
    def fail(*_):
        raise ValueError("no such luck")

    for name in ("SeasonalNaive", "LightGBM"):
        monkeypatch.setattr(type(MODELS[name]), "fit", select(type(MODELS[name]).fit, name, fail))
    outcome, _ = run(
        noisy(bench, [f"s{i}" for i in range(7)]), models=["DynamicOptimizedTheta", "AutoETS", "LightGBM"]
    )
    text = bench.recorder.texts["report.md"]
    assert "### Models that failed" in text
    assert "no such luck" in text
    assert outcome.metrics["models_failed"] == 2
    assert "naive.mase" not in outcome.metrics
    assert outcome.metrics["cherry_pick.mase"] > 0
    assert "SeasonalNaive –" in text


def select(usual, name, other):
    """Return a method that is another one for the model of one name."""
    return lambda self, *given: other(*given) if self.name == name else usual(self, *given)
