"""What can be said of two runs by the metric that decides: better, worse, tied, or not enough items to say.

The rule stands in :mod:`corrida.analysis.statistics.difference`; here it meets runs, their metrics and their items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from corrida.analysis.directions import direction_of
from corrida.analysis.measures import candidates
from corrida.analysis.metric_pairs import pairs_of_metric
from corrida.analysis.metric_tests import LeftOut, MetricTest, VerdictOptions, metric_test
from corrida.analysis.metrics_diff import MetricChange
from corrida.analysis.verdict_text import cautions_of_test, sentence_of_test, shown, untested_sentence

if TYPE_CHECKING:
    from corrida.analysis.items_diff import ItemsDiff
    from corrida.analysis.paired_items import PairedItems
    from corrida.analysis.run_items import RunItems
    from corrida.analysis.statistics.difference import Difference
    from corrida.runs.record import RunRecord
    from corrida.runs.run_file import Direction

Outcome = Literal["better", "worse", "tied", "underpowered", "untested", "unknown"]


class Verdict(msgspec.Struct, frozen=True):
    """What can be said of a metric.

    Attributes:
        outcome: ``better``, ``worse``: the difference is more than chance; ``tied``: it lies inside the margin for
            sure, or the runs are the same in every item; ``underpowered``: the items do not suffice to tell;
            ``untested``: the items do not tell this metric, or there are none; ``unknown``: there is nothing to
            compare, or no better side is known.
        metric: the metric, or None when none decides.
        a, b: its values on the shared items when it was tested, else as logged.
        difference: b - a; None when there is none.
        direction: whether more or less is better.
        sentence: the verdict in words.
        cautions: what to know before believing it: other data, other items, another truth, few clusters, a better
            side that the name contradicts.
        tested: what of the items was tested, such as ``f1`` or ``mean(loss)``; None when nothing was, and with it
            all that follows.
        interval: ends of the interval of the difference.
        confidence: of the interval.
        p_value: two-sided, that the runs are alike.
        p_adjusted: the same by Holm's correction, when several metrics were asked for.
        method: how p-value and interval were found.
        margin: differences inside ±margin do not matter.
        items: shared items that were tested.
        clusters: clusters they lie in; None without.
        needed: items (clusters) it would take to see the difference seen, with a chance of 80 %.
        to_tie: items (clusters) that would bring the interval inside the margin.
        detectable: the least difference that these items show with a chance of 80 %.
        left_out: items that could not be tested, and what they may hide.
        resamples: of bootstrap and swaps; 0 when none were needed.
        seed: of the random numbers.
        identical: whether the runs are the same in each of the items tested.
    """

    outcome: Outcome
    metric: str | None
    a: float | None
    b: float | None
    difference: float | None
    direction: Direction | None
    sentence: str
    cautions: tuple[str, ...] = ()
    tested: str | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    method: str | None = None
    margin: float | None = None
    items: int | None = None
    clusters: int | None = None
    needed: int | None = None
    to_tie: int | None = None
    detectable: float | None = None
    left_out: LeftOut | None = None
    resamples: int = 0
    seed: int | None = None
    identical: bool = False


@dataclass(frozen=True)
class Judged:
    """What was found out by tests.

    Attributes:
        verdicts: of the metrics that were asked for, or of the one that decides.
        metrics: all metrics, with their tests.
    """

    verdicts: tuple[Verdict, ...]
    metrics: tuple[MetricChange, ...]


def judge(
    a: RunRecord,
    b: RunRecord,
    metrics: Sequence[MetricChange],
    items: ItemsDiff | None,
    paired: PairedItems | None = None,
    names: Sequence[str] = (),
    *,
    options: VerdictOptions | None = None,
    data_changes: Sequence[str] = (),
) -> Judged:
    """Say what can be said of the metrics of two runs.

    The metric that decides is tested at the full level, as it was chosen before the numbers were seen; several that
    are asked for share it by Holm's correction, and so do all others among themselves.

    Args:
        a: the run before.
        b: the run after.
        metrics: the metrics of both.
        items: which items flipped; None when a run has none.
        paired: their items; None when a run has none, or nothing is to be tested.
        names: the metrics that decide; that of the runs when empty.
        options: how to test.
        data_changes: what differs in the data files, in words.

    Raises:
        InvalidMetric: a declared measure cannot be read.
    """
    chosen = list(dict.fromkeys(names)) or [name for name in [_primary(a, b, metrics)] if name]
    tests: dict[str, MetricTest] = {}
    notes: dict[str, str] = {}
    for change in metrics:
        if paired is None:
            break
        pairs = pairs_of_metric(a, b, paired, change.name)
        if pairs.note:
            notes[change.name] = pairs.note
        if pairs.paired is None:
            continue
        # A metric that decides is tested also where items and logged values disagree, and that is said.
        lenient = change.name in chosen
        test = metric_test(
            pairs.paired, change, pairs.declared, options or VerdictOptions(), only_agreeing=not lenient
        )
        if test is not None:
            tests[change.name] = test
    adjusted = _adjusted(tests, chosen) | _adjusted(tests, [name for name in tests if name not in chosen])
    cautions = _cautions(a, b, items, data_changes)
    by_name = {change.name: change for change in metrics}
    verdicts = []
    for name in chosen:
        change = by_name.get(name, MetricChange(name, None, None, None, None, None))
        p = adjusted.get(name) if len(chosen) > 1 else None
        verdict = _verdict(a, b, change, tests.get(name), p, paired)
        noted = (notes[name],) if name in notes else ()
        said = (*cautions, *noted, *_odd_direction(change), *verdict.cautions)
        verdicts.append(msgspec.structs.replace(verdict, cautions=said))
    if not verdicts:
        sentence = "no metric decides; name one with --metric"
        verdicts.append(Verdict("unknown", None, None, None, None, None, sentence, tuple(cautions)))
    described = tuple(_described(c, tests.get(c.name), adjusted.get(c.name)) for c in metrics)
    return Judged(tuple(verdicts), described)


def _primary(a: RunRecord, b: RunRecord, metrics: Sequence[MetricChange]) -> str | None:
    primary = b.primary_metric or a.primary_metric
    if primary:
        return primary.name
    return metrics[0].name if len(metrics) == 1 else None


def _adjusted(tests: dict[str, MetricTest], names: Sequence[str]) -> dict[str, float]:
    from corrida.analysis.statistics.multiplicity import holm

    family = {
        name: tests[name].difference.p_value  # type: ignore[union-attr]
        for name in names
        if name in tests and tests[name].difference is not None
    }
    return dict(zip(family, holm(list(family.values())), strict=True))


def _described(change: MetricChange, test: MetricTest | None, p_adjusted: float | None) -> MetricChange:
    found = None if test is None else test.difference
    if test is None or found is None or not test.agrees:
        return change  # the table shows what was logged
    if _of_other_items(change, test, found):
        return change  # beside the interval of the shared items the logged difference would mislead
    return msgspec.structs.replace(
        change,
        tested=test.measure,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        p_adjusted=p_adjusted,
        real=found.judge(p_adjusted) in {"higher", "lower"},
    )


def _of_other_items(change: MetricChange, test: MetricTest, found: Difference) -> bool:
    """Tell whether the logged difference is not that of the tested items: it lies elsewhere, as items were left out."""
    left, logged = test.left_out, change.difference or 0.0
    if not (left.only_a or left.only_b or left.other_truth or left.unknown):
        return False
    return logged * found.difference < 0 or not found.low <= logged <= found.high


def _odd_direction(change: MetricChange) -> tuple[str, ...]:
    """Say when the better side that a run declared is not the one that the name says."""
    usual = direction_of(change.name, {})
    if change.direction is None or usual in {None, change.direction}:
        return ()
    more, less = ("more", "less") if change.direction == "max" else ("less", "more")
    said = f"the runs say that {more} {change.name} is better, where its name says {less}"
    return (f"{said} (direction= when a run is logged)",)


def _cautions(a: RunRecord, b: RunRecord, items: ItemsDiff | None, data_changes: Sequence[str]) -> list[str]:
    found = []
    if data_changes and items is not None and not (items.counts.only_a or items.counts.only_b):
        found.append(f"the items have the same ids, but the data are not the same: {', '.join(data_changes)}")
    if a.pipeline != b.pipeline:
        found.append(f"not the same work: {a.pipeline} and {b.pipeline}")
    if items is not None and (items.counts.only_a or items.counts.only_b):
        counts = items.counts
        found.append(
            f"not the same items: {counts.shared:,} shared, {counts.only_a:,} only in A, {counts.only_b:,} only in B; "
            "the metrics are of all items of each run, a tested verdict of the shared ones"
        )
    if items is not None and items.counts.expected_changed:
        count = items.counts.expected_changed
        others = "1 item has" if count == 1 else f"{count:,} items have"
        found.append(
            f"not the same truth: {others} another expected answer; {'it is' if count == 1 else 'they are'} not tested"
        )
    return found


def _verdict(
    a: RunRecord,
    b: RunRecord,
    change: MetricChange,
    test: MetricTest | None,
    p_adjusted: float | None,
    paired: PairedItems | None,
) -> Verdict:
    name = change.name
    if (
        change.a is None
        or change.b is None
        or change.difference is None
        or not math.isfinite(change.difference)
    ):
        lacking = " and ".join(r.id for r, v in ((a, change.a), (b, change.b)) if v is None)
        values = (
            f"{name} is {shown(change.a)} and {shown(change.b)}"
            if not lacking
            else f"{name} is missing in {lacking}"
        )
        sentence = f"{values}, so the runs cannot be compared by it"
        return Verdict("unknown", name, change.a, change.b, None, change.direction, sentence)
    if test is not None and test.difference is not None:
        return _tested(change, test, test.difference, p_adjusted)
    if change.difference == 0:
        sentence = (
            f"tied: {name} is {shown(change.a)} in both, as logged; "
            f"not tested: {_why_untested(a, b, change, test, paired)}"
        )
        return Verdict("tied", name, change.a, change.b, 0.0, change.direction, sentence)
    sentence = untested_sentence(change, _why_untested(a, b, change, test, paired))
    return Verdict("untested", name, change.a, change.b, change.difference, change.direction, sentence)


def _why_untested(
    a: RunRecord, b: RunRecord, change: MetricChange, test: MetricTest | None, paired: PairedItems | None
) -> str:
    lacking = [run.id for run in (a, b) if not run.has_items()]
    if lacking:
        return f"{' and '.join(lacking)} {'have' if len(lacking) > 1 else 'has'} no items"
    if paired is None:
        return "no test was asked for"
    if not paired.size:
        return (
            "the runs share no items"
            if not paired.shared
            else "no shared item has the same truth in both runs"
        )
    if change.name in a.measures.keys() & b.measures.keys() and test is None:
        return "each run measures it in its own way"
    if test is not None:
        return f"no shared item says anything of {test.measure}"
    return _nothing_in_items(a, b, change, paired) or (
        f"the items do not tell how {change.name} comes about (say so with measures= when a run is logged)"
    )


def _nothing_in_items(a: RunRecord, b: RunRecord, change: MetricChange, paired: PairedItems) -> str | None:
    """Say what the items lack for the usual meaning of a metric; None when it is not that."""
    columns = dict.fromkeys([*paired.b.frame.columns, *paired.a.frame.columns])
    measure = next((m for m, _ in candidates(change.name, columns, paired.a.labels | paired.b.labels)), None)
    if measure is None:
        return None

    def without(has: Callable[[RunItems], bool]) -> str:
        return " and ".join(run.id for run, items in ((a, paired.a), (b, paired.b)) if not has(items))

    if measure.kind == "mean" and measure.argument:
        column = measure.argument
        lacking = without(lambda items: column in items.frame.columns)
        if lacking:
            return f"the items of {lacking} have no column {column}"
        empty = " and ".join(r.id for r, s in ((a, "a"), (b, "b")) if paired.value(measure, s) is None)
        return f"the column {column} holds no finite number in the items of {empty}" if empty else None
    if measure.rate or measure.kind in {"accuracy", "error_rate", "balanced_accuracy"}:
        lacking = without(lambda items: items.has_truth)
        return f"the items of {lacking} have no expected answer" if lacking else None
    return None


def _tested(change: MetricChange, test: MetricTest, found: Difference, p_adjusted: float | None) -> Verdict:
    judgement = found.judge(p_adjusted)
    outcome: Outcome
    if judgement in {"higher", "lower"}:
        more = judgement == "higher"
        outcome = (
            "unknown"
            if change.direction is None
            else "better"
            if more == (change.direction == "max")
            else "worse"
        )
    else:
        outcome = judgement  # type: ignore[assignment]
    alone = found.units < 2
    return Verdict(
        outcome,
        change.name,
        found.a,
        found.b,
        found.difference,
        change.direction,
        sentence_of_test(outcome, change.name, found, p_adjusted),
        cautions_of_test(change.name, test, found),
        tested=test.measure,
        interval=None if alone else (found.low, found.high),
        confidence=found.confidence,
        p_value=found.p_value,
        p_adjusted=p_adjusted,
        method=f"{found.test} and {found.interval}",
        margin=found.margin,
        items=found.items,
        clusters=found.units if found.clustered else None,
        needed=found.needed,
        to_tie=found.to_tie,
        detectable=found.detectable if math.isfinite(found.detectable) else None,
        left_out=test.left_out,
        resamples=found.resamples,
        seed=found.seed if found.resamples else None,
        identical=found.identical,
    )
