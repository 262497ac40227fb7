"""Changes of several files at once: all old or all new after a kill at any point, and undoable.

A change is first prepared in full in ``.corrida/journal``: the plan, the old bytes, the new bytes. Renaming that
folder to its final name is the moment of decision: before it nothing has changed; after it the files are put in
place, and whoever opens the store next completes what a kill interrupted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from corrida.errors import DamagedRun, Refused
from corrida.runs import layout
from corrida.runs.annotations import author, utc_now
from corrida.runs.files import (
    append_line,
    atomic_write,
    digest_bytes,
    explained,
    fsync_dir,
    locked,
    read_lines,
    safe_join,
    write_new,
)

_PLAN, _DONE, _LOG = "plan.json", "done", "log.jsonl"


class FileChange(NamedTuple):
    """One file to write: its place under the target folder, its bytes now and then; None where it is absent."""

    path: str
    old: bytes | None
    new: bytes | None


class PlannedFile(msgspec.Struct, frozen=True):
    """A file of a plan, with the digests of its old and new content; None where it is absent."""

    path: str
    old: str | None
    new: str | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The content of plan.json.

    Attributes:
        target: the folder that the paths are relative to, relative to the store.
    """

    format_version: int
    target: str
    run: str
    files: tuple[PlannedFile, ...]


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the journal's log: something that undo can take back, or the taking back of it.

    Attributes:
        id: name of the operation; that of its folder for a restore.
        kind: what was done.
        runs: the runs concerned.
        undoes: for ``undo``, the operation taken back.
    """

    id: str
    kind: Literal["restore", "rm", "undo"]
    time: str
    author: str
    runs: tuple[str, ...] = ()
    undoes: str | None = None


def journal_folder(root: Path) -> Path:
    """Return the journal of the store at ``root``, which is made when missing."""
    folder = root / layout.PRIVATE / layout.JOURNAL
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def operations(root: Path) -> list[Operation]:
    """Return the operations of the store, oldest first."""
    found = []
    for row in read_lines(root / layout.PRIVATE / layout.JOURNAL / _LOG):
        with contextlib.suppress(msgspec.ValidationError):
            found.append(msgspec.convert(row, Operation))
    return found


def last_undoable(root: Path) -> Operation | None:
    """Return the latest operation that was not taken back, or None."""
    done = operations(root)
    undone = {operation.undoes for operation in done}
    return next((o for o in reversed(done) if o.kind != "undo" and o.id not in undone), None)


def record(
    root: Path, kind: Literal["restore", "rm", "undo"], name: str, runs: Sequence[str], undoes: str | None = None
) -> None:
    """Write an operation to the log."""
    operation = Operation(id=name, kind=kind, time=utc_now(), author=author(), runs=tuple(runs), undoes=undoes)
    append_line(journal_folder(root) / _LOG, msgspec.to_builtins(operation))


def new_name(kind: str) -> str:
    """Return a name for an operation that sorts by time."""
    stamp = utc_now().replace("-", "").replace(":", "").replace(".", "").replace("T", "-").rstrip("Z")
    return f"{stamp}-{kind}-{uuid.uuid4().hex[:6]}"


def apply_changes(
    root: Path,
    target: Path,
    changes: Sequence[FileChange],
    *,
    run: str,
    kind: Literal["restore", "undo"],
    undoes: str | None = None,
) -> str:
    """Write all changes, or none, under ``target``.

    Args:
        root: the store.
        target: the folder that the paths are relative to.
        changes: what to write.
        run: the run concerned.
        kind: for the log.
        undoes: for the log.

    Returns:
        The name of the operation.

    Raises:
        Refused: a file is no longer what the caller saw.
        StoreError: disk full or no rights; nothing has changed then.
    """
    folder = journal_folder(root)
    with explained("writing the files"), locked(folder / "lock"):
        _complete(root)
        for change in changes:
            if _read(target, change.path) != change.old:
                raise Refused(f"{change.path} changed in this moment; look at it and try again")
        name = new_name(kind)
        draft = folder / f".{name}"
        try:
            _prepare(root, draft, target, changes, run)
            draft.rename(folder / name)  # the moment of decision
        except BaseException:
            for change in changes:
                _beside(safe_join(target, change.path), name).unlink(missing_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
            raise
        fsync_dir(folder)
        record(root, kind, name, [run], undoes)
        _carry_out(root, folder / name)
    return name


def _prepare(root: Path, draft: Path, target: Path, changes: Sequence[FileChange], run: str) -> None:
    for side in ("old", "new"):
        (draft / side).mkdir(parents=True)
    files = []
    for number, change in enumerate(changes):
        for side, data in (("old", change.old), ("new", change.new)):
            if data is not None:
                write_new(draft / side / str(number), data, durable=True)
        files.append(PlannedFile(change.path, _sha(change.old), _sha(change.new)))
        # Room and rights are tested where the files will be, before anything is decided.
        place = safe_join(target, change.path)
        if change.new is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_new(_beside(place, draft.name[1:]), change.new, durable=True)
    relative = os.path.relpath(os.path.realpath(target), os.path.realpath(root))
    plan = Plan(format_version=layout.FORMAT_VERSION, target=Path(relative).as_posix(), run=run, files=tuple(files))
    write_new(draft / _PLAN, msgspec.json.format(msgspec.json.encode(plan)), durable=True)
    for folder in (draft / "old", draft / "new", draft):
        fsync_dir(folder)


def _carry_out(root: Path, entry: Path) -> list[str]:
    """Put the files of a decided change in place; return those that somebody changed since."""
    plan = read_plan(entry)
    target = plan_target(root, plan)
    conflicts = []
    touched = set()
    for number, file in enumerate(plan.files):
        place = safe_join(target, file.path)
        prepared = _beside(place, entry.name)
        now = _sha(_read(target, file.path))
        if now == file.new:
            prepared.unlink(missing_ok=True)
            continue
        if now != file.old:
            conflicts.append(file.path)
            continue
        if file.new is None:
            place.unlink(missing_ok=True)
        elif prepared.exists():
            prepared.replace(place)
        else:
            atomic_write(place, (entry / "new" / str(number)).read_bytes())
        touched.add(place.parent)
    for folder in touched:
        fsync_dir(folder)
    if conflicts:
        atomic_write(entry / "conflicts.txt", "\n".join(conflicts).encode())
    write_new(entry / _DONE, b"", durable=True)
    return conflicts


def complete_interrupted(root: Path) -> None:
    """Complete changes that were decided and not carried out, and sweep up those that were not decided.

    Called whenever a store is opened for work; costs one look into a folder when there is nothing to do.
    """
    folder = root / layout.PRIVATE / layout.JOURNAL
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all we need
    except OSError:
        return
    entries = [n for n in names if (folder / n / "old").is_dir()]
    if any(n.startswith(".") or not (folder / n / _DONE).exists() for n in entries):
        with contextlib.suppress(OSError), locked(folder / "lock"):
            _complete(root)


def _complete(root: Path) -> None:
    folder = root / layout.PRIVATE / layout.JOURNAL
    logged = {operation.id for operation in operations(root)}
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir() or (entry / _DONE).exists():
            continue
        if entry.name.startswith("."):
            _sweep(root, entry)
            continue
        if entry.name not in logged:
            plan = read_plan(entry)
            kind: Literal["restore", "undo"] = "undo" if "-undo-" in entry.name else "restore"
            undoes = last_undoable(root) if kind == "undo" else None
            record(root, kind, entry.name, [plan.run], undoes.id if undoes else None)
        _carry_out(root, entry)


def _sweep(root: Path, draft: Path) -> None:
    """Remove a change that was never decided, with what it had laid beside the files."""
    with contextlib.suppress(OSError, DamagedRun):
        plan = read_plan(draft)
        for file in plan.files:
            _beside(safe_join(plan_target(root, plan), file.path), draft.name[1:]).unlink(missing_ok=True)
    shutil.rmtree(draft, ignore_errors=True)


def read_plan(entry: Path) -> Plan:
    """Return the plan of a change.

    Raises:
        DamagedRun: it cannot be read.
    """
    try:
        return msgspec.json.decode((entry / _PLAN).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as error:
        raise DamagedRun(f"the journal entry {entry.name} cannot be read: {error}") from None


def plan_target(root: Path, plan: Plan) -> Path:
    """Return the folder that a plan writes to."""
    return Path(os.path.normpath(Path(os.path.realpath(root), plan.target)))


def reversed_changes(root: Path, operation: Operation) -> tuple[Plan, list[FileChange]]:
    """Return the changes that take a restore back."""
    entry = journal_folder(root) / operation.id
    plan = read_plan(entry)
    changes = []
    for number, file in enumerate(plan.files):
        old, new = entry / "old" / str(number), entry / "new" / str(number)
        changes.append(
            FileChange(
                file.path,
                new.read_bytes() if file.new is not None else None,
                old.read_bytes() if file.old is not None else None,
            )
        )
    return plan, changes


def _beside(place: Path, name: str) -> Path:
    return place.with_name(f".{place.name}.{name}.tmp")


def _read(target: Path, path: str) -> bytes | None:
    try:
        return safe_join(target, path).read_bytes()
    except FileNotFoundError:
        return None


def _sha(data: bytes | None) -> str | None:
    return None if data is None else digest_bytes(data).sha256
