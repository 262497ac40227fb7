"""Which segments of the items got worse, and which better, with the share of false alarms under control.

Every segment is tested as a comparison is (:mod:`corrida.analysis.statistics.difference`), and the p-values are
adjusted together: an adjusted p-value, here ``q``, of at most 1 - confidence is called real. Of the segments so
called, at most the share 1 - confidence is expected to be a false alarm.

- Segments that do not overlap (one column): Benjamini and Hochberg, as their tests are independent.
- Segments that do (several columns, lists of labels, clusters that may lie in several): Benjamini and Yekutieli, which
  holds under any dependence and asks for more.

Intervals are of each segment alone. Of segments that were chosen since they stand out, the difference tends to look
greater than it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.analysis.measures import Measure, parse_measure
from corrida.analysis.metric_pairs import pairs_of_metric
from corrida.analysis.metric_tests import VerdictOptions
from corrida.analysis.segments import ItemSegment, SkippedColumn, find_segments, read_specs
from corrida.errors import BadInput
from corrida.runs.numbers import json_number

if TYPE_CHECKING:
    from corrida.analysis.paired_items import PairedItems
    from corrida.analysis.statistics.difference import Difference
    from corrida.analysis.statistics.pairs import Pairs
    from corrida.analysis.verdict import Verdict
    from corrida.runs.record import RunRecord
    from corrida.runs.run_file import Direction

MIN_ITEMS = 20
LIMIT = 200
# The first look at a segment; what stands out is swapped more often, as the least p-value is 1 / (1 + resamples).
_RESAMPLES = 1_000
_STANDS_OUT = 20
_CELLS = 50_000_000

SliceOutcome = Literal["worse", "better", "changed", "tied", "underpowered"]


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A segment of the items, tested.

    Attributes:
        segment: which items, in words: ``sector = retail``, ``10 ≤ words < 25``.
        conditions: the same, one for each column.
        columns: that tell them from others.
        items: that were tested.
        clusters: they lie in; None without.
        a, b: the metric on them.
        difference: b - a.
        low, high: its interval, of this segment alone.
        p_value: that the runs are alike here.
        q_value: the same, adjusted for all segments.
        outcome: ``worse`` or ``better``: more than chance; ``changed``: likewise, and no better side is known;
            ``tied``: inside the margin; ``underpowered``: too few items to say.
    """

    segment: str
    conditions: tuple[str, ...]
    columns: tuple[str, ...]
    items: int
    clusters: int | None
    a: float
    b: float
    difference: float
    low: float
    high: float
    p_value: float
    q_value: float
    outcome: SliceOutcome


def without_parts(rows: Sequence[Slice]) -> list[Slice]:
    """Return segments without those that lie in another of them and are, as far as their intervals tell, no different.

    Where ``sector = food`` got worse, so did most of its parts; they say nothing more.
    """
    return [
        row
        for row in rows
        if not any(
            set(other.conditions) < set(row.conditions) and row.low <= other.high and other.low <= row.high
            for other in rows
        )
    ]


class Slices(msgspec.Struct, frozen=True, kw_only=True):
    """The segments of two runs' shared items.

    Attributes:
        metric: that decides.
        tested: what of the items was tested; None when nothing was.
        direction: whether more or less of it is better.
        found: the segments: those that got worse first, the worst at the top, then what is not sure, then those that
            got better, the best last.
        looked_at: how many were tested.
        too_small: how many have fewer than ``min_items`` items.
        undefined: how many do not define the metric, such as the F1 of items of which none has an answer.
        repeated: how many have exactly the items of another, or all items.
        beyond: how many the limit left out.
        pairs: pairs of columns that were looked at.
        pairs_beyond: pairs of columns that the limit left out.
        columns: that were cut into segments.
        skipped: columns that could not be.
        min_items: the least items of a segment.
        limit: the most segments.
        confidence: of the intervals.
        level: the expected share of false alarms among the segments called worse or better.
        method: by which p-values were adjusted.
        reason: why nothing was tested; None otherwise.
    """

    metric: str | None
    tested: str | None
    direction: Direction | None
    found: tuple[Slice, ...] = ()
    looked_at: int = 0
    too_small: int = 0
    undefined: int = 0
    repeated: int = 0
    beyond: int = 0
    pairs: int = 0
    pairs_beyond: int = 0
    columns: tuple[str, ...] = ()
    skipped: tuple[SkippedColumn, ...] = ()
    min_items: int = MIN_ITEMS
    limit: int = LIMIT
    confidence: float = 0.95
    level: float = 0.05
    method: str = "Benjamini–Hochberg"
    reason: str | None = None

    @property
    def worse(self) -> tuple[Slice, ...]:
        """The segments that got worse, the worst first."""
        return tuple(s for s in self.found if s.outcome == "worse")

    @property
    def better(self) -> tuple[Slice, ...]:
        """The segments that got better, the best last."""
        return tuple(s for s in self.found if s.outcome == "better")

    @property
    def changed(self) -> tuple[Slice, ...]:
        """The segments that changed, of a metric of which no better side is known."""
        return tuple(s for s in self.found if s.outcome == "changed")

    def to_json(self) -> dict[str, Any]:
        """Return the slices as plain values."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        values["found"] = [
            {k: json_number(v) if isinstance(v, float) else v for k, v in row.items()}
            for row in values["found"]
        ]
        return values


def find_slices(
    paired: PairedItems,
    measure: str,
    specs: Sequence[str],
    *,
    metric: str | None = None,
    direction: Direction | None = None,
    options: VerdictOptions | None = None,
    min_items: int = MIN_ITEMS,
    limit: int = LIMIT,
) -> Slices:
    """Test the segments of the shared items.

    Args:
        paired: the items of both runs.
        measure: what is tested, as of :func:`~corrida.analysis.measures.parse_measure`.
        specs: columns of the items, several with a comma between them for their combinations, or ``auto`` for all
            that have few values or numbers, and for pairs of them.
        metric: the name of what is tested; that of the measure when not given.
        direction: whether more or less of it is better.
        options: how to test; the resamples are chosen here.
        min_items: segments with fewer items are not tested.
        limit: the most segments.

    Raises:
        BadInput: there is no such column, or ``min_items`` is below 2.
        InvalidMetric: the measure cannot be read.
    """
    options = (options or VerdictOptions()).check()
    if min_items < 2:
        raise BadInput(f"a segment takes at least 2 items, not {min_items}")
    what = parse_measure(measure)
    segments = find_segments(paired, specs, min_items=min_items, limit=limit, without=options.cluster)
    tested: list[tuple[ItemSegment, Difference, Pairs]] = []
    too_small = segments.too_small
    undefined = 0
    for segment in segments.found:
        pairs = _pairs(paired, segment, what)
        if pairs is not None and 0 < pairs.items < min_items:
            too_small += 1
            continue
        found = None if pairs is None else _difference(pairs, what, options)
        if pairs is None or found is None:
            undefined += 1
        else:
            tested.append((segment, found, pairs))
    dependent = segments.overlapping or options.cluster is not None
    q_values = _adjusted(tested, what, options, dependent=dependent)
    rows = [
        _slice(segment, difference, q, direction)
        for (segment, difference, _), q in zip(tested, q_values, strict=True)
    ]
    return Slices(
        metric=metric or measure,
        tested=measure,
        direction=direction,
        found=tuple(sorted(rows, key=lambda row: _place(row, direction))),
        looked_at=len(rows),
        too_small=too_small,
        undefined=undefined,
        repeated=segments.repeated,
        beyond=segments.beyond,
        pairs=segments.pairs,
        pairs_beyond=segments.pairs_beyond,
        columns=tuple(segments.columns),
        skipped=tuple(segments.skipped),
        min_items=min_items,
        limit=limit,
        confidence=options.confidence,
        level=round(1 - options.confidence, 12),
        method="Benjamini–Yekutieli" if dependent else "Benjamini–Hochberg",
        reason=None if rows else _why_none(segments.skipped, too_small, min_items),
    )


def slices_of_runs(
    runs: tuple[RunRecord, RunRecord],
    paired: PairedItems | None,
    verdict: Verdict,
    specs: Sequence[str],
    options: VerdictOptions,
    min_items: int,
) -> Slices:
    """Test the segments of two runs by the metric that decides, or say why they cannot be.

    Args:
        runs: both.
        paired: their items; None when a run has none, or nothing is to be tested.
        verdict: on the metric that decides.
        specs: as of :func:`find_slices`.
        options: how to test.
        min_items: as of :func:`find_slices`.

    Raises:
        BadInput: as of :func:`find_slices`.
    """
    if paired is not None and verdict.tested is not None and verdict.metric is not None:
        return find_slices(
            pairs_of_metric(*runs, paired, verdict.metric).paired or paired,
            verdict.tested,
            specs,
            metric=verdict.metric,
            direction=verdict.direction,
            options=options,
            min_items=min_items,
        )
    if paired is not None:  # a name that is wrong is said all the same
        read_specs(specs, list(dict.fromkeys([*paired.b.frame.columns, *paired.a.frame.columns])))
    lacking = [run.id for run in runs if not run.has_items()]
    if lacking:
        reason = f"no items in {' and '.join(lacking)}"
    else:
        reason = f"{verdict.metric or 'no metric'} is not tested; see the verdict"
    return Slices(metric=verdict.metric, tested=None, direction=verdict.direction, reason=reason)


def _why_none(skipped: Sequence[SkippedColumn], too_small: int, min_items: int) -> str:
    if too_small:
        return f"no segment has {min_items} items to test"
    return "no column could be cut into segments" if skipped else "there are no columns to cut"


def _pairs(paired: PairedItems, segment: ItemSegment, measure: Measure) -> Pairs | None:
    import numpy as np
    import polars as pl

    chosen = np.zeros(paired.size, dtype=np.bool_)
    chosen[segment.rows] = True
    measured = paired.select(pl.Series(chosen)).measured(measure)
    return None if measured is None else measured.pairs


def _difference(pairs: Pairs, measure: Measure, options: VerdictOptions) -> Difference | None:
    from corrida.analysis.statistics.difference import paired_difference

    return paired_difference(
        pairs,
        measure.estimator(),
        confidence=options.confidence,
        margin=options.margin,
        resamples=min(options.resamples, _RESAMPLES),
        seed=options.seed,
    )


def _adjusted(
    tested: list[tuple[ItemSegment, Difference, Pairs]], measure: Measure, options: VerdictOptions, *, dependent: bool
) -> list[float]:  # fmt: skip
    """Return adjusted p-values; those that are near the least that the swaps can give are found again with more.

    Deciding by a first p-value to find a second one, and then using the second, keeps the level: where the first is
    small, the second alone counts; a p-value above that bound is not small.
    """
    from corrida.analysis.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli
    from corrida.analysis.statistics.randomization import randomization_test

    adjust = benjamini_yekutieli if dependent else benjamini_hochberg
    factor = sum(1 / i for i in range(1, len(tested) + 1)) if dependent else 1.0
    needed = math.ceil(4 * len(tested) * factor / (1 - options.confidence))
    for place, (segment, found, pairs) in enumerate(tested):
        more = min(needed, max(found.resamples, _CELLS // max(pairs.patterns, 1)))
        near = found.resamples and found.p_value * (1 + found.resamples) <= _STANDS_OUT
        if near and not found.test.startswith("exact") and more > found.resamples:
            again = randomization_test(
                pairs, measure.estimator(), resamples=more, seed=options.seed + 2 + place
            )
            better = msgspec.structs.replace(found, p_value=again.p_value)
            tested[place] = (segment, better, pairs)
    return adjust([found.p_value for _, found, _ in tested])


def _slice(segment: ItemSegment, found: Difference, q_value: float, direction: Direction | None) -> Slice:
    judgement = found.judge(q_value)
    outcome: SliceOutcome
    if judgement in {"tied", "underpowered"}:
        outcome = judgement
    elif direction is None:
        outcome = "changed"
    else:
        outcome = "better" if (judgement == "higher") == (direction == "max") else "worse"
    return Slice(
        segment=", ".join(segment.labels),
        conditions=segment.labels,
        columns=segment.columns,
        items=found.items,
        clusters=found.units if found.clustered else None,
        a=found.a,
        b=found.b,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        q_value=q_value,
        outcome=outcome,
    )


def _place(row: Slice, direction: Direction | None) -> tuple[int, float, int, str]:
    gain = -row.difference if direction == "min" else row.difference
    group = {"worse": 0, "changed": 0, "better": 2}.get(row.outcome, 1)
    return group, gain if direction else -abs(gain), -row.items, row.segment
