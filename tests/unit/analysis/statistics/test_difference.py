"""What is said of a difference keeps its promises."""

from __future__ import annotations

import numpy as np
import pytest

from corrida.analysis.statistics.difference import paired_difference
from corrida.analysis.statistics.estimators import Ratio
from corrida.analysis.statistics.pairs import Pairs

RIGHT_WRONG = (np.array([[0.0, 1], [1, 1], [1, 1], [0, 1]]), np.array([[1.0, 1], [0, 1], [1, 1], [0, 1]]))


def _counts(fixed, broken, right, wrong, **options):
    return paired_difference(Pairs.of(*RIGHT_WRONG, [fixed, broken, right, wrong]), Ratio(), **options)


def test_right_and_wrong_takes_the_exact_test_and_the_score_interval():
    found = _counts(30, 8, 100, 62)
    assert (found.a, found.b, found.difference) == pytest.approx((0.54, 0.65, 0.11))
    assert found.test == "exact McNemar test"
    assert found.items == found.units == 200
    assert found.judge() == "higher"
    assert found.resamples == 0


def test_a_real_difference_needs_its_adjusted_p():
    found = _counts(30, 14, 100, 56)
    assert found.judge() == "higher"
    assert found.judge(0.06) == "underpowered"


def test_an_interval_does_not_contradict_its_test():
    found = _counts(5, 0, 60, 35)  # p = 0.0625, and Tango's interval begins above 0
    assert found.p_value == 0.0625
    assert found.widened
    assert found.low == 0.0
    assert found.judge() == "underpowered"


def test_tied_is_inside_the_margin():
    found = _counts(1000, 1000, 500_000, 498_000)
    assert -0.01 < found.low < 0 < found.high < 0.01
    assert found.judge() == "tied"
    assert _counts(1000, 1000, 500_000, 498_000, margin=0.00001).judge() == "underpowered"
    same = _counts(0, 0, 3, 2)
    assert same.identical
    assert same.judge() == "tied"


def test_a_small_difference_may_be_real():
    found = _counts(3000, 2000, 500_000, 495_000)
    assert found.judge() == "higher"
    assert found.difference < found.margin


def test_losses_have_a_margin_of_their_own_size():
    rng = np.random.default_rng(0)
    loss = rng.gamma(4, 10, 3000)
    sides = [np.column_stack([x, np.ones(3000)]) for x in (loss, loss + rng.normal(0, 0.5, 3000))]
    found = paired_difference(Pairs.of(*sides), Ratio((None, None)))
    assert found.margin == pytest.approx(0.01 * loss.mean())
    assert found.judge() == "tied"


def test_nothing_to_divide_by_is_no_difference():
    assert paired_difference(Pairs.of(np.zeros((3, 2)), np.zeros((3, 2))), Ratio()) is None
    assert paired_difference(Pairs.of(np.zeros((0, 2)), np.zeros((0, 2))), Ratio()) is None


def test_as_many_items_as_needed_find_the_difference():
    found = _counts(24, 16, 100, 60)
    assert found.judge() == "underpowered"
    assert found.needed > 200
    times = found.needed / 200
    more = _counts(*(round(times * c) for c in (24, 16, 100, 60)))
    assert more.p_value < 0.05  # the effect seen is found more often than not


def _with_itself(kind, seed):
    """A noisy pipeline run twice over 50 to 500 items that are not equally easy."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(50, 501))
    ease = rng.beta(2, 1, (size, 1))
    if kind in {"accuracy", "f1"}:
        given = rng.random((size, 2)) < (1.0 if kind == "accuracy" else 0.8)
        right = given & (rng.random((size, 2)) < ease)
        part = right * (1.0 if kind == "accuracy" else 2.0)
        whole = np.ones((size, 2)) if kind == "accuracy" else given + 1.0
    elif kind == "loss":
        part, whole = rng.gamma(0.5, 1, (size, 2)) * ease, np.ones((size, 2))
    else:
        each = rng.integers(1, 6, (size, 1))
        part = each * (rng.normal(0, 1, (size, 2)) + ease)
        whole = np.repeat(each, 2, axis=1).astype(float)
    sides = [np.column_stack([part[:, s], whole[:, s]]) for s in (0, 1)]
    if kind in {"loss", "clusters"}:
        return Pairs.of(*sides, clustered=kind == "clusters")
    rows, counts = np.unique(np.hstack(sides), axis=0, return_counts=True)
    return Pairs.of(rows[:, :2], rows[:, 2:], counts)


@pytest.mark.slow
def test_a_pipeline_compared_with_itself_seldom_raises_an_alarm():
    """Of 2,000 comparisons at most 5 % raise an alarm, and what chance adds: three standard errors."""
    each = 500
    alarms = {
        kind: sum(
            paired_difference(_with_itself(kind, seed), Ratio(), resamples=500, seed=seed).judge()
            in {"higher", "lower"}
            for seed in range(each)
        )
        for kind in ("accuracy", "f1", "loss", "clusters")
    }
    assert sum(alarms.values()) / (4 * each) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / (4 * each))
    assert max(alarms.values()) / each <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / each)
    assert min(alarms.values()) > 0  # a test that never rejects would pass as well
