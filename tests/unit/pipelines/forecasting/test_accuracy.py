from __future__ import annotations

import numpy as np
import pytest

from corrida.pipelines.forecasting import accuracy
from corrida.pipelines.forecasting.intervals import calibrate, widened
from corrida.pipelines.forecasting.panel import Forecast

ACTUAL, SAID = np.array([10.0, 20.0, 30.0, 0.0]), np.array([12.0, 20.0, 24.0, 0.0])


def test_errors_by_hand():
    assert accuracy.mae(ACTUAL, SAID) == (2 + 0 + 6 + 0) / 4
    assert accuracy.rmse(ACTUAL, SAID) == pytest.approx(10**0.5)  # (4 + 36) / 4
    assert accuracy.smape(ACTUAL, SAID) == pytest.approx((400 / 22 + 0 + 1200 / 54 + 0) / 4)


def test_mase_by_hand():
    history = np.array([1.0, 2.0, 4.0, 3.0, 6.0, 5.0])
    # one season of two before: |4-1|, |3-2|, |6-4|, |5-3|
    assert accuracy.seasonal_scale(history, 2) == (3 + 1 + 2 + 2) / 4
    assert accuracy.mase(np.array([8.0, 9.0]), np.array([7.0, 6.0]), 2.0) == 1.0
    assert accuracy.mase(ACTUAL, SAID, 0.0) is None


def test_the_seasonal_naive_forecast_of_its_own_history_has_a_mase_of_one():
    rng = np.random.default_rng(0)
    y = rng.normal(size=40)
    scale = accuracy.seasonal_scale(y, 4)
    assert accuracy.mase(y[4:], y[:-4], scale) == pytest.approx(1.0)


def test_a_history_that_does_not_change_has_no_scale():
    assert accuracy.seasonal_scale(np.full(20, 0.1 + 0.2), 4) == 0
    assert accuracy.seasonal_scale(np.tile([1.0, 2.0, 3.0, 4.0], 5), 4) == 0


def test_coverage_counts_the_ends():
    forecast = Forecast(SAID, {80: (np.array([10.0, 21.0, 0.0, 0.0]), np.array([12.0, 22.0, 29.0, 0.0]))})
    assert accuracy.coverage(ACTUAL, forecast, 80) == 0.5
    assert accuracy.coverage(ACTUAL, forecast, 95) is None


def test_widths_are_the_conformal_quantiles():
    errors = [np.array([float(i), 10.0 * i]) for i in range(1, 10)]  # nine: the 8th of nine at 80 %
    assert calibrate(errors, [80]) == {80: [8.0, 80.0]}
    # nine are too few for 95 % of one step (rank 10), eighteen are not (rank 19 of 18): no interval
    assert calibrate(errors, [95]) == {}
    assert calibrate([], [80]) == {}


def test_intervals_cover_new_errors_as_often_as_they_say():
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        widths = calibrate([np.abs(rng.normal(size=3)) for _ in range(19)], [80])[80]
        inside.append(np.abs(rng.normal(size=3)) <= widths)
    assert 0.78 <= np.mean(inside) <= 0.86


def test_beyond_the_last_step_the_last_width_holds():
    found = widened(Forecast(np.zeros(3)), 2.0, {80: [1.0, 1.5]})
    assert found.bounds[80][1].tolist() == [2.0, 3.0, 3.0]
    assert found.bounds[80][0].tolist() == [-2.0, -3.0, -3.0]
