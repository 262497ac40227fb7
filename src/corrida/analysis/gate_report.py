"""The result of a gate as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Line, Style, Table
from corrida.analysis.metrics_diff import format_difference
from corrida.analysis.slices import without_parts
from corrida.analysis.verdict_text import format_interval, shown
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.gate import GateResult
    from corrida.analysis.gate_judgement import RuleResult
    from corrida.analysis.slices import Slice

_STYLES: dict[str, Style] = {"passed": "good", "failed": "bad", "doubt": "warning"}
_BROKEN = 8


def gate_blocks(result: GateResult) -> list[Block]:
    """Return the result in one line, a table of the rules, and why each came out so."""
    sentence = result.sentence[0].upper() + result.sentence[1:]
    style: Style = "bad" if not result.passed else _STYLES[result.outcome]
    blocks: list[Block] = [
        Line(sentence, style),
        Line(f"base {result.base.id}, new {result.new.id}", "quiet"),
    ]
    blocks.append(
        Table(
            ("metric", "allowed", "base", "new", "difference", "interval", "result"),
            [_row(rule) for rule in result.rules],
            frozenset({2, 3, 4}),
            [_STYLES[rule.outcome] for rule in result.rules],
            whole=frozenset({0, 1, 6}),
            leave=(5, 2, 3),
        )
    )
    said: list[str] = []
    for rule in result.rules:
        blocks.append(Line(f"{rule.rule.metric}: {rule.sentence}", _STYLES[rule.outcome], 1))
        blocks += [Line(c, "warning", 2) for c in rule.cautions if c not in said and c not in rule.sentence]
        said += rule.cautions
        apart = without_parts(rule.broken)[:_BROKEN]
        blocks += [Line(_segment(row), "bad", 2) for row in apart]
        if len(rule.broken) > len(apart):
            rest = len(rule.broken) - len(apart)
            blocks.append(Line(f"… and {rest} more, such as parts of these (--json has all)", "quiet", 2))
    if any(rule.outcome == "doubt" for rule in result.rules):
        kinds = sorted({rule.rule.on_doubt for rule in result.rules if rule.outcome == "doubt"})
        blocks.append(
            Line(f"doubt counts as {' or '.join(kinds)}, as the rule says (--on-doubt)", "quiet", 1)
        )
    return blocks


def _row(result: RuleResult) -> list[str]:
    return [
        result.rule.metric,
        _allowed(result),
        shown(result.base),
        shown(result.new),
        "–"
        if result.difference is None
        else format_difference(result.difference)
        if result.difference
        else "0",
        "–" if result.interval is None else format_interval(*result.interval),
        result.outcome,
    ]


def _allowed(result: RuleResult) -> str:
    rule = result.rule
    text = f"{'rise' if result.direction == 'min' else 'drop'} ≤ {_drop(rule.max_drop)}"
    if not rule.slices:
        return text
    of = (
        "any segment"
        if "auto" in rule.slice_specs
        else f"any {' or '.join(rule.slice_specs).replace(',', ' × ')}"
    )
    return f"{text}, {of} {_drop(rule.max_drop if rule.slices_max_drop is None else rule.slices_max_drop)}"


def _drop(value: float | str) -> str:
    return value if isinstance(value, str) else format_number(float(value))


def _segment(row: Slice) -> str:
    return (
        f"{row.segment}: {format_number(row.a)} → {format_number(row.b)} ({format_difference(row.difference)}, "
        f"interval {format_interval(row.low, row.high)}, {row.items:,} items)"
    )
