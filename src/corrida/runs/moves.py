"""Moving several runs at once, into the trash and out of it: all or none after a kill at any point, and undoable.

A plan is written to ``.corrida/journal`` first: that is the moment of decision. Then the folders are moved, the
operation is logged, and the plan is taken away. Whoever opens the store next completes what a kill interrupted; a
move that the system refuses is taken back. As with a restore, a plan is carried out only where it was made.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from corrida.runs import layout
from corrida.runs.files import atomic_write, explained, fsync_dir, locked, make_folder
from corrida.runs.ids import is_run_id
from corrida.runs.journal import journal_folder, lock_file, new_name, operations, place_of, record
from corrida.runs.plain import JSON_ERRORS

Kind = Literal["rm", "undo", "back", "empty"]
_SUFFIX = ".moves"


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a plan.

    Attributes:
        place: where it was made; see :func:`corrida.runs.journal.place_of`.
        kind: ``rm`` moves into the trash, ``undo`` and ``back`` out of it, ``empty`` to where it is deleted.
        runs: the folders to move.
        undoes: for ``undo``, the operation taken back.
    """

    format_version: int
    place: str
    kind: Kind
    runs: tuple[str, ...]
    undoes: str | None = None


def trash_folder(root: Path) -> Path:
    """Return the trash of the store."""
    return root / layout.PRIVATE / layout.TRASH


def _emptied(root: Path) -> Path:
    """Return where runs lie while they are deleted for good."""
    return root / layout.PRIVATE / layout.EMPTIED


def move_runs(
    root: Path, kind: Kind, *, check: Callable[[], Sequence[str]], undoes: str | None = None
) -> list[str]:
    """Move runs, all or none.

    Args:
        root: the store.
        kind: from where to where; see :class:`Moves`.
        check: returns which, or raises when they cannot be moved; called when nobody else moves any.
        undoes: the operation that this one takes back.

    Returns:
        The runs that were moved.

    Raises:
        StoreError: the store cannot be written; nothing was moved then.
    """
    folder = journal_folder(root)
    with explained(_doing(kind)), locked(lock_file(root)):
        _complete(root)
        chosen = tuple(check())
        name = new_name(kind)
        source, target = _ends(root, kind, name)
        plan = Moves(
            format_version=layout.FORMAT_VERSION, place=place_of(root), kind=kind, runs=chosen, undoes=undoes
        )
        moved: list[str] = []
        try:
            atomic_write(folder / f"{name}{_SUFFIX}", msgspec.json.encode(plan))  # the moment of decision
            make_folder(target)
            for run_id in chosen:
                (source / run_id).rename(target / run_id)
                moved.append(run_id)
            _settle(root, plan, name)
        except OSError:
            for run_id in reversed(moved):
                (target / run_id).rename(source / run_id)
            (folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
            raise
    if kind == "empty":
        with explained(_doing(kind)):
            sweep_emptied(root)
    return list(chosen)


def _doing(kind: Kind) -> str:
    return {"rm": "moving runs to the trash", "empty": "emptying the trash"}.get(kind, "bringing runs back")


def _ends(root: Path, kind: Kind, name: str) -> tuple[Path, Path]:
    trash = trash_folder(root)
    if kind == "rm":
        return root, trash
    return trash, (_emptied(root) / name if kind == "empty" else root)


def _settle(root: Path, plan: Moves, name: str) -> None:
    """Make the moves durable, write them to the log, and take the plan away."""
    for folder in _ends(root, plan.kind, name):
        fsync_dir(folder)
    if plan.kind in {"rm", "undo"} and name not in {operation.id for operation in operations(root)}:
        record(root, "rm" if plan.kind == "rm" else "undo", name, plan.runs, plan.undoes)
    with contextlib.suppress(OSError):  # whoever comes next finds that all is done
        (journal_folder(root) / f"{name}{_SUFFIX}").unlink(missing_ok=True)


def complete_interrupted(root: Path) -> None:
    """Complete moves that a kill interrupted, and the deleting of what was in the trash.

    Called whenever a store is opened; costs one look into a folder when there is nothing to do.
    """
    try:
        names = os.listdir(root / layout.PRIVATE / layout.JOURNAL)  # noqa: PTH208 - names are all we need
    except OSError:
        return
    if any(name.endswith(_SUFFIX) for name in names):
        with contextlib.suppress(OSError), locked(lock_file(root)):
            _complete(root)
    with contextlib.suppress(OSError):
        sweep_emptied(root)


def _complete(root: Path) -> None:
    for file in sorted(journal_folder(root).glob(f"*{_SUFFIX}")):
        if file.name.startswith("."):
            continue
        try:
            plan = msgspec.json.decode(file.read_bytes(), type=Moves)
        except JSON_ERRORS:
            plan = None
        if plan is None or plan.place != place_of(root) or not all(map(is_run_id, plan.runs)):
            # Nobody can complete it, or it was made in another copy of the store.
            file.unlink(missing_ok=True)
            continue
        name = file.name.removesuffix(_SUFFIX)
        source, target = _ends(root, plan.kind, name)
        make_folder(target)
        for run_id in plan.runs:
            if (source / run_id).is_dir() and not os.path.lexists(target / run_id):
                (source / run_id).rename(target / run_id)
        _settle(root, plan, name)


def sweep_emptied(root: Path) -> None:
    """Delete what was moved out of the trash to be deleted; several processes may do so at once."""

    def still_there(_: object, path: str, error: tuple[type, BaseException, object]) -> None:
        if not isinstance(error[1], FileNotFoundError) and os.path.lexists(path):
            raise error[1]

    try:
        names = os.listdir(_emptied(root))  # noqa: PTH208
    except FileNotFoundError:
        return
    for name in names:
        # With a plan, runs are still being moved there, all or none.
        if not (journal_folder(root) / f"{name}{_SUFFIX}").exists():
            import shutil  # here: every command opens a store, and this one alone deletes

            shutil.rmtree(_emptied(root) / name, onerror=still_there)
