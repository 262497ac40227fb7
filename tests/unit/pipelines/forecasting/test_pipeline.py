from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest

from corrida.analysis.measures import parse_measure
from corrida.errors import InvalidData


@pytest.fixture
def path(bench):
    return bench.write(bench.series("a") + bench.series("b", bench.wave(80, slope=-0.5)))


def test_what_a_run_gives(bench, path):
    outcome = bench.run(path)
    metrics = outcome.metrics
    assert (metrics["models_trained"], metrics["models_failed"], metrics["series"]) == (2, 0, 2)
    assert metrics["horizon"] == 6
    assert metrics["best_mase"] == min(metrics["SeasonalNaive.mase"], metrics["DynamicOptimizedTheta.mase"])
    assert outcome.summary.startswith("2 models trained on 2 series: cherry-pick MASE ")
    assert outcome.summary.endswith("Each model was refitted on all the data after validation.")
    assert outcome.dataset["frequency"] == "1mo"
    assert (outcome.dataset["first"], outcome.dataset["last"]) == ("2015-01-01", "2021-08-01")
    assert set(bench.recorder.models) == {"SeasonalNaive", "DynamicOptimizedTheta", "predictor"}
    assert set(bench.recorder.tables) == {
        "metrics.csv",
        "models.csv",
        "timings.csv",
        "cherry_pick.csv",
        "cv_results_SeasonalNaive.csv",
        "cv_results_DynamicOptimizedTheta.csv",
    }


def test_metrics_agree_with_the_forecasts_that_were_saved(bench, path):
    outcome = bench.run(path)
    said = bench.recorder.tables["cv_results_DynamicOptimizedTheta.csv"]
    assert said.height == 2 * 3 * 6
    assert said.columns == ["unique_id", "ds", "cutoff", "window", "y", "forecast", "lower_80", "upper_80"]
    by_window = said.group_by("unique_id", "cutoff").agg(mae=(pl.col("y") - pl.col("forecast")).abs().mean())
    assert by_window["mae"].mean() == pytest.approx(outcome.metrics["DynamicOptimizedTheta.mae"])
    inside = said.select((pl.col("y").is_between("lower_80", "upper_80")).mean()).item()
    assert inside == pytest.approx(outcome.metrics["DynamicOptimizedTheta.coverage_80"])
    naive = bench.recorder.tables["cv_results_SeasonalNaive.csv"].filter(unique_id="a", window=1)
    y = bench.wave(72)
    assert naive["y"].to_list() == y[54:60]
    assert naive["forecast"].to_list() == y[42:48]  # nothing after the cutoff was seen
    assert str(naive["cutoff"][0]) == "2019-06-01"
    assert str(naive["ds"][0]) == "2019-07-01"
    mase = np.abs(np.subtract(y[54:60], y[42:48])).mean() / np.abs(np.subtract(y[12:54], y[:42])).mean()
    errors = bench.recorder.tables["metrics.csv"].filter(model="SeasonalNaive", unique_id="a", window=1)
    assert errors["mase"].item() == pytest.approx(mase)


def test_items_are_series_and_cutoffs_and_the_metrics_follow_from_them(bench, path):
    outcome = bench.run(path)
    items = outcome.items
    assert items["item_id"].n_unique() == items.height == 6
    assert "a@2019-06-01" in items["item_id"].to_list()
    assert items.filter(window=1)["loss"].null_count() == 2
    for name, measure in outcome.measures.items():
        found = parse_measure(measure)
        assert found.kind == "mean"
        assert items[found.argument].mean() == pytest.approx(outcome.metrics[name]), name
    for row in items.filter(pl.col("window") > 1).to_dicts():
        assert row["loss"] == row[f"mase.{row['model']}"]


def test_some_items_are_as_they_are_among_all(bench, path):
    whole = bench.run(path).items
    few = bench.run(path, item_ids=frozenset({"a@2020-06-01", "b@2021-02-01"}))
    assert (
        few.items.to_dicts() == whole.filter(pl.col("item_id").is_in(list(few.items["item_id"]))).to_dicts()
    )
    assert few.items.height == 2
    assert few.metrics["cherry_pick.mase"] == pytest.approx(few.items["loss"].mean())
    with pytest.raises(
        InvalidData, match=r"there is no item 'a@2020'; an item is a series and a cutoff, as in 'a@"
    ):
        bench.run(path, item_ids=frozenset({"a@2020"}))


def test_a_model_that_fails_is_recorded_and_the_others_go_on(bench, path):
    outcome = bench.run(path, models=["LightGBM", "SeasonalNaive"], boosting={"lags": [60]})
    assert (outcome.metrics["models_trained"], outcome.metrics["models_failed"]) == (1, 1)
    assert "LightGBM.mase" not in outcome.metrics
    assert set(bench.recorder.models) == {"SeasonalNaive", "predictor"}
    why = "window 1: ValueError: the shortest series has 54 values, too few for the lags [60]"
    assert bench.recorder.warnings == [f"LightGBM failed and is left out: {why}"]
    assert outcome.dataset["models_failed"] == {"LightGBM": why}
    assert "Traceback" in bench.recorder.texts["failures/LightGBM.txt"]
    row = bench.recorder.tables["models.csv"].row(1, named=True)
    assert (row["model"], row["status"], row["saved_fit_ends"]) == ("LightGBM", "failed", None)


def test_what_was_validated_and_what_was_saved_are_both_said(bench):
    bench.run(bench.write(bench.series()))
    row = bench.recorder.tables["models.csv"].row(1, named=True)
    assert (row["model"], row["status"], row["windows_validated"]) == ("DynamicOptimizedTheta", "trained", 3)
    assert (row["validation_fits_end"], row["saved_fit_ends"]) == ("2019-06-01", "2020-12-01")


def test_models_without_intervals_get_conformal_ones_with_their_coverage(bench, path):
    outcome = bench.run(path, models=["LightGBM"], n_windows=4)
    assert 0 <= outcome.metrics["LightGBM.coverage_80"] <= 1
    assert bench.recorder.tables["cv_results_LightGBM.csv"]["lower_80"].null_count() == 0
    rows = {row["model"]: row["intervals"] for row in bench.recorder.tables["models.csv"].to_dicts()}
    assert rows == {"SeasonalNaive": "own", "LightGBM": "conformal"}


def test_a_constant_series_has_no_mase_and_does_no_harm(bench):
    outcome = bench.run(bench.write(bench.series("a") + bench.series("flat", [5.0] * 72)))
    assert outcome.items.filter(unique_id="flat")["loss"].null_count() == 3
    assert outcome.items.filter(unique_id="flat")["mae"].drop_nulls().to_list() == [0.0, 0.0]
    assert np.isfinite(outcome.metrics["cherry_pick.mase"])


def test_only_constant_series_give_no_mase_at_all(bench):
    outcome = bench.run(bench.write(bench.series("flat", [5.0] * 72)))
    assert not [name for name in outcome.metrics if "mase" in name]
    assert outcome.metrics["SeasonalNaive.mae"] == 0


def test_one_window_says_what_it_cannot_score(bench, path):
    outcome = bench.run(path, n_windows=1)
    assert "cherry_pick.mase" not in outcome.metrics
    assert "needs two windows or more" in outcome.summary


def test_exogenous_columns_have_a_say_where_a_model_knows_them(bench):
    promo = [i * i * 31 % 11 < 3 and i % 7 != 2 for i in range(120)]
    y = [v + 40 * p for v, p in zip(bench.wave(120, slope=0), promo, strict=True)]
    rows = [[*row, int(p)] for row, p in zip(bench.series("a", y), promo, strict=True)]
    outcome = bench.run(bench.write(rows, ("unique_id", "ds", "y", "promo")), models=["LightGBM"])
    blind = bench.run(bench.write([row[:3] for row in rows]), models=["LightGBM"])
    assert outcome.metrics["LightGBM.mase"] < 0.8 * blind.metrics["LightGBM.mase"]
    assert "promo have no say in SeasonalNaive" in bench.recorder.warnings


def test_two_processes_say_the_same_as_one(bench, path):
    one, two = bench.run(path), bench.run(path, n_jobs=2)
    assert one.metrics == two.metrics


def test_tables_can_be_written_as_csv(bench, path):
    bench.run(path)
    for name, table in bench.recorder.tables.items():
        again = pl.read_csv(io.StringIO(table.write_csv()))
        assert again.columns == table.columns, name
