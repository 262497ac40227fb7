"""Values of the outside world as JSON and YAML hold them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from corrida.runs.numbers import json_number

JSON_ERRORS: Final = (ValueError, RecursionError)
"""What msgspec raises on bytes that are not the JSON asked for: its own error, that of Unicode, and of depth."""

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JSON_INTEGERS = range(-(2**63), 2**64)
"""What every reader of JSON that we know takes as an integer."""


def plain(value: Any) -> Any:
    """Return ``value`` as dicts, lists and scalars that JSON and YAML hold; what is neither becomes its text."""
    if value is None or isinstance(value, bool | int | float):
        return _plain_number(value)
    if isinstance(value, Mapping):
        return {text(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return plain(value.item())
    return text(str(value))


def _plain_number(value: float | None) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if int(value) in _JSON_INTEGERS else str(int(value))
    return json_number(float(value))


def text(value: str) -> str:
    """Return ``value`` as plain Unicode: bytes that were none (as in a file name) become escapes."""
    return str(value.encode("utf-8", "backslashreplace"), "utf-8")


def printable(text: str) -> str:
    """Return ``text`` without what would steer a terminal: escapes, bidirectional marks, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if c in _BIDI or (c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cs"})
        else c
        for c in text
    )


def encode_json(value: Any) -> bytes:
    """Encode what msgspec encodes, and texts that are no Unicode with escapes in place of the stray characters."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(plain(msgspec.to_builtins(value)))
