"""Records of other programs: JSON objects, and the facts that several layouts write alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidData
from corrida.runs.plain import text
from corrida.runs.run_file import Git

if TYPE_CHECKING:
    from corrida.adopt.tree import Tree

_UNKNOWN = {"", "unknown", "none", "null", "n/a"}


def read_object(tree: Tree, name: str) -> dict[str, Any]:
    """Return a file that holds one JSON object; NaN and infinities are read too, since Python writes them.

    Raises:
        InvalidData: it is not that.
    """
    try:
        document = json.loads(tree.read(name).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = str(error).split("\n", maxsplit=1)[0] or "nested too deeply"
        raise InvalidData(f"{text(name)} is no JSON ({reason})") from None
    if not isinstance(document, dict):
        raise InvalidData(f"{text(name)} is no JSON object but a {type(document).__name__}")
    return document


def text_of(record: Mapping[str, Any], *keys: str) -> str | None:
    """Return the first of ``keys`` that holds a text which says something."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, str) and value.strip():
            return text(value)
    return None


def seed_of(*records: Mapping[str, Any]) -> int | None:
    """Return the first seed of 64 bits that one of the records names."""
    for record in records:
        for key in ("seed", "random_seed", "random_state"):
            value = record.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64:
                return value
    return None


def git_of(record: Mapping[str, Any]) -> Git | None:
    """Return commit and branch that a record names; None when it names neither."""
    inner = record.get("git") or record.get("git_info")
    if not isinstance(inner, Mapping):
        inner = {}
    commit = text_of(inner, "commit", "hash", "sha") or text_of(record, "git_commit", "commit", "git_hash")
    branch = text_of(inner, "branch") or text_of(record, "git_branch", "branch")
    commit, branch = (None if v is None or v.lower() in _UNKNOWN else v for v in (commit, branch))
    if commit is None and branch is None:
        return None
    return Git(commit=commit, branch=branch)


def without(record: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return what a record says besides ``keys``: texts, numbers and truth values, also nested; no lists."""
    left_out = set(keys)
    return {key: _values(value) for key, value in record.items() if key not in left_out and _is_value(value)}


def _is_value(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or (
        isinstance(value, Mapping) and bool(_values(value))
    )


def _values(value: Any, depth: int = 0) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = {
        k: _values(v, depth + 1)
        for k, v in value.items()
        if depth < 10 and isinstance(v, Mapping | str | int | float)
    }
    return {k: v for k, v in kept.items() if v != {}}
