"""Removing runs into the trash of the store, and bringing them back."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from corrida.errors import AlreadyExists, CorridaError, RunNotFound
from corrida.runs import layout
from corrida.runs.files import explained, fsync_dir
from corrida.runs.ids import is_run_id
from corrida.runs.journal import new_name, record
from corrida.runs.run_file import read_run_file


def trash_folder(root: Path) -> Path:
    """Return the trash of the store."""
    return root / layout.PRIVATE / layout.TRASH


def trashed(root: Path) -> list[str]:
    """Return the ids in the trash, sorted."""
    try:
        return sorted(p.name for p in trash_folder(root).iterdir() if p.is_dir())
    except FileNotFoundError:
        return []


def remove(root: Path, run_ids: Sequence[str]) -> str:
    """Move runs to the trash.

    The intention is logged first: after a kill between the moves, undo brings back those that were moved.

    Returns:
        The name of the operation, for undo.

    Raises:
        RunNotFound: one is not there; none is moved then.
        AlreadyExists: the trash holds one of the same id; none is moved then.
        StoreError: the store cannot be written.
    """
    missing = [run_id for run_id in run_ids if not (root / run_id).is_dir()]
    if missing:
        raise RunNotFound(f"there is no run {', '.join(missing)}; nothing was removed")
    trash = trash_folder(root)
    if twice := [run_id for run_id in run_ids if (trash / run_id).exists()]:
        raise AlreadyExists(
            f"the trash holds a run {', '.join(twice)} already; delete that one first with `corrida trash --empty`"
        )
    with explained("moving runs to the trash"):
        trash.mkdir(parents=True, exist_ok=True)
        name = new_name("rm")
        record(root, "rm", name, run_ids)
        for run_id in run_ids:
            try:
                (root / run_id).rename(trash / run_id)
            except FileNotFoundError:
                raise RunNotFound(f"the run {run_id} was removed in this moment by somebody else") from None
        fsync_dir(trash)
        fsync_dir(root)
    return name


def with_children(root: Path, run_ids: Sequence[str]) -> list[str]:
    """Return runs of the trash, followed by their children that lie there too, and theirs."""
    children: dict[str, list[str]] = {}
    for run_id in trashed(root):
        with contextlib.suppress(CorridaError):
            if parent := read_run_file(trash_folder(root) / run_id).parent:
                children.setdefault(parent, []).append(run_id)
    chosen = list(dict.fromkeys(run_ids))
    for run_id in chosen:  # grows while it is gone through
        chosen += [child for child in children.get(run_id, ()) if child not in chosen]
    return chosen


def bring_back(root: Path, run_ids: Sequence[str]) -> list[str]:
    """Move runs from the trash back into the store.

    Returns:
        The ids that came back; those that are not in the trash are left out.

    Raises:
        AlreadyExists: a run of the same id is in the store; nothing is moved then.
    """
    trash = trash_folder(root)
    there = [r for r in dict.fromkeys(run_ids) if is_run_id(r) and (trash / r).is_dir()]
    taken = [run_id for run_id in there if (root / run_id).exists()]
    if taken:
        raise AlreadyExists(f"the store has a run {', '.join(taken)} again; move it away first")
    with explained("bringing runs back"):
        for run_id in there:
            (trash / run_id).rename(root / run_id)
        fsync_dir(root)
    return there


def empty(root: Path, run_ids: Sequence[str] | None = None) -> list[str]:
    """Delete runs in the trash for good.

    Args:
        root: the store.
        run_ids: which; all when None.

    Returns:
        The ids that were deleted.

    Raises:
        RunNotFound: one is not in the trash; nothing is deleted then.
    """
    there = trashed(root)
    chosen = there if run_ids is None else list(run_ids)
    if missing := [run_id for run_id in chosen if run_id not in there]:
        raise RunNotFound(f"{', '.join(missing)} is not in the trash; `corrida trash` lists it")
    with explained("emptying the trash"):
        for run_id in chosen:
            shutil.rmtree(trash_folder(root) / run_id)
    return chosen
