"""The copy of an old folder, written beside it before anything else happens, and read back."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tarfile
import uuid
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from corrida.adopt.tree import Progress, plain_progress
from corrida.errors import BadInput, Refused
from corrida.runs.files import explained, fsync_dir, place_new
from corrida.runs.plain import text

if TYPE_CHECKING:
    from corrida.adopt.tree import Tree

_CHUNK = 1 << 20
_LEVEL = 6  # of gzip: nine takes twice the time for one percent


def backup_folder(tree: Tree, place: Path | None) -> Path:
    """Return the folder for the backup: beside the old one unless another is named.

    Raises:
        BadInput: it is not there, or lies inside the old folder.
    """
    folder = (place or tree.root.parent).resolve()
    if not folder.is_dir():
        raise BadInput(
            f"there is no folder {str(place)!r} for the backup; make it, or name another with --backup-to"
        )
    if folder.is_relative_to(tree.root):
        raise BadInput(
            f"the backup cannot lie in {tree.root.name} itself; name another folder with --backup-to"
        )
    return folder


def write_backup(tree: Tree, folder: Path, progress: Progress[Any] = plain_progress) -> Path:
    """Write ``<folder>_backup_<time>.tar.gz`` with all that the old folder holds, and read it back.

    It is on the disk, under a name that was free, when this returns; a kill or an error leaves none. Only its owner may
    read it, since the folder may hold files that nobody else may.

    Args:
        tree: the old folder, with the digests of all its files.
        folder: where the backup goes.
        progress: shows how far it is.

    Returns:
        The path of the backup.

    Raises:
        Refused: a file changed since it was read first.
        StoreError: disk full or no rights.
    """
    stem = f"{tree.root.name}_backup_{datetime.now().astimezone():%Y%m%d_%H%M%S}"
    with explained(f"writing the backup of {text(tree.root.name)}", "name another folder with --backup-to"):
        _sweep(tree, folder)
        temporary = folder / f".{stem}.tar.gz.{uuid.uuid4().hex[:12]}.tmp"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _write(tree, file, progress)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                _check(tree, file, progress)
                final = _place(temporary, folder, stem)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_dir(folder)
    return final


def _place(temporary: Path, folder: Path, stem: str) -> Path:
    number = 1
    while True:
        final = folder / (f"{stem}.tar.gz" if number == 1 else f"{stem}-{number}.tar.gz")
        try:
            place_new(temporary, final)
        except FileExistsError:
            number += 1
        else:
            return final


def _sweep(tree: Tree, folder: Path) -> None:
    """Remove what a kill left of an earlier backup of the same folder."""
    start, end = f".{tree.root.name}_backup_", ".tmp"
    for left in [e for e in folder.iterdir() if e.name.startswith(start) and e.name.endswith(end)]:
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _write(tree: Tree, file: IO[bytes], progress: Progress[Any]) -> None:
    total = len(tree.files) + len(tree.folders) + len(tree.links)
    with tarfile.open(
        fileobj=file, mode="w:gz", compresslevel=_LEVEL, format=tarfile.PAX_FORMAT, errors="surrogateescape"
    ) as archive:
        archive.addfile(_entry(tree, "", tarfile.DIRTYPE))
        for name, kind in progress(_everything(tree), total, "backing up"):
            entry = _entry(tree, name, kind)
            if kind == tarfile.REGTYPE:
                entry.size = tree.files[name].size
                with (tree.root / name).open("rb") as content:
                    try:
                        archive.addfile(entry, content)
                    except OSError as error:
                        if error.errno is None:  # the file ended before its size
                            raise _changed(name) from None
                        raise
            else:
                archive.addfile(entry)
            _forget(archive)


def _forget(archive: tarfile.TarFile) -> None:
    """Drop the records that an archive keeps of all its members: memory must not grow with them."""
    cast("Any", archive).members.clear()


def _everything(tree: Tree) -> Iterator[tuple[str, bytes]]:
    yield from ((name, tarfile.DIRTYPE) for name in sorted(tree.folders))
    yield from ((name, tarfile.SYMTYPE) for name in tree.links)
    yield from ((name, tarfile.REGTYPE) for name in tree.files)


def _entry(tree: Tree, name: str, kind: bytes) -> tarfile.TarInfo:
    path = tree.root / name
    found = path.lstat()
    entry = tarfile.TarInfo(f"{tree.root.name}/{name}".rstrip("/"))
    entry.type = kind
    entry.mode = stat.S_IMODE(found.st_mode)
    entry.mtime = int(found.st_mtime)
    if kind == tarfile.SYMTYPE:
        entry.linkname = os.readlink(path)  # noqa: PTH115 - as it is written
    return entry


def _check(tree: Tree, file: IO[bytes], progress: Progress[Any]) -> None:
    """Compare every file of the archive with what was read from the folder."""
    start, seen = f"{tree.root.name}/", 0
    try:
        with tarfile.open(fileobj=file, mode="r|gz", errors="surrogateescape") as archive:
            total = 1 + len(tree.files) + len(tree.folders) + len(tree.links)
            for entry in progress(archive, total, "checking the backup"):
                _forget(archive)
                if entry.isreg():
                    name = entry.name.removeprefix(start)
                    if tree.digests.get(name) != _digest(archive, entry):
                        raise _changed(name)
                    seen += 1
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise _half(tree, str(error)) from None
    if seen != len(tree.files):
        raise _half(tree, f"{seen} of {len(tree.files)} files")


def _digest(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    content = archive.extractfile(entry)
    digest = hashlib.sha256()
    while content is not None and (block := content.read(_CHUNK)):
        digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def _half(tree: Tree, why: str) -> Refused:
    return Refused(
        f"the backup of {text(tree.root.name)} could not be read back ({why}), and was removed; nothing was adopted, look "
        "at the disk and adopt again"
    )


def _changed(name: str) -> Refused:
    return Refused(
        f"{text(name)} changed while it was being backed up; nothing was adopted, try again when nothing writes to it"
    )
