"""What ``corrida show`` prints of a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Heading, Line, Style, Table
from corrida.analysis.run_stamps import last_stamps
from corrida.cli.common import short_time
from corrida.errors import CorridaError
from corrida.runs import layout
from corrida.runs.history import read_calls
from corrida.runs.numbers import duration_text, format_number
from corrida.runs.record import flatten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.runs.record import RunRecord

_SHOWN = 40
_TAG_SHOWN = 100  # characters of a tag
_NAMES = 13  # width of the names of facts, with the blank after them


def run_blocks(run: RunRecord) -> list[Block]:
    """Return a run for people, the most asked for first."""
    blocks = _head(run)
    if run.metrics:
        rows = [[name, format_number(value)] for name, value in run.metrics.items()]
        styles: list[Style] = [
            "strong" if run.primary_metric and run.primary_metric.name == name else "plain"
            for name in run.metrics
        ]
        blocks += [Heading("Metrics"), Table(("metric", "value"), rows, frozenset({1}), styles)]
    blocks += _steps(run)
    if run.item_counts and "count" in run.item_counts:
        counts = ", ".join(f"{count} {name}" for name, count in run.item_counts.items() if name != "count")
        text = f"{run.item_counts.get('count', 0)} items" + (f": {counts}" if counts else "")
        blocks += [Heading("Items"), Line(text, "plain", 1)]
    if run.status != "unreadable":
        blocks += _inputs(run)
        blocks += _models(run)
        blocks += _predictions(run)
        blocks += _listed("Files", run.artifacts())
    return blocks


def _head(run: RunRecord) -> list[Block]:
    styles: dict[str, Style] = {"finished": "good", "running": "warning"}
    title = run.id + "".join(f" @{alias}" for alias in run.aliases)
    blocks: list[Block] = [
        Line(title, "strong"),
        Line(f"{run.pipeline or 'unknown'}, {run.status}", styles.get(run.status, "bad"), 1),
    ]
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
        ("duration", duration_text(run.duration) if run.duration is not None else None),
        ("seed", None if run.seed is None else str(run.seed)),
        ("tags", ", ".join(f"{k}={_short(v)}" for k, v in run.tags.items())),
        ("parent", run.parent),
        ("resumes", run.resumed_from),
        ("command", shlex.join(run.argv)),
        ("code", _code(run)),
    ]
    blocks += [_fact(name, value) for name, value in facts if value]
    blocks += [_fact("note", f"{n.text} ({n.author}, {short_time(n.time)})") for n in run.later_notes]
    blocks += [_fact("stamped", text) for text in _stamps(run)]
    blocks += [_fact("warning", text, "warning") for text in run.warnings]
    return blocks


def _stamps(run: RunRecord) -> list[str]:
    return [f"{one.rows} rows of {one.place} ({short_time(one.time)})" for one in last_stamps(run.dir)]


def _steps(run: RunRecord) -> list[Block]:
    """Return how far the step metrics go, and the last value of each."""
    path = run.dir / layout.HISTORY
    if not path.exists():
        return []
    last: dict[str, tuple[int, float]] = {}
    calls = 0
    for step, _, metrics in read_calls(path):
        calls += 1
        last |= {name: (step, value) for name, value in metrics.items()}
    rows = [[name, format_number(value), str(step)] for name, (step, value) in last.items()]
    table = Table(("metric", "last", "at step"), rows, frozenset({1, 2}))
    return [Heading("Steps"), Line(f"{calls} logging call{'s' if calls != 1 else ''}", "plain", 1), table]


def _short(value: str) -> str:
    """Return a tag's value as it fits into a list of tags; MLflow keeps whole documents in tags."""
    return value if len(value) <= _TAG_SHOWN else f"{value[: _TAG_SHOWN - 1]}…"


def _fact(name: str, value: str, style: Style = "plain") -> Line:
    return Line(name.ljust(_NAMES) + value, style, 1, hang=_NAMES)


def _inputs(run: RunRecord) -> list[Block]:
    blocks: list[Block] = []
    params = list(flatten(run.params).items())
    if params:
        rows = [
            [name, format_number(value) if isinstance(value, float) else str(value)]
            for name, value in params[:_SHOWN]
        ]
        blocks += [Heading("Parameters"), Table(("name", "value"), rows)]
        if len(params) > _SHOWN:
            blocks.append(Line(f"… {len(params) - _SHOWN} more in {run.id}/config.yaml", "quiet", 1))
    blocks += _listed("Configs", [f"{c.origin}  {c.sha256[7:19]}" for c in run.configs])
    data = run.manifest().get("data", [])
    if data:
        rows = [
            [
                str(d["path"]),
                str(d.get("role", "")),
                str(d.get("rows", "")),
                _size(int(d["size"])),
                d["sha256"][7:19],
            ]
            for d in data
        ]
        table = Table(
            ("file", "role", "rows", "size", "digest"), rows, frozenset({2, 3}), whole=frozenset({4})
        )
        blocks += [Heading("Data"), table]
    return blocks


def models_of(run: RunRecord) -> list[dict[str, object]]:
    """Return what each fitted model in the folder says of itself; one that says nothing has its name only."""
    from corrida.pipelines.model_files import read_facts

    folder = run.dir / layout.MODELS_DIR
    found: list[dict[str, object]] = []
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    except OSError:
        return []
    for entry in entries:
        about: dict[str, object] = {"name": entry.name}
        if entry.is_dir():
            try:
                facts = read_facts(entry)
                about |= {"format": facts.format, "libraries": facts.libraries}
            except CorridaError:
                pass
        found.append(about)
    return found


def _models(run: RunRecord) -> list[Block]:
    models = models_of(run)
    if not models:
        return []
    rows = []
    for model in models[:_SHOWN]:
        libraries = model.get("libraries")
        written = (
            [f"{name} {version}" for name, version in libraries.items()]
            if isinstance(libraries, dict)
            else []
        )
        rows.append([str(model["name"]), str(model.get("format", "–")), ", ".join(written) or "–"])
    blocks: list[Block] = [Heading("Models"), Table(("model", "format", "written with"), rows)]
    more = len(models) - len(rows)
    return [*blocks, Line(f"… {more} more", "quiet", 1)] if more else blocks


def _predictions(run: RunRecord) -> list[Block]:
    """Return what was predicted since the run ended, the newest first."""
    predictions = run.predictions()[::-1]
    if not predictions:
        return []
    rows = []
    for one in predictions[:_SHOWN]:
        options = ", ".join(
            name
            if value is True
            else f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in one.options.items()
        )
        data = ", ".join(entry.path for entry in one.data)
        alias = f"@{one.alias}" if one.alias else "–"
        rows.append([one.file, short_time(one.created), str(one.rows), alias, options or "–", data or "–"])
    table = Table(
        ("prediction", "made", "rows", "as", "options", "data"),
        rows,
        frozenset({2}),
        whole=frozenset({0}),
    )
    more = len(predictions) - len(rows)
    return [Heading("Predictions"), table, *([Line(f"… {more} more", "quiet", 1)] if more else [])]


def _listed(heading: str, lines: Sequence[str]) -> list[Block]:
    if not lines:
        return []
    blocks: list[Block] = [Heading(heading), *(Line(line, "plain", 1) for line in lines[:_SHOWN])]
    return [*blocks, Line(f"… {len(lines) - _SHOWN} more", "quiet", 1)] if len(lines) > _SHOWN else blocks


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
