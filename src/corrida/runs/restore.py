"""Putting the configurations of a run back into the project, and taking that back."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import msgspec

from corrida.errors import Refused
from corrida.runs.files import digest_bytes
from corrida.runs.journal import (
    FileChange,
    Operation,
    apply_changes,
    plan_target,
    read_if_there,
    reversed_changes,
)
from corrida.runs.snapshot.configs import expand_optional, relative_name
from corrida.runs.snapshot.git import committed_bytes

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord

State = Literal["same", "changed", "missing", "extra"]


class RestoreFile(msgspec.Struct, frozen=True):
    """One file of a restore.

    Attributes:
        path: its place under the target folder.
        state: ``same`` (nothing to do), ``changed``, ``missing`` (it will be made), or ``extra``: it matches the
            patterns of the run's configurations but was not there then.
        saved_in: where the present bytes are safe: ``run ID`` or ``git``; None when nowhere.
        old: present bytes; None when it is not there.
        new: bytes of the run; None for an extra file.
    """

    path: str
    state: State
    saved_in: str | None
    old: bytes | None
    new: bytes | None


class RestorePlan(msgspec.Struct, frozen=True):
    """What a restore would do: the target folder and its files; ``exact`` also removes extra ones."""

    run: str
    target: Path
    files: tuple[RestoreFile, ...]
    exact: bool = False

    @property
    def changes(self) -> list[FileChange]:
        """The files that would be written or removed."""
        kinds = {"changed", "missing"} | ({"extra"} if self.exact else set())
        return [FileChange(f.path, f.old, f.new) for f in self.files if f.state in kinds]

    @property
    def unsaved(self) -> list[str]:
        """The files that would be lost: overwritten or removed, and kept nowhere else."""
        touched = {change.path for change in self.changes}
        return [f.path for f in self.files if f.path in touched and f.old is not None and f.saved_in is None]


def plan_restore(
    run: RunRecord,
    project: Path,
    *,
    to: Path | None = None,
    exact: bool = False,
    run_with_config: Callable[[str], str | None],
) -> RestorePlan:
    """Say what putting the configurations of ``run`` back would change.

    Args:
        run: the run.
        project: the project folder, where they go unless ``to`` is given.
        to: another folder, which then gets all of them, at the place that they had in the project; those from
            outside of it under their names in the run folder.
        exact: also remove configuration files that were not there then.
        run_with_config: tells which run keeps a configuration with a digest, if any.

    Raises:
        DamagedRun: a copy is missing, or was altered since.
        Refused: a file came from outside the project, and no other folder is given.
    """
    files: list[RestoreFile] = []
    target = Path(os.path.abspath(to or project))  # noqa: PTH100 - keeps symlinks
    used: set[str] = set()
    contents = run.config_files()
    for copy in run.configs:
        data = contents[copy.origin]
        outside = ".." in PurePosixPath(copy.origin).parts or PurePosixPath(copy.origin).is_absolute()
        if outside and to is None:
            raise Refused(
                f"{copy.origin} lay outside the project, and restore writes inside it only; use --to FOLDER to get "
                "copies of all configurations there"
            )
        path = PurePosixPath(copy.file).relative_to("config").as_posix() if outside else copy.origin
        while path in used:
            path = f"outside/{path}"
        used.add(path)
        files.append(_compare(target, path, data, run_with_config))
    if to is None:
        there = {f.path for f in files}
        for extra in expand_optional(run.config_patterns, project):
            path = relative_name(extra, project)
            if path not in there and ".." not in PurePosixPath(path).parts and not extra.is_symlink():
                there_now = read_if_there(target, path)
                if there_now is None:
                    continue  # taken away in this moment
                data = there_now
                files.append(RestoreFile(path, "extra", _saved_in(extra, data, run_with_config), data, None))
    return RestorePlan(run.id, target, tuple(files), exact)


def _compare(
    target: Path, path: str, data: bytes, run_with_config: Callable[[str], str | None]
) -> RestoreFile:
    now = read_if_there(target, path)
    if now is None:
        return RestoreFile(path, "missing", None, None, data)
    if now == data:
        return RestoreFile(path, "same", None, now, data)
    return RestoreFile(path, "changed", _saved_in(target / path, now, run_with_config), now, data)


def _saved_in(place: Path, data: bytes, run_with_config: Callable[[str], str | None]) -> str | None:
    if run := run_with_config(digest_bytes(data).sha256):
        return f"run {run}"
    return "git" if committed_bytes(place) == data else None


def carry_out(root: Path, plan: RestorePlan, *, force: bool = False) -> str | None:
    """Write the files of ``plan``, all or none.

    Args:
        root: the store, whose journal keeps the old bytes for undo.
        plan: from :func:`plan_restore`.
        force: also overwrite files that are saved nowhere.

    Returns:
        The name of the operation, or None when there was nothing to do.

    Raises:
        Refused: a file would be lost.
        StoreError: disk full or no rights; nothing has changed then.
    """
    if plan.unsaved and not force:
        raise Refused(unsaved_sentence(plan.unsaved))
    if not plan.changes:
        return None
    same = {f.path: f.old for f in plan.files if f.state == "same"}
    return apply_changes(root, plan.target, plan.changes, run=plan.run, kind="restore", also_seen=same)


def unsaved_sentence(paths: Sequence[str]) -> str:
    """Return why a restore declines to overwrite ``paths``."""
    one = len(paths) == 1
    return (
        f"{', '.join(paths)} {'has' if one else 'have'} changes that are saved nowhere (in no run and not committed); "
        f"commit {'it' if one else 'them'}, run the pipeline once with {'it' if one else 'them'}, or use --force "
        "(undo brings the bytes back)"
    )


def undo_restore(root: Path, operation: Operation) -> list[str]:
    """Take a restore back.

    Returns:
        The files that were written or removed.

    Raises:
        Refused: a file was changed since the restore; nothing has changed then.
        DamagedRun: the journal no longer has what stood there before.
    """
    plan, changes = reversed_changes(root, operation)
    target = plan_target(root, plan)
    edited = [c.path for c in changes if read_if_there(target, c.path) != c.old]
    if edited:
        raise Refused(
            f"{', '.join(edited)} changed since the restore, and undo would lose that; put the file aside and undo again"
        )
    apply_changes(root, target, changes, run=plan.run, kind="undo", undoes=operation.id)
    return [change.path for change in changes]
