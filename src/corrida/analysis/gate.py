"""A gate: may a new run take the place of another, by rules on how far its metrics may drop.

How a rule is judged stands in :mod:`corrida.analysis.gate_judgement`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.analysis.compare import Comparison, compare_runs
from corrida.analysis.gate_judgement import GateOutcome, RuleResult, judge_rule, judge_slices, verdict_of
from corrida.analysis.gate_rules import GateRule
from corrida.analysis.metric_pairs import pairs_of_metric
from corrida.analysis.metric_tests import VerdictOptions
from corrida.analysis.metrics_diff import compare_metrics
from corrida.analysis.paired_items import PairedItems
from corrida.analysis.slices import find_slices
from corrida.errors import BadInput, InvalidMetric
from corrida.runs.numbers import json_number

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

NO_RULES = "the gate has no rules; give --metric and --max-drop, or write [[gate.rules]] in corrida.toml (see docs/gate.md)"


@dataclass(frozen=True, eq=False)
class GateResult:
    """Whether a new run may take the place of another; prints as text, and turns into JSON and Markdown.

    Attributes:
        base: the run that is compared with.
        new: the run that is judged.
        rules: what became of each rule.
        comparison: of the two runs, by the metrics of the first rule and of those tested alike.
    """

    base: RunRecord
    new: RunRecord
    rules: tuple[RuleResult, ...]
    comparison: Comparison

    @property
    def passed(self) -> bool:
        """Tell whether the new run is let through."""
        return all(rule.holds for rule in self.rules)

    @property
    def outcome(self) -> GateOutcome:
        """The worst outcome of a rule: ``failed``, then ``doubt``."""
        found = {rule.outcome for rule in self.rules}
        return "failed" if "failed" in found else "doubt" if "doubt" in found else "passed"

    @property
    def sentence(self) -> str:
        """The result in one line."""
        failed = [rule.rule.metric for rule in self.rules if rule.outcome == "failed"]
        doubtful = [rule for rule in self.rules if rule.outcome == "doubt"]
        of = f" of {len(self.rules)}" if len(self.rules) > 1 else ""
        if failed:
            return f"gate failed: {_rules(len(failed), of)} broken ({', '.join(dict.fromkeys(failed))})"
        if not doubtful:
            return f"gate passed: {_rules(len(self.rules), '')} kept"
        names = ", ".join(dict.fromkeys(rule.rule.metric for rule in doubtful))
        if self.passed:
            return f"gate passed, in doubt: {_rules(len(doubtful), of)} undecided ({names}), which counts as kept"
        return f"gate in doubt: {_rules(len(doubtful), of)} undecided ({names}), which counts as broken"

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values, without the comparison."""
        return {
            "base": self.base.id,
            "new": self.new.id,
            "outcome": self.outcome,
            "passed": self.passed,
            "sentence": self.sentence,
            "rules": [_rule_json(rule) for rule in self.rules],
        }

    def to_markdown(self) -> str:
        """Return the result as Markdown, as for the comment on a pull request."""
        from corrida.analysis.blocks import to_markdown
        from corrida.analysis.gate_report import gate_blocks

        return to_markdown(gate_blocks(self))

    def __bool__(self) -> bool:
        """Tell whether the new run is let through."""
        return self.passed

    def __str__(self) -> str:
        """Return the result as text."""
        from corrida.analysis.blocks import to_text
        from corrida.analysis.gate_report import gate_blocks

        return to_text(gate_blocks(self))

    __repr__ = __str__


def _rules(count: int, of: str) -> str:
    return f"{count}{of} rules" if of or count != 1 else "1 rule"


def _rule_json(result: RuleResult) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(result)
    for name in ("base", "new", "difference", "allowed"):
        values[name] = None if values[name] is None else json_number(values[name])
    values["holds"] = result.holds
    values["slices"] = None if result.slices is None else result.slices.to_json()
    return values


def rules_of(
    base: RunRecord, new: RunRecord, metrics: Sequence[str], max_drop: float | str | None, **options: Any
) -> tuple[GateRule, ...]:
    """Return one rule for each metric, all with the same options.

    Args:
        base: the run that is compared with.
        new: the run that is judged.
        metrics: one or more.
        max_drop: how far each may drop.
        options: the others of :class:`~corrida.analysis.gate_rules.GateRule`.

    Raises:
        BadInput: there is no metric, no ``max_drop``, or a value that cannot be used.
        InvalidMetric: neither run has one of the metrics.
    """
    if not metrics or max_drop is None:
        lacking = "--metric" if not metrics else "--max-drop, such as 0.01 or 1%"
        raise BadInput(f"a rule of a gate needs a metric and how far it may drop; give {lacking}")
    known = [change.name for change in compare_metrics(base, new)]
    for name in metrics:
        if name not in known:
            raise InvalidMetric(
                f"neither run has the metric {name!r}; there are {', '.join(known[:12]) or 'none'}"
            )
    options = {
        **options,
        "max_drop": _number(max_drop),
        "slices_max_drop": _number(options.get("slices_max_drop")),
    }
    return tuple(GateRule(metric=name, **options).check() for name in dict.fromkeys(metrics))


def _number(drop: float | str | None) -> float | str | None:
    """Return text that is a number as one."""
    try:
        return drop if drop is None else float(drop)
    except (TypeError, ValueError):
        return drop


def check_rules(
    base: RunRecord, new: RunRecord, rules: Sequence[GateRule], *, list_keys: Sequence[str] = ()
) -> GateResult:
    """Judge a new run by rules.

    Args:
        base: the run that is compared with.
        new: the run that is judged.
        rules: one or more.
        list_keys: as of :func:`~corrida.analysis.compare.compare_runs`.

    Raises:
        BadInput: there are no rules, or one cannot be used; the items lack a column that a rule names.
        DamagedRun: a run cannot be read.
    """
    if not rules:
        raise BadInput(NO_RULES)
    for rule in rules:
        rule.check()
    logged = {change.name for change in compare_metrics(base, new)}
    compared: dict[tuple[float, str | None], Comparison] = {}
    for rule in rules:
        alike = (rule.confidence, rule.cluster)
        if alike not in compared:
            names = [r.metric for r in rules if (r.confidence, r.cluster) == alike and r.metric in logged]
            options = VerdictOptions(confidence=rule.confidence, cluster=rule.cluster)
            compared[alike] = compare_runs(base, new, metric=names, list_keys=list_keys, options=options)
    results = tuple(_judge_with_slices(rule, compared[rule.confidence, rule.cluster]) for rule in rules)
    comparison = next(iter(compared.values()))
    slices = next((result.slices for result in results if result.slices is not None), None)
    return GateResult(base, new, results, dataclasses.replace(comparison, slices=slices))


def _judge_with_slices(rule: GateRule, comparison: Comparison) -> RuleResult:
    result = judge_rule(rule, comparison)
    verdict = verdict_of(rule, comparison)
    if not rule.slices or comparison.a.dir == comparison.b.dir:
        return result
    if verdict is None or verdict.tested is None or verdict.direction is None:
        return result  # in doubt already
    paired = PairedItems(comparison.a.items(), comparison.b.items(), comparison.cluster)
    found = find_slices(
        pairs_of_metric(comparison.a, comparison.b, paired, rule.metric).paired or paired,
        verdict.tested,
        rule.slice_specs,
        metric=rule.metric,
        direction=verdict.direction,
        options=VerdictOptions(confidence=rule.confidence, cluster=comparison.cluster),
    )
    return judge_slices(result, found)
