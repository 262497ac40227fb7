"""The files of a run folder as strangers may ask for them: no way leads out, and nothing but plain files is opened."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from corrida.errors import ArtifactNotFound
from corrida.runs import layout
from corrida.runs.plain import text

MOST_FILES = 5_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Listed(NamedTuple):
    """A file of a run.

    Attributes:
        name: with its folders, as plain text.
        raw: as the file system has it.
        size: in bytes.
        kind: by its name: ``image``, ``table``, ``markdown``, ``tree``, ``text``, ``html``; empty for others.
        own: whether corrida writes it in every run.
        link: whether it is a symbolic link, which is not followed.
    """

    name: str
    raw: str
    size: int
    kind: str
    own: bool
    link: bool


_KINDS = {
    "image": "png jpg jpeg gif webp svg avif",
    "table": "csv tsv parquet",
    "markdown": "md markdown",
    "tree": "json yaml yml",
    "html": "html htm",
    "text": "txt log py toml ini cfg sh sql r jl diff patch jsonl ndjson xml tex rst lock env gitignore js css ipynb",
}
KIND_OF = {ending: kind for kind, endings in _KINDS.items() for ending in endings.split()}


def kind_of(name: str) -> str:
    """Return how a file can be shown, by the end of its name; empty where it cannot."""
    return KIND_OF.get(name.rpartition(".")[2].lower(), "") if "." in name else ""


def list_files(run_dir: Path) -> tuple[list[Listed], bool]:
    """Return the files of a run sorted by name, hidden ones left out, and whether there are more.

    Links are named and not followed.
    """
    found: list[Listed] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(run_dir / folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            name = f"{folder}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{name}/")
                continue
            if len(found) == MOST_FILES:
                return sorted(found), True
            link = entry.is_symlink()
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if link or stat.S_ISREG(status.st_mode):
                own = name in layout.OWN_FILES or name.startswith(f"{layout.CONFIG_DIR}/")
                found.append(Listed(text(name), name, status.st_size, kind_of(name), own, link))
    return sorted(found), False


@contextlib.contextmanager
def opened(run_dir: Path, name: str) -> Iterator[int]:
    """Open a file of a run for reading, one folder after another, following no link.

    Args:
        run_dir: the run folder.
        name: of the file, with forward slashes, as the browser sent it.

    Yields:
        A file descriptor, closed afterwards.

    Raises:
        ArtifactNotFound: there is no such plain file inside of the folder.
    """
    fd = open_file(run_dir, name)
    try:
        yield fd
    finally:
        os.close(fd)


def open_file(run_dir: Path, name: str) -> int:
    """Open a file as :func:`opened` does; the caller closes it."""
    parts = name.split("/")
    shown = text(name)
    if not name or "\0" in name or any(part in {"", ".", ".."} or part[0] == "." for part in parts):
        raise ArtifactNotFound(f"the run {run_dir.name} has no file {shown!r} that can be shown")
    folder = -1
    try:
        folder = os.open(run_dir, _FOLDER)
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # A pipe must not make us wait for a writer.
        fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except (OSError, UnicodeError) as error:
        is_link = isinstance(error, OSError) and error.errno in {errno.ELOOP, errno.EMLINK}
        why = "is a link or lies behind one; links are not followed" if is_link else "is not there"
        raise ArtifactNotFound(f"the file {shown!r} of the run {run_dir.name} {why}") from None
    finally:
        if folder >= 0:
            os.close(folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ArtifactNotFound(f"{shown!r} of the run {run_dir.name} is no plain file")
    return fd
