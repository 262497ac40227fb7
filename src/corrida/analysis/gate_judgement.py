"""What becomes of a rule on how far a metric may drop, given a comparison.

For each rule, with the interval of the paired difference (docs/verdicts.md) and the greatest drop m ≥ 0:

- *passed*: the whole interval is better than a drop of m, or the runs are the same in every item;
- *failed*: the whole interval is worse than a drop of m;
- *doubt*: the interval holds a drop of m, or the rule cannot be decided: the metric is missing, the items do not tell
  it, the runs have other items.

Passing is a non-inferiority test with the margin m at the one-sided level (1 - confidence) / 2. Source: Committee for
Medicinal Products for Human Use (2005), Guideline on the choice of the non-inferiority margin, EMEA/CPMP/EWP/2158/99.
All rules must hold, so that several need no correction: a change that breaks any of them passes with a chance of at
most that level. Source: Berger, R. L. (1982), Multiparameter hypothesis testing and acceptance sampling, Technometrics
24, 295-300 (intersection-union tests).

A segment (a slice) breaks a rule when it got worse beyond chance, with the share of false alarms under control
(:mod:`corrida.analysis.slices`), and dropped further than it may: *failed* when its whole interval lies there, *doubt*
when only the drop seen does. Segments have too few items to ask more of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec

from corrida.analysis.slices import without_parts
from corrida.analysis.verdict_text import about, format_interval, shown

if TYPE_CHECKING:
    from corrida.analysis.compare import Comparison
    from corrida.analysis.gate_rules import GateRule
    from corrida.analysis.slices import Slice, Slices
    from corrida.analysis.verdict import Verdict
    from corrida.runs.run_file import Direction

GateOutcome = Literal["passed", "failed", "doubt"]


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one rule.

    Attributes:
        rule: the rule.
        outcome: ``passed``, ``failed`` or ``doubt``.
        base: the metric of the base, on the shared items where it was tested.
        new: the same of the new run.
        direction: whether more or less of it is better; None when nobody knows.
        difference: new - base.
        interval: its ends; None when nothing was tested.
        allowed: the greatest drop, in units of the metric; None when the base has no value.
        sentence: why, in words.
        cautions: what to know before believing it.
        broken: the segments that break the rule, the worst first.
        slices: all of them; None when the rule names none.
    """

    rule: GateRule
    outcome: GateOutcome
    base: float | None
    new: float | None
    direction: Direction | None
    difference: float | None
    interval: tuple[float, float] | None
    allowed: float | None
    sentence: str
    cautions: tuple[str, ...] = ()
    broken: tuple[Slice, ...] = ()
    slices: Slices | None = None

    @property
    def holds(self) -> bool:
        """Tell whether it lets the new run through, by what it says of doubt."""
        return self.outcome == "passed" or (self.outcome == "doubt" and self.rule.on_doubt == "pass")


def verdict_of(rule: GateRule, comparison: Comparison) -> Verdict | None:
    """Return the verdict on the metric of a rule; None when it was not judged."""
    return next((v for v in comparison.verdicts if v.metric == rule.metric), None)


def judge_rule(rule: GateRule, comparison: Comparison) -> RuleResult:
    """Judge a comparison by a rule, without its slices.

    Args:
        rule: the rule.
        comparison: of the base with the new run, at the confidence of the rule and with its clusters.
    """
    a, b = comparison.a, comparison.b
    verdict = verdict_of(rule, comparison)
    if verdict is None:
        sentence = f"cannot be decided: {rule.metric} is missing in {a.id} and {b.id}"
        return _result(rule, "doubt", None, sentence)
    if a.dir == b.dir:
        return _result(rule, "passed", verdict, "base and new are the same run")
    why = _undecidable(rule, comparison, verdict)
    if why is not None:
        return _result(rule, "doubt", verdict, f"cannot be decided: {why}")
    outcome, sentence = _decided(rule, verdict)
    if outcome == "passed" and (
        but := _logged_drop(rule, comparison) or _other_scale(rule, comparison, verdict)
    ):
        outcome, sentence = "doubt", f"{sentence}; but {but}"
    return _result(rule, outcome, verdict, sentence)


def _logged_drop(rule: GateRule, comparison: Comparison) -> str | None:
    """Say that the runs logged a drop that their items do not show; None when they did not."""
    change = next(m for m in comparison.metrics if m.name == rule.metric)
    if change.a is None or change.b is None or change.difference is None:
        return None
    gain = change.difference if change.direction == "max" else -change.difference
    if gain >= -rule.allowed(change.a) - 1e-12:
        return None
    return f"the runs logged {rule.metric} {shown(change.a)} and {shown(change.b)}, which is further apart"


def _other_scale(rule: GateRule, comparison: Comparison, verdict: Verdict) -> str | None:
    """Say that a metric is logged on another scale than the items have, where the drop is not excluded; else None.

    Someone who logs percentages gives the drop in points: 1 is then a hundredth, and not all there is.
    """
    change = next(m for m in comparison.metrics if m.name == rule.metric)
    if change.a is None or not verdict.a or verdict.interval is None or verdict.identical:
        return None
    scale = abs(change.a / verdict.a)
    low, high = verdict.interval
    worst, allowed = (low if verdict.direction == "max" else -high), rule.allowed(change.a)
    drop = f"a {'rise' if verdict.direction == 'min' else 'drop'} of more than {shown(allowed)}"
    if 0.1 < scale < 10 or worst * scale >= -allowed:
        return None
    return (
        f"the runs log {rule.metric} on another scale, {shown(change.a)} where the items give {shown(verdict.a)}, "
        f"and there {drop} is not excluded"
    )


def _decided(rule: GateRule, verdict: Verdict) -> tuple[GateOutcome, str]:
    """Decide by the interval."""
    low, high = verdict.interval or (-math.inf, math.inf)
    worst, best = (low, high) if verdict.direction == "max" else (-high, -low)
    allowed = rule.allowed(verdict.a or 0.0)
    evidence = f"{100 * rule.confidence:g} % interval {format_interval(low, high)}, {_units(verdict)}"
    drop = f"a {'rise' if verdict.direction == 'min' else 'drop'} of more than {shown(allowed)}"
    left_out = _left_out(verdict)
    if best < -allowed:
        return "failed", f"{drop} is certain: {evidence}"
    if worst < -allowed and not verdict.identical:
        return "doubt", f"{drop} cannot be excluded: {evidence}{_what_it_takes(verdict, worst, allowed)}"
    sentence = (
        f"the same in each of {_units(verdict)}" if verdict.identical else f"{drop} is excluded: {evidence}"
    )
    if left_out and not rule.shared_items:
        return "doubt", f"{sentence}; but {left_out}"
    if verdict.left_out is not None and (count := verdict.left_out.one_sided):
        items = f"{count:,} shared item{'' if count == 1 else 's'}"
        return (
            "doubt",
            f"{sentence}; but {items} could not be compared, with an answer or a number in one run only",
        )
    return "passed", sentence


def _undecidable(rule: GateRule, comparison: Comparison, verdict: Verdict) -> str | None:
    """Return why a rule cannot be decided; None when it can."""
    a, b = comparison.a, comparison.b
    if a.pipeline != b.pipeline:
        return f"not the same work: {a.pipeline} and {b.pipeline}"
    unfinished = [f"{run.id} is {run.status}" for run in (a, b) if run.status != "finished"]
    if unfinished:
        return " and ".join(unfinished)
    if verdict.direction is None:
        return f"no better side of {rule.metric} is known; say so with directions= when it is logged"
    if verdict.tested is None:
        return _why_untested(rule, comparison, verdict)
    if verdict.interval is None or not all(math.isfinite(end) for end in verdict.interval):
        return f"{_units(verdict)} {'is' if verdict.items == 1 else 'are'} too little to test"
    return None


def _why_untested(rule: GateRule, comparison: Comparison, verdict: Verdict) -> str:
    if verdict.outcome != "tied":
        return verdict.sentence.removeprefix("not tested: ")
    lacking = [run.id for run in (comparison.a, comparison.b) if not run.has_items()]
    if lacking:
        why = f"no items in {' and '.join(lacking)}"
    elif comparison.items is not None and not comparison.items.counts.shared:
        why = "the runs share no items"
    else:
        why = "the items do not tell how it comes about"
    return f"{rule.metric} is {shown(verdict.a)} in both, but could not be tested: {why}"


def _left_out(verdict: Verdict) -> str:
    left = verdict.left_out
    if left is None:
        return ""
    parts = [
        f"{count:,} item{'' if count == 1 else 's'} {what}"
        for count, what in (
            (left.only_a, "only the base has"),
            (left.only_b, "only the new run has"),
            (left.other_truth, "with another expected answer"),
        )
        if count
    ]
    return f"{' and '.join(parts)} could not be compared" if parts else ""


def _units(verdict: Verdict) -> str:
    items = f"{verdict.items or 0:,} shared item{'' if verdict.items == 1 else 's'}"
    return items if verdict.clusters is None else f"{items} in {verdict.clusters:,} clusters"


def _what_it_takes(verdict: Verdict, bad_end: float, allowed: float) -> str:
    """Say how many items would decide at the difference seen: the width falls with the root of their number."""
    difference = verdict.difference or 0.0
    gain = difference if verdict.direction == "max" else -difference
    room = gain + allowed
    units = verdict.items if verdict.clusters is None else verdict.clusters
    if not units or room <= 0 or gain <= bad_end:
        return ""
    needed = math.ceil(units * ((gain - bad_end) / room) ** 2)
    what = "items" if verdict.clusters is None else "clusters"
    return (
        f"; {about(needed)} {what} would exclude it, if the difference stays as it is"
        if needed > units
        else ""
    )


def judge_slices(result: RuleResult, slices: Slices) -> RuleResult:
    """Return the result of a rule with that of its segments, if they are worse.

    Args:
        result: of the rule on all items.
        slices: tested by the metric of the rule.
    """
    rule = result.rule
    if slices.reason is not None:
        sentence = f"{result.sentence}; its slices cannot be judged: {slices.reason}"
        outcome: GateOutcome = "doubt" if result.outcome == "passed" else result.outcome
        return msgspec.structs.replace(result, outcome=outcome, sentence=sentence, slices=slices)
    falls = slices.direction == "min"
    broken, certain = [], 0
    for row in slices.worse:
        gain, best = (-row.difference, -row.low) if falls else (row.difference, row.high)
        allowed = rule.allowed_in_slice(row.a)
        if gain < -allowed:
            broken.append(row)
            certain += best < -allowed
    if not broken:
        return msgspec.structs.replace(result, slices=slices)
    outcome = "failed" if certain or result.outcome == "failed" else "doubt"
    named = without_parts(broken)[0].segment
    more = {1: "", 2: " and 1 more segment"}.get(len(broken), f" and {len(broken) - 1} more segments")
    verb = ("rise" if falls else "drop") + ("s" if len(broken) == 1 else "")
    said = f"{named}{more} {verb} further than a segment may"
    said += "" if certain else ", as far as seen, which is not certain"
    return msgspec.structs.replace(
        result,
        outcome=outcome,
        sentence=f"{said}; on all items: {result.sentence}",
        broken=tuple(broken),
        slices=slices,
    )


def _result(rule: GateRule, outcome: GateOutcome, verdict: Verdict | None, sentence: str) -> RuleResult:
    base = None if verdict is None else verdict.a
    return RuleResult(
        rule=rule,
        outcome=outcome,
        base=base,
        new=None if verdict is None else verdict.b,
        direction=None if verdict is None else verdict.direction,
        difference=None if verdict is None else verdict.difference,
        interval=None if verdict is None else verdict.interval,
        allowed=None if base is None or not math.isfinite(base) else rule.allowed(base),
        sentence=sentence,
        cautions=() if verdict is None else verdict.cautions,
    )
