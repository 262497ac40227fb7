"""A comparison as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corrida.analysis.blocks import Block, Heading, Line, Style, Table, shorten
from corrida.analysis.compare import Comparison, MetricChange, format_difference
from corrida.analysis.config_diff import FileDiff, explain, summary_line
from corrida.analysis.items_diff import ItemsDiff
from corrida.runs.numbers import format_number

_FLAGS = {
    "content_changed_same_version": "content changed under the same version",
    "version_changed_same_content": "the version moved over the same content",
}
_ENVIRONMENT_SHOWN = 8
_CELL = 36


def comparison_blocks(
    comparison: Comparison, *, only_changed: bool = False, items: int = 12, details: bool = False
) -> list[Block]:
    """Return what ``corrida compare`` shows, the most important first.

    Args:
        comparison: the comparison.
        only_changed: leave out metrics that did not move and sections without a change.
        items: show at most so many differing items.
        details: show every change of a configuration on a line of its own.
    """
    blocks: list[Block] = [Line(f"{comparison.a.id} → {comparison.b.id}", "strong")]
    for run in (comparison.a, comparison.b):
        if run.description:
            blocks.append(Line(f"{run.id}: {run.description}", "quiet", 1))
    blocks += [Heading("Verdict"), Line(comparison.verdict.sentence, "plain", 1)]
    if comparison.items is not None:
        counts = comparison.items.counts
        blocks.append(Line(f"{counts.fixed} fixed, {counts.broken} broken of {counts.shared} shared items", "plain", 1))
    blocks += _config_blocks(comparison, only_changed=only_changed, details=details)
    blocks += _metric_blocks(comparison.metrics, only_changed=only_changed)
    blocks += _item_blocks(comparison, items)
    blocks += _circumstance_blocks(comparison, only_changed=only_changed)
    return blocks


def _config_blocks(comparison: Comparison, *, only_changed: bool, details: bool) -> list[Block]:
    differing = comparison.configs.differing
    reformatted = [f for f in comparison.configs.files if f.status == "reformatted"]
    blocks: list[Block] = [Heading("Configs")]
    for file in differing:
        blocks += _file_blocks(file, details=details)
    for file in reformatted:
        blocks.append(Line(f"{file.path}: rewritten, same meaning", "quiet", 1))
    shown = {c for f in differing for c in _leaf_names(f)}
    params = [p for p in comparison.params if p.name not in shown]
    for param in params:
        blocks.append(Line(f"{param.name}: {_value(param.a)} → {_value(param.b)}", "plain", 1))
    if len(blocks) > 1:
        same = sum(f.status == "same" for f in comparison.configs.files)
        if same and not only_changed:
            blocks.append(Line(f"{same} other file{'s' if same > 1 else ''} unchanged", "quiet", 1))
        return blocks
    if only_changed:
        return []
    count = len(comparison.configs.files)
    text = f"the same: {count} file{'s' if count != 1 else ''}, byte for byte" if count else "no configuration files"
    return [*blocks, Line(text, "quiet", 1)]


def _file_blocks(file: FileDiff, *, details: bool) -> list[Block]:
    if details:
        head, *rest = explain(file)
        lines: list[Block] = [Line(head, "plain", 1), *(Line(line, "plain", 1) for line in rest)]
    else:
        lines = [Line(summary_line(file), "plain", 1)]
    text = lines[0].text if isinstance(lines[0], Line) else ""
    lines += [
        Line(f"⚠ {_FLAGS[flag]}", "warning", 2)
        for flag in file.flags
        if _FLAGS[flag].split(" ")[-1] not in text or "same" not in text
    ]
    return lines


def _leaf_names(file: FileDiff) -> set[str]:
    """Return names of parameters that the diff of a file shows already."""
    return {".".join(str(s) for s in change.steps) for change in file.changes}


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return format_number(value) if isinstance(value, float) else shorten(str(value), 60)


def _metric_blocks(metrics: Sequence[MetricChange], *, only_changed: bool) -> list[Block]:
    rows, styles = [], []
    for metric in metrics:
        moved = metric.difference != 0
        if only_changed and not moved:
            continue
        rows.append(
            [
                metric.name,
                _number(metric.a),
                _number(metric.b),
                "–" if metric.difference is None else format_difference(metric.difference) if moved else "0",
                {True: "better", False: "worse", None: ""}[metric.better],
            ]
        )
        styles.append(_style(metric))
    if not rows:
        return [] if only_changed else [Heading("Metrics"), Line("neither run has metrics", "quiet", 1)]
    table = Table(("metric", "A", "B", "difference", ""), rows, frozenset({1, 2, 3}), styles, flexible=0)
    return [Heading("Metrics"), table]


def _number(value: float | None) -> str:
    return "–" if value is None else format_number(value)


def _style(metric: MetricChange) -> Style:
    if metric.better is None:
        return "quiet" if metric.difference == 0 else "plain"
    return "good" if metric.better else "bad"


def _item_blocks(comparison: Comparison, limit: int) -> list[Block]:
    if comparison.items is None:
        lacking = [r.id for r in (comparison.a, comparison.b) if not r.has_items()]
        return [Heading("Items"), Line(f"no items in {' and '.join(lacking)}", "quiet", 1)]
    items = comparison.items
    counts = items.counts
    parts = [f"{counts.broken} broken", f"{counts.fixed} fixed", f"{counts.changed} changed", f"{counts.same} same"]
    if counts.not_comparable:
        parts.append(f"{counts.not_comparable} without an answer to compare")
    blocks: list[Block] = [Heading("Items"), Line(", ".join(parts), "plain", 1)]
    if counts.only_a or counts.only_b:
        text = f"{counts.only_a} only in A, {counts.only_b} only in B: the metrics are not of the same items"
        blocks.append(Line(text, "warning", 1))
    if counts.expected_changed:
        text = f"{counts.expected_changed} have another expected answer: the truth changed, not only the run"
        blocks.append(Line(text, "warning", 1))
    if items.differing.height:
        blocks.append(items_table(items, limit))
        if items.differing.height > limit:
            rest = items.differing.height - limit
            blocks.append(Line(f"… and {rest} more: corrida compare {comparison.a.id} {comparison.b.id} --items 0", "quiet", 1))
    return blocks


def items_table(items: ItemsDiff, limit: int) -> Table:
    """Return the differing items as a table, the broken ones first."""
    frame = items.differing.head(limit) if limit else items.differing
    described = [c for c in ("text", "title", "input", "name", "question", "prompt") if c in frame.columns][:1]
    rows, styles = [], []
    for row in frame.iter_rows(named=True):
        answer = [_answer(row.get("output_a")), _answer(row.get("output_b"))]
        texts = [shorten(str(row[c] if row[c] is not None else ""), _CELL) for c in described]
        rows.append([row["kind"], row["item_id"], *answer, _answer(row.get("expected")), *texts])
        styles.append({"broken": "bad", "fixed": "good"}.get(row["kind"], "plain"))
    return Table(("", "item", "A", "B", "expected", *described), rows, styles=styles)  # type: ignore[arg-type]


def _answer(value: Any) -> str:
    if value is None:
        return "–"
    return format_number(value) if isinstance(value, float) else shorten(str(value), _CELL)


def _circumstance_blocks(comparison: Comparison, *, only_changed: bool) -> list[Block]:
    if not comparison.circumstances:
        text = "the same data, code, packages and machine"
        return [] if only_changed else [Heading("Data and environment"), Line(text, "quiet", 1)]
    blocks: list[Block] = [Heading("Data and environment")]
    environment = [c for c in comparison.circumstances if c.kind == "environment"]
    others = [c for c in comparison.circumstances if c.kind != "environment"]
    for circumstance in others:
        blocks.append(Line(circumstance.text, "warning", 1))
    if environment:
        shown = ", ".join(c.text for c in environment[:_ENVIRONMENT_SHOWN])
        more = f" and {len(environment) - _ENVIRONMENT_SHOWN} more" if len(environment) > _ENVIRONMENT_SHOWN else ""
        blocks.append(Line(f"environment: {shown}{more}", "warning", 1))
    return blocks
