"""Configuration files as values: read the bytes, and say when two values mean the same.

A file that cannot be read as data is not an error here. It is compared as text, and a note says why: a person
who compares two runs must get an answer for a broken file too.
"""

from __future__ import annotations

import datetime as dt
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from corrida.runs.documents import MAX_DEPTH, TOO_DEEP, Unreadable, read_document

Format = Literal["json", "yaml", "toml", "text", "binary"]

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
            document = read_document(path, data)
            _check_shape(document)
        except Unreadable as error:
            note = f"{error}; compared as text"
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


def _as_text(data: bytes, note: str) -> Parsed:
    """Read bytes as text when they are text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Parsed(document=data, format="binary", note=note)
    if "\0" in text:
        return Parsed(document=data, format="binary", note=note)
    return Parsed(document=text, format="text", note=note)


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
                raise Unreadable(f"it holds a {type(value).__name__}")
            if count + len(below) > MAX_VALUES:
                raise Unreadable(f"more than {MAX_VALUES:,} values")
        count += len(below)
        if not below:
            return
        level = below
    raise Unreadable(TOO_DEEP)


def _check_keys(entries: dict[Any, Any]) -> None:
    """Raise when a dict has a key that cannot be compared and written."""
    for key in entries:
        if type(key) is not str and not _is_plain_key(key):
            raise Unreadable(f"{key!r} is used as a key")


def _is_plain_key(key: Any) -> bool:
    """Tell whether a key that is no string can be compared and written."""
    return isinstance(key, (int, float, *_TIMES)) and not isinstance(key, bool) and key == key  # noqa: PLR0124
