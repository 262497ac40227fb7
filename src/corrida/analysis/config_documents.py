"""Configuration files as values: read the bytes, and say when two values mean the same.

A file that cannot be read as data is not an error here. It is compared as text, and a note says why: a person
who compares two runs must get an answer for a broken file too.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

Format = Literal["json", "yaml", "toml", "text", "binary"]

# Deeper than any configuration made by a person, and far from Python's own limit of nested calls.
MAX_DEPTH = 100
# YAML aliases can unfold a small file into billions of values; nobody writes that many by hand.
MAX_VALUES = 5_000_000

DATA_SUFFIXES: dict[str, Format] = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}
_TIMES = (dt.date, dt.time)  # datetime is a date
_SCALARS = (str, int, float, bytes, *_TIMES)  # bool is an int


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration file as it was understood.

    Attributes:
        document: Dicts, lists and scalars; the whole text when the file is text; the bytes when it is binary.
        format: What the file was read as.
        note: Why a file whose name promises data was read as text; empty when it was not.
    """

    document: Any
    format: Format
    note: str = ""


class _Unreadable(Exception):
    """The bytes are not the data that the file name promises."""


def parse_config(path: str, data: bytes) -> Parsed:
    """Read one configuration file by its suffix; never fails.

    Args:
        path: The relative path; only its suffix matters.
        data: The exact bytes.

    Returns:
        The parsed file. JSON, YAML and TOML that cannot be read (or repeat a key, or are nested too deeply)
        come back as text with a note; bytes that are not UTF-8 text come back as binary.
    """
    kind = DATA_SUFFIXES.get(PurePosixPath(path).suffix.lower())
    note = ""
    if kind is not None:
        try:
            document = _READERS[kind](data)
            _check_shape(document)
        except _Unreadable as error:
            note = f"not usable as {kind.upper()}: {error}; compared as text"
        except RecursionError:
            note = f"not usable as {kind.upper()}: {_TOO_DEEP}; compared as text"
        else:
            return Parsed(document=document, format=kind)
    return _as_text(data, note)


def parse_pair(path_a: str, data_a: bytes, path_b: str, data_b: bytes) -> tuple[Parsed, Parsed]:
    """Read both sides of a comparison so that they can be compared.

    Args:
        path_a: The path on side A.
        data_a: The bytes on side A.
        path_b: The path on side B.
        data_b: The bytes on side B.

    Returns:
        Both as data, or both as text when one of them is not data, or both as bytes when one of them is not text.
    """
    a, b = parse_config(path_a, data_a), parse_config(path_b, data_b)
    if is_data(a) and is_data(b):
        return a, b
    a = _as_text(data_a, a.note) if is_data(a) else a
    b = _as_text(data_b, b.note) if is_data(b) else b
    if "binary" in {a.format, b.format}:
        return (
            Parsed(document=data_a, format="binary", note=a.note),
            Parsed(document=data_b, format="binary", note=b.note),
        )
    return a, b


def is_data(parsed: Parsed) -> bool:
    """Tell whether the file was understood as data and not only as text or bytes."""
    return parsed.format not in {"text", "binary"}


def same_meaning(a: Any, b: Any) -> bool:
    """Tell whether two values mean the same.

    1 and 1.0 are the same, the order of keys does not matter, NaN equals NaN; but 1, true and "1" are three
    values. Any depth is fine: the walk uses no nested calls.
    """
    waiting = [(a, b)]
    while waiting:
        left, right = waiting.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            waiting.extend((value, right[key]) for key, value in left.items())
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            waiting.extend(zip(left, right, strict=True))
        elif not same_scalar(left, right):
            return False
    return True


def same_scalar(a: Any, b: Any) -> bool:
    """Tell whether two values that are not both dicts or both lists mean the same."""
    if type(a) is type(b):
        # NaN is the only value that differs from itself.
        return not isinstance(a, (dict, list)) and bool(a == b or (a != a and b != b))  # noqa: PLR0124
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    return isinstance(a, (int, float)) and isinstance(b, (int, float)) and a == b


def fingerprint(value: Any) -> Any:
    """Return a hashable stand-in: two values have equal stand-ins exactly when they mean the same.

    Args:
        value: A parsed value, at most ``MAX_DEPTH`` deep.

    Returns:
        Nested tuples and frozensets.
    """
    if isinstance(value, dict):
        return ("dict", frozenset((key, fingerprint(entry)) for key, entry in value.items()))
    if isinstance(value, list):
        return ("list", *map(fingerprint, value))
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN
        return ("nan",)
    return value


def text_lines(text: str) -> list[str]:
    """Split a text into lines; the kind of line ends and a missing last one make no difference."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


def _as_text(data: bytes, note: str) -> Parsed:
    """Read bytes as text when they are text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Parsed(document=data, format="binary", note=note)
    if "\0" in text:
        return Parsed(document=data, format="binary", note=note)
    return Parsed(document=text, format="text", note=note)


def _read_json(data: bytes) -> Any:
    """Parse JSON, refusing what would lose something: repeated keys and broken characters."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise _Unreadable(f"the key {key!r} stands twice in one object")
                seen.add(key)
        return entries

    try:
        document = json.loads(data, object_pairs_hook=unique)
        if b"\\ud" in data.lower():
            # Half a surrogate pair parses, but can be written nowhere; encoding finds it.
            json.dumps(document, ensure_ascii=False).encode()
    except ValueError as error:
        raise _Unreadable(str(error)) from error
    return document


def _read_toml(data: bytes) -> Any:
    """Parse TOML."""
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise _Unreadable(str(error)) from error


def _read_yaml(data: bytes) -> Any:
    """Parse YAML with the safe loader, in C where it was built; refuse repeated keys."""
    import yaml

    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if _may_be_deep(data):
            # The composer is recursive C and crashes the process; the stream of events is flat.
            depth = 0
            for event in yaml.parse(data, Loader=kind):
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
                    event, yaml.CollectionEndEvent
                )
                if depth > MAX_DEPTH:
                    raise _Unreadable(_TOO_DEEP)
        loader = kind(data)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _refuse_repeated_yaml_keys(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise _Unreadable(" ".join(str(error).split())) from error


def _may_be_deep(data: bytes) -> bool:
    """Tell whether YAML bytes could nest deeply; may say yes wrongly, never no."""
    if re.search(rb"(?m)^[ ?:-]{%d,}" % (MAX_DEPTH // 2), data):
        return True
    # Brackets within strings are counted too: that errs on the safe side, since only openings are believed.
    depth = 0
    for bracket in re.findall(rb"[\[{]|[\]}]", data):
        depth = depth + 1 if bracket in b"[{" else max(depth - 1, 0)
        if depth > MAX_DEPTH // 2:
            return True
    return False


def _refuse_repeated_yaml_keys(root: Any) -> None:
    """Raise when one mapping of a YAML node tree names a key twice; the loader would keep only the last."""
    waiting, visited = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in visited or isinstance(node.value, str):
            continue
        visited.add(id(node))
        if node.id == "sequence":
            waiting.extend(node.value)
            continue
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            waiting += (key, value)
            if isinstance(key.value, str) and key.tag != "tag:yaml.org,2002:merge":
                name = (key.tag, key.value)
                if name in seen:
                    raise _Unreadable(f"the key {key.value!r} stands twice in one mapping")
                seen.add(name)


def _check_shape(document: Any) -> None:
    """Raise when a document is too deep, too large, or holds values that JSON could not carry."""
    level, count = [document], 0
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                _check_keys(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif value is not None and not isinstance(value, _SCALARS):
                raise _Unreadable(f"it holds a {type(value).__name__}")
            if count + len(below) > MAX_VALUES:
                raise _Unreadable(f"more than {MAX_VALUES:,} values")
        count += len(below)
        if not below:
            return
        level = below
    raise _Unreadable(_TOO_DEEP)


def _check_keys(entries: dict[Any, Any]) -> None:
    """Raise when a dict has a key that cannot be compared and written."""
    for key in entries:
        if type(key) is not str and not _is_plain_key(key):
            raise _Unreadable(f"{key!r} is used as a key")


def _is_plain_key(key: Any) -> bool:
    """Tell whether a key that is no string can be compared and written."""
    return isinstance(key, (int, float, *_TIMES)) and not isinstance(key, bool) and key == key  # noqa: PLR0124


_READERS = {"json": _read_json, "yaml": _read_yaml, "toml": _read_toml}
