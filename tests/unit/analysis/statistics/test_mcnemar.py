"""Paired proportions agree with scipy and statsmodels, and the score interval with its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm
from statsmodels.stats.contingency_tables import mcnemar

from corrida.analysis.statistics.mcnemar import exact_mcnemar, tango_interval

TABLES = [(0, 1), (5, 0), (3, 9), (10, 10), (17, 4), (500, 600), (0, 300)]


@pytest.mark.parametrize(("fixed", "broken"), TABLES)
def test_the_exact_test_is_that_of_scipy_and_statsmodels(fixed, broken):
    p = exact_mcnemar(fixed, broken)
    assert p == pytest.approx(binomtest(fixed, fixed + broken, 0.5).pvalue, rel=1e-9)
    assert p == pytest.approx(mcnemar([[50, fixed], [broken, 50]], exact=True).pvalue, rel=1e-9)
    assert p == exact_mcnemar(broken, fixed)


def test_a_million_discordant_items():
    expected = binomtest(499_000, 1_000_000, 0.5).pvalue
    assert exact_mcnemar(499_000, 501_000) == pytest.approx(expected, rel=1e-7)


def test_nothing_discordant():
    assert exact_mcnemar(0, 0) == 1.0


@pytest.mark.parametrize(("fixed", "broken"), TABLES)
def test_mid_p_counts_half_of_what_was_seen(fixed, broken):
    low, high = sorted((fixed, broken))
    seen = binomtest(low, low + high, 0.5)
    here = np.diff([binomtest(low - 1, low + high, 0.5, "less").pvalue if low else 0.0,
                    binomtest(low, low + high, 0.5, "less").pvalue])[0]  # fmt: skip
    expected = 1 - here / 2 if low == high else seen.pvalue - here
    assert exact_mcnemar(fixed, broken, mid_p=True) == pytest.approx(expected, rel=1e-9)


def _score_by_definition(fixed, broken, items, delta):
    """The score at delta with the nuisance share found by maximising the likelihood numerically."""

    def minus_likelihood(share):  # of the broken; delta + share is that of the fixed
        rest = 1 - 2 * share - delta
        terms = [(fixed, share + delta), (broken, share), (items - fixed - broken, rest)]
        return -sum(count * np.log(max(p, 1e-300)) for count, p in terms if count)

    low, high = max(0.0, -delta), (1 - delta) / 2
    share = minimize_scalar(minus_likelihood, bounds=(low, high), options={"xatol": 1e-12}).x
    return (fixed - broken - items * delta) / np.sqrt(items * (2 * share + delta * (1 - delta)))


@pytest.mark.parametrize(
    ("fixed", "broken", "items"), [(12, 2, 50), (3, 9, 40), (40, 20, 160), (0, 3, 30), (1, 0, 200)]
)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_ends_of_the_interval_have_the_score_of_the_confidence(fixed, broken, items, confidence):
    low, high = tango_interval(fixed, broken, items, confidence)
    z = norm.ppf(0.5 + confidence / 2)
    assert low < (fixed - broken) / items < high
    assert _score_by_definition(fixed, broken, items, low) == pytest.approx(z, abs=1e-3)
    assert _score_by_definition(fixed, broken, items, high) == pytest.approx(-z, abs=1e-3)


def test_the_interval_at_its_ends():
    assert tango_interval(0, 0, 100, 0.95) == pytest.approx((-0.03699, 0.03699), abs=1e-4)  # ± z² / (n + z²)
    low, high = tango_interval(20, 0, 20, 0.95)
    assert high == pytest.approx(1.0, abs=1e-9)
    assert 0.6 < low < 0.9


@pytest.mark.parametrize(("right_a", "gain", "loss"), [(0.7, 0.08, 0.03), (0.9, 0.02, 0.02), (0.5, 0.2, 0.1)])
@pytest.mark.parametrize("items", [40, 200])
def test_the_interval_covers_as_promised(right_a, gain, loss, items):
    rng = np.random.default_rng(7)
    draws = rng.multinomial(items, [gain, loss, 1 - gain - loss], size=3000)
    intervals = {}
    inside = 0
    for fixed, broken, _ in draws.tolist():
        if (fixed, broken) not in intervals:
            intervals[fixed, broken] = tango_interval(fixed, broken, items, 0.95)
        low, high = intervals[fixed, broken]
        inside += low <= gain - loss <= high
    assert 0.93 <= inside / len(draws) <= 0.995
