"""What ``corrida show`` prints of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Heading, Line, Style, Table
from corrida.cli.common import short_duration, short_time
from corrida.runs.numbers import format_number
from corrida.runs.record import flatten

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

_PARAMS_SHOWN = 40


def run_blocks(run: RunRecord) -> list[Block]:
    """Return a run for people, the most asked for first."""
    style: Style = {"finished": "good", "running": "warning"}.get(run.status, "bad")  # type: ignore[assignment]
    title = run.id + "".join(f" @{alias}" for alias in run.aliases)
    blocks: list[Block] = [Line(title, "strong"), Line(f"{run.pipeline or 'unknown'}, {run.status}", style, 1)]
    if run.summary:
        blocks.append(Line(run.summary, "plain", 1))
    if run.error:
        where = f" ({run.error.where})" if run.error.where else ""
        blocks.append(Line(f"{run.error.type}: {run.error.message}{where}", "bad", 1))
    facts = [
        ("description", run.description),
        ("source", run.source),
        ("notes", run.notes),
        ("created", short_time(run.created)),
        ("duration", short_duration(run.duration) if run.duration is not None else None),
        ("seed", None if run.seed is None else str(run.seed)),
        ("tags", ", ".join(f"{k}={v}" for k, v in run.tags.items())),
        ("parent", run.parent),
        ("command", " ".join(run.argv)),
        ("code", _code(run)),
    ]
    blocks += [Line(f"{name.ljust(12)} {value}", "plain", 1) for name, value in facts if value]
    blocks += [Line(f"note         {n.text} ({n.author}, {short_time(n.time)})", "plain", 1) for n in run.later_notes]
    blocks += [Line(f"warning      {text}", "warning", 1) for text in run.warnings]
    if run.metrics:
        rows = [[name, format_number(value)] for name, value in run.metrics.items()]
        styles: list[Style] = [
            "strong" if run.primary_metric and run.primary_metric.name == name else "plain" for name in run.metrics
        ]
        blocks += [Heading("Metrics"), Table(("metric", "value"), rows, frozenset({1}), styles, flexible=0)]
    if run.status == "unreadable":
        return blocks
    if run.items:
        counts = ", ".join(f"{count} {name}" for name, count in run.items.items() if name != "count")
        blocks += [Heading("Items"), Line(f"{run.items['count']} items" + (f": {counts}" if counts else ""), "plain", 1)]
    params = list(flatten(run.params).items())
    if params:
        rows = [[name, str(value)] for name, value in params[:_PARAMS_SHOWN]]
        blocks += [Heading("Parameters"), Table(("name", "value"), rows)]
        if len(params) > _PARAMS_SHOWN:
            blocks.append(Line(f"… {len(params) - _PARAMS_SHOWN} more in {run.id}/config.yaml", "quiet", 1))
    if run.configs:
        blocks += [Heading("Configs")]
        blocks += [Line(f"{c.origin}  {c.sha256[7:19]}", "plain", 1) for c in run.configs]
    data = run.manifest().get("data", [])
    if data:
        rows = [
            [str(d["path"]), str(d.get("role", "")), str(d.get("rows", "")), _size(int(d["size"])), str(d["sha256"])[7:19]]
            for d in data
        ]
        blocks += [Heading("Data"), Table(("file", "role", "rows", "size", "digest"), rows, frozenset({2, 3}), flexible=0)]
    artifacts = run.artifacts()
    if artifacts:
        blocks += [Heading("Files"), *(Line(name, "plain", 1) for name in artifacts[:_PARAMS_SHOWN])]
        if len(artifacts) > _PARAMS_SHOWN:
            blocks.append(Line(f"… {len(artifacts) - _PARAMS_SHOWN} more", "quiet", 1))
    return blocks


def _code(run: RunRecord) -> str | None:
    git = run.git
    if git is None:
        return None
    if git.commit is None:
        return git.note or "no commit yet"
    branch = f" on {git.branch}" if git.branch else ""
    dirty = ", with uncommitted changes" if git.dirty else ""
    return f"{git.commit[:10]}{branch}{dirty}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError  # pragma: no cover - the last unit returns
