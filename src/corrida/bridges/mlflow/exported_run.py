"""What MLflow gets of a run, worked out before anything is sent: names, texts and lengths that every server takes."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.bridges.mlflow.mapping import (
    ARTIFACTS,
    DESCRIPTION_TAG,
    EXPORT_DIGEST_TAG,
    EXPORT_RUN_TAG,
    EXPORT_STORE_TAG,
    MAX_KEY,
    MAX_PARAM,
    MAX_TAG,
    NAME_TAG,
    PARENT_TAG,
    RUN_ID_TAG,
    SOURCE_NAME_TAG,
    SOURCE_TYPE_TAG,
    Point,
    datasets_of,
    flat_params,
    git_to_tags,
    latest,
    status_to_mlflow,
)
from corrida.bridges.mlflow.returning import OWN
from corrida.runs import layout
from corrida.runs.additions import added_calls
from corrida.runs.annotations import values_had
from corrida.runs.files import digest_file, walk_files
from corrida.runs.history import read_calls

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

_CUT = " … (cut: run.json among the artifacts has all of it)"


@dataclass(kw_only=True)
class ExportedRun:
    """A run as MLflow takes it.

    Attributes:
        run_id: of the run.
        experiment: the experiment it goes to.
        started, ended: milliseconds since the epoch.
        status: of MLflow.
        params, tags: texts by name.
        points: every point of every metric.
        datasets: its inputs.
        artifacts: for each place among the artifacts the file.
        digest: of run.json.
        had: every value that each tag ever had here; one that is none of them was set there.
        remarks: what MLflow cannot hold as it is.
    """

    run_id: str
    experiment: str
    started: int
    ended: int
    status: str
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[Point]] = field(default_factory=dict)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Path] = field(default_factory=dict)
    digest: str = ""
    had: dict[str, set[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def store_id(root: Path) -> str:
    """Return the id of a store, which it keeps when it is moved."""
    path = root / layout.PRIVATE / layout.STORE_FILE
    try:
        return str(msgspec.json.decode(path.read_bytes()).get("id", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def exported_run(record: RunRecord, *, experiment: str | None = None) -> ExportedRun:
    """Work out what MLflow gets of a run.

    Args:
        record: the run, which has ended.
        experiment: where it goes; to the one that is called like its pipeline when None.

    Raises:
        DamagedRun: the run cannot be read.
        StoreError: a file cannot be read.
    """
    content = record.run_file()
    started, ended = _millis(record.created), _millis(record.finished)
    facts = record.mlflow
    run = ExportedRun(
        run_id=record.id,
        experiment=experiment or record.pipeline,
        started=facts.start_time if facts and facts.start_time is not None else started,
        ended=facts.end_time if facts and facts.end_time is not None else max(started, ended),
        status=status_to_mlflow(record.status, record.error),
        digest=digest_file(record.dir / layout.RUN).sha256,
        had=values_had(record.dir),
    )
    run.points = _named(_points(record, run.ended), "metric", run.remarks)
    run.params = _texts(flat_params(record.params), MAX_PARAM, "parameter", run.remarks)
    run.tags = _texts(_tags(record, content.argv), MAX_TAG, "tag", run.remarks)
    run.tags |= {
        EXPORT_RUN_TAG: record.id,
        EXPORT_STORE_TAG: store_id(record.dir.parent),
        EXPORT_DIGEST_TAG: run.digest,
    }
    run.datasets = [_dataset(one) for one in datasets_of(record.manifest())]
    through_mlflow = facts is not None or RUN_ID_TAG in record.tags
    run.artifacts = _artifacts(record.dir, through_mlflow=through_mlflow)
    if record.has_items():
        run.remarks.append("items.parquet is an artifact there: MLflow knows no items")
    return run


def changed_tags(run: ExportedRun, there: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to send to a run that is there already; what a person set there stays."""
    changed = {}
    for name, value in run.tags.items():
        known = there.get(name)
        if known is None or name.startswith("corrida."):
            own = known != value
        elif name == DESCRIPTION_TAG:
            own = known != value and value.startswith(known)  # notes are only added
        else:
            own = known != value and known in run.had.get(name, set())
        if own:
            changed[name] = value
    return changed


def _millis(iso: str | None) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000) if iso else 0


def _points(record: RunRecord, ended: int) -> dict[str, list[Point]]:
    """Return the step metrics, and a last point for each final metric that they do not end with."""
    found: dict[str, dict[Point, None]] = {}
    for calls in (read_calls(record.dir / layout.HISTORY), added_calls(record.dir)):
        for step, when, metrics in calls:
            for name, value in metrics.items():
                found.setdefault(name, {})[Point(step, round(when * 1000), float(value))] = None
    points = {name: list(those) for name, those in found.items()}
    for name, value in record.metrics.items():
        last = latest(points[name]) if points.get(name) else None
        if last is None or repr(last.value) != repr(float(value)):
            stamp = max(ended, last.timestamp) if last else ended
            points.setdefault(name, []).append(Point(last.step if last else 0, stamp, float(value)))
    return points


def _tags(record: RunRecord, argv: Iterable[str]) -> dict[str, str]:
    own = {
        "corrida.source": record.source,
        "corrida.seed": str(record.seed) if record.seed is not None else None,
        "corrida.summary": record.summary,
        "corrida.aliases": ", ".join(record.aliases),
        "corrida.error": f"{record.error.type}: {record.error.message}" if record.error else None,
        DESCRIPTION_TAG: _note(record),
        SOURCE_NAME_TAG: shlex.join(argv),
    }
    tags = {name: value for name, value in own.items() if value}
    tags |= {f"corrida.findings.{name}": value for name, value in record.findings.items()}
    tags |= git_to_tags(record.git)
    tags |= {name: value for name, value in record.tags.items() if name != PARENT_TAG}
    tags.setdefault(NAME_TAG, record.id)
    tags.setdefault(SOURCE_TYPE_TAG, "LOCAL")
    return tags


def _note(record: RunRecord) -> str:
    parts = [record.description or "", record.notes or ""]
    parts += [f"{note.text} ({note.author}, {note.time[:10]})" for note in record.later_notes]
    return "\n\n".join(part for part in parts if part)


def _texts(values: Mapping[str, str], most: int, what: str, remarks: list[str]) -> dict[str, str]:
    found = {}
    for name, value in _named(values, what, remarks).items():
        if len(value) > most:
            remarks.append(
                f"the {what} {name} has {len(value):,} characters, of which MLflow takes {most:,}; run.json has all"
            )
            found[name] = value[: most - len(_CUT)] + _CUT
        else:
            found[name] = value
    return found


def _named(values: Mapping[str, Any], what: str, remarks: list[str]) -> dict[str, Any]:
    """Return values under names that MLflow takes: letters, digits, ``_-. :/``, and no path that leads elsewhere."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        allowed = re.sub(r"[^\w.\- :/]", "_", name)[:MAX_KEY]
        if posixpath.normpath(allowed) != allowed or allowed.startswith(("/", "..")) or allowed == ".":
            allowed = allowed.replace("/", "_").strip(".") or "_"
        free, number = allowed, 1
        while free in found or (free != name and free in values):
            number += 1
            free = f"{allowed[: MAX_KEY - 5]}-{number}"
        if free != name:
            remarks.append(f"the {what} {name!r} is called {free!r} there")
        found[free] = value
    return found


def _dataset(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "digest": str(one.get("digest") or "")[:36],
        "name": str(one.get("name") or "dataset")[:500],
    }


def _artifacts(folder: Path, *, through_mlflow: bool) -> dict[str, Path]:
    """Return the place of each file of the run among the artifacts.

    The folder is shown as it is; that of a run which came through MLflow has its artifacts at the top, and its own files
    in ``corrida/``.
    """
    names = [
        (name, Path(entry.path)) for name, entry in walk_files(folder) if entry.is_file(follow_symlinks=False)
    ]
    names = [
        (name, path) for name, path in names if not any(part.startswith(".") for part in name.split("/")[:1])
    ]
    if not through_mlflow:
        return dict(sorted(names))
    inner = {name for name, _ in names if name.startswith(f"{ARTIFACTS}/")}
    found: dict[str, Path] = {f"{OWN}/{name}": path for name, path in names if name not in inner}
    for name, path in names:
        if name in inner:
            place = name.removeprefix(f"{ARTIFACTS}/")
            found[f"{OWN}/{name}" if place in found else place] = path
    return dict(sorted(found.items()))
