"""Curves of step metrics: smoothing by its definition, and peaks that survive thinning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrida.analysis.charts.history import RunCurve, history_alt, history_chart
from corrida.analysis.curves import curve, time_unit
from corrida.runs.step_metrics import Points


def _points(values: list[float], steps: list[int] | None = None) -> Points:
    numbers = np.arange(len(values)) if steps is None else np.array(steps)
    return Points(numbers, 1e9 + numbers * 2.0, np.array(values, dtype=float))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    st.floats(0.01, 0.99),
)
def test_smoothing_is_the_moving_average_without_its_bias(values: list[float], weight: float) -> None:
    mean, wanted = 0.0, []
    for n, value in enumerate(values, 1):
        mean = weight * mean + (1 - weight) * value
        wanted.append(mean / (1 - weight**n))
    assert curve(_points(values), smooth=weight).y == pytest.approx(wanted, rel=1e-6, abs=1e-3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=400), st.integers(1, 20))
def test_thinning_keeps_ends_and_extremes(values: list[float], buckets: int) -> None:
    thin = curve(_points(values), buckets=buckets)
    finite = [v for v in values if np.isfinite(v)]
    assert len(thin.y) <= max(2 * buckets + 2, 2 * buckets)
    assert (thin.total, thin.left_out) == (len(finite), len(values) - len(finite))
    assert thin.x == sorted(thin.x)
    if finite:
        assert (min(thin.y), max(thin.y)) == (min(finite), max(finite))
        assert (thin.y[0], thin.y[-1]) == (finite[0], finite[-1])


def test_steps_out_of_order_are_put_in_order_and_equal_ones_stay() -> None:
    made = curve(_points([3.0, 1.0, 2.0], [5, 1, 1]))
    assert (made.x, made.y) == ([1.0, 1.0, 5.0], [1.0, 2.0, 3.0])
    many = curve(_points([float(n % 7) for n in range(1_000)], [4] * 1_000), buckets=10)
    assert len(many.y) <= 22
    assert set(many.x) == {4.0}


def test_a_logarithmic_axis_takes_what_is_above_0() -> None:
    made = curve(_points([1.0, 0.0, -1.0, float("nan"), 10.0]), log=True)
    assert (made.y, made.left_out) == ([1.0, 10.0], 3)


def test_time_counts_from_the_first_point() -> None:
    assert curve(_points([1.0, 2.0]), axis="time").x == [0.0, 2.0]
    assert [time_unit(s)[1] for s in (5, 600, 9_000, 900_000)] == ["seconds", "minutes", "hours", "days"]


def test_a_million_points_become_a_few_hundred() -> None:
    values = np.sin(np.arange(1_000_000) / 1e4)
    values[765_432] = 9.0
    made = curve(Points(np.arange(1_000_000), np.arange(1_000_000) * 0.1, values))
    assert len(made.y) <= 402
    assert max(made.y) == 9.0


def test_the_chart_has_a_colour_a_run_and_says_what_is_left_out() -> None:
    one = RunCurve("run_a", 0, curve(_points([1.0, float("inf"), 3.0])))
    two = RunCurve("run_c", 2, curve(_points([2.0])), curve(_points([2.0])))
    spec = history_chart("loss", [one, two], axis="time")
    colour = spec["layer"][0]["encoding"]["color"]["scale"]
    assert colour == {"domain": ["run_a", "run_c"], "range": ["#0072B2", "#009E73"]}
    assert spec["title"]["subtitle"] == "1 point left out: not finite"
    assert "seconds" in spec["layer"][0]["encoding"]["x"]["title"]
    assert history_alt("loss", [one, two]) == (
        "loss over the run. run_a: 2 points from 1 to 3; run_c: 1 points from 2 to 2"
    )
    assert history_alt("loss", []) == "loss over the run. no finite point"


def test_the_chart_can_be_drawn_elsewhere_too() -> None:
    from corrida.analysis.charts.render import to_svg

    assert "<svg" in to_svg(
        history_chart("loss", [RunCurve("run_a", 0, curve(_points([1.0, 2.0])))], log=True)
    )
