"""The folders of a store, each read once and none changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from corrida.errors import CorridaError, NewerFormat
from corrida.runs import layout
from corrida.runs.folders import is_half_born
from corrida.runs.ids import is_run_id
from corrida.runs.run_file import RunFile, Status, decode_run_file, derive_status
from corrida.runs.verify import is_lost_run


class SeenRun(NamedTuple):
    """A run folder whose run.json was read, or could not be.

    Attributes:
        id: name of the folder.
        status: as readers derive it.
        content: run.json; None when it cannot be read.
        heartbeat: time of change of run.json, in seconds since the epoch.
        error: why it cannot be read.
        newer: it was written by a later version.
        annotated: notes or tags were added.
    """

    id: str
    status: Status
    content: RunFile | None = None
    heartbeat: float = 0.0
    error: str = ""
    newer: bool = False
    annotated: bool = False


class Scan(NamedTuple):
    """What lies in a store.

    Attributes:
        runs: by id.
        half_born: folders of runs whose process ended before run.json was written, and when they last changed.
        lost: folders of runs that have lost their run.json.
        unnamed: folders that hold a run and whose name is no run id.
        folders: other folders.
        files: files, other than those that belong to every store.
    """

    runs: dict[str, SeenRun]
    half_born: dict[str, float]
    lost: list[str]
    unnamed: list[str]
    folders: list[str]
    files: list[str]


OWN = frozenset({layout.INDEX, layout.ALIASES, layout.PRIVATE, ".gitattributes", ".gitignore"})


def scan_store(root: Path, now: float) -> Scan:
    """Read every run.json of a store; a folder that is not there is an empty store.

    Args:
        root: the store.
        now: seconds since the epoch, to tell a living run from a dead one.

    Raises:
        OSError: the folder cannot be read.
    """
    found = Scan({}, {}, [], [], [], [])
    try:
        entries = sorted(os.scandir(root), key=lambda e: e.name)
    except FileNotFoundError:
        return found
    for entry in entries:
        if entry.name in OWN:
            continue
        if entry.is_dir():
            _look_at(root, entry.name, found, now)
        else:
            found.files.append(entry.name)
    return found


def _look_at(root: Path, name: str, found: Scan, now: float) -> None:
    folder = root / name
    if os.path.lexists(folder / layout.RUN):
        if is_run_id(name):
            found.runs[name] = _read(folder, now)
        else:
            found.unnamed.append(name)
    elif not is_run_id(name):
        found.folders.append(name)
    elif is_half_born(folder):
        found.half_born[name] = folder.stat().st_mtime
    elif is_lost_run(root, name):
        found.lost.append(name)
    else:
        found.folders.append(name)


def _read(folder: Path, now: float) -> SeenRun:
    path = folder / layout.RUN
    if not path.is_file():
        return SeenRun(folder.name, "unreadable", error=f"its {layout.RUN} is no file")
    try:
        heartbeat = path.stat().st_mtime
        content = decode_run_file(folder.name, path.read_bytes())
    except CorridaError as error:
        newer = isinstance(error, NewerFormat)
        return SeenRun(folder.name, "unreadable", error=str(error), newer=newer)
    except OSError as error:
        return SeenRun(folder.name, "unreadable", error=f"{layout.RUN} cannot be read: {error.strerror}")
    status = derive_status(content, heartbeat, now)
    annotated = os.path.lexists(folder / layout.ANNOTATIONS)
    return SeenRun(folder.name, status, content, heartbeat, annotated=annotated)
