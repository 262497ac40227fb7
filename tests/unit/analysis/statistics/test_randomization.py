"""Swapping the runs agrees with scipy's permutation test, with McNemar's, and keeps its level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from corrida.analysis.statistics import randomization
from corrida.analysis.statistics.estimators import LabelAverage, Ratio
from corrida.analysis.statistics.mcnemar import exact_mcnemar
from corrida.analysis.statistics.pairs import Entries, Pairs
from corrida.analysis.statistics.randomization import randomization_test


def _losses(a, b):
    return Pairs.of(np.column_stack([a, np.ones(len(a))]), np.column_stack([b, np.ones(len(b))]))


def _by_scipy(a, b, resamples):
    return stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(y - x, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=resamples, rng=np.random.default_rng(1),
    ).pvalue  # fmt: skip


def test_a_few_losses_exactly():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 11), rng.normal(0.7, 1, 11)
    found = randomization_test(_losses(a, b), Ratio(), resamples=10_000, seed=0)
    assert found.exact
    assert found.swaps == 2**11
    assert found.p_value == pytest.approx(_by_scipy(a, b, np.inf), rel=1e-12)


def test_many_losses_by_chance():
    rng = np.random.default_rng(3)
    a = rng.gamma(1, 1, 200)
    b = a + rng.normal(0.1, 0.7, 200)
    found = randomization_test(_losses(a, b), Ratio(), resamples=20_000, seed=0)
    assert not found.exact
    assert found.p_value == pytest.approx(_by_scipy(a, b, 20_000), abs=0.01)


@pytest.mark.parametrize(("fixed", "broken"), [(9, 2), (8, 8), (12, 1), (40, 22)])
def test_right_and_wrong_is_mcnemars_test(fixed, broken):
    a, b = np.array([[0.0, 1], [1, 1], [1, 1]]), np.array([[1.0, 1], [0, 1], [1, 1]])
    found = randomization_test(Pairs.of(a, b, [fixed, broken, 30]), Ratio(), resamples=50_000, seed=0)
    assert found.p_value == pytest.approx(exact_mcnemar(fixed, broken), abs=1e-12 if found.exact else 0.008)


@pytest.mark.parametrize("heavy", [False, True])
def test_units_swapped_together_are_the_same_distribution(monkeypatch, heavy):
    rng = np.random.default_rng(6)
    a = rng.gamma(1, 1, 8000) if not heavy else rng.pareto(1.6, 8000)
    b = a * rng.lognormal(-0.04, 0.3, 8000)
    together = randomization_test(_losses(a, b), Ratio(), resamples=20_000, seed=0)
    monkeypatch.setattr(randomization, "EXACT_PATTERNS", 10_000)
    single = randomization_test(_losses(a, b), Ratio(), resamples=20_000, seed=0)
    assert 0.01 < single.p_value < 0.99
    assert together.p_value == pytest.approx(single.p_value, abs=0.015)


def test_swapping_labels_of_a_macro_average_by_hand():
    truth, given_a, given_b = (
        np.array([0, 0, 1, 1, 2, 2]),
        np.array([0, 1, 1, 0, 2, 0]),
        np.array([0, 0, 1, 1, 0, 2]),
    )
    sides = []
    for given in (given_a, given_b):
        rows = np.arange(6)
        hits = truth == given
        columns = np.concatenate([truth[hits], given + 3, truth + 6])
        sides.append(
            Entries(np.concatenate([rows[hits], rows, rows]), columns, np.ones(columns.size), (6, 9))
        )
    pairs = Pairs(*sides, np.ones(6, dtype=np.int64), 6)

    def f1(given):
        scores = []
        for label in range(3):
            hits = np.sum((given == label) & (truth == label))
            both = np.sum(given == label) + np.sum(truth == label)
            scores.append(2 * hits / both)
        return np.mean(scores)

    seen = abs(f1(given_b) - f1(given_a))
    swaps = [np.array([(n >> i) & 1 for i in range(6)], dtype=bool) for n in range(64)]
    extreme = [
        abs(f1(np.where(s, given_a, given_b)) - f1(np.where(s, given_b, given_a))) >= seen - 1e-12
        for s in swaps
    ]
    found = randomization_test(pairs, LabelAverage("f1"), resamples=10_000, seed=0)
    assert found.exact
    assert found.p_value == pytest.approx(np.mean(extreme))


def test_nothing_to_swap():
    assert randomization_test(_losses(np.ones(5), np.ones(5)), Ratio(), resamples=100, seed=0).p_value == 1.0
