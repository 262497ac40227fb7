"""Writing that survives a kill and a power cut, digests, and joins that cannot escape."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec

from corrida.errors import InvalidName, StoreError
from corrida.runs.plain import JSON_ERRORS

StrPath = str | os.PathLike[str]
"""A path; what a run does for each of its files takes and makes text, since objects cost as much as the calls."""

_CHUNK = 1 << 20
_MOST = 1 << 30  # far more than any document about a run


class Digest(NamedTuple):
    """Size in bytes and SHA-256 of a file, as ``sha256:<64 hexadecimal digits>``."""

    size: int
    sha256: str


@contextlib.contextmanager
def explained(what: str, instead: str = "choose another store with --store") -> Iterator[None]:
    """Turn the operating system's refusals into one sentence each.

    Args:
        what: what was being done, as in ``writing the run run_x``.
        instead: what to do where nothing may be written.

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
            errno.EROFS: f"the file system is read-only; {instead}",
            errno.EACCES: f"you have no rights to write there; {instead}",
            errno.EPERM: f"you have no rights to do that there; {instead}",
            errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
            errno.EMFILE: "this process has too many open files; close some or raise the limit",
        }.get(error.errno, f"{error.strerror or error}")
        raise StoreError(f"{what} failed{where}: {reason}") from error


def fsync_dir(folder: StrPath) -> None:
    """Make the entries of ``folder`` durable; file systems that cannot do so are left alone."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}:
            raise  # a disk that is full or broken: nobody may believe that it is safe
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make ``folder`` where it is missing, with those above it, safe against a power cut."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        fsync_dir(made.parent)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of ``data``; a short write (a full disk) goes on until the system says why."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])


def write_new(path: StrPath, data: bytes, *, durable: bool = False) -> None:
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
        _unlink_quietly(path)
        raise
    finally:
        os.close(fd)


def atomic_write(path: StrPath, data: bytes, *, durable: bool = True, scratch: StrPath | None = None) -> None:
    """Replace ``path`` by ``data``: after a kill at any point it is whole, old or new.

    Args:
        path: the file to write.
        data: its new content.
        durable: also wait until a power cut cannot lose it.
        scratch: a folder on the same file system for the temporary file; beside ``path`` when not given.
    """
    temporary = temporary_name(path, scratch)
    write_new(temporary, data, durable=durable)
    try:
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        _unlink_quietly(temporary)
        raise
    if durable:
        fsync_dir(os.path.dirname(path) or ".")  # noqa: PTH120


def temporary_name(path: StrPath, folder: StrPath | None = None) -> str:
    """Return a name for a file that becomes ``path``, beside it or in ``folder``, which no other process takes."""
    beside, name = os.path.split(path)
    return os.path.join(folder or beside, f".{name[:100]}.{os.urandom(6).hex()}.tmp")  # noqa: PTH118


def _unlink_quietly(path: StrPath) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108


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
            if durable:
                os.fsync(fd)
                if not size:
                    fsync_dir(path.parent)  # it may be new
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)


def open_plain(path: StrPath, *, follow: bool = False) -> tuple[int, os.stat_result]:
    """Open a plain file for reading, and nothing else.

    A link may lead anywhere, a pipe would keep us waiting, and a device has no end.

    Args:
        path: the file.
        follow: it may be a link to a plain file.

    Returns:
        The descriptor, which the caller closes, and what the system says of the file.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    try:
        way = 0 if follow else os.O_NOFOLLOW
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | way)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise OSError(errno.ELOOP, "it is a link") from None
        raise
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        raise OSError(errno.EINVAL, "it is no plain file")
    return fd, found


def read_plain(path: StrPath, most: int = _MOST, *, follow: bool = False) -> tuple[bytes, os.stat_result]:
    """Return the content of a plain file, and what the system says of it.

    Args:
        path: the file.
        most: bytes that it may have.
        follow: it may be a link to a plain file.

    Raises:
        OSError: it cannot be read, is no plain file, or is larger.
    """
    fd, found = open_plain(path, follow=follow)
    try:
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB")
        parts = [os.read(fd, found.st_size + 1)]
        while parts[-1]:
            parts.append(os.read(fd, _CHUNK))
    finally:
        os.close(fd)
    return b"".join(parts), found


def read_lines(path: Path, *, follow: bool = True) -> list[dict[str, Any]]:
    """Read a file of JSON lines, leaving out lines that were cut off; no file means no lines."""
    try:
        data, _ = read_plain(path, follow=follow)
    except FileNotFoundError:
        return []
    rows: list[dict[str, Any]] = []
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except JSON_ERRORS:
            continue  # a write that a kill cut off, or a conflict marker of git
        if isinstance(row, dict):
            rows.append(row)
    return rows


def digest_bytes(data: bytes) -> Digest:
    """Return size and SHA-256 of ``data``."""
    import hashlib  # here: most readers check no digest, and it loads a large library

    return Digest(len(data), "sha256:" + hashlib.sha256(data).hexdigest())


def digest_file(path: StrPath, *, durable: bool = False) -> Digest:
    """Return size and SHA-256 of the file at ``path``.

    Args:
        path: the file.
        durable: also wait until a power cut cannot lose it.
    """
    import hashlib

    fd = os.open(path, os.O_RDONLY)
    try:
        digest, size = hashlib.sha256(), 0
        while chunk := os.read(fd, min(_CHUNK, max(4096, os.fstat(fd).st_size - size + 1))):
            digest.update(chunk)
            size += len(chunk)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
    return Digest(size, "sha256:" + digest.hexdigest())


def digest_entry(path: StrPath) -> Digest:
    """Return the digest of a file of a run folder; that of a link is of where it points, not of what is there.

    Raises:
        OSError: it cannot be read, or is neither.
    """
    if os.path.islink(path):  # noqa: PTH114
        return digest_link(path)
    os.close(open_plain(path)[0])
    return digest_file(path)


def digest_link(path: StrPath) -> Digest:
    """Return the digest of a link: of where it points."""
    return digest_bytes(b"link to " + os.fsencode(os.readlink(path)))  # noqa: PTH115


def place_new(temporary: StrPath, target: StrPath) -> None:
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
        os.replace(temporary, target)  # noqa: PTH105
        return
    os.unlink(temporary)  # noqa: PTH108


def create_file(path: StrPath, data: bytes, *, durable: bool = False) -> None:
    """Create ``path`` with ``data``, whole or not at all.

    Args:
        path: the file to create.
        data: its content.
        durable: also wait until a power cut cannot lose it.

    Raises:
        FileExistsError: ``path`` exists.
    """
    temporary = temporary_name(path)
    write_new(temporary, data, durable=durable)
    try:
        place_new(temporary, path)
    except BaseException:
        _unlink_quietly(temporary)
        raise
    if durable:
        fsync_dir(os.path.dirname(path) or ".")  # noqa: PTH120


def copy_new(source: Path, target: Path) -> None:
    """Copy a file or a folder to ``target``, which must not exist: a kill or a full disk leaves all of it or none.

    Links to files inside a folder are followed, so that the copy stands alone; links to folders, which may lead in
    circles, and what is neither file nor folder are left out.

    Raises:
        FileExistsError: ``target`` exists, perhaps made by another process in this moment.
    """
    temporary = Path(temporary_name(target))
    try:
        _copy(source, temporary)
        if temporary.is_dir():
            target.mkdir()  # the claim; the rename takes the place of an empty folder
            temporary.rename(target)
        else:
            place_new(temporary, target)
    except BaseException:
        if temporary.is_dir():
            import shutil

            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def _copy(source: Path, target: Path) -> None:
    import shutil

    if source.is_dir():
        target.mkdir()
        for entry in sorted(source.iterdir()):
            if not (entry.is_symlink() and entry.is_dir()):
                _copy(entry, target / entry.name)
    elif source.is_file() or not source.exists():  # a link to nothing says so when it is opened
        with source.open("rb") as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)


def walk_files(folder: StrPath) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every file and link below ``folder`` with its relative name; links are not followed.

    A name that is not Unicode gets escapes in place of the stray bytes, since JSON must hold it.
    """
    waiting = [("", os.fspath(folder))]
    while waiting:
        prefix, place = waiting.pop()
        try:
            entries = os.scandir(place)
        except OSError:
            continue  # not ours to read
        with entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((name + "/", entry.path))
                elif entry.is_file() or entry.is_symlink():
                    yield os.fsencode(name).decode("utf-8", "backslashreplace"), entry


def entry_name(folder: Path, path: Path) -> str:
    """Return the name of ``path`` relative to ``folder``, with escapes in place of bytes that are not Unicode."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")


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
def locked(path: StrPath, *, create: bool = True) -> Iterator[None]:
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
