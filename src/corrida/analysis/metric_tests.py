"""Which measure of the items a metric is, and whether its difference is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from corrida.analysis.measures import Measure, candidates, parse_measure
from corrida.errors import BadInput

if TYPE_CHECKING:
    from corrida.analysis.metrics_diff import MetricChange
    from corrida.analysis.paired_items import PairedItems
    from corrida.analysis.statistics.difference import Difference

_MOST_RESAMPLES = 1_000_000
# As the name of a column: no clusters, whatever the runs declare.
NO_CLUSTER = "none"


class VerdictOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How differences are tested.

    Attributes:
        confidence: of the intervals; a difference is called real at the level 1 - confidence.
        margin: absolute; differences inside ±margin do not matter. When not given, 0.01 for a metric that has a
            least and a greatest value, else 1 % of its value in A.
        resamples: of the bootstrap and of the swaps.
        cluster: the column of the items that says which of them belong together; None takes the one that both runs
            declare, ``"none"`` treats every item alone.
        seed: of the random numbers.
    """

    confidence: float = 0.95
    margin: float | None = None
    resamples: int = 10_000
    cluster: str | None = None
    seed: int = 0

    def check(self) -> VerdictOptions:
        """Return the options when they can be used.

        Raises:
            BadInput: one is outside of its range.
        """
        if not 0 < self.confidence < 1:
            hint = (
                f"; {self.confidence:g} % is {self.confidence / 100:g}" if 1 < self.confidence < 100 else ""
            )
            raise BadInput(
                f"the confidence must lie between 0 and 1, such as 0.95, not {self.confidence:g}{hint}"
            )
        if self.margin is not None and not (self.margin >= 0 and math.isfinite(self.margin)):
            raise BadInput(f"the margin must be 0 or more, not {self.margin:g}")
        if not 100 <= self.resamples <= _MOST_RESAMPLES:
            raise BadInput(f"resamples must be between 100 and {_MOST_RESAMPLES:,}, not {self.resamples:,}")
        return self


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """The items that a test could not use.

    Attributes:
        only_a: that only A has.
        only_b: that only B has.
        other_truth: shared, with another expected answer.
        unknown: shared, and without a known truth, output or finite number in at least one run.
        one_sided: those of them that have one in the other run, such as a loss that became NaN.
        low: over the items of either run the difference is at least this, whatever the missing answers would have
            been; None when there is no such bound, or nothing was missing.
        high: and at most this.
    """

    only_a: int = 0
    only_b: int = 0
    other_truth: int = 0
    unknown: int = 0
    one_sided: int = 0
    low: float | None = None
    high: float | None = None


class MetricTest(msgspec.Struct, frozen=True, kw_only=True):
    """The test of one metric.

    Attributes:
        measure: what of the items was tested.
        agrees: whether the items give the values that the runs logged.
        logged_a, logged_b: what the runs logged.
        items_a, items_b: what all items of each run give.
        difference: of the shared items; None when the measure is not defined on them.
        left_out: the items that could not be used.
    """

    measure: str
    agrees: bool
    logged_a: float
    logged_b: float
    items_a: float
    items_b: float
    difference: Difference | None
    left_out: LeftOut


def metric_test(
    paired: PairedItems,
    change: MetricChange,
    declared: Mapping[str, str],
    options: VerdictOptions,
    *,
    only_agreeing: bool = False,
) -> MetricTest | None:
    """Test the difference of a metric on the shared items.

    Args:
        paired: the shared items.
        change: the metric as both runs logged it.
        declared: measures by the name of the metric; they win over what a name says.
        options: how to test.
        only_agreeing: test nothing when the items do not give the values that the runs logged.

    Returns:
        The test; None when a run lacks the metric or the items do not tell it.

    Raises:
        InvalidMetric: a declared measure cannot be read.
    """
    from corrida.analysis.statistics.difference import paired_difference

    found = find_measure(paired, change, declared)
    if found is None or change.a is None or change.b is None or (only_agreeing and not found.agrees):
        return None
    measure = found.measure
    measured = paired.measured(measure)
    if measured is None:
        return None
    difference = paired_difference(
        measured.pairs,
        measure.estimator(),
        confidence=options.confidence,
        margin=options.margin,
        resamples=options.resamples,
        seed=options.seed,
    )
    apart = paired.only_a or paired.only_b
    low, high = (paired.bounds(measure) if apart else None) or (None, None)
    return MetricTest(
        measure=str(measure),
        agrees=found.agrees,
        logged_a=change.a,
        logged_b=change.b,
        items_a=found.a,
        items_b=found.b,
        difference=difference,
        left_out=LeftOut(
            only_a=paired.only_a,
            only_b=paired.only_b,
            other_truth=paired.other_truth,
            unknown=measured.unknown,
            one_sided=measured.one_sided,
            low=low,
            high=high,
        ),
    )


class FoundMeasure(msgspec.Struct, frozen=True):
    """What a metric measures.

    Attributes:
        measure: of the items.
        a: its value over all items of A.
        b: the same of B.
        agrees: whether those are the values that the runs logged.
    """

    measure: Measure
    a: float
    b: float
    agrees: bool


def find_measure(
    paired: PairedItems, change: MetricChange, declared: Mapping[str, str]
) -> FoundMeasure | None:
    """Return what a metric measures: the first candidate that gives the logged values in both runs.

    When none does, the first that the name vouches for; None when there is no such, or a run lacks the metric.

    Args:
        paired: the items of both runs.
        change: the metric as both runs logged it.
        declared: measures by the name of the metric; they win over what a name says.

    Raises:
        InvalidMetric: a declared measure cannot be read.
    """
    name, logged_a, logged_b = change.name, change.a, change.b
    if logged_a is None or logged_b is None:
        return None
    columns = dict.fromkeys([*paired.b.frame.columns, *paired.a.frame.columns])
    if name in declared:
        choices = iter([(parse_measure(declared[name]), True)])
    else:
        choices = candidates(name, columns, paired.a.labels | paired.b.labels)
    vouched = None
    for measure, sure in choices:
        in_a, in_b = paired.value(measure, "a"), paired.value(measure, "b")
        if in_a is None or in_b is None:
            continue
        if same_number(in_a, logged_a) and same_number(in_b, logged_b):
            return FoundMeasure(measure, in_a, in_b, True)
        if sure and vouched is None:
            vouched = FoundMeasure(measure, in_a, in_b, False)
    return vouched


def same_number(computed: float, logged: float) -> bool:
    """Tell whether a number was logged as it was computed, or rounded to three or more decimals."""
    if math.isclose(computed, logged, rel_tol=1e-6, abs_tol=1e-9):
        return True
    decimals = len(repr(logged).partition(".")[2])
    return "e" not in repr(logged) and abs(computed - logged) <= 0.5001 * 10.0 ** -max(decimals, 3)
