"""What a run folder says to the catalog, whatever state it is in."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from corrida.errors import CorridaError, DamagedRun
from corrida.runs import layout
from corrida.runs.additions import with_additions
from corrida.runs.annotations import merge_tags, notes_of, read_annotations, timestamp
from corrida.runs.files import read_plain
from corrida.runs.plain import plain
from corrida.runs.run_file import SEALED, Failure, RunFile, RunHeader, Status, decode_run_file, derive_status

RACY_NS = 2_000_000_000
"""A time of change this recent is not trusted: some file systems count in steps of two seconds."""


def signature(root: Path, run_id: str) -> str | None:
    """Return what tells one state of a run folder from another without reading it; None when there is none."""
    folder = f"{root}/{run_id}"
    try:
        outer = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    try:
        inner = os.stat(f"{folder}/{layout.RUN}")  # noqa: PTH116
    except OSError:
        return f"{outer.st_mtime_ns}"
    return f"{outer.st_mtime_ns}.{inner.st_mtime_ns}.{inner.st_size}.{inner.st_ino}"


class Found(NamedTuple):
    """What the catalog keeps of a run folder.

    Attributes:
        header: what every reader gets.
        content: the whole of run.json, where it can be read.
        signature: of the folder; empty when it is not to be trusted yet.
        notes: the note it was started with and those added since, one a line; None without any.
    """

    header: RunHeader
    content: RunFile | None = None
    signature: str = ""
    notes: str | None = None


def read_folder(root: Path, run_id: str, seen: str, now: float) -> Found | None:
    """Read a run folder for the catalog; None when it holds no run.

    Args:
        root: the store.
        run_id: the name of the folder.
        seen: its signature.
        now: seconds since the epoch.
    """
    folder = root / run_id
    content: RunFile | None = None
    try:
        data, found = read_plain(f"{folder}/{layout.RUN}", follow=True)
        heartbeat = found.st_mtime
        content = decode_run_file(run_id, data)
    except FileNotFoundError:
        if not is_half_born(folder):
            return None
        return Found(_placeholder(folder, "crashed", None))
    except (CorridaError, OSError) as error:
        message = str(error) if isinstance(error, DamagedRun) else f"{layout.RUN} cannot be read: {error}"
        failure = Failure(type=type(error).__name__, message=message)
        # Looked at again each time: rights and the version of corrida change without a trace in the folder.
        return Found(_placeholder(folder, "unreadable", failure))
    status = derive_status(content, heartbeat, now)
    annotations = read_annotations(folder)
    notes = [content.notes, *(note.text for note in notes_of(annotations))]
    fields = {name: getattr(content, name) for name in RunHeader.__struct_fields__}
    fields |= {
        "params": _storable(content.params),
        "status": status,
        "tags": merge_tags(content.tags, annotations),
    }
    if annotations:
        fields |= with_additions(content, annotations, params=fields["params"])
    header = RunHeader(**fields)
    newest = max(int(part) for part in seen.split(".")[:2])
    settled = status in SEALED and now * 1e9 - newest > RACY_NS
    return Found(header, content, seen if settled else "", "\n".join(filter(None, notes)) or None)


def _storable(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters that the catalog can hold, which are nearly always those that it is given."""
    try:
        msgspec.msgpack.encode(params)
    except (OverflowError, UnicodeError, RecursionError):
        return plain(params)  # type: ignore[no-any-return]
    return params


def _placeholder(folder: Path, status: Status, error: Failure | None) -> RunHeader:
    """Return what can be said of a folder whose run.json says nothing: its name and its time of change."""
    try:
        changed = folder.stat().st_mtime
    except OSError:
        changed = 0.0
    created = timestamp(datetime.fromtimestamp(changed, UTC))
    return RunHeader(
        id=folder.name, pipeline="", status=status, created=created, order=int(changed * 1e9), error=error
    )


def is_half_born(folder: Path) -> bool:
    """Tell whether a folder without run.json is a run whose process was killed at its very start."""
    if folder.is_symlink():
        return False
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return False
    return all(n in {layout.CONFIG_DIR, layout.CONFIG, layout.MANIFEST} or n.endswith(".tmp") for n in names)
