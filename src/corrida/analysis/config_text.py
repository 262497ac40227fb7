"""Changes of configuration files as sentences: one line for a list, a block for the details."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from corrida.analysis.config_changes import format_path
from corrida.analysis.config_documents import DATA_SUFFIXES
from corrida.analysis.nouns import noun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from corrida.analysis.config_changes import Change
    from corrida.analysis.config_diff import FileDiff

MINUS = "\N{MINUS SIGN}"
_SIGNS = {"added": "+", "removed": MINUS}
_VALUE_WIDTH = 40
_CONTENT_WIDTH = 100
_NAMES = 5
_PIECES = 6
_WORDS = 4
# The same edit made to this many elements is told once.
_ALIKE = 3

Owner = tuple[str, ...]


def summary_line(file: FileDiff) -> str:
    """Say in one line what happened to a file.

    Args:
        file: One file of a comparison.

    Returns:
        A line such as ``rules: 1.1 → 1.2 (+1 rule R53; R7.threshold 0.6 → 0.7; order of 3 rules changed)``.
        Many changes are abbreviated, long values are cut in the middle.
    """
    heading = _heading(file)
    pieces = _pieces(file)
    if len(pieces) > _PIECES:
        pieces = [*pieces[: _PIECES - 1], f"… and {len(pieces) - _PIECES + 1} more"]
    if not pieces:
        return heading
    joined = "; ".join(pieces)
    plain = heading == display_name(file) or heading.endswith(f" → {display_name(file)}")
    return f"{heading}: {joined}" if plain else f"{heading} ({joined})"


def explain(file: FileDiff) -> list[str]:
    """Say in an indented block all that happened to a file.

    Args:
        file: One file of a comparison.

    Returns:
        Lines of text; the first names the file. Every change is there, long values are cut in the middle.
    """
    lines = [_heading(file)]
    lines += [f"  note: {note}" for note in file.notes]
    if file.text is not None:
        lines.append(f"  {_count_lines(file)}")
        lines += [f"    {line}" for line in file.text.unified]
        if file.text.lines_left_out:
            lines.append(f"    … and {file.text.lines_left_out} more lines")
        return lines
    if file.format == "binary" and file.changes:
        return [*lines, "  bytes differ"]
    words: dict[Owner, list[Change]] = defaultdict(list)
    for change in file.content_changes:
        if change.words:
            words[change.parts].append(change)
    told: set[Owner] = set()
    for change in file.content_changes:
        if not change.words:
            lines.append(f"  {_sentence(change)}")
        elif change.parts not in told:
            told.add(change.parts)
            lines.append(f"  {_label(change.parts)}: {_words(words[change.parts])}")
    return lines


def display_name(file: FileDiff) -> str:
    """Return the name of a file as a person says it: without a suffix that only says how the data is written."""
    return _without_suffix(file.path)


def short_value(value: Any, width: int = _VALUE_WIDTH) -> str:
    """Write a value in little space; what is too long loses its middle.

    Args:
        value: Any parsed value.
        width: The greatest length of the text.
    """
    if isinstance(value, (dict, list)):
        text = json.dumps(value, ensure_ascii=False, default=_plain)
    elif isinstance(value, (str, bool)) or value is None:
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bytes):
        text = f"{len(value)} bytes"
    else:
        text = _plain(value)
    if len(text) <= width:
        return text
    head = width // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _plain(value: Any) -> str:
    """Write a number, date or time."""
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else str(value)


def _without_suffix(path: str) -> str:
    name = PurePosixPath(path)
    return str(name.with_suffix("")) if name.suffix.lower() in DATA_SUFFIXES else path


def _heading(file: FileDiff) -> str:
    """Name the file, its versions and what is remarkable about them."""
    name = display_name(file)
    if file.status == "renamed" and file.path_a is not None:
        old = _without_suffix(file.path_a)
        name = f"{old} → {name}" if old != name else f"{file.path_a} → {file.path}"
    remarks: list[str] = []
    if file.status in {"added", "removed"}:
        remarks.append(file.status)
        version = file.version_a if file.status == "removed" else file.version_b
        if version is not None:
            remarks.append(f"version {version}")
        remarks += [f"{count} {noun(key, count)}" for key, count in file.contents.items()]
        return f"{name}: {', '.join(remarks)}"
    if file.version_a != file.version_b:
        remarks.append(f"{file.version_a or 'no version'} → {file.version_b or 'no version'}")
    elif file.version_b is not None:
        remarks.append(file.version_b)
    if "content_changed_same_version" in file.flags:
        remarks.append("content changed under the same version")
    if "version_changed_same_content" in file.flags:
        remarks.append("version changed, same content")
    if file.status == "reformatted" or (file.status == "renamed" and not file.changes):
        remarks.append(
            "reformatted, same meaning" if file.status == "reformatted" else "renamed, same content"
        )
    if file.status == "same":
        remarks.append("unchanged")
    return f"{name}: {', '.join(remarks)}" if remarks else name


def _pieces(file: FileDiff) -> list[str]:
    """Say every content change in a few words, like changes together."""
    if file.text is not None:
        return [_count_lines(file)]
    if file.format == "binary":
        return ["bytes differ"] if file.changes else []
    changes = file.content_changes
    return [
        *_elements(changes, "added"),
        *_elements(changes, "removed"),
        *_fields(changes),
        *(_renamed(change) for change in changes if change.kind == "renamed"),
        *(_reordered(change) for change in changes if change.kind == "reordered" and not change.words),
    ]


def _elements(changes: Iterable[Change], kind: str) -> list[str]:
    """Say how many elements came or went, a piece a collection: ``+2 rules R53, R54``."""
    groups: dict[Owner, list[Change]] = defaultdict(list)
    for change in changes:
        if change.kind == kind and change.collection is not None and not change.words:
            groups[change.collection].append(change)
    pieces = []
    for collection, members in groups.items():
        names = [change.element for change in members if change.element]
        shown = ", ".join(names[:_NAMES]) + (
            f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        )
        count = f"{_owner(collection)}{_SIGNS[kind]}{len(members)} {noun(collection_name(collection), len(members))}"
        pieces.append(f"{count} {shown}".rstrip())
    return pieces


def _fields(changes: Iterable[Change]) -> list[str]:
    """Say which fields changed, came or went, and which words of lists; the same edit in many elements once."""
    words: dict[Owner, list[Change]] = defaultdict(list)
    alike: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    label = _labels(changes := tuple(changes))
    for change in changes:
        if change.words:
            words[change.parts].append(change)
        elif change.kind == "changed" or (change.kind in _SIGNS and change.collection is None):
            split = _first_element(change.parts)
            inner = change.parts[split + 1 :] if split is not None else ()
            group = (*change.parts[:split], "[]", *inner) if inner else change.parts
            edit = (change.kind, short_value(change.before), short_value(change.after))
            alike[(*group, *edit)].append(change)
    pieces = []
    for members in alike.values():
        split = _first_element(members[0].parts)
        if len(members) >= _ALIKE and split is not None:
            collection = collection_name(members[0].parts[:split])
            inner_path = members[0].parts[split + 1 :]
            where = f" in {len(members)} {noun(collection, len(members))}"
            pieces.append(_edit(members[0], ".".join(inner_path), " ") + where)
        else:
            pieces += [_edit(change, label(change.parts), " ") for change in members]
    return pieces + [f"{label(parts)}: {_words(members)}" for parts, members in words.items()]


def _sentence(change: Change) -> str:
    """Say one change in a line of its own."""
    if change.kind == "renamed":
        return _renamed(change)
    if change.kind == "reordered":
        names = ", ".join(_name(value) for value in change.after[: 2 * _PIECES])
        more = len(change.after) - 2 * _PIECES
        return f"{_reordered(change)}: now {names}" + (f" … and {more} more" if more > 0 else "")
    if change.collection is not None and change.kind in _SIGNS:
        value = change.after if change.kind == "added" else change.before
        name = f" {change.element}" if change.element else ""
        thing = noun(collection_name(change.collection), 1)
        owner = _owner(change.collection)
        return f"{owner}{_SIGNS[change.kind]} {thing}{name}: {short_value(value, _CONTENT_WIDTH)}"
    return _edit(change, _label(change.parts) or "document", ": ")


def _edit(change: Change, label: str, separator: str) -> str:
    """Say what happened to one field."""
    if change.kind == "changed":
        return f"{label}{separator}{short_value(change.before)} → {short_value(change.after)}"
    value = change.after if change.kind == "added" else change.before
    return f"{_SIGNS[change.kind]} {label}{separator}{short_value(value)}"


def _words(members: list[Change]) -> str:
    """Say which words a list gained and lost and whether their order changed."""
    parts = []
    for kind, sign in _SIGNS.items():
        values = [
            change.after if kind == "added" else change.before for change in members if change.kind == kind
        ]
        shown = [f"{sign} {short_value(value)}" for value in values[:_WORDS]]
        if len(values) > _WORDS:
            shown.append(f"{sign} {len(values) - _WORDS} more")
        parts += shown
    if any(change.kind == "reordered" for change in members):
        parts.append("order changed")
    return ", ".join(parts)


def _renamed(change: Change) -> str:
    """Say that an element or a section has a new name."""
    names = f"{_name(change.before)} renamed to {_name(change.after)}"
    if change.collection is None:
        return f"{_label(change.parts[:-1])}.{names}" if change.parts[:-1] else names
    return f"{_owner(change.collection)}{noun(collection_name(change.collection), 1)} {names}"


def _reordered(change: Change) -> str:
    """Say how many elements changed places."""
    collection = change.collection or ()
    count = len(change.moved)
    return f"{_owner(collection)}order of {count} {noun(collection_name(collection), count)} changed"


def _name(value: Any) -> str:
    """Write the name of an element."""
    return value if isinstance(value, str) else short_value(value)


def collection_name(parts: Owner) -> str:
    """Return the own name of a collection; a list inside a list has none."""
    return parts[-1] if parts and not parts[-1].startswith("[") else ""


def _owner(collection: Owner) -> str:
    """Return ``R7: `` for a collection inside an element; nothing for one of the document itself."""
    if _first_element(collection) is None:
        return ""
    outer = collection[:-1] if collection_name(collection) else collection
    return f"{_label(outer)}: "


def _first_element(parts: Owner) -> int | None:
    """Return where the first element of a collection stands in a path."""
    return next((index for index, part in enumerate(parts) if part.startswith("[")), None)


def _label(parts: Owner) -> str:
    """Write a path in short: ``rules[R7].threshold`` is ``R7.threshold``."""
    split = _first_element(parts)
    if split is None or parts[split][1:-1].isdecimal():
        return format_path(parts)
    return format_path((parts[split][1:-1], *parts[split + 1 :]))


def _labels(changes: Iterable[Change]) -> Callable[[Owner], str]:
    """Return how to write paths: in short, unless two of them would look the same."""
    seen: dict[str, set[Owner]] = defaultdict(set)
    for change in changes:
        seen[_label(change.parts)].add(change.parts)
    return lambda parts: _label(parts) if len(seen[_label(parts)]) <= 1 else format_path(parts)


def _count_lines(file: FileDiff) -> str:
    """Say how many lines of a text came and went."""
    if file.text is None:
        return ""
    added, removed = file.text.lines_added, file.text.lines_removed
    remark = ", compared as text" if file.notes else ""
    return f"+{added} {MINUS}{removed} {'line' if added + removed == 1 else 'lines'}{remark}"
