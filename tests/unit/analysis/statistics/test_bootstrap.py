"""The bootstrap over pattern counts is that of scipy over items, and its intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from corrida.analysis.statistics import resampling
from corrida.analysis.statistics.bootstrap import bootstrap_interval
from corrida.analysis.statistics.estimators import LabelAverage, Ratio
from corrida.analysis.statistics.pairs import Entries, Matrix, Pairs


def _ratio(rows):
    return rows[..., 0].sum(-1) / rows[..., 1].sum(-1)


def _by_scipy(a, b, estimator, resamples=20_000):
    def difference(picks, axis=-1):
        sums_a, sums_b = a[picks].sum(axis=-2), b[picks].sum(axis=-2)
        return estimator(sums_b) - estimator(sums_a)

    found = stats.bootstrap(
        (np.arange(len(a)),), difference, n_resamples=resamples, method="BCa", vectorized=True, batch=500,
        rng=np.random.default_rng(11),
    )  # fmt: skip
    return found.confidence_interval, found.standard_error


@pytest.fixture
def answers():
    """Answers with abstentions: (2 hits, outputs + expected) an item, as for F1."""
    rng = np.random.default_rng(5)
    given_a, given_b = rng.random(300) < 0.8, rng.random(300) < 0.85
    right_a, right_b = given_a & (rng.random(300) < 0.6), given_b & (rng.random(300) < 0.65)
    return tuple(
        np.column_stack([2.0 * right, given + 1.0])
        for right, given in ((right_a, given_a), (right_b, given_b))
    )


def _counted(a, b):
    rows, counts = np.unique(np.hstack([a, b]), axis=0, return_counts=True)
    width = a.shape[1]
    return Pairs.of(rows[:, :width], rows[:, width:], counts)


def test_f1_as_by_scipy(answers):
    (low, high), error = _by_scipy(*answers, Ratio())
    found = bootstrap_interval(_counted(*answers), Ratio(), confidence=0.95, resamples=20_000, seed=0)
    assert _counted(*answers).patterns < 10
    assert found.low == pytest.approx(low, abs=0.004)
    assert found.high == pytest.approx(high, abs=0.004)
    assert found.error == pytest.approx(error, rel=0.03)


def test_items_one_by_one_and_counted_are_the_same_distribution(answers):
    counted = bootstrap_interval(_counted(*answers), Ratio(), confidence=0.9, resamples=20_000, seed=1)
    single = bootstrap_interval(Pairs.of(*answers), Ratio(), confidence=0.9, resamples=20_000, seed=2)
    assert single.low == pytest.approx(counted.low, abs=0.003)
    assert single.high == pytest.approx(counted.high, abs=0.003)


def test_skewed_losses_as_by_scipy():
    rng = np.random.default_rng(8)
    a = np.column_stack([rng.lognormal(0, 1, 80), np.ones(80)])
    b = np.column_stack([a[:, 0] * rng.lognormal(0.1, 0.6, 80), np.ones(80)])
    (low, high), error = _by_scipy(a, b, Ratio())
    found = bootstrap_interval(Pairs.of(a, b), Ratio(), confidence=0.95, resamples=20_000, seed=0)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * error)
    assert found.error == pytest.approx(error, rel=0.03)


def _labels(truth, given, size):
    rows = np.arange(len(truth))
    hits = truth == given
    return (
        np.concatenate([rows[hits], rows, rows]),
        np.concatenate([truth[hits], given + size, truth + 2 * size]),
    )


def _label_pairs(truth, given_a, given_b, size):
    sides = []
    for given in (given_a, given_b):
        rows, columns = _labels(truth, given, size)
        sides.append(Entries(rows, columns, np.ones(rows.size), (len(truth), 3 * size)))
    return Pairs(*sides, np.ones(len(truth), dtype=np.int64), len(truth))


def test_macro_averages_as_by_scipy():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 5, 400)
    given_a = np.where(rng.random(400) < 0.6, truth, rng.integers(0, 5, 400))
    given_b = np.where(rng.random(400) < 0.65, truth, rng.integers(0, 5, 400))
    pairs = _label_pairs(truth, given_a, given_b, 5)
    estimator = LabelAverage("f1")
    (low, high), error = _by_scipy(pairs.a.block(0, 400), pairs.b.block(0, 400), estimator, 4000)
    found = bootstrap_interval(pairs, estimator, confidence=0.95, resamples=10_000, seed=0)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.2 * error)


def test_entries_and_matrix_are_the_same():
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 2, (40, 60)).astype(float)
    rows, columns = np.nonzero(whole)
    entries, matrix = Entries(rows, columns, np.ones(rows.size), (40, 60)), Matrix(whole)
    counts = rng.integers(0, 5, (7, 40))
    assert np.array_equal(entries.sums(counts), matrix.sums(counts))
    assert np.array_equal(entries.sums(counts[0]), matrix.sums(counts[0]))
    picks = np.array([3, 0, 39])
    assert np.array_equal(entries.select(picks).block(0, 3), matrix.select(picks).block(0, 3))
    other = Entries(rows[::2], columns[::2], np.ones(rows[::2].size), (40, 60))
    difference = entries.minus(other)
    assert np.array_equal(difference.block(0, 40), matrix.minus(Matrix(other.block(0, 40))).block(0, 40))
    assert np.array_equal(difference.not_zero(), Matrix(difference.block(0, 40)).not_zero())


@pytest.mark.parametrize("heavy", [False, True])
def test_units_drawn_together_are_the_same_distribution(monkeypatch, heavy):
    rng = np.random.default_rng(4)
    loss = rng.lognormal(0, 1, 6000) if not heavy else rng.pareto(1.6, 6000)
    a = np.column_stack([loss, np.ones(6000)])
    b = np.column_stack([loss * rng.lognormal(0, 0.4, 6000), np.ones(6000)])
    together = bootstrap_interval(Pairs.of(a, b), Ratio(), confidence=0.95, resamples=20_000, seed=0)
    monkeypatch.setattr(resampling, "EXACT_PATTERNS", 10_000)
    single = bootstrap_interval(Pairs.of(a, b), Ratio(), confidence=0.95, resamples=20_000, seed=0)
    assert together.error == pytest.approx(single.error, rel=0.03)
    assert (together.low, together.high) == pytest.approx((single.low, single.high), abs=0.08 * single.error)


def test_clusters_are_drawn_as_wholes():
    rng = np.random.default_rng(9)
    effect = np.repeat(rng.normal(0, 1, 40), 25)  # each of 40 clusters has one mind
    loss = rng.normal(0, 0.1, 1000)
    a, b = np.column_stack([loss, np.ones(1000)]), np.column_stack([loss + effect, np.ones(1000)])
    whole = [side.reshape(40, 25, 2).sum(axis=1) for side in (a, b)]
    items = bootstrap_interval(Pairs.of(a, b), Ratio(), confidence=0.95, resamples=4000, seed=0)
    clusters = bootstrap_interval(
        Pairs.of(*whole, items=1000, clustered=True), Ratio(), confidence=0.95, resamples=4000, seed=0
    )
    assert clusters.error == pytest.approx(effect.std() / np.sqrt(40), rel=0.05)
    assert clusters.error > 4 * items.error


def test_the_same_seed_gives_the_same_numbers(answers):
    found = [
        bootstrap_interval(_counted(*answers), Ratio(), confidence=0.95, resamples=500, seed=s)
        for s in (0, 0, 1)
    ]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_resamples_without_a_denominator_are_counted_and_left_out():
    a, b = np.array([[1.0, 1], [0, 0], [0, 0]]), np.array([[0.0, 1], [0, 0], [0, 0]])
    found = bootstrap_interval(Pairs.of(a, b), Ratio(), confidence=0.95, resamples=5000, seed=0)
    assert found.undefined == pytest.approx((2 / 3) ** 3, abs=0.03)
    assert found.low == found.high == -1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["f1", "loss", "clusters"])
def test_intervals_cover_as_promised(kind):
    rng = np.random.default_rng(12)
    inside, repetitions = 0, 1000
    for seed in range(repetitions):
        if kind == "f1":
            right = rng.random((200, 2)) < (0.6, 0.7)
            given = right | (rng.random((200, 2)) < 0.5)
            sides = [np.column_stack([2.0 * right[:, s], given[:, s] + 1.0]) for s in (0, 1)]
            pairs = _counted(*sides)
            truth = 2 * 0.7 / (1 + 0.7 + 0.3 * 0.5) - 2 * 0.6 / (1 + 0.6 + 0.4 * 0.5)
        elif kind == "loss":
            loss = rng.gamma(1.0, 1.0, 150)
            moved = loss + rng.exponential(0.5, 150) - 0.4
            pairs = Pairs.of(np.column_stack([loss, np.ones(150)]), np.column_stack([moved, np.ones(150)]))
            truth = 0.1
        else:
            size = rng.integers(1, 8, 60)
            gain = rng.normal(0.2, 0.5, 60)
            base = rng.normal(1.0, 1.0, 60)
            pairs = Pairs.of(
                np.column_stack([base * size, size]), np.column_stack([(base + gain) * size, size])
            )
            truth = 0.2
        found = bootstrap_interval(pairs, Ratio((None, None)), confidence=0.95, resamples=1000, seed=seed)
        inside += found.low <= truth <= found.high
    assert 0.93 <= inside / repetitions <= 0.97
