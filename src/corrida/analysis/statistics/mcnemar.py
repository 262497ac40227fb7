"""Paired proportions: items that are right or wrong in A and in B."""

from __future__ import annotations

import math
from statistics import NormalDist


def exact_mcnemar(fixed: int, broken: int, *, mid_p: bool = False) -> float:
    """Return the two-sided p-value of the exact McNemar test.

    Under the null hypothesis an item on which the runs differ is as likely to be fixed as to be broken, so that
    ``fixed`` of ``fixed + broken`` is binomial with ½; p = min(1, 2 P(X ≤ min(fixed, broken))).

    Sources: McNemar, Q. (1947), Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 12, 153-157; for the mid-p form Fagerland, Lydersen and Laake (2013), The McNemar test
    for binary matched-pairs data: mid-p and asymptotic are better than exact conditional, BMC Medical Research
    Methodology 13:91.

    Args:
        fixed: items that are wrong in A and right in B.
        broken: items that are right in A and wrong in B.
        mid_p: count only half of the probability of what was seen: more power, and the level is kept on average
            instead of always.
    """
    few, trials = min(fixed, broken), fixed + broken
    if trials - 2 * few <= 1 and not mid_p:
        return 1.0  # nothing is less extreme; also when nothing is discordant
    if not trials:
        return 1.0
    here, below = _binomial_tail(few, trials)
    if mid_p:
        return 1 - here / 2 if fixed == broken else here + 2 * below
    return min(1.0, 2 * (here + below))


def _binomial_tail(few: int, trials: int) -> tuple[float, float]:
    """Return P(X = few) and P(X < few) for a binomial X with ½, by its recurrence downwards from ``few``."""
    log_here = (
        math.lgamma(trials + 1) - math.lgamma(few + 1) - math.lgamma(trials - few + 1) - trials * math.log(2)
    )
    ratio, total = 1.0, 0.0  # of each term to that of ``few``
    for count in range(few, 0, -1):
        ratio *= count / (trials - count + 1)
        total += ratio
        if ratio < 1e-18 * total:
            break
    return math.exp(log_here), math.exp(log_here) * total


def tango_interval(fixed: int, broken: int, items: int, confidence: float) -> tuple[float, float]:
    """Return the score interval of the difference of two paired proportions, (fixed - broken) / items.

    It holds all differences Δ that the score test does not reject: |fixed - broken - nΔ| ≤ z √(n (2q + Δ(1 - Δ))),
    with q the maximum-likelihood share of broken items given Δ. Unlike the Wald interval it covers as promised for
    small samples and few discordant items, and it never leaves [-1, 1].

    Source: Tango, T. (1998), Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design, Statistics in Medicine 17, 891-908.

    Args:
        fixed: items that are wrong in A and right in B.
        broken: items that are right in A and wrong in B.
        items: all items, 1 or more.
        confidence: between 0 and 1.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    seen = (fixed - broken) / items
    return _score_limit(fixed, broken, items, z, -1.0, seen), _score_limit(
        fixed, broken, items, -z, seen, 1.0
    )


def _score_limit(fixed: int, broken: int, items: int, z: float, low: float, high: float) -> float:
    """Return the Δ between ``low`` and ``high`` whose score is ``z``, by bisection: the score falls as Δ grows."""
    for _ in range(60):
        middle = (low + high) / 2
        if _score(fixed, broken, items, middle) > z:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _score(fixed: int, broken: int, items: int, delta: float) -> float:
    linear = (2 * items - fixed + broken) * delta - fixed - broken
    constant = -broken * delta * (1 - delta)
    root = math.sqrt(max(linear * linear - 8 * items * constant, 0.0))
    share = (root - linear) / (4 * items)
    variance = items * (2 * share + delta * (1 - delta))
    distance = fixed - broken - items * delta
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)
