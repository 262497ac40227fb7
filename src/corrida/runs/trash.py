"""Removing runs into the trash of the store, and bringing them back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from corrida.errors import AlreadyExists, CorridaError, Refused, RunNotFound
from corrida.runs.ids import is_run_id
from corrida.runs.journal import Operation, operations
from corrida.runs.moves import move_runs, trash_folder
from corrida.runs.run_file import read_run_file

__all__ = ["bring_back", "empty", "remove", "trash_folder", "trashed", "undo_removal", "with_children"]


def trashed(root: Path) -> list[str]:
    """Return the ids in the trash, sorted."""
    try:
        return sorted(p.name for p in trash_folder(root).iterdir() if p.is_dir())
    except FileNotFoundError:
        return []


def remove(root: Path, run_ids: Sequence[str], *, check: Callable[[], object] | None = None) -> list[str]:
    """Move runs to the trash, all or none.

    Args:
        root: the store.
        run_ids: which.
        check: raises when one of them is needed; called when nobody else can change that.

    Raises:
        RunNotFound: one is not there.
        AlreadyExists: the trash holds one of the same id.
        StoreError: the store cannot be written.
    """

    def removable() -> Sequence[str]:
        if missing := [run_id for run_id in run_ids if not (root / run_id).is_dir()]:
            raise RunNotFound(f"there is no run {', '.join(missing)}; nothing was removed")
        if twice := [run_id for run_id in run_ids if (trash_folder(root) / run_id).exists()]:
            raise AlreadyExists(
                f"the trash holds a run {', '.join(twice)} already; delete that one first with `corrida trash --empty`"
            )
        if check is not None:
            check()
        return run_ids

    return move_runs(root, "rm", check=removable)


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
    """Move runs from the trash back into the store, all or none.

    Returns:
        The ids that came back; those that are not in the trash are left out.

    Raises:
        RunNotFound: none of them is in the trash.
        AlreadyExists: a run of the same id is in the store.
        StoreError: the store cannot be written.
    """

    def movable() -> list[str]:
        if not (there := _in_trash(root, run_ids)):
            raise RunNotFound(f"{', '.join(run_ids)} is not in the trash; `corrida trash` lists it")
        return there

    return move_runs(root, "back", check=movable)


def undo_removal(root: Path, operation: Operation) -> list[str]:
    """Take a removal back: move its runs from the trash into the store, all or none.

    Returns:
        The ids that came back; those that are no longer in the trash are left out.

    Raises:
        Refused: somebody took it back in this moment, or none of the runs is in the trash any more.
        AlreadyExists: a run of the same id is in the store.
        StoreError: the store cannot be written.
    """

    def movable() -> list[str]:
        if any(o.undoes == operation.id for o in operations(root)):
            raise Refused("the removal was taken back in this moment by somebody else")
        there = _in_trash(root, operation.runs)
        if not there and not all((root / run_id).is_dir() for run_id in operation.runs):
            raise Refused(
                f"the runs of the last removal ({', '.join(operation.runs)}) are no longer in the trash"
            )
        return there

    back = move_runs(root, "undo", check=movable, undoes=operation.id)
    return back or list(operation.runs)  # each was brought back by its name before


def _in_trash(root: Path, run_ids: Sequence[str]) -> list[str]:
    there = [r for r in dict.fromkeys(run_ids) if is_run_id(r) and (trash_folder(root) / r).is_dir()]
    if taken := [run_id for run_id in there if (root / run_id).exists()]:
        raise AlreadyExists(f"the store has a run {', '.join(taken)} again; move it away first")
    return there


def empty(root: Path, run_ids: Sequence[str] | None = None) -> list[str]:
    """Delete runs in the trash for good; a kill leaves none of them half.

    Args:
        root: the store.
        run_ids: which; all when None.

    Returns:
        The ids that were deleted.

    Raises:
        RunNotFound: one is not in the trash; nothing is deleted then.
        StoreError: the store cannot be written.
    """

    def deletable() -> list[str]:
        there = trashed(root)
        chosen = there if run_ids is None else list(dict.fromkeys(run_ids))
        if missing := [run_id for run_id in chosen if run_id not in there]:
            raise RunNotFound(f"{', '.join(missing)} is not in the trash; `corrida trash` lists it")
        return chosen

    if run_ids is None and not trashed(root):
        return []
    return move_runs(root, "empty", check=deletable)
