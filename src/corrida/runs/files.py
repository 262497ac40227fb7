"""Writing that survives a kill and a power cut, digests, and joins that cannot escape."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec

from corrida.errors import InvalidName, StoreError

_CHUNK = 1 << 20


class Digest(NamedTuple):
    """Size in bytes and SHA-256 of a file, as ``sha256:<64 hexadecimal digits>``."""

    size: int
    sha256: str


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the operating system's refusals into one sentence each.

    Args:
        what: what was being done, as in ``writing the run run_x``.

    Raises:
        StoreError: disk full, file too large, read-only, no rights, or any other failure of the system.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        if not isinstance(error.errno, int):
            raise
        where = f" ({Path(error.filename).name})" if isinstance(error.filename, str) else ""
        reason = {
            errno.ENOSPC: "the disk is full; free some space and try again",
            errno.EDQUOT: "your disk quota is used up; free some space and try again",
            errno.EFBIG: "the file would be larger than the system allows; raise the limit or log less",
            errno.EROFS: "the file system is read-only; choose another store with --store",
            errno.EACCES: "you have no rights to write there; choose another store with --store",
            errno.EPERM: "you have no rights to do that there; choose another store with --store",
            errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
            errno.EMFILE: "this process has too many open files; close some or raise the limit",
        }.get(error.errno, f"{error.strerror or error}")
        raise StoreError(f"{what} failed{where}: {reason}") from error


def fsync_dir(folder: Path) -> None:
    """Make the entries of ``folder`` durable; file systems that cannot do so are left alone."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)


def fsync_file(path: Path) -> None:
    """Make the content of ``path`` durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of ``data``; a short write (a full disk) goes on until the system says why."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])


def write_new(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Create ``path`` with ``data``; one that exists is an error, and a failed write leaves nothing.

    Raises:
        FileExistsError: ``path`` exists.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(fd, data)
        if durable:
            os.fsync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(fd)


def atomic_write(path: Path, data: bytes, *, durable: bool = True, scratch: Path | None = None) -> None:
    """Replace ``path`` by ``data``: after a kill at any point it is whole, old or new.

    Args:
        path: the file to write.
        data: its new content.
        durable: also wait until a power cut cannot lose it.
        scratch: a folder on the same file system for the temporary file; beside ``path`` when not given.
    """
    temporary = (scratch or path.parent) / f".{path.name}.{uuid.uuid4().hex[:12]}.tmp"
    write_new(temporary, data, durable=durable)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_dir(path.parent)


def append_line(path: Path, record: Any, *, durable: bool = True) -> None:
    """Append ``record`` as one line of JSON, on a line of its own even when the last write was cut off."""
    line = msgspec.json.encode(record) + b"\n"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line
        try:
            write_all(fd, line)
        except OSError:
            os.ftruncate(fd, size)
            raise
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines, leaving out lines that were cut off; no file means no lines."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    rows: list[dict[str, Any]] = []
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue  # a write that a kill cut off, or a conflict marker of git
        if isinstance(row, dict):
            rows.append(row)
    return rows


def digest_bytes(data: bytes) -> Digest:
    """Return size and SHA-256 of ``data``."""
    return Digest(len(data), "sha256:" + hashlib.sha256(data).hexdigest())


def digest_file(path: Path) -> Digest:
    """Return size and SHA-256 of the file at ``path``."""
    with path.open("rb") as file:
        hexadecimal = hashlib.file_digest(file, "sha256").hexdigest()
        return Digest(file.tell(), "sha256:" + hexadecimal)


def digest_entry(path: Path) -> Digest:
    """Return the digest of a file of a run folder; that of a link is of where it points, not of what is there."""
    if path.is_symlink():
        return digest_bytes(b"link to " + os.fsencode(path.readlink()))
    return digest_file(path)


def place_new(temporary: Path, target: Path) -> None:
    """Give a finished file its final name, which must be free: of several processes that try, one gets it.

    Raises:
        FileExistsError: the name is taken; the temporary file stays.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: claim the name, then fill it
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        temporary.replace(target)
        return
    temporary.unlink()


def create_file(path: Path, data: bytes) -> None:
    """Create ``path`` with ``data``, whole or not at all.

    Raises:
        FileExistsError: ``path`` exists.
    """
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:12]}.tmp")
    write_new(temporary, data)
    try:
        place_new(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def copy_new(source: Path, target: Path) -> None:
    """Copy a file or a folder to ``target``, which must not exist: a kill or a full disk leaves all of it or none.

    Links to files inside a folder are followed, so that the copy stands alone; links to folders, which may lead in
    circles, and what is neither file nor folder are left out.

    Raises:
        FileExistsError: ``target`` exists, perhaps made by another process in this moment.
    """
    temporary = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        _copy(source, temporary)
        if temporary.is_dir():
            target.mkdir()  # the claim; the rename takes the place of an empty folder
            temporary.rename(target)
        else:
            place_new(temporary, target)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for entry in sorted(source.iterdir()):
            if not (entry.is_symlink() and entry.is_dir()):
                _copy(entry, target / entry.name)
    elif source.is_file() or not source.exists():  # a link to nothing says so when it is opened
        with source.open("rb") as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)


def walk_files(folder: Path) -> dict[str, Path]:
    """Return every file and link below ``folder`` by its relative name, sorted; links are not followed.

    A name that is not Unicode gets escapes in place of the stray bytes, since JSON must hold it.
    """
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() or path.is_file():
                relative = path.relative_to(folder).as_posix()
                found[os.fsencode(relative).decode("utf-8", "backslashreplace")] = path
    return dict(sorted(found.items()))


def safe_join(root: Path, name: str) -> Path:
    """Return ``root / name`` when that lies inside ``root``.

    Args:
        root: a folder.
        name: a relative path with forward slashes, from outside.

    Raises:
        InvalidName: the name is empty, absolute, climbs with ``..``, or holds a NUL or a backslash.
    """
    if not name or "\0" in name or "\\" in name:
        raise InvalidName(f"the file name {name!r} is not allowed; use a relative path with forward slashes")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise InvalidName(f"the file name {name!r} leaves the folder; use a path inside it")
    return root.joinpath(*path.parts)


@contextlib.contextmanager
def locked(path: Path, *, create: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on the file at ``path``; a kill frees it.

    Args:
        path: the file, whose content does not matter.
        create: make it when missing.
    """
    try:
        fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
    except (PermissionError, IsADirectoryError):
        fd = os.open(
            path, os.O_RDONLY
        )  # of another user of a shared store, or a folder; a lock needs no more
    try:
        # A file system without locks (some network mounts): the work below is safe for one writer at a time.
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
