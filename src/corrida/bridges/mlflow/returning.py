"""A run that corrida exported comes back as it was: its files by their digests, its run.json with the seal."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from corrida.bridges.mlflow.foreign import files_below
from corrida.bridges.mlflow.import_plan import news
from corrida.bridges.mlflow.mapping import (
    ARTIFACTS,
    EXPORT_DIGEST_TAG,
    EXPORT_RUN_TAG,
    EXPORT_STATE_TAG,
)
from corrida.errors import AlreadyExists, CorridaError, InvalidName
from corrida.runs import layout
from corrida.runs.additions import added_files
from corrida.runs.adoption import is_free, place_sealed
from corrida.runs.files import digest_file, read_lines, safe_join
from corrida.runs.ids import is_run_id
from corrida.runs.run_file import SEALED, decode_run_file, seal_is_intact
from corrida.runs.store import check_tags

if TYPE_CHECKING:
    from corrida.bridges.mlflow.foreign import ForeignRun
    from corrida.runs.store import Store

OWN = "corrida"
"""The folder of the artifacts for the files of a run that are no artifacts of MLflow's, where it has such."""


def returned(store: Store, foreign: ForeignRun, folder: Path) -> str | None:
    """Put a run back that corrida had exported, whole, and with the tags that it got there since.

    Args:
        store: where it goes.
        foreign: what it is there.
        folder: its artifacts.

    Returns:
        Its id; None when it was never exported, or not completely, or altered, or its id is taken by another run: then
        it is imported like any other.
    """
    run_id = foreign.tags.get(EXPORT_RUN_TAG, "")
    if foreign.tags.get(EXPORT_STATE_TAG) != "complete" or not is_run_id(run_id):
        return None
    found = _read(run_id, folder, foreign.tags.get(EXPORT_DIGEST_TAG, ""))
    if found is None:
        return None
    data, files = found
    if not is_free(store.root, run_id):
        there = store.root / run_id / layout.RUN
        return run_id if there.is_file() and there.read_bytes() == data else None
    files |= _later(folder)
    try:
        place_sealed(store.root, run_id, data, files, trashed=foreign.head.deleted)
    except AlreadyExists:
        return None
    if not foreign.head.deleted:
        _tag(store, run_id, foreign)
    return run_id


def _read(run_id: str, folder: Path, digest: str) -> tuple[bytes, dict[str, Path]] | None:
    """Return run.json and where each of its files is, when all of them are as they were."""
    fitting = [p for p in _artifacts(folder, layout.RUN) if digest_file(p).sha256 == digest]
    data = fitting[0].read_bytes() if fitting else b""
    if not seal_is_intact(data):
        return None
    try:
        content = decode_run_file(run_id, data)
        if content.status not in SEALED:
            return None
        files: dict[str, Path] = {}
        for name, stored in content.files.items():
            fitting = [p for p in _artifacts(folder, name) if digest_file(p) == (stored.size, stored.sha256)]
            if not fitting:
                return None
            files[name] = fitting[0]
    except (CorridaError, OSError):
        return None
    return data, files


def _artifacts(folder: Path, name: str) -> list[Path]:
    """Return where a file of the run may be among the artifacts."""
    places = [name, f"{OWN}/{name}"]
    if name.startswith(f"{ARTIFACTS}/"):
        places.insert(0, name.removeprefix(f"{ARTIFACTS}/"))
    found = []
    for place in places:
        with contextlib.suppress(InvalidName):
            path = safe_join(folder, place)
            if path.is_file() and not path.is_symlink():
                found.append(path)
    return found


def _later(folder: Path) -> dict[str, Path]:
    """Return what came after the end of the run: notes and tags, files that were added, and predictions."""
    found: dict[str, Path] = {}
    for path in _artifacts(folder, layout.ANNOTATIONS):
        found[layout.ANNOTATIONS] = path
        for name, stored in added_files(read_lines(path)).items():
            fitting = [p for p in _artifacts(folder, name) if digest_file(p) == stored]
            found |= {name: fitting[0]} if fitting else {}
    for base in (folder, folder / OWN):
        below = base / layout.PREDICTIONS_DIR
        for name, path in files_below(below) if below.is_dir() else ():
            found[f"{layout.PREDICTIONS_DIR}/{name}"] = path
    return found


def _tag(store: Store, run_id: str, foreign: ForeignRun) -> None:
    changed: dict[str, str | None] = {}
    for name, value in news(foreign.tags, store.root / run_id).items():
        with contextlib.suppress(InvalidName):
            changed |= check_tags({name: value})
    if changed:
        store.tag(run_id, changed)
