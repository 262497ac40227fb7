"""The changes that lead from one parsed document to another.

A change says where it is twice: ``path`` is for a person (``rules[R7].threshold``), ``steps`` are the keys and
list positions *in document A*. Since every change is anchored in A alone, any subset of the changes can be
applied to A, in one go, and gives a document between A and B.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.analysis.config_documents import fingerprint, same_scalar
from corrida.analysis.list_alignment import DEFAULT_KEYS, Alignment, align, match_unique
from corrida.analysis.nouns import is_plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Kind = Literal["added", "removed", "changed", "reordered", "renamed"]

# In {"rules": {"description": …, "R1": {…}}} these are about the collection and not one of its entries.
_ABOUT = {
    "comment",
    "default",
    "defaults",
    "description",
    "descripcion",
    "meta",
    "metadata",
    "notes",
    "version",
}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between two documents.

    Attributes:
        path: Where, for a person: ``rules[R7].threshold``; empty for the whole document.
        kind: What happened there.
        before: The value in A; for ``renamed`` the old name, for ``reordered`` the names in their old order.
        after: The value in B; for ``renamed`` the new name, for ``reordered`` the names in their new order.
        unit: The smallest thing that can be taken over or left alone by itself, as ``file#path``; changes with
            one unit (the words of one list) belong together.
        parts: The parts of the path; an element of a collection is in brackets.
        steps: Keys and list positions in A. For an element added to a list the last step is its position in B.
        collection: When elements of a collection came, went, moved or were renamed: the path of the collection.
        element: The name of such an element; empty when it has only its position.
        words: Whether the collection is a list of words and numbers; then ``path`` is that of the list.
        list_key: For a renamed element of a list: the key that names it.
        anchor: For an element added to a list: the position in A of the element it comes after; -1 is the start.
        order: For ``reordered``: the positions in A of the elements that stay, in their new order.
        moved: For ``reordered``: the names of the elements that moved.
    """

    path: str
    kind: Kind
    before: Any = None
    after: Any = None
    unit: str
    parts: tuple[str, ...] = ()
    steps: tuple[Any, ...] = ()
    collection: tuple[str, ...] | None = None
    element: str = ""
    words: bool = False
    list_key: str = ""
    anchor: int = -1
    order: tuple[int, ...] = ()
    moved: tuple[Any, ...] = ()


def diff_documents(
    a: Any, b: Any, *, file: str = "", keys: Sequence[str] = DEFAULT_KEYS, root_name: str = ""
) -> list[Change]:
    """Say what changed between two parsed documents, by meaning.

    Args:
        a: The document before, as ``parse_config`` gives it.
        b: The document after.
        file: The path that the units of the changes start with.
        keys: Names of keys that identify the objects of a list, best first.
        root_name: What the document is a collection of when it is a list itself, such as ``rules``.

    Returns:
        The changes in the order of document A; none when both mean the same.
    """
    walk = _Walk(file, keys, root_name)
    walk.compare(a, b, (), ())
    return walk.changes


def format_path(parts: Iterable[str]) -> str:
    """Join the parts of a path: ``("rules", "[R7]", "threshold")`` is ``rules[R7].threshold``."""
    text = ""
    for part in parts:
        text += part if part.startswith("[") or not text else f".{part}"
    return text


class _Walk:
    """One comparison: collects changes while it goes down both documents."""

    def __init__(self, file: str, keys: Sequence[str], root_name: str) -> None:
        self.changes: list[Change] = []
        self._file = file
        self._keys = keys
        self._root_name = root_name

    def compare(self, a: Any, b: Any, steps: tuple[Any, ...], parts: tuple[str, ...]) -> None:
        """Record what differs between two values at one place."""
        if isinstance(a, dict) and isinstance(b, dict):
            self._compare_dicts(a, b, steps, parts)
        elif isinstance(a, list) and isinstance(b, list):
            self._compare_lists(a, b, steps, parts)
        elif not same_scalar(a, b):
            self._record("changed", steps, parts, before=a, after=b)

    def _record(
        self, kind: Kind, steps: tuple[Any, ...], parts: tuple[str, ...], *, unit: str = "", **fields: Any
    ) -> None:
        """Add one change."""
        path = format_path(parts)
        place = unit or path
        full_unit = f"{self._file}#{place}" if place else self._file
        self.changes.append(Change(path=path, kind=kind, unit=full_unit, parts=parts, steps=steps, **fields))

    def _compare_dicts(
        self, a: dict[Any, Any], b: dict[Any, Any], steps: tuple[Any, ...], parts: tuple[str, ...]
    ) -> None:
        """Compare two dicts key by key."""
        gone = {key: _content(value) for key, value in a.items() if key not in b}
        come = {key: _content(value) for key, value in b.items() if key not in a}
        renames = dict(match_unique(gone, come)) if gone and come else {}
        new_names = set(renames.values())
        holds_entries = bool(parts) and is_plural(parts[-1])

        def place(key: Any, value: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
            if holds_entries and isinstance(value, dict) and not _is_about(key):
                return (*parts, _element(key)), {"collection": parts, "element": str(key)}
            return (*parts, _field(key)), {}

        for key, value in a.items():
            if key in b:
                other = b[key]
                if type(value) is type(other) and not isinstance(value, (dict, list)) and value == other:
                    continue  # the common case, kept short
                self.compare(value, other, (*steps, key), place(key, value)[0])
                continue
            where, membership = place(key, value)
            if key in renames:
                self._record("renamed", (*steps, key), where, before=key, after=renames[key], **membership)
            else:
                self._record("removed", (*steps, key), where, before=value, **membership)
        for key, value in b.items():
            if key not in a and key not in new_names:
                where, membership = place(key, value)
                self._record("added", (*steps, key), where, after=value, **membership)

    def _compare_lists(
        self, a: list[Any], b: list[Any], steps: tuple[Any, ...], parts: tuple[str, ...]
    ) -> None:
        """Compare two lists element by element, as they were aligned."""
        if _plainly_equal(a, b):
            return
        found = align(a, b, self._keys)
        collection = parts or ((self._root_name,) if self._root_name else ())
        unit = format_path(parts) if found.scalars else ""

        def about(side: list[Any], index: int) -> dict[str, Any]:
            element = str(_name(found, side, index)) if found.key else ""
            return {"collection": collection, "element": element, "words": found.scalars, "unit": unit}

        for index in found.removed:
            where = _place(found, parts, a, index)
            self._record("removed", (*steps, index), where, before=a[index], **about(a, index))
        for index, other in sorted(found.pairs):
            where = _place(found, parts, a, index)
            if index in found.renamed:
                names = {
                    "before": _name(found, a, index),
                    "after": _name(found, b, other),
                    "list_key": found.key,
                }
                self._record("renamed", (*steps, index), where, **names, **about(a, index))
            elif not found.scalars:
                self.compare(a[index], b[other], (*steps, index), where)
            elif not same_scalar(a[index], b[other]):
                numbered = (*parts, _element(index))
                self._record("changed", (*steps, index), numbered, before=a[index], after=b[other], unit=unit)
        anchors = _anchors(found)
        for index in found.added:
            after = {"after": b[index], "anchor": anchors[index]}
            self._record("added", (*steps, index), _place(found, parts, b, index), **after, **about(b, index))
        if found.moved:
            order = tuple(index for index, _ in found.pairs)
            self._record(
                "reordered",
                steps,
                parts,
                before=[_name(found, a, index) for index in sorted(order)],
                after=[_name(found, a, index) for index in order],
                collection=collection,
                words=found.scalars,
                unit=unit or f"{format_path(parts)} (order)",
                order=order,
                moved=tuple(_name(found, a, index) for index in found.moved),
            )


def _plainly_equal(a: list[Any], b: list[Any]) -> bool:
    """Tell quickly whether two lists of words are equal to the letter; most lists of a large file are."""
    if len(a) != len(b):
        return False
    kinds = [*map(type, a)]
    return dict not in kinds and list not in kinds and kinds == [*map(type, b)] and a == b


def _name(found: Alignment, side: list[Any], index: int) -> Any:
    """Return what an element of a list is called: a word itself, an object by its key, else its position."""
    if found.scalars:
        return side[index]
    return side[index][found.key] if found.key else index


def _place(found: Alignment, parts: tuple[str, ...], side: list[Any], index: int) -> tuple[str, ...]:
    """Return the path of an element; that of a word is its list, as its position would say nothing."""
    return parts if found.scalars else (*parts, _element(_name(found, side, index)))


def _anchors(found: Alignment) -> dict[int, int]:
    """Return for every added position in B the position in A of the nearest matched element before it."""
    partners = {place: index for index, place in found.pairs}
    anchors: dict[int, int] = {}
    last = -1
    for place in range(len(found.pairs) + len(found.added)):
        if place in partners:
            last = partners[place]
        else:
            anchors[place] = last
    return anchors


def _content(value: Any) -> Any:
    """Return the fingerprint of a dict that can be recognised under another name; None for anything less."""
    return fingerprint(value) if isinstance(value, dict) and value else None


def _is_about(key: Any) -> bool:
    """Tell whether a key describes a collection instead of naming an entry."""
    return isinstance(key, str) and (key.startswith("_") or key.lower() in _ABOUT)


def _field(key: Any) -> str:
    """Write a key as part of a path; quoted when it would be misread."""
    if isinstance(key, str) and not re.fullmatch(r"[^\s.\[\]\"#](?:[^.\[\]\"#]*[^\s.\[\]\"#])?", key):
        return json.dumps(key, ensure_ascii=False)
    return str(key)


def _element(key: Any) -> str:
    """Write the name of an element as part of a path; quoted when it would be misread."""
    if isinstance(key, str) and not re.fullmatch(r"[^\s\[\]\"](?:[^\[\]\"]*[^\s\[\]\"])?", key):
        return f"[{json.dumps(key, ensure_ascii=False)}]"
    return f"[{key}]"
