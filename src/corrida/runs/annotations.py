"""Notes and tags that are appended to a run, with time and author; the run itself stays as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from corrida.errors import RunNotFound, StoreError
from corrida.runs import layout
from corrida.runs.files import atomic_write, explained, locked, read_lines
from corrida.runs.plain import encode_json


class Note(msgspec.Struct, frozen=True):
    """A note that was added after the start of a run."""

    time: str
    author: str
    text: str


def author() -> str:
    """Return the name of the user who runs this process; ``unknown`` where the system has none."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def utc_now() -> str:
    """Return the time in UTC as ISO 8601 with microseconds and ``Z``."""
    return timestamp(datetime.now(UTC))


def timestamp(time: datetime) -> str:
    """Return ``time`` (aware) in UTC as ISO 8601 with microseconds and ``Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def annotate(run_dir: Path, change: Mapping[str, Any]) -> None:
    """Append ``change`` (``note``, or ``tags`` of which None removes one) to the run.

    The file is replaced rather than appended to, so that the time of change of the *folder* moves: that is what
    readers look at to notice it.

    Raises:
        RunNotFound: somebody removed the run in this moment.
        StoreError: the file cannot be written; what stood there before stays.
    """
    path = run_dir / layout.ANNOTATIONS
    line = encode_json({"time": utc_now(), "author": author(), **change}) + b"\n"
    # What a kill leaves of the temporary file must not lie in the run folder, where verify would find it.
    private = run_dir.parent / layout.PRIVATE
    try:
        with (
            explained(f"writing to the run {run_dir.name}", "check the rights of its folder"),
            locked(run_dir / layout.RUN, create=False),
        ):
            try:
                before = path.read_bytes()
            except FileNotFoundError:
                before = b""
            if before and not before.endswith(b"\n"):
                before += b"\n"
            atomic_write(path, before + line, scratch=private if private.is_dir() else None)
    except StoreError:
        if run_dir.is_dir():
            raise
        raise RunNotFound(f"the run {run_dir.name} was removed in this moment by somebody else") from None


def read_annotations(run_dir: Path) -> list[dict[str, Any]]:
    """Return what was appended to the run, oldest first.

    A file that cannot be read holds nothing, so that one run does not stop the list of all; ``verify`` names it.
    """
    try:
        return read_lines(run_dir / layout.ANNOTATIONS, follow=False)
    except OSError:
        return []


def merge_tags(tags: Mapping[str, str], changes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return ``tags`` after the appended changes; a value of None removes a tag."""
    merged = dict(tags)
    for change in changes:
        tagged = change.get("tags")
        for key, value in tagged.items() if isinstance(tagged, dict) else ():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = str(value)
    return merged


def values_had(run_dir: Path) -> dict[str, set[str]]:
    """Return for each tag of a run every value that it ever had: as sealed, and as set since."""
    from corrida.runs.run_file import read_run_file

    had: dict[str, set[str]] = {}
    for change in ({"tags": read_run_file(run_dir).tags}, *read_annotations(run_dir)):
        told = change.get("tags")
        for name, value in told.items() if isinstance(told, dict) else ():
            had.setdefault(name, set()).add(str(value))
    return had


def notes_of(changes: Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Return the notes among the appended changes, oldest first."""
    return tuple(
        Note(time=str(c.get("time", "")), author=str(c.get("author", "")), text=str(c["note"]))
        for c in changes
        if c.get("note")
    )
