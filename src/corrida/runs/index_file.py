"""index.json: one run a line, for people and for git; a cache that a reader may rebuild.

The file is one JSON object, run id to a short form of the run, each on a line of its own that ends with a comma;
the last line is always the version. So a finished run is appended in constant time, and a merge in git that keeps
the lines of both sides (``merge=union``, set in the store's .gitattributes) is valid JSON again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.runs import layout
from corrida.runs.files import atomic_write, locked, write_all

if TYPE_CHECKING:
    from corrida.runs.run_file import RunFile

_HEAD = b"{\n"
_TAIL = f'"format_version": {layout.FORMAT_VERSION}\n}}\n'.encode()
_REPLACED_UP_TO = 64 * 1024
"""Some 250 runs. A file system may write out at once what takes the place of another file: 0.2 ms and more each time."""
_FIELDS = (
    "pipeline",
    "status",
    "created",
    "finished",
    "source",
    "description",
    "notes",
    "tags",
    "seed",
    "parent",
    "metrics",
    "primary_metric",
    "item_counts",
)


def index_line(run: RunFile) -> bytes:
    """Return the line of a finished or failed run."""
    content: dict[str, Any] = {name: getattr(run, name) for name in _FIELDS}
    kept = {k: v for k, v in msgspec.to_builtins(content).items() if v not in (None, {}, [], "")}
    return msgspec.json.encode(run.id) + b": " + msgspec.json.encode(kept) + b",\n"


def append_to_index(root: Path, run: RunFile) -> None:
    """Add a run to the index in constant time; failing to do so costs nothing, since readers mend the index.

    A small index is replaced as a whole, so that nobody ever reads half of it. Another is written at its end in
    one go, and whoever reads it in that very instant may have to read again.
    """
    path, private = f"{root}/{layout.INDEX}", f"{root}/{layout.PRIVATE}"
    with contextlib.suppress(OSError), index_lock(root):
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            atomic_write(path, _HEAD + index_line(run) + _TAIL, durable=False, scratch=private)
            return
        try:
            size = os.fstat(fd).st_size
            place = size - len(_TAIL)
            if place < len(_HEAD) or os.pread(fd, len(_TAIL), place) != _TAIL:
                return  # damaged, or being merged: the next reader writes it anew
            if size <= _REPLACED_UP_TO:
                content = os.pread(fd, place, 0) + index_line(run) + _TAIL
                atomic_write(path, content, durable=False, scratch=private)
            else:
                os.lseek(fd, place, os.SEEK_SET)
                write_all(fd, index_line(run) + _TAIL)
        finally:
            os.close(fd)


def index_lock(root: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the index for writing."""
    return locked(f"{root}/{layout.PRIVATE}/index.lock")


def index_state(root: Path) -> str:
    """Return what tells one content of index.json from another without reading it; empty when there is none."""
    try:
        found = os.stat(f"{root}/{layout.INDEX}")  # noqa: PTH116
    except OSError:
        return ""
    return f"{found.st_mtime_ns}.{found.st_size}.{found.st_ino}"


def index_text(lines: Iterable[bytes]) -> bytes:
    """Return the whole of an index.json that holds ``lines``."""
    return _HEAD + b"".join(lines) + _TAIL


def write_index(root: Path, lines: Iterable[bytes]) -> bool:
    """Make index.json hold exactly ``lines``, in their order; the caller holds :func:`index_lock`.

    Returns:
        Whether the file had to change.
    """
    path = root / layout.INDEX
    content = index_text(lines)
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        if content == _HEAD + _TAIL:
            return False
    atomic_write(path, content, durable=False, scratch=root / layout.PRIVATE)
    return True
