"""Changes of several files at once: all old or all new after a kill at any point, and undoable.

A change is first prepared in full in ``.corrida/journal``: the plan, the old bytes, the new bytes. Renaming that
folder to its final name is the moment of decision: before it nothing has changed; after it the files are put in
place, and whoever opens the store next completes what a kill interrupted.

A plan is carried out only where it was made: it names the machine, the user and the very folder of the store. In a
copy of a store, or in a store from somebody else, nothing that lies in the journal writes a single byte.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from corrida.errors import DamagedRun, InvalidName, Refused
from corrida.runs import layout
from corrida.runs.annotations import author, utc_now
from corrida.runs.files import (
    append_line,
    atomic_write,
    digest_bytes,
    explained,
    fsync_dir,
    locked,
    make_folder,
    read_lines,
    safe_join,
    write_new,
)
from corrida.runs.ids import is_run_id
from corrida.runs.plain import JSON_ERRORS

_PLAN, _PENDING, _DONE, _LOG = "plan.json", "pending", "done", "log.jsonl"


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
        place: where it was made; see :func:`place_of`.
        kind, undoes: as in :class:`Operation`.
    """

    format_version: int
    target: str
    place: str = ""
    run: str
    kind: Literal["restore", "undo"]
    undoes: str | None = None
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
    with explained("opening the journal"):
        make_folder(folder)
    return folder


def lock_file(root: Path) -> Path:
    """Return the file whose lock is held by whoever moves runs, changes aliases, or writes files of the project."""
    return root / layout.PRIVATE / layout.JOURNAL / "lock"


def operations(root: Path) -> list[Operation]:
    """Return the operations of the store, oldest first."""
    found = []
    for row in read_lines(root / layout.PRIVATE / layout.JOURNAL / _LOG):
        with contextlib.suppress(msgspec.ValidationError):
            operation = msgspec.convert(row, Operation)
            if _is_name(operation.id) and all(map(is_run_id, operation.runs)):  # no way out of the folder
                found.append(operation)
    return found


def _is_name(text: str) -> bool:
    return "/" not in text and "\0" not in text and text not in {"", ".", ".."}


def last_undoable(root: Path) -> Operation | None:
    """Return the latest operation that was not taken back, or None."""
    folder = root / layout.PRIVATE / layout.JOURNAL
    done = operations(root)
    settled = {operation.undoes for operation in done}
    # A restore whose folder is gone was called off after it had been logged.
    settled |= {o.id for o in done if o.kind == "restore" and not (folder / o.id).is_dir()}
    return next((o for o in reversed(done) if o.kind != "undo" and o.id not in settled), None)


def record(
    root: Path,
    kind: Literal["restore", "rm", "undo"],
    name: str,
    runs: Sequence[str],
    undoes: str | None = None,
) -> None:
    """Write an operation to the log."""
    operation = Operation(
        id=name, kind=kind, time=utc_now(), author=author(), runs=tuple(runs), undoes=undoes
    )
    append_line(journal_folder(root) / _LOG, msgspec.to_builtins(operation))


def new_name(kind: str) -> str:
    """Return a name for an operation that sorts by time."""
    stamp = utc_now().replace("-", "").replace(":", "").replace(".", "").replace("T", "-").rstrip("Z")
    return f"{stamp}-{kind}-{os.urandom(3).hex()}"


def apply_changes(
    root: Path,
    target: Path,
    changes: Sequence[FileChange],
    *,
    run: str,
    kind: Literal["restore", "undo"],
    undoes: str | None = None,
    also_seen: Mapping[str, bytes | None] | None = None,
) -> str:
    """Write all changes, or none, under ``target``.

    Args:
        root: the store.
        target: the folder that the paths are relative to.
        changes: what to write.
        run: the run concerned.
        kind: for the log.
        undoes: for the log.
        also_seen: files that stay as they are, as the caller saw them: the changes are right only beside these.

    Returns:
        The name of the operation.

    Raises:
        Refused: a file is no longer what the caller saw, or a link leads out of the target folder.
        StoreError: disk full or no rights; nothing has changed then.
    """
    folder = journal_folder(root)
    with (
        explained("writing the files", "check the rights of the files and their folders"),
        locked(lock_file(root)),
    ):
        _complete(root)
        for path, seen in {**(also_seen or {}), **{c.path: c.old for c in changes}}.items():
            if read_if_there(target, path) != seen:
                raise Refused(f"{path} changed in this moment; look at it and try again")
        name = new_name(kind)
        draft, entry = folder / f".{name}", folder / name
        files = tuple(PlannedFile(c.path, _sha(c.old), _sha(c.new)) for c in changes)
        relative = Path(os.path.relpath(os.path.realpath(target), os.path.realpath(root))).as_posix()
        plan = Plan(
            format_version=layout.FORMAT_VERSION,
            target=relative,
            place=place_of(root),
            run=run,
            kind=kind,
            undoes=undoes,
            files=files,
        )
        try:
            _prepare(draft, target, changes, plan)
            draft.rename(entry)  # the moment of decision
            try:
                fsync_dir(folder)
                record(root, kind, name, [run], undoes)
            except OSError:
                entry.rename(draft)  # no room even for a line: decided otherwise, before any file was touched
                raise
        except BaseException:
            if draft.exists():
                _sweep(root, draft)
            raise
        if conflicts := _carry_out(root, entry):
            raise Refused(
                f"{', '.join(conflicts)} changed in this moment and stayed as it is; the other files were written, and "
                "`corrida undo` takes them back"
            )
    return name


def _prepare(draft: Path, target: Path, changes: Sequence[FileChange], plan: Plan) -> None:
    for side in ("old", "new"):
        (draft / side).mkdir(parents=True)
    # The plan comes first: whoever sweeps up after a kill learns from it what lies beside the files.
    write_new(draft / _PLAN, msgspec.json.format(msgspec.json.encode(plan)), durable=True)
    write_new(draft / _PENDING, b"", durable=True)
    for number, change in enumerate(changes):
        for side, data in (("old", change.old), ("new", change.new)):
            if data is not None:
                write_new(draft / side / str(number), data, durable=True)
        # Room and rights are tested where the files will be, before anything is decided.
        place = _place(target, change.path)
        prepared = _beside(place, draft.name[1:])
        if change.new is not None and not prepared.exists():
            make_folder(place.parent)
            write_new(prepared, change.new, durable=True)
            if place.exists():
                prepared.chmod(place.stat().st_mode & 0o7777)
    for folder in (draft / "old", draft / "new", draft):
        fsync_dir(folder)


def _carry_out(root: Path, entry: Path) -> list[str]:
    """Put the files of a decided change in place; return those that somebody changed since."""
    plan = read_plan(entry)
    target = plan_target(root, plan)
    conflicts = []
    touched = set()
    for number, file in enumerate(plan.files):
        place = _place(target, file.path)
        prepared = _beside(place, entry.name)
        now = _sha(read_if_there(target, file.path))
        if now == file.new:
            prepared.unlink(missing_ok=True)
            continue
        astray = file.old is None and file.new is not None and not prepared.exists()  # the store was moved
        if now != file.old or astray or not place.parent.is_dir():
            prepared.unlink(missing_ok=True)
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
    (entry / _PENDING).replace(entry / _DONE)  # a rename, since it works on a full disk
    fsync_dir(entry)
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
        with contextlib.suppress(OSError), locked(lock_file(root)):
            _complete(root)


def _complete(root: Path) -> None:
    folder = root / layout.PRIVATE / layout.JOURNAL
    logged = {operation.id for operation in operations(root)}
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() or not entry.is_dir() or (entry / _DONE).exists():
            continue
        if entry.name.startswith("."):
            _sweep(root, entry)
            continue
        try:
            plan = read_plan(entry)
            if plan.place != place_of(root):
                atomic_write(entry / _DONE, b"called off: it was made in another copy of the store\n")
                continue
            if entry.name not in logged:
                record(root, plan.kind, entry.name, [plan.run], plan.undoes)
            _carry_out(root, entry)
        except (DamagedRun, Refused, InvalidName):
            # Nobody can complete it: it must not stand in the way of the next.
            atomic_write(entry / _DONE, b"")


def _sweep(root: Path, draft: Path) -> None:
    """Remove a change that was never decided, with what it had laid beside the files."""
    with contextlib.suppress(OSError, DamagedRun):
        plan = read_plan(draft)
        for file in plan.files if plan.place == place_of(root) else ():
            with contextlib.suppress(OSError, Refused, InvalidName):
                _beside(_place(plan_target(root, plan), file.path), draft.name[1:]).unlink(missing_ok=True)
    import shutil

    shutil.rmtree(draft, ignore_errors=True)


def read_plan(entry: Path) -> Plan:
    """Return the plan of a change.

    Raises:
        DamagedRun: it cannot be read.
    """
    try:
        return msgspec.json.decode((entry / _PLAN).read_bytes(), type=Plan)
    except (OSError, *JSON_ERRORS) as error:
        raise DamagedRun(f"the journal entry {entry.name} cannot be read: {error}") from None


def place_of(root: Path) -> str:
    """Return what tells the store at ``root`` from its copies: machine, user, and the folder as the system knows it.

    Moving a store on its file system leaves it as it is.
    """
    import socket

    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        machine = ""
    state = os.stat(root)  # noqa: PTH116
    parts = (machine or socket.gethostname(), os.getuid(), state.st_dev, state.st_ino)
    return digest_bytes("\0".join(map(str, parts)).encode()).sha256


def plan_target(root: Path, plan: Plan) -> Path:
    """Return the folder that a plan writes to."""
    return Path(os.path.normpath(Path(os.path.realpath(root), plan.target)))


def reversed_changes(root: Path, operation: Operation) -> tuple[Plan, list[FileChange]]:
    """Return the changes that take a restore back.

    Raises:
        DamagedRun: the journal no longer has what stood there before.
        Refused: the restore was made in another copy of the store.
    """
    entry = journal_folder(root) / operation.id
    plan = read_plan(entry)
    if plan.place != place_of(root):
        raise Refused(
            "this restore was made in another copy of the store, so undo does not write here; undo it there, or put "
            "the files back with `corrida restore`"
        )
    changes = []
    for number, file in enumerate(plan.files):
        old, new = entry / "old" / str(number), entry / "new" / str(number)
        try:
            before = old.read_bytes() if file.old is not None else None
            after = new.read_bytes() if file.new is not None else None
        except OSError as error:
            raise DamagedRun(f"the journal entry {entry.name} cannot be read: {error.strerror}") from None
        changes.append(FileChange(file.path, after, before))
    return plan, changes


def _beside(place: Path, name: str) -> Path:
    return place.with_name(f".{place.name[:100]}.{name}.tmp")


def _place(target: Path, path: str) -> Path:
    """Return where the bytes of ``path`` are: behind a link, which stays a link, and always inside ``target``.

    Raises:
        Refused: a link leads out of ``target``.
    """
    place = Path(os.path.realpath(safe_join(target, path)))
    if not place.is_relative_to(os.path.realpath(target)):
        raise Refused(f"{path} is a link to a place outside of {target.name}, where corrida does not write")
    return place


def read_if_there(target: Path, path: str) -> bytes | None:
    """Return the bytes of ``path`` under ``target``, or None when there is no such file.

    Raises:
        Refused: a folder is in its place, or a file in the place of its folder; or a link leads out of ``target``.
    """
    place = _place(target, path)
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise Refused(f"{path} is a folder now; move it away, then try again") from None
    except NotADirectoryError:
        raise Refused(f"{path} needs a folder where a file is now; move that away, then try again") from None


def _sha(data: bytes | None) -> str | None:
    return None if data is None else digest_bytes(data).sha256
