"""The difference of a metric between two runs: how great, how sure, and how many items it would take.

The rule, in words (docs/verdicts.md says the same with examples):

- ``better`` or ``worse`` : the test rejects at 1 - confidence *and* the interval does not hold 0.
- ``tied``: not that, and the interval lies inside ±margin, or the runs contribute the same in every item.
- ``underpowered``: not that; the interval holds 0 and also differences that matter.

False alarms. The test (exact McNemar, or swapping) keeps its level for every number of items, and asking that the
interval agrees can only lower it; so of comparisons of a pipeline with itself at most 1 - confidence are called better
or worse. An interval never contradicts its test: where the test does not reject and the interval misses 0, the end next
to 0 is moved to 0 and the interval is said to be widened; a wider interval covers at least as often.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np

from corrida.analysis.statistics.bootstrap import bootstrap_interval
from corrida.analysis.statistics.estimators import Estimator, Mean, Ratio
from corrida.analysis.statistics.mcnemar import exact_mcnemar, tango_interval
from corrida.analysis.statistics.pairs import Matrix, Pairs
from corrida.analysis.statistics.power import (
    detectable_mean,
    detectable_proportion,
    items_for_mean,
    items_for_proportions,
    items_to_tie,
)
from corrida.analysis.statistics.randomization import randomization_test
from corrida.analysis.statistics.resampling import affordable

MARGIN = 0.01
RESAMPLES = 10_000
SEED = 0

Judgement = Literal["higher", "lower", "tied", "underpowered"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of a metric between two runs on the same items.

    Attributes:
        a: the metric of A on these items.
        b: the metric of B on these items.
        difference: b - a.
        low: lower end of the interval of the difference.
        high: upper end.
        confidence: of the interval.
        p_value: two-sided, that the runs are alike.
        test: how the p-value was found.
        interval: how the interval was found.
        widened: whether the interval was extended to 0, which the test does not exclude.
        identical: whether the runs contribute the same in every unit.
        items: the shared items that were tested.
        units: what is independent of each other: the items, or the clusters.
        discordant: units in which the runs contribute something else.
        clustered: whether units are clusters.
        error: standard error of the difference; NaN when not known.
        margin: differences inside ±margin do not matter.
        needed: units it would take to find the difference seen with a chance of 80 %; None without a difference.
        to_tie: units that would bring the interval inside the margin; None when the difference is beyond it.
        detectable: the least difference that these units show with a chance of 80 %; NaN when not known.
        resamples: of bootstrap and swaps; 0 when both are exact or closed forms, and fewer than asked for where an
            average over labels has thousands of patterns.
        seed: of the random numbers.
        undefined: the share of resamples in which the metric is not defined.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    confidence: float
    p_value: float
    test: str
    interval: str
    widened: bool
    identical: bool
    items: int
    units: int
    discordant: int
    clustered: bool
    error: float
    margin: float
    needed: int | None
    to_tie: int | None
    detectable: float
    resamples: int
    seed: int
    undefined: float = 0.0

    def judge(self, p_value: float | None = None) -> Judgement:
        """Return what can be said; see the rule at the top of this module.

        Args:
            p_value: adjusted for several tests; that of the difference when not given.
        """
        p = self.p_value if p_value is None else p_value
        if p <= 1 - self.confidence + 1e-12 and not self.low <= 0 <= self.high:
            return "higher" if self.difference > 0 else "lower"
        if self.identical or (-self.margin <= self.low and self.high <= self.margin):
            return "tied"
        return "underpowered"


def paired_difference(
    pairs: Pairs,
    estimator: Estimator,
    *,
    confidence: float = 0.95,
    margin: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Difference | None:
    """Test the difference of a metric between two runs on the same items.

    Where each item is right or wrong, the exact McNemar test and Tango's interval; else the randomization test and
    the BCa bootstrap interval. Clusters are swapped and drawn as wholes.

    Args:
        pairs: the units of both runs.
        estimator: the metric.
        confidence: of the interval; the level of the test is 1 - confidence.
        margin: absolute; differences inside ±margin do not matter. When not given: 0.01 for a metric that has a
            least and a greatest value, else 1 % of its value in A.
        resamples: of bootstrap and swaps.
        seed: of the random numbers.

    Returns:
        The difference; None when the metric is not defined on these items (nothing to divide by, no items).
    """
    if not pairs.patterns:
        return None
    in_a, in_b = (float(estimator(total)) for total in pairs.totals)
    if not (math.isfinite(in_a) and math.isfinite(in_b)):
        return None
    if margin is None:
        margin = MARGIN if None not in estimator.bounds else abs(in_a) * MARGIN
    table = _right_and_wrong(pairs, estimator)
    if table is not None:
        found = _proportions(*table, confidence, margin)
    else:
        found = _general(pairs, estimator, _rounded(in_a, in_b), confidence, margin, resamples, seed)
    return msgspec.structs.replace(
        _agreeing(found),
        a=in_a,
        b=in_b,
        items=pairs.items if table is None else found.units,
        clustered=pairs.clustered,
        identical=not found.discordant,
        seed=seed,
    )


def _right_and_wrong(pairs: Pairs, estimator: Estimator) -> tuple[int, int, int] | None:
    """Return how many items are fixed, broken and in all, where each is right or wrong; else None."""
    if pairs.clustered or not isinstance(estimator, Ratio):
        return None
    if not (isinstance(pairs.a, Matrix) and isinstance(pairs.b, Matrix)):
        return None
    a, b = pairs.a.matrix, pairs.b.matrix
    if not np.isin(a[:1000], (0, 1)).all():
        return None
    if not (np.array_equal(a[:, 1], b[:, 1]) and ((a == 0) | (a == 1)).all() and ((b == 0) | (b == 1)).all()):
        return None
    inside = a[:, 1] == 1
    if a[~inside, 0].any() or b[~inside, 0].any():
        return None
    moved, counts = (b[:, 0] - a[:, 0])[inside], pairs.counts[inside]
    return int(counts[moved > 0].sum()), int(counts[moved < 0].sum()), int(counts.sum())


def _proportions(fixed: int, broken: int, items: int, confidence: float, margin: float) -> Difference:
    low, high = tango_interval(fixed, broken, items, confidence)
    difference, discordant = (fixed - broken) / items, (fixed + broken) / items
    error = math.sqrt(max(discordant - difference**2, 0.0) / items)
    return Difference(
        a=0.0,
        b=0.0,
        difference=difference,
        low=low,
        high=high,
        confidence=confidence,
        p_value=exact_mcnemar(fixed, broken),
        test="exact McNemar test",
        interval="Tango's score interval",
        widened=False,
        identical=not fixed + broken,
        items=items,
        units=items,
        discordant=fixed + broken,
        clustered=False,
        error=error,
        margin=margin,
        needed=_whole(items_for_proportions(discordant, difference, confidence) if difference else None),
        to_tie=_whole(items_to_tie(items, error, difference, margin, confidence)),
        detectable=detectable_proportion(discordant, items, confidence),
        resamples=0,
        seed=0,
    )


def _general(
    pairs: Pairs,
    estimator: Estimator,
    difference: float,
    confidence: float,
    margin: float,
    resamples: int,
    seed: int,
) -> Difference:
    units = pairs.units
    items, clustered = pairs.items, pairs.clustered
    pairs, estimator = _of_differences(pairs, estimator)
    discordant = int(pairs.counts[pairs.discordant].sum())
    if not discordant:
        difference = 0.0
    resamples = affordable(pairs, resamples)
    interval = bootstrap_interval(pairs, estimator, confidence=confidence, resamples=resamples, seed=seed)
    swaps = randomization_test(pairs, estimator, resamples=resamples, seed=seed + 1)
    error = interval.error
    needed = None
    if difference and error:
        needed = items_for_mean(error * math.sqrt(units), difference, confidence)
    return Difference(
        a=0.0,
        b=0.0,
        difference=difference,
        low=interval.low,
        high=interval.high,
        confidence=confidence,
        p_value=swaps.p_value,
        test=f"{'exact ' if swaps.exact else ''}randomization test",
        interval=f"BCa bootstrap interval{' over clusters' if clustered else ''}",
        widened=False,
        identical=False,
        items=items,
        units=units,
        discordant=discordant,
        clustered=clustered,
        error=error,
        margin=margin,
        needed=_whole(needed),
        to_tie=_whole(items_to_tie(units, error, difference, margin, confidence)),
        detectable=detectable_mean(error, confidence),
        resamples=resamples,
        seed=seed,
        undefined=interval.undefined,
    )


def _of_differences(pairs: Pairs, estimator: Estimator) -> tuple[Pairs, Estimator]:
    """Return a mean over items as the mean of their differences: the same test and interval, of half the numbers."""
    if not (isinstance(estimator, Ratio) and isinstance(pairs.a, Matrix) and isinstance(pairs.b, Matrix)):
        return pairs, estimator
    a, b = pairs.a.matrix, pairs.b.matrix
    if not ((a[:, 1] == 1).all() and (b[:, 1] == 1).all()):
        return pairs, estimator
    moved = (b[:, :1] - a[:, :1]).reshape(-1, 1)
    found = Pairs(Matrix(np.zeros_like(moved)), Matrix(moved), pairs.counts, pairs.items, pairs.clustered)
    return found, Mean(pairs.units)


def _rounded(in_a: float, in_b: float) -> float:
    """Return the difference; 0 where only the rounding of sums tells the two apart."""
    difference = in_b - in_a
    return 0.0 if abs(difference) <= 1e-13 * max(abs(in_a), abs(in_b)) else difference


def _agreeing(found: Difference) -> Difference:
    """Return the difference with an interval that holds 0 where the test does not exclude it."""
    if found.p_value <= 1 - found.confidence + 1e-12 or found.low <= 0 <= found.high:
        return found
    return msgspec.structs.replace(found, low=min(found.low, 0.0), high=max(found.high, 0.0), widened=True)


def _whole(units: float | None) -> int | None:
    return None if units is None or not math.isfinite(units) else math.ceil(units)
