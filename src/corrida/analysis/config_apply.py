"""Apply a choice of changes to the document that they start from.

The hybrids that this gives are what a search for the decisive change is made of: each unit of change can be
taken over or left alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from corrida.analysis.config_changes import Change


def apply_changes(document_a: Any, changes: Iterable[Change]) -> Any:
    """Apply a choice of changes to the document they start from.

    Args:
        document_a: Document A; it is not modified.
        changes: Any subset of what ``diff_documents(document_a, document_b)`` gave, in any order.

    Returns:
        The new document; what did not change is shared with A. All changes give B by meaning, none give A.

    Raises:
        InvalidConfig: A change does not fit the document.
    """
    root = _Node()
    for change in changes:
        root.add(change)
    try:
        return _rebuild(document_a, root)
    except (KeyError, IndexError, TypeError) as error:
        raise InvalidConfig(
            "The changes do not fit this document; apply them to the one that they were computed from."
        ) from error


class _Node:
    """The changes at one place of document A, and below it."""

    __slots__ = ("added", "below", "here")

    def __init__(self) -> None:
        self.here: list[Change] = []
        self.added: list[Change] = []
        self.below: dict[Any, _Node] = {}

    def add(self, change: Change) -> None:
        """File a change under the place that it concerns."""
        # What is added has no place in A yet, so it belongs to the collection that receives it.
        steps = change.steps[:-1] if change.kind == "added" else change.steps
        node = self
        for step in steps:
            node = node.below.setdefault(step, _Node())
        (node.added if change.kind == "added" else node.here).append(change)


def _rebuild(value: Any, node: _Node) -> Any:
    """Return a value with the changes at and below its place."""
    order: Change | None = None
    for change in node.here:
        if change.kind == "changed":
            return change.after
        if change.kind == "reordered":
            order = change
    if not node.below and not node.added and order is None:
        return value
    if isinstance(value, dict):
        return _rebuild_dict(value, node)
    if isinstance(value, list):
        return _rebuild_list(value, node, order)
    raise TypeError("a scalar has nothing below it")


def _rebuild_dict(value: dict[Any, Any], node: _Node) -> dict[Any, Any]:
    """Return a dict with the changes to its entries; a renamed entry keeps its place."""
    if missing := node.below.keys() - value.keys():
        raise KeyError(missing)
    result = {}
    for key, entry in value.items():
        child = node.below.get(key)
        if child is None:
            result[key] = entry
            continue
        own = {change.kind: change for change in child.here}
        if "removed" in own:
            continue
        name = own["renamed"].after if "renamed" in own else key
        result[name] = _rebuild(entry, child)
    for change in node.added:
        result[change.steps[-1]] = change.after
    return result


def _rebuild_list(value: list[Any], node: _Node, reordered: Change | None) -> list[Any]:
    """Return a list with the changes to its elements, their order, and those added."""
    elements: dict[int, Any] = dict(enumerate(value))
    for index, child in node.below.items():
        own = {change.kind: change for change in child.here}
        if "removed" in own:
            del elements[index]
            continue
        element = _rebuild(elements[index], child)
        if "renamed" in own:
            element = {**element, own["renamed"].list_key: own["renamed"].after}
        elements[index] = element

    newcomers: dict[int, list[Change]] = defaultdict(list)
    for change in sorted(node.added, key=lambda change: int(change.steps[-1])):
        newcomers[change.anchor].append(change)
    if newcomers and max(newcomers) >= len(value):
        raise IndexError(max(newcomers))

    result = [change.after for change in newcomers.get(-1, ())]
    for index in _order(elements, reordered):
        result.append(elements[index])
        result.extend(change.after for change in newcomers.get(index, ()))
    return result


def _order(elements: dict[int, Any], reordered: Change | None) -> list[int]:
    """Return the positions in A of the elements that are left, in their new order.

    Elements that B has no longer, but whose removal was not chosen, follow the one they followed in A.
    """
    if reordered is None:
        return sorted(elements)
    in_order = set(reordered.order)
    followers: dict[int, list[int]] = defaultdict(list)
    last = -1
    for index in sorted(elements):
        if index in in_order:
            last = index
        else:
            followers[last].append(index)
    result = list(followers[-1])
    for index in reordered.order:
        result += (index, *followers[index])
    return result
