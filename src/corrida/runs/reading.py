"""From a run folder to the record that readers get."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from corrida.errors import RunNotFound
from corrida.runs import layout
from corrida.runs.additions import with_additions
from corrida.runs.annotations import merge_tags, notes_of, read_annotations
from corrida.runs.files import read_plain
from corrida.runs.numbers import metrics_from_file
from corrida.runs.plain import JSON_ERRORS
from corrida.runs.record import RunRecord
from corrida.runs.run_file import RunHeader, derive_status, read_run_file


def read_header(folder: Path) -> RunHeader:
    """Read a run folder, whose status and tags are those of this moment.

    Raises:
        RunNotFound: there is no such folder, or it holds no run.
        DamagedRun, NewerFormat: it cannot be read.
    """
    content = read_run_file(folder)
    try:
        heartbeat = (folder / layout.RUN).stat().st_mtime
    except OSError:
        raise RunNotFound(f"the run {folder.name} was removed in this moment") from None
    fields = {name: getattr(content, name) for name in RunHeader.__struct_fields__}
    fields["status"] = derive_status(content, heartbeat, time.time())
    annotations = read_annotations(folder)
    fields["tags"] = merge_tags(content.tags, annotations)
    if annotations:
        fields |= with_additions(content, annotations)
    return RunHeader(**fields)


def record_of(folder: Path, header: RunHeader, carried: Mapping[str, tuple[str, ...]]) -> RunRecord:
    """Return the record of a run.

    Args:
        folder: the run folder.
        header: what its run.json says.
        carried: the aliases that point to each run.
    """
    fields = {name: getattr(header, name) for name in RunHeader.__struct_fields__}
    fields["metrics"] = metrics_from_file(header.metrics) or _metrics_of_unfinished(folder, header)
    notes = notes_of(read_annotations(folder)) if (folder / layout.ANNOTATIONS).exists() else ()
    return RunRecord(**fields, dir=folder, later_notes=notes, aliases=carried.get(header.id, ()))


def _metrics_of_unfinished(folder: Path, header: RunHeader) -> dict[str, float]:
    """Return the final metrics that a run had logged before its process was killed."""
    if header.status not in {"running", "crashed"}:
        return {}
    if header.mlflow is not None:
        from corrida.runs.history import latest_values

        return latest_values(folder / layout.HISTORY)
    try:
        data, _ = read_plain(folder / layout.METRICS)
        return metrics_from_file(msgspec.json.decode(data, type=dict[str, float | str]))
    except (OSError, *JSON_ERRORS):
        return {}
