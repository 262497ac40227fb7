"""A comparison as text for people."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.analysis.blocks import Block, Heading, Line, Style, Table, shorten
from corrida.analysis.config_diff import FileDiff, explain, summary_line
from corrida.analysis.items_report import flips_sentence, item_blocks
from corrida.analysis.metrics_diff import MetricChange, format_difference
from corrida.analysis.slices_report import slice_blocks
from corrida.analysis.verdict_text import format_interval, format_p
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.compare import Comparison, ParamChange
    from corrida.analysis.verdict import Verdict
    from corrida.runs.record import RunRecord

_ENVIRONMENT_SHOWN = 8
_METRICS_SHOWN = 40
_SLICES = 10
_OUTCOME_STYLES: dict[str, Style] = {
    "better": "good",
    "worse": "bad",
    "tied": "strong",
    "underpowered": "warning",
}


def comparison_blocks(
    comparison: Comparison, *, only_changed: bool = False, items: int = 12, details: bool = False
) -> list[Block]:
    """Return what ``corrida compare`` shows, the most important first.

    Args:
        comparison: the comparison.
        only_changed: leave out metrics that did not move and sections without a change.
        items: show at most so many differing items; 0 for all.
        details: show every change of a configuration on a line of its own, and all of very many metrics.
    """
    blocks: list[Block] = [Line(f"{comparison.a.id} → {comparison.b.id}", "strong")]
    blocks += [
        Line(f"{side}  {r.id}" + (f": {r.description}" if r.description else ""), "quiet", 1, hang=3)
        for side, r in (("A", comparison.a), ("B", comparison.b))
    ]
    blocks += _verdict_blocks(comparison)
    if comparison.items is not None:
        blocks.append(Line(flips_sentence(comparison.items.counts), "plain", 1))
    blocks += _config_blocks(comparison, only_changed=only_changed, details=details)
    blocks += metric_blocks(comparison, only_changed=only_changed, details=details)
    if comparison.slices is not None:
        blocks += slice_blocks(comparison.slices, items and max(items, _SLICES))
    blocks += item_blocks(comparison, items)
    blocks += circumstance_blocks(comparison, only_changed=only_changed)
    return blocks


def _verdict_blocks(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = [Heading("Verdict")]
    said: list[str] = []
    for verdict in comparison.verdicts or (comparison.verdict,):
        blocks.append(Line(verdict.sentence, _OUTCOME_STYLES.get(verdict.outcome, "plain"), 1))
        fresh = [caution for caution in verdict.cautions if caution not in said]
        blocks += [Line(caution, "warning", 2) for caution in fresh]
        said += fresh
        if verdict.method is not None:
            blocks.append(Line(how_tested(verdict), "quiet", 2))
    return blocks


def how_tested(verdict: Verdict) -> str:
    """Return how a verdict was reached: statistic, method, margin, and what the items can show at all."""
    parts = [f"{verdict.method} of {verdict.tested}", f"margin ±{format_number(verdict.margin or 0.0)}"]
    if verdict.resamples:
        parts.append(f"{verdict.resamples:,} resamples, seed {verdict.seed}")
    if verdict.outcome in {"underpowered", "tied"} and verdict.detectable:
        parts.append(f"differences from {format_number(verdict.detectable)} on would likely be seen")
    return "; ".join(parts)


def _config_blocks(comparison: Comparison, *, only_changed: bool, details: bool) -> list[Block]:
    files = without_common_folder(comparison.configs.files)
    blocks: list[Block] = [Heading("Configs")]
    for file in files:
        style: Style = "warning" if file.flags else "plain"
        if file.status == "reformatted":
            blocks.append(Line(f"{file.path}: rewritten, same meaning", "quiet", 1))
        elif file.status != "same" and details:
            head, *rest = explain(file)
            blocks += [Line(head, style, 1), *(Line(line, "plain", 1) for line in rest)]
        elif file.status != "same":
            blocks.append(Line(summary_line(file), style, 1))
    blocks += [Line(text, "plain", 1) for text in other_params(comparison)]
    if len(blocks) > 1:
        same = sum(f.status == "same" for f in files)
        if same and not only_changed:
            blocks.append(Line(f"{same} other file{'s' if same > 1 else ''} unchanged", "quiet", 1))
        return blocks
    if only_changed:
        return []
    count = len(files)
    text = (
        f"the same: {count} file{'s' if count != 1 else ''}, byte for byte"
        if count
        else "no configuration files"
    )
    return [*blocks, Line(text, "quiet", 1)]


def other_params(comparison: Comparison) -> list[str]:
    """Return in words which parameters differ, but for those that the diff of a file has told."""
    return params_beyond(comparison.params, comparison.configs.files)


def params_beyond(params: Sequence[ParamChange], files: Sequence[FileDiff]) -> list[str]:
    """Return parameters that differ in words, but for those that the diff of a file has told."""
    explained = {fact for file in files for fact in _facts(file)}
    return [
        f"{p.name}: {_value(p.a)} → {_value(p.b)}"
        for p in params
        if (p.name.rpartition(".")[2], repr(p.a), repr(p.b)) not in explained
    ]


def config_lines(comparison: Comparison) -> list[Line]:
    """Return what was configured differently, a line a file and parameter; none where nothing was."""
    blocks = _config_blocks(comparison, only_changed=True, details=False)
    return [block for block in blocks if isinstance(block, Line)]


def without_common_folder(files: Sequence[FileDiff]) -> list[FileDiff]:
    """Return files named without the folder that all of them lie in."""
    folders = [PurePosixPath(path).parent.parts for f in files for path in (f.path, f.path_a or f.path)]
    if not folders or any(".." in parts or not parts for parts in folders):
        return list(files)
    common = list(itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False)))
    root = PurePosixPath(*(parts[0] for parts in common))

    def short(path: str | None) -> str | None:
        return path and PurePosixPath(path).relative_to(root).as_posix()

    return [msgspec.structs.replace(f, path=short(f.path), path_a=short(f.path_a)) for f in files]


def _facts(file: FileDiff) -> list[tuple[str, str, str]]:
    """Return what the diff of a file says, as (last name, before, after): no parameter repeats it."""
    facts = [(str(c.steps[-1]), repr(c.before), repr(c.after)) for c in file.changes if c.steps]
    return [*facts, ("version", repr(file.version_a), repr(file.version_b))]


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | dict):
        return shorten(json.dumps(value, ensure_ascii=False, default=str), 60)
    return format_number(value) if isinstance(value, float) else shorten(str(value), 60)


def _shown_metrics(comparison: Comparison, *, only_changed: bool, details: bool) -> list[MetricChange]:
    """Return the metrics to show: of very many those that are asked for, and those with the shortest names of parts."""
    # What is missing, or not a number, is shown too.
    metrics = [m for m in comparison.metrics if not only_changed or m.difference != 0]
    if details or len(metrics) <= _METRICS_SHOWN:
        return metrics
    asked = {verdict.metric for verdict in comparison.verdicts}
    depth = {m.name: 0 if m.name in asked else 1 + m.name.count(".") for m in metrics}
    kept = {m.name for m in sorted(metrics, key=lambda m: depth[m.name])[:_METRICS_SHOWN]}
    return [m for m in metrics if m.name in kept]


def metric_blocks(comparison: Comparison, *, only_changed: bool, details: bool) -> list[Block]:
    """Return every metric of either run; arguments as of :func:`comparison_blocks`."""
    rows, styles = [], []
    metrics = _shown_metrics(comparison, only_changed=only_changed, details=details)
    tested = any(metric.tested for metric in metrics)
    for metric in metrics:
        moved = metric.difference != 0
        rows.append(
            [
                metric.name,
                _number(metric.a),
                _number(metric.b),
                "–" if metric.difference is None else format_difference(metric.difference) if moved else "0",
                side_of(metric, tested=tested),
                *_test_cells(metric, tested=tested),
            ]
        )
        styles.append(_style(metric))
    if not rows:
        return [] if only_changed else [Heading("Metrics"), Line("neither run has metrics", "quiet", 1)]
    more = ("interval", "p (Holm)") if tested else ()
    table = Table(("metric", "A", "B", "difference", "", *more), rows, frozenset({1, 2, 3, 5, 6}), styles)
    blocks: list[Block] = [Heading("Metrics"), table]
    left = sum(not only_changed or m.difference != 0 for m in comparison.metrics) - len(rows)
    if left:
        blocks.append(Line(f"… {left} more; --details shows all", "quiet", 1))
    return blocks


def side_of(metric: MetricChange, *, tested: bool) -> str:
    """Return which way a metric went, in a word or two: ``better``, ``worse``, ``within noise``, ``not tested``.

    Args:
        metric: of two runs.
        tested: whether metrics beside it were tested; then what was not is said.
    """
    side = {True: "better", False: "worse", None: ""}[metric.better]
    if not side or not tested:
        return side
    if metric.tested is None:
        return "not tested"
    return side if metric.real else "within noise"


def _test_cells(metric: MetricChange, *, tested: bool) -> list[str]:
    if not tested:
        return []
    if metric.low is None or metric.high is None or metric.p_adjusted is None:
        return ["", ""]
    return [
        format_interval(metric.low, metric.high),
        format_p(metric.p_adjusted).removeprefix("p ").removeprefix("= "),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else format_number(value)


def _style(metric: MetricChange) -> Style:
    # The colour of a metric that was not tested would say more than is known.
    if metric.better is None or metric.real is False or metric.tested is None:
        return "quiet" if metric.difference == 0 else "plain"
    return "good" if metric.better else "bad"


def circumstance_blocks(comparison: Comparison, *, only_changed: bool) -> list[Block]:
    """Return what else differs: data, code, machine; arguments as of :func:`comparison_blocks`."""
    if not comparison.circumstances:
        text = _the_same(comparison.a, comparison.b)
        return [] if only_changed else [Heading("Data and environment"), Line(text, "quiet", 1)]
    blocks: list[Block] = [Heading("Data and environment")]
    environment = [c for c in comparison.circumstances if c.kind == "environment"]
    blocks += [Line(c.text, "warning", 1) for c in comparison.circumstances if c.kind != "environment"]
    if environment:
        shown = ", ".join(c.text for c in environment[:_ENVIRONMENT_SHOWN])
        more = (
            f" and {len(environment) - _ENVIRONMENT_SHOWN} more"
            if len(environment) > _ENVIRONMENT_SHOWN
            else ""
        )
        blocks.append(Line(f"environment: {shown}{more}", "warning", 1))
    return blocks


def _the_same(a: RunRecord, b: RunRecord) -> str:
    """Say what is the same, and what nobody can know since it was not recorded."""
    known, unknown = [], []
    if a.manifest().get("data") and b.manifest().get("data"):
        known.append("data")
    else:
        unknown.append("no data is recorded")
    if a.git and a.git.commit and b.git and b.git.commit:
        known.append("code")
    elif a.git and b.git:
        unknown.append("code is not recorded (no commit)")
    else:
        unknown.append("code is not recorded (no git)")
    if a.environment() and b.environment():
        known += ["packages", "machine"]
    else:  # as of a run that another program made
        unknown.append("packages and machine are not recorded")
    if not known:
        return "; ".join(unknown)
    listed = f"{', '.join(known[:-1])} and {known[-1]}" if len(known) > 1 else known[0]
    return "; ".join([f"the same {listed}", *unknown])
