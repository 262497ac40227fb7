"""Numbers of items agree with statsmodels and with simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.power import TTestPower

from corrida.analysis.statistics.power import (
    detectable_mean,
    detectable_proportion,
    items_for_mean,
    items_for_proportions,
    items_to_tie,
)


@pytest.mark.parametrize("effect", [0.1, 0.3, 0.8])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_pairs_for_a_mean_as_by_the_t_test(effect, confidence):
    exact = TTestPower().solve_power(effect_size=effect, alpha=1 - confidence, power=0.8)
    assert items_for_mean(2.0, 2.0 * effect, confidence) == pytest.approx(exact, abs=1.5)


def test_items_for_proportions_as_published():
    # Connor (1987): discordant 0.3, difference 0.1, two-sided 5 %, power 80 %; worked out by hand.
    by_hand = (1.959964 * math.sqrt(0.3) + 0.841621 * math.sqrt(0.29)) ** 2 / 0.01
    assert items_for_proportions(0.3, 0.1, 0.95) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize(("gain", "loss"), [(0.12, 0.06), (0.05, 0.02), (0.3, 0.2)])
def test_so_many_items_find_the_difference_four_times_in_five(gain, loss):
    items = math.ceil(items_for_proportions(gain + loss, gain - loss, 0.95))
    rng = np.random.default_rng(3)
    fixed, broken, _ = rng.multinomial(items, [gain, loss, 1 - gain - loss], size=20_000).T
    p = np.minimum(1.0, 2 * binom.cdf(np.minimum(fixed, broken), fixed + broken, 0.5))
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.06)  # the exact test is a little less keen


def test_what_is_detectable_is_what_the_items_suffice_for():
    least = detectable_proportion(0.2, 500, 0.95)
    assert items_for_proportions(0.2, least, 0.95) == pytest.approx(500, rel=1e-6)
    assert math.isnan(detectable_proportion(0.0, 500, 0.95))
    assert math.isnan(detectable_proportion(0.01, 20, 0.95))  # not even if all went one way
    assert detectable_mean(0.01, 0.95) == pytest.approx(0.0280159, rel=1e-5)


def test_items_to_call_it_a_tie():
    more = items_to_tie(100, 0.02, 0.004, 0.01, 0.95)
    assert more is not None
    half_width = 1.959964 * 0.02 * math.sqrt(100 / more)
    assert 0.004 + half_width == pytest.approx(0.01, rel=1e-6)
    assert items_to_tie(100, 0.02, 0.012, 0.01, 0.95) is None
