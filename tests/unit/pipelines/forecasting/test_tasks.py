"""Training as tasks: what fails, and what was finished before, is the same wherever the tasks run."""

from __future__ import annotations

import pytest


@pytest.fixture
def trained(bench, tmp_path_factory):
    """Train in this process, and again elsewhere, and return both recorders."""

    def both(executor, **settings):
        path = bench.write([*bench.series("a"), *bench.series("b", bench.wave(72, level=50, slope=0.3))])
        first, second = bench.recorder, type(bench.recorder)()
        for recorder in (first, second):
            bench.recorder = recorder
            if recorder is second:
                recorder.executor_name, recorder.jobs = executor, 2
            bench.run(path, report=False, **settings)
        return first, second

    return both


def test_a_model_that_fails_is_left_out_for_the_same_reason_in_processes(trained):
    settings = {"models": ["LightGBM", "DynamicOptimizedTheta"], "boosting": {"lags": [500]}}
    here, there = trained("local", **settings)
    assert there.tables["models.csv"].equals(here.tables["models.csv"])
    assert there.tables["metrics.csv"].equals(here.tables["metrics.csv"])
    assert there.warnings == here.warnings
    assert "LightGBM failed and is left out: window 1: ValueError" in there.warnings[0]
    assert "too few for the lags" in there.texts["failures/LightGBM.txt"]
    assert there.models == here.models


def test_models_that_were_finished_are_taken_over_and_not_trained(bench, tmp_path, monkeypatch):
    from corrida.pipelines.forecasting.models.boosting import GradientBoosting
    from corrida.pipelines.forecasting.models.statistical import StatisticalModel

    path = bench.write([*bench.series("a"), *bench.series("b", bench.wave(72, level=50))])
    settings = {"models": ["LightGBM", "AutoETS"], "report": False, "levels": [80, 95]}
    bench.run(path, **settings)
    first, folder = bench.recorder, tmp_path / "before"
    for name, files in first.models.items():
        for file, content in files.items():
            (folder / "models" / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "models" / name / file).write_bytes(content)
    for name, table in first.tables.items():
        if name.startswith("cv_results_"):
            table.write_csv(folder / name)
    monkeypatch.setattr(GradientBoosting, "fit", None)  # nothing may be trained again
    monkeypatch.setattr(StatisticalModel, "fit", None)
    bench.recorder = type(first)()
    bench.recorder.before = folder
    outcome = bench.run(path, **settings)
    assert "3 of them taken over" in outcome.summary
    again = bench.recorder
    for name in (
        "models.csv",
        "metrics.csv",
        "cherry_pick.csv",
        "cv_results_LightGBM.csv",
        "cv_results_AutoETS.csv",
    ):
        assert again.tables[name].equals(first.tables[name]), name
    assert again.steps == first.steps
    for name in ("LightGBM", "AutoETS", "SeasonalNaive"):
        files = {file: again.files[f"models/{name}/{file}"] for file in first.models[name]}
        assert files == first.models[name]
    assert again.tables["timings.csv"]["fit_seconds"].null_count() == 3


def test_a_validation_that_does_not_belong_to_the_model_is_not_taken_over(bench, tmp_path):
    path = bench.write(bench.series("a"))
    bench.run(path, models=["SeasonalNaive"], report=False)
    first, folder = bench.recorder, tmp_path / "before"
    (folder / "models" / "SeasonalNaive").mkdir(parents=True)
    for file, content in first.models["SeasonalNaive"].items():
        (folder / "models" / "SeasonalNaive" / file).write_bytes(content)
    (folder / "cv_results_SeasonalNaive.csv").write_bytes(b"unique_id\n")
    bench.recorder = type(first)()
    bench.recorder.before = folder
    outcome = bench.run(path, models=["SeasonalNaive"], report=False)
    assert "taken over" not in outcome.summary
    assert bench.recorder.models == first.models
