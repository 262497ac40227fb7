"""The p-value of a difference: swapping the two runs in each item, or cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from corrida.analysis.statistics.bootstrap import difference_of
from corrida.analysis.statistics.pairs import Contributions, Floats, Integers, Matrix, Pairs
from corrida.analysis.statistics.resampling import EXACT_PATTERNS, batches, extremes, normal_factor

if TYPE_CHECKING:
    from corrida.analysis.statistics.estimators import Estimator

_CLOSE = 1e-9  # swaps that give the difference itself must not miss it by rounding


@dataclass(frozen=True)
class Randomization:
    """The outcome of a randomization test.

    Attributes:
        p_value: two-sided.
        exact: whether all swaps were tried instead of a sample of them.
        swaps: how many were.
    """

    p_value: float
    exact: bool
    swaps: int


def randomization_test(pairs: Pairs, estimator: Estimator, *, resamples: int, seed: int) -> Randomization:
    """Return how often swapping A and B in each unit at random gives a difference as great as the one seen.

    If the runs are alike, their names could be swapped in any unit. For a mean this is the sign-flip test of the
    paired differences; for F1 and the like, approximate randomization. It keeps its level for every number of items.

    All swaps are tried when there are at most ``resamples`` of them; else ``resamples`` are drawn, and
    p = (1 + k) / (1 + resamples) with k at least as great as the one seen, which keeps the level too. With more than
    5,000 units that differ, the 200 with the most influence are swapped one by one and the sum of the others is drawn
    from the normal distribution with its exact mean and covariance: by the theorem of Berry and Esseen its error is at
    most 0.56 max|d| / √Σd² over those others, and the extremes that could make this large are not among them.

    Sources: Fisher, R. A. (1935), The Design of Experiments, section 21; Noreen, E. W. (1989), Computer-Intensive
    Methods for Testing Hypotheses; Yeh, A. (2000), More accurate tests for the statistical significance of result
    differences, COLING; the +1: Phipson and Smyth (2010), Permutation p-values should never be zero, Statistical
    Applications in Genetics and Molecular Biology 9:39; the bound: Shevtsova, I. (2010), Doklady Mathematics 82,
    862-864.

    Args:
        pairs: the units of both runs.
        estimator: the metric.
        resamples: how many swaps to draw at most.
        seed: of the random numbers.
    """
    seen = abs(difference_of(pairs, estimator))
    picks = pairs.discordant
    if not picks.size:
        return Randomization(1.0, exact=True, swaps=1)
    shift, counts = pairs.shift.select(picks), pairs.counts[picks]
    units = int(counts.sum())
    exact = units < 60 and 2**units <= resamples
    rng = np.random.default_rng(seed)
    if exact:
        moved = _all_swaps(shift, counts)
    elif picks.size > EXACT_PATTERNS and isinstance(shift, Matrix):
        moved = _swaps_of_many(pairs, estimator, shift.matrix, counts, resamples, rng)
    else:
        moved = _some_swaps(shift, counts, resamples, rng)
    in_a, in_b = pairs.totals
    least = seen - _CLOSE * max(seen, 1e-300)
    found = 0
    for change in moved:
        swapped = np.abs(estimator(in_b - change) - estimator(in_a + change))
        found += int(
            np.count_nonzero(~(swapped < least))
        )  # one that is not defined counts against a difference
    if exact:
        return Randomization(found / 2**units, exact=True, swaps=2**units)
    return Randomization((1 + found) / (1 + resamples), exact=False, swaps=resamples)


def _all_swaps(shift: Contributions, counts: Integers) -> Iterator[Floats]:
    members = np.repeat(np.arange(counts.size), counts)
    numbers = np.arange(2**members.size)[:, None]
    swapped = (numbers >> np.arange(members.size)) & 1
    yield shift.sums(_per_pattern(swapped, members, counts.size))


def _some_swaps(
    shift: Contributions, counts: Integers, resamples: int, rng: np.random.Generator
) -> Iterator[Floats]:
    for size in batches(resamples, counts.size):
        yield shift.sums(_swaps(counts, size, rng))


def _swaps_of_many(
    pairs: Pairs,
    estimator: Estimator,
    matrix: Floats,
    counts: Integers,
    resamples: int,
    rng: np.random.Generator,
) -> Iterator[Floats]:
    if matrix.shape[1] == 1:
        alone = matrix[:, 0]
    else:
        in_a, in_b = pairs.totals
        alone = estimator(in_b - matrix) - estimator(in_a + matrix) - (estimator(in_b) - estimator(in_a))
    few = extremes(alone)
    weights = counts.astype(np.float64)
    weights[few] = 0.0
    half = weights @ matrix / 2
    factor = normal_factor((matrix.T * weights) @ matrix / 4)
    for size in batches(resamples, few.size):
        swapped = _swaps(counts[few], size, rng)
        noise = rng.standard_normal((size, matrix.shape[1])) @ factor
        yield swapped @ matrix[few] + half + noise


def _swaps(counts: Integers, rows: int, rng: np.random.Generator) -> Integers:
    """Return how many units of each pattern are swapped, each with a chance of one half."""
    width = counts.size
    if counts.max() > 1:
        return rng.binomial(counts, 0.5, size=(rows, width))
    bits = np.frombuffer(rng.bytes(rows * ((width + 7) // 8)), dtype=np.uint8).reshape(rows, -1)
    return np.unpackbits(bits, axis=1, count=width).astype(np.int64)


def _per_pattern(swapped: Integers, members: Integers, size: int) -> Integers:
    if members.size == size:
        return swapped
    starts = np.flatnonzero(np.diff(members, prepend=-1))
    return np.asarray(np.add.reduceat(swapped, starts, axis=1))
