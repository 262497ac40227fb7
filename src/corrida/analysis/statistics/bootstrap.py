"""The confidence interval of a difference: the paired bootstrap, bias-corrected and accelerated."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from corrida.analysis.statistics.resampling import bootstrap_sums

if TYPE_CHECKING:
    from corrida.analysis.statistics.estimators import Estimator
    from corrida.analysis.statistics.pairs import Contributions, Floats, Pairs

_BLOCK = 4_000_000  # numbers held at a time


@dataclass(frozen=True)
class Interval:
    """The interval of a difference.

    Attributes:
        low: its lower end.
        high: its upper end.
        error: the standard error of the difference.
        undefined: the share of resamples in which the metric is not defined (nothing to divide by); they are left out.
    """

    low: float
    high: float
    error: float
    undefined: float = 0.0


def bootstrap_interval(
    pairs: Pairs, estimator: Estimator, *, confidence: float, resamples: int, seed: int
) -> Interval:
    """Return the BCa interval of the metric in B minus the metric in A.

    A resample draws units (items, or clusters as wholes) with replacement and keeps A and B of a unit together.
    BCa and not the percentiles, since it corrects the bias and the skewness that ratios and losses have, and is
    second-order correct; the acceleration comes from leaving out one unit at a time, exactly.

    Sources: Efron, B. (1987), Better bootstrap confidence intervals, Journal of the American Statistical Association
    82, 171-185; whole clusters: Field, C. A. and Welsh, A. H. (2007), Bootstrapping clustered data, Journal of the
    Royal Statistical Society B 69, 369-390.

    Args:
        pairs: the units of both runs.
        estimator: the metric.
        confidence: between 0 and 1.
        resamples: how many; 10,000 keep the ends steady to about 1 % of the width.
        seed: of the random numbers.
    """
    seen = difference_of(pairs, estimator)
    moved = leave_one_out(pairs, estimator) - seen
    rng = np.random.default_rng(seed)
    parts = [estimator(in_b) - estimator(in_a) for in_a, in_b in bootstrap_sums(pairs, moved, resamples, rng)]
    drawn = np.concatenate(parts)
    defined = np.sort(drawn[np.isfinite(drawn)])
    if not defined.size:
        return Interval(float("nan"), float("nan"), float("nan"), 1.0)
    low, high = bca_limits(defined, seen, acceleration(moved, pairs.counts), confidence)
    return Interval(low, high, float(defined.std()), 1 - defined.size / drawn.size)


def difference_of(pairs: Pairs, estimator: Estimator) -> float:
    """Return the metric in B minus the metric in A; NaN where it is not defined."""
    in_a, in_b = pairs.totals
    return float(estimator(in_b) - estimator(in_a))


def leave_one_out(pairs: Pairs, estimator: Estimator) -> Floats:
    """Return the difference without one unit of each pattern."""
    in_a, in_b = pairs.totals
    step = max(1, _BLOCK // max(pairs.a.shape[1], 1))
    parts = []
    for start in range(0, pairs.patterns, step):
        stop = min(start + step, pairs.patterns)
        parts.append(
            estimator(_without(in_b, pairs.b, start, stop)) - estimator(_without(in_a, pairs.a, start, stop))
        )
    return np.concatenate(parts)


def _without(total: Floats, side: Contributions, start: int, stop: int) -> Floats:
    return total - side.block(start, stop)


def acceleration(moved: Floats, counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    """Return how fast the standard error changes with the metric, from the jackknife.

    a = Σ (m̄ - m)³ / (6 (Σ (m̄ - m)²)^{3/2}), m the metric without one unit (Efron and Tibshirani 1993, 14.15).

    Args:
        moved: the difference without one unit of each pattern.
        counts: units of each pattern.
    """
    usable = np.isfinite(moved)
    if not usable.any():
        return 0.0
    weights = counts[usable].astype(np.float64)
    away = np.average(moved[usable], weights=weights) - moved[usable]
    largest = np.abs(away).max()
    if largest == 0:
        return 0.0
    away = away / largest  # losses may be so great that their cubes are not
    squares = away * away
    return float((weights @ (squares * away)) / (6 * (weights @ squares) ** 1.5))


def bca_limits(drawn: Floats, seen: float, acceleration: float, confidence: float) -> tuple[float, float]:
    """Return the ends of the interval.

    Args:
        drawn: the difference in each resample, ascending.
        seen: the difference itself.
        acceleration: see :func:`acceleration`.
        confidence: between 0 and 1.
    """
    normal = NormalDist()
    below = np.searchsorted(drawn, seen, "left") + np.searchsorted(drawn, seen, "right")
    # Half of those equal count as below, as differences are discrete; never none or all, which has no quantile.
    share = min(max(below / (2 * drawn.size), 0.5 / drawn.size), 1 - 0.5 / drawn.size)
    bias = normal.inv_cdf(share)
    ends = []
    for z in (normal.inv_cdf(0.5 - confidence / 2), normal.inv_cdf(0.5 + confidence / 2)):
        stretch = 1 - acceleration * (bias + z)
        # Beyond this the correction turns round, which it does for a handful of units only.
        level = normal.cdf(bias + (bias + z) / stretch if stretch > 0.1 else 2 * bias + z)
        # The quantile between neighbours; numpy's own imports numpy.ma, a tenth of a second.
        ends.append(float(np.interp(level * (drawn.size - 1), np.arange(drawn.size), drawn)))
    return min(ends), max(ends)
