"""The files of a run folder as strangers may ask for them: no way leads out, and nothing but plain files is opened."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from corrida.errors import ArtifactNotFound
from corrida.runs import layout
from corrida.runs.plain import text

MOST_FILES = 5_000
MOST_FOLDERS = 2_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LINK = "is a link or lies behind one; links are not followed"
_WHY = {
    errno.ELOOP: _LINK,
    errno.EMLINK: _LINK,
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is not there",
    errno.ENAMETOOLONG: "is not there",
    errno.ENXIO: "is no plain file",
    errno.EACCES: "may not be read by the user who runs the viewer",
    errno.EPERM: "may not be read by the user who runs the viewer",
}


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

    @property
    def what(self) -> str:
        """What the file is, in words."""
        ending = self.name.rpartition(".")[2].upper() if "." in self.name else ""
        return {
            "image": f"picture, {ending}",
            "table": f"table, {ending.capitalize() if len(ending) > 3 else ending}",
            "markdown": "Markdown",
            "tree": "JSON" if ending == "JSON" else "YAML",
            "html": "page, HTML",
            "text": "text",
        }.get(self.kind, "–")


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
    folders: list[tuple[str, ...]] = [()]
    looked, more = 0, False
    while folders:
        parts = folders.pop()
        looked += 1
        if looked > MOST_FOLDERS or len(found) >= MOST_FILES:
            return sorted(found)[:MOST_FILES], True
        try:
            entries, many = _entries(run_dir, parts)
        except OSError:
            continue
        more |= many
        for entry, status in entries:
            link = stat.S_ISLNK(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                folders.append((*parts, entry))
            elif link or stat.S_ISREG(status.st_mode):
                name = "/".join((*parts, entry))
                own = name in layout.OWN_FILES or parts[:1] == (layout.CONFIG_DIR,)
                found.append(Listed(text(name), name, status.st_size, kind_of(name), own, link))
    return sorted(found)[:MOST_FILES], more or len(found) > MOST_FILES


def _entries(run_dir: Path, parts: Sequence[str]) -> tuple[list[tuple[str, os.stat_result]], bool]:
    """Return what is in a folder of a run, hidden ones left out, and whether there is more."""
    found = []
    folder = _open_folder(run_dir, parts)
    try:
        with os.scandir(folder) as entries:
            for entry in islice((one for one in entries if one.name[0] != "."), MOST_FILES):
                with contextlib.suppress(OSError):  # it was removed meanwhile
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
            more = next(entries, None) is not None
    finally:
        os.close(folder)
    return found, more


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
        folder = _open_folder(run_dir, parts[:-1])
        # A pipe must not make us wait for a writer.
        fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except (OSError, UnicodeError) as error:
        why = _WHY.get(error.errno or 0, "cannot be read") if isinstance(error, OSError) else "is not there"
        raise ArtifactNotFound(f"the file {shown!r} of the run {run_dir.name} {why}") from None
    finally:
        if folder >= 0:
            os.close(folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ArtifactNotFound(f"{shown!r} of the run {run_dir.name} is no plain file")
    return fd


def _open_folder(run_dir: Path, parts: Sequence[str]) -> int:
    """Open a folder of a run, one after another, following no link; the caller closes it."""
    folder = os.open(run_dir, _FOLDER)
    try:
        for part in parts:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
    except BaseException:
        os.close(folder)
        raise
    return folder
