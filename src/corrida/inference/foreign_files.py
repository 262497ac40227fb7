"""Files that strangers put down: what they are called, whether they are complete, and what they hold, read with care."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from corrida.runs.files import write_all

_LONGEST_NAME = 200
_PIECE = 1 << 20


def plain_name(name: str) -> str:
    """Return the name of a file as it can be told and stored: printable, in UTF-8, and no longer than 200 characters."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[-_LONGEST_NAME:]


class Stated(NamedTuple):
    """A file as it was seen: what changes when somebody writes to it."""

    size: int
    changed: int


def being_written(path: Path) -> bool | None:
    """Tell whether any process has the file open for writing; None where the system cannot say.

    Linux grants a read lease on a file only while nobody has it open for writing.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(fd)
    return False


def state_of(path: Path) -> Stated | None:
    """Return how large a file is and when it was changed, of a link itself; None when it is gone."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return Stated(found.st_size, found.st_mtime_ns)


def digest_of(
    path: Path, *, follow: bool = False, copy: Path | None = None, most: int | None = None
) -> tuple[int, str]:
    """Return size and digest of a file; of nothing else, since a pipe has no end and a link may lead anywhere.

    Args:
        path: the file.
        follow: it may be a link to a file.
        copy: a new file that takes what is read.
        most: where to stop: one that is larger, or grows while it is read, has no digest that counts.

    Raises:
        OSError: it cannot be read, is no file, or ``copy`` cannot be written.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(path, flags)
    into = None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        if copy is not None:
            into = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        digest, size = hashlib.sha256(), 0
        while (most is None or size <= most) and (piece := os.read(fd, _PIECE)):
            digest.update(piece)
            size += len(piece)
            if into is not None:
                write_all(into, piece)
    finally:
        for opened in (fd, into):
            if opened is not None:
                os.close(opened)
    return size, f"sha256:{digest.hexdigest()}"
