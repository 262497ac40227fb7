"""What changed between two sets of configuration files, by meaning.

The order of keys, white space and 1 against 1.0 are no change. Lists of objects are compared by the key of their
elements, so that a new rule is one rule more and not a hundred shifted lines. ``version`` keys are read, and
content that changed under an unchanged version is flagged, because a list of versions would not show it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.analysis.config_apply import apply_changes
from corrida.analysis.config_changes import Change, diff_documents
from corrida.analysis.config_documents import (
    Format,
    Parsed,
    is_data,
    parse_config,
    parse_pair,
    same_meaning,
    text_lines,
)
from corrida.analysis.config_renames import find_renames
from corrida.analysis.config_text import explain, summary_line
from corrida.analysis.list_alignment import DEFAULT_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "DEFAULT_KEYS",
    "Change",
    "ConfigsDiff",
    "FileDiff",
    "TextDiff",
    "apply_changes",
    "diff_configs",
    "diff_documents",
    "explain",
    "parse_config",
    "parse_pair",
    "same_meaning",
    "summary_line",
    "version_of",
]

Status = Literal["added", "removed", "changed", "same", "reformatted", "renamed"]
Flag = Literal["content_changed_same_version", "version_changed_same_content"]

_VERSION_PATHS = (
    ("version",),
    ("_version",),
    ("version_",),
    ("metadata", "version"),
    ("meta", "version"),
)
_DIFF_LINES = 40
# difflib compares every line with every other; above this many the lines are only counted.
_MAX_LINE_PAIRS = 4_000_000


class TextDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How two texts differ, by lines.

    Attributes:
        lines_added: Lines that only B has.
        lines_removed: Lines that only A has.
        unified: The beginning of a unified diff; empty when the files are too large for one.
        lines_left_out: How many lines of the diff are not in ``unified``.
    """

    lines_added: int
    lines_removed: int
    unified: tuple[str, ...] = ()
    lines_left_out: int = 0


class FileDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one configuration file.

    Attributes:
        path: The relative path; for a renamed file the one in B.
        path_a: The path in A; None for an added file.
        status: ``reformatted`` when the bytes differ and the meaning does not.
        format: What the file was compared as.
        version_a: What the file says its version is, in A.
        version_b: The same in B.
        flags: What a reader should be warned of.
        changes: Every change; for text and binary files a single one that replaces the whole. An added or
            removed file has none: the file itself is the unit.
        text: The difference by lines, for a text file that changed.
        contents: For an added or removed file how many elements its collections have, such as ``{"rules": 53}``.
        notes: What a reader should know about how the file was read.
    """

    path: str
    path_a: str | None = None
    status: Status
    format: Format
    version_a: str | None = None
    version_b: str | None = None
    flags: tuple[Flag, ...] = ()
    changes: tuple[Change, ...] = ()
    text: TextDiff | None = None
    contents: dict[str, int] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def content_changes(self) -> tuple[Change, ...]:
        """The changes without that of the version itself."""
        if self.version_a == self.version_b:
            return self.changes
        return tuple(change for change in self.changes if change.steps not in _VERSION_PATHS)


class ConfigsDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two sets of configuration files.

    Attributes:
        files: Every file of A or B, by path.
    """

    files: tuple[FileDiff, ...]

    @property
    def differing(self) -> tuple[FileDiff, ...]:
        """The files that do not mean the same in A and B, renamed ones included."""
        return tuple(file for file in self.files if file.status not in {"same", "reformatted"})


def diff_configs(
    a: Mapping[str, bytes], b: Mapping[str, bytes], *, keys: Sequence[str] = DEFAULT_KEYS
) -> ConfigsDiff:
    """Compare two sets of configuration files by meaning; never fails on a file that cannot be read.

    Args:
        a: Relative POSIX path to exact bytes, before.
        b: The same, after.
        keys: Names of keys that identify the objects of a list, best first.

    Returns:
        One entry a file. Files are paired by path; files that only changed their path are found by content.
    """
    renames = find_renames(a, b)
    old_paths = set(renames.values())
    files = [_one_sided(path, a[path], "removed") for path in a.keys() - b.keys() - old_paths]
    for path, data in b.items():
        path_a = renames.get(path, path)
        if path_a in a:
            files.append(_compare(path_a, a[path_a], path, data, keys))
        else:
            files.append(_one_sided(path, data, "added"))
    return ConfigsDiff(files=tuple(sorted(files, key=lambda file: file.path)))


def version_of(document: Any) -> str | None:
    """Return what a document says its version is, or None.

    Args:
        document: A parsed configuration; ``version``, ``_version``, ``version_``, ``metadata.version`` and
            ``meta.version`` are looked for, in this order.
    """
    for path in _VERSION_PATHS:
        value = document
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, (dict, list, bool)):
            return str(value)
    return None


def _compare(path_a: str, data_a: bytes, path_b: str, data_b: bytes, keys: Sequence[str]) -> FileDiff:
    """Compare two files that are one."""
    parsed_a, parsed_b = parse_pair(path_a, data_a, path_b, data_b)
    changes: list[Change] = []
    text = None
    if data_a == data_b:
        meaning_differs = False
    elif is_data(parsed_a):
        root_name = PurePosixPath(path_b).stem
        changes = diff_documents(
            parsed_a.document, parsed_b.document, file=path_b, keys=keys, root_name=root_name
        )
        meaning_differs = bool(changes)
    elif parsed_a.format == "binary":
        meaning_differs = True
    else:
        lines_a, lines_b = text_lines(parsed_a.document), text_lines(parsed_b.document)
        meaning_differs = lines_a != lines_b
        text = _diff_lines(lines_a, lines_b) if meaning_differs else None
    if meaning_differs and not changes:
        changes = [
            Change(path="", kind="changed", before=parsed_a.document, after=parsed_b.document, unit=path_b)
        ]

    status: Status = "changed" if meaning_differs else "same" if data_a == data_b else "reformatted"
    found = FileDiff(
        path=path_b,
        path_a=path_a,
        status=status if path_a == path_b else "renamed",
        format=parsed_b.format,
        version_a=version_of(parsed_a.document),
        version_b=version_of(parsed_b.document),
        changes=tuple(changes),
        text=text,
        notes=_notes(("A", parsed_a), ("B", parsed_b)),
    )
    return msgspec.structs.replace(found, flags=_flags(found))


def _flags(file: FileDiff) -> tuple[Flag, ...]:
    """Say whether version and content of a file tell different stories."""
    content = bool(file.content_changes)
    if file.version_a is not None and file.version_a == file.version_b and content:
        return ("content_changed_same_version",)
    if None not in {file.version_a, file.version_b} and file.version_a != file.version_b and not content:
        return ("version_changed_same_content",)
    return ()


def _one_sided(path: str, data: bytes, status: Literal["added", "removed"]) -> FileDiff:
    """Describe a file that only one side has."""
    parsed = parse_config(path, data)
    version = version_of(parsed.document)
    contents = {}
    if isinstance(parsed.document, dict):
        contents = {str(key): len(value) for key, value in parsed.document.items() if isinstance(value, list)}
    elif isinstance(parsed.document, list):
        contents = {PurePosixPath(path).stem: len(parsed.document)}
    return FileDiff(
        path=path,
        path_a=path if status == "removed" else None,
        status=status,
        format=parsed.format,
        version_a=version if status == "removed" else None,
        version_b=version if status == "added" else None,
        contents=contents,
        notes=_notes(("", parsed)),
    )


def _notes(*sides: tuple[str, Parsed]) -> tuple[str, ...]:
    """Collect the notes of both sides, saying which side they are about when it is only one."""
    notes = [parsed.note for _, parsed in sides]
    if len(set(notes)) == 1:
        return (notes[0],) if notes[0] else ()
    return tuple(f"in {name}: {parsed.note}" for name, parsed in sides if parsed.note)


def _diff_lines(a: list[str], b: list[str]) -> TextDiff:
    """Compare two texts line by line."""
    start, end_a, end_b = 0, len(a), len(b)
    while start < min(end_a, end_b) and a[start] == b[start]:
        start += 1
    while min(end_a, end_b) > start and a[end_a - 1] == b[end_b - 1]:
        end_a -= 1
        end_b -= 1
    if (end_a - start) * (end_b - start) > _MAX_LINE_PAIRS:
        count_a, count_b = Counter(a[start:end_a]), Counter(b[start:end_b])
        return TextDiff(
            lines_added=(count_b - count_a).total(), lines_removed=(count_a - count_b).total(), unified=()
        )
    # The header of a unified diff names files and dates, which the caller knows better.
    import difflib

    diff = list(difflib.unified_diff(a, b, n=1, lineterm=""))[2:]
    return TextDiff(
        lines_added=sum(line.startswith("+") for line in diff),
        lines_removed=sum(line.startswith("-") for line in diff),
        unified=tuple(diff[:_DIFF_LINES]),
        lines_left_out=max(0, len(diff) - _DIFF_LINES),
    )
