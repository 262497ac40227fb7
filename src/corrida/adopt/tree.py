"""What lies in an old folder of results: looked at once, links never followed."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from corrida.errors import BadInput, InvalidData, NotFound, Refused
from corrida.runs import layout
from corrida.runs.files import digest_file
from corrida.runs.plain import text

T = TypeVar("T")
Progress = Callable[[Iterable[T], int | None, str], Iterator[T]]
"""Passes items through and shows how far it is: the items, how many there are if known, and a label."""

FILE_LIMIT = 100_000
"""Above this number of files a person is asked whether the folder is the one that was meant."""
_READ_AT_MOST = 256 * 1024 * 1024


class OldFile(NamedTuple):
    """A file as it was found: size in bytes, and time of change in nanoseconds since the epoch."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Tree:
    """An old folder.

    Attributes:
        root: the folder, without links in its own path.
        files: every regular file by its name relative to the folder, sorted; a name that is not Unicode holds
            surrogates.
        folders: every folder below it.
        links: symbolic links, which are kept in the backup as links and followed by nobody.
        others: pipes, sockets and devices.
        digests: of the files, once :func:`digest_tree` has read them.
    """

    root: Path
    files: Mapping[str, OldFile]
    folders: frozenset[str]
    links: tuple[str, ...]
    others: tuple[str, ...]
    digests: dict[str, str] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)

    def below(self, folder: str) -> list[str]:
        """Return the names of all files below ``folder``; all when it is empty."""
        if not folder:
            return self._names
        low = bisect_left(self._names, f"{folder}/")
        return self._names[low : bisect_left(self._names, f"{folder}0")]  # "0" is what follows "/"

    def children(self, folder: str) -> list[str]:
        """Return the names of the folders right below ``folder``, sorted."""
        start = f"{folder}/" if folder else ""
        return sorted(f for f in self.folders if f.startswith(start) and "/" not in f[len(start) :])

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            InvalidData: it is too large to be a record, or cannot be read.
        """
        if self.files[name].size > _READ_AT_MOST:
            size = self.files[name].size / 1e6
            raise InvalidData(f"{text(name)} has {size:,.0f} MB, which is too much for a record of a run")
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise _unreadable(name, error) from None


def plain_progress(items: Iterable[T], total: int | None, label: str) -> Iterator[T]:
    """Pass items through and show nothing."""
    del total, label
    yield from items


def scan(folder: Path, store: Path, *, limit: int | None = FILE_LIMIT) -> Tree:
    """Look at every entry below ``folder``.

    Args:
        folder: the old folder.
        store: where the runs shall go.
        limit: most files; None for any number.

    Raises:
        NotFound: there is no such folder.
        BadInput: it is a file, is empty, or it and a store lie one in the other.
        InvalidData: a folder in it cannot be read.
        Refused: it holds more files than ``limit``.
    """
    if not os.path.lexists(folder):
        raise NotFound(f"there is no folder {str(folder)!r}; check the path")
    if not folder.is_dir():
        raise BadInput(f"{str(folder)!r} is not a folder; name the folder that holds the old results")
    root = folder.resolve()
    _refuse_stores(root, store)
    found = _Seen({}, [], [], [])
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        for entry in _entries(root, inside):
            name = f"{inside}/{entry.name}" if inside else entry.name
            _look(root, inside, name, entry, found)
            if found.folders and found.folders[-1] == name:
                waiting.append(name)
            if limit is not None and len(found.files) > limit:
                raise Refused(
                    f"{root.name} holds more than {limit:,} files; is it the folder of results? "
                    "--yes adopts it all the same"
                )
    if not found.files:
        only = ", only links" if found.links else ""
        raise BadInput(f"{root.name} holds no file{only}; there is nothing to adopt")
    files = dict(sorted(found.files.items()))
    return Tree(
        root,
        files,
        frozenset(found.folders),
        tuple(sorted(found.links)),
        tuple(sorted(found.others)),
        _names=[*files],
    )


class _Seen(NamedTuple):
    files: dict[str, OldFile]
    folders: list[str]
    links: list[str]
    others: list[str]


def _look(root: Path, inside: str, name: str, entry: os.DirEntry[str], seen: _Seen) -> None:
    if entry.is_symlink():
        seen.links.append(name)
    elif entry.is_dir(follow_symlinks=False):
        if entry.name == layout.PRIVATE and (root / name / layout.STORE_FILE).exists():
            raise BadInput(
                f"{text(inside)} in {root.name} is a corrida store; adopt the folders beside it one by one"
            )
        seen.folders.append(name)
    elif entry.is_file(follow_symlinks=False):
        found = entry.stat(follow_symlinks=False)
        seen.files[name] = OldFile(found.st_size, found.st_mtime_ns)
    else:
        seen.others.append(name)


def _entries(root: Path, inside: str) -> Sequence[os.DirEntry[str]]:
    try:
        with os.scandir(root / inside) as found:
            return list(found)
    except OSError as error:
        raise _unreadable(inside or root.name, error) from None


def _unreadable(name: str, error: OSError) -> InvalidData:
    return InvalidData(
        f"{text(name)} cannot be read ({error.strerror}), and nothing of the folder may be lost; make it readable, or "
        "move it out of the folder; nothing was changed"
    )


def _refuse_stores(root: Path, store: Path) -> None:
    target = store.resolve()
    if root == target or (root / layout.PRIVATE / layout.STORE_FILE).exists():
        what = "is where the new runs would go" if root == target else "is a corrida store already"
        raise BadInput(f"{root.name} {what}; name the old folder, and another store with --store")
    if target.is_relative_to(root):
        raise BadInput(
            f"the store {target.name} lies inside {root.name or root}, which would adopt itself; name another store with --store"
        )
    for parent in root.parents:
        if parent == target or (parent / layout.PRIVATE / layout.STORE_FILE).exists():
            raise BadInput(
                f"{root.name} lies inside the corrida store {parent.name}; what is in a store is not adopted"
            )


def digest_tree(tree: Tree, names: Iterable[str], progress: Progress[Any] = plain_progress) -> None:
    """Read files and note their digests in ``tree``.

    Raises:
        InvalidData: one cannot be read.
    """
    wanted = [name for name in names if name not in tree.digests]
    for name in progress(wanted, len(wanted), "reading"):
        try:
            tree.digests[name] = digest_file(tree.root / name).sha256
        except OSError as error:
            raise _unreadable(name, error) from None
