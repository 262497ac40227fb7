"""Nothing of the future may be seen: not by a fit, not by a choice, not by an interval."""

from __future__ import annotations

import numpy as np
import pytest

MODELS = ["DynamicOptimizedTheta", "LightGBM"]
WINDOWS, HORIZON, LENGTH = 4, 6, 60


@pytest.fixture
def run(bench):
    """Run on series whose values from a place on are others."""

    def made(changed_from=None):
        rng = np.random.default_rng(1)
        other = np.random.default_rng(2)
        lines = []
        for name in ("a", "b", "c"):
            values = 100 + np.cumsum(rng.normal(0, 2, LENGTH)) + 5 * np.sin(np.arange(LENGTH) / 2)
            if changed_from is not None:
                values[changed_from:] = other.permutation(values[changed_from:]) * 3 - 50
            lines += bench.series(name, [float(v) for v in values])
        bench.recorder.tables.clear()
        outcome = bench.run(
            bench.write(lines),
            models=MODELS,
            horizon=HORIZON,
            n_windows=WINDOWS,
            season_length=4,
            report=False,
        )
        tables = {
            model: bench.recorder.tables[f"cv_results_{model}.csv"] for model in ("SeasonalNaive", *MODELS)
        }
        return outcome, tables

    return made


def start(window):
    """Return where the values begin that a window holds out."""
    return LENGTH - HORIZON * (WINDOWS - window + 1)


@pytest.mark.parametrize("window", range(1, WINDOWS + 1))
def test_forecasts_of_a_window_do_not_depend_on_what_came_after_its_cutoff(run, window):
    _, before = run()
    _, after = run(changed_from=start(window))
    for model, table in before.items():
        for earlier in range(1, window + 1):
            one, other = (side.filter(window=earlier) for side in (table, after[model]))
            assert one["forecast"].to_list() == other["forecast"].to_list(), (model, earlier)
        assert table.filter(window=window)["y"].to_list() != after[model].filter(window=window)["y"].to_list()


@pytest.mark.parametrize("window", range(2, WINDOWS + 1))
def test_the_choice_of_a_window_does_not_depend_on_what_came_after_its_cutoff(run, window):
    chosen = [
        outcome.items.filter(outcome.items["window"] <= window)["model"].to_list()
        for outcome, _ in (run(), run(changed_from=start(window)))
    ]
    assert chosen[0] == chosen[1]


def test_the_scale_of_the_error_is_that_of_the_values_before_the_cutoff(run, bench):
    run()
    errors = bench.recorder.tables["metrics.csv"].filter(model="SeasonalNaive", window=2)
    scales = (errors["mae"] / errors["mase"]).to_list()
    run(changed_from=start(2))
    errors = bench.recorder.tables["metrics.csv"].filter(model="SeasonalNaive", window=2)
    assert (errors["mae"] / errors["mase"]).to_list() == pytest.approx(scales)


def test_the_interval_of_a_window_does_not_come_from_its_own_errors(run):
    # LightGBM has none of its own: that of the last window must not follow what happened in it.
    _, before = run()
    _, after = run(changed_from=start(WINDOWS))
    one, other = (side["LightGBM"].filter(window=WINDOWS) for side in (before, after))
    for bound in ("lower_80", "upper_80"):
        assert one[bound].to_list() == pytest.approx(other[bound].to_list())
    assert one["upper_80"].null_count() == 0
