"""Drawing items, or clusters, with replacement: the sums of A and B in each resample.

Three ways, the same distribution:

- few patterns: one multinomial draw of the pattern counts a resample;
- few units: as many units drawn one by one;
- many of both (losses of a million items): the units with the most influence are drawn one by one, and the sums of all
  others, which have no extremes left, by the normal distribution that the central limit theorem gives them, with
  their exact mean and covariance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from corrida.analysis.statistics.pairs import Floats, Integers, Matrix, Pairs

# At more patterns than this the less influential units are drawn together.
EXACT_PATTERNS = 5_000
EXTREMES = 200
_CELLS = 2_000_000  # numbers held at a time
_AFFORDABLE = 10_000_000  # patterns × resamples that are drawn exactly


def bootstrap_sums(
    pairs: Pairs, influence: Floats, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Yield the sums of A and B in resamples of the units, in batches of resamples × sums.

    Source of the multinomial form: Efron, B. and Tibshirani, R. (1993), An Introduction to the Bootstrap, section
    20.2 (the resampling vector).

    Args:
        pairs: the units by pattern.
        influence: how much each pattern moves the metric; the greatest are the extremes.
        resamples: how many.
        rng: the source of random numbers.
    """
    units = pairs.units
    if (
        min(pairs.patterns, units) > EXACT_PATTERNS
        and isinstance(pairs.a, Matrix)
        and isinstance(pairs.b, Matrix)
    ):
        yield from _by_extremes(pairs.a.matrix, pairs.b.matrix, pairs.counts, influence, resamples, rng)
        return
    one_by_one = units <= 4 * pairs.patterns
    members = np.repeat(np.arange(pairs.patterns), pairs.counts) if one_by_one else None
    shares = pairs.counts / units
    for size in batches(resamples, max(pairs.patterns, units if one_by_one else 1)):
        if members is None:
            counts = rng.multinomial(units, shares, size=size)
        else:
            picks = members[rng.integers(0, units, size=(size, units))]
            counts = count_rows(picks, pairs.patterns)
        yield pairs.a.sums(counts), pairs.b.sums(counts)


def affordable(pairs: Pairs, resamples: int) -> int:
    """Return how many resamples to draw of averages over labels, which may have thousands of patterns.

    10,000 resamples of 10,000 patterns would take half a minute; 1,000 are enough for an interval, and are always
    drawn (Efron and Tibshirani 1993, section 14.3).
    """
    if isinstance(pairs.a, Matrix):
        return resamples
    width = min(pairs.patterns, pairs.units)
    return min(resamples, max(1_000, _AFFORDABLE // max(width, 1)))


def batches(resamples: int, width: int) -> Iterator[int]:
    """Yield how many resamples of ``width`` numbers to hold at a time."""
    step = max(1, min(resamples, _CELLS // max(width, 1)))
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def count_rows(picks: Integers, size: int) -> Integers:
    """Return how often each number below ``size`` stands in each row."""
    rows = picks.shape[0]
    places = picks + np.arange(rows)[:, None] * size
    return np.bincount(places.ravel(), minlength=rows * size).reshape(rows, size)


def extremes(influence: Floats) -> Integers:
    """Return the patterns with the most influence of one unit."""
    size = np.abs(influence)
    return np.argpartition(size, size.size - EXTREMES)[size.size - EXTREMES :]


def normal_factor(covariance: Floats) -> Floats:
    """Return a matrix F with Fᵀ F = the covariance, also for one that is singular."""
    scale = np.sqrt(np.diag(covariance))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))).T * scale)


def _by_extremes(
    in_a: Floats, in_b: Floats, counts: Integers, influence: Floats, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    few = extremes(influence)
    both = np.hstack([in_a, in_b]) if in_a.any() else in_b
    width = both.shape[1] - in_b.shape[1]
    mean, covariance = _moments(both, counts, few)
    factor = normal_factor(covariance)
    members = np.repeat(few, counts[few])
    units = int(counts.sum())
    for size in batches(resamples, 2 * members.size):
        hits = rng.binomial(units, members.size / units, size=size)
        of = np.repeat(np.arange(size), hits)
        picks = members[rng.integers(0, members.size, size=of.size)]
        drawn = [np.bincount(of, weights=column[picks], minlength=size) for column in both.T]
        left = (units - hits)[:, None]
        noise = rng.standard_normal((size, both.shape[1])) @ factor
        sums = np.column_stack(drawn) + left * mean + np.sqrt(left) * noise
        in_b_drawn = sums[:, width:]
        yield (sums[:, :width] if width else np.zeros_like(in_b_drawn)), in_b_drawn


def _moments(rows: Floats, counts: Integers, without: Integers) -> tuple[Floats, Floats]:
    """Return mean and covariance of counted rows, but for some."""
    weights = counts.astype(np.float64)
    total = weights.sum() - weights[without].sum()
    left_out = weights[without, None] * rows[without]
    mean = (weights @ rows - left_out.sum(axis=0)) / total
    centred = rows - mean
    squares = (centred.T if counts.max() == 1 else centred.T * weights) @ centred
    return mean, (squares - centred[without].T @ (weights[without, None] * centred[without])) / total
