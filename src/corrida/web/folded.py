"""Documents as trees that fold, written as HTML that needs no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from corrida.runs.plain import printable

_MOST_NODES = 5_000
_MOST_DEPTH = 40
_OPEN_NODES = 60
_LONG = 2_000
_SHORT = 60
_NAMES = ("id", "key", "name", "label", "title")

_BRANCH = Markup(
    '<li><details{0}><summary><span class="name">{1}</span> <span class="quiet">{2}</span></summary>{3}</details></li>'
)
_LEAF = Markup('<li><span class="name">{0}</span> <span class="leaf {1}">{2}</span></li>')
_MORE = Markup('<li class="quiet">… {0}</li>')
_LIST = Markup('<ul class="tree">{0}</ul>')


def folded(value: Any, *, opened: bool = True) -> Markup:
    """Return a value of JSON or YAML as a tree; a huge one is cut off, and says so.

    Args:
        value: mappings, lists and scalars; references of YAML may make it larger than its file.
        opened: whether the first level stands open where it is small.
    """
    return _Tree().of(value, opened=opened)


class _Tree:
    def __init__(self) -> None:
        self._left = _MOST_NODES

    def of(self, value: Any, *, opened: bool) -> Markup:
        if not isinstance(value, Mapping | list | tuple):
            return _LIST.format(_leaf("", value))
        return self._children(value, 0, opened=opened and _count(value) <= _OPEN_NODES)

    def _children(self, value: Any, depth: int, *, opened: bool) -> Markup:
        pairs = (
            value.items() if isinstance(value, Mapping) else ((str(i), part) for i, part in enumerate(value))
        )
        made: list[Markup] = []
        total = _count(value)
        for number, (name, part) in enumerate(pairs):
            if self._left <= 0:
                made.append(_MORE.format(f"{total - number:,} more; the file itself has all"))
                break
            self._left -= 1
            made.append(self._node(str(name), part, depth, opened=opened))
        return _LIST.format(Markup("").join(made))

    def _node(self, name: str, part: Any, depth: int, *, opened: bool) -> Markup:
        if not isinstance(part, Mapping | list | tuple):
            return _leaf(name, part)
        count = _count(part)
        kind = "entries" if isinstance(part, Mapping) else "elements"
        told = f"{count:,} {kind if count != 1 else kind[:-1] if kind == 'elements' else 'entry'}"
        told = f"{called}, {told}" if (called := _called(part)) else told
        if not count:
            return _LEAF.format(printable(name), "quiet", "{}" if isinstance(part, Mapping) else "[]")
        if depth >= _MOST_DEPTH:
            return _LEAF.format(printable(name), "quiet", f"{told}; too deep to be shown")
        inner = self._children(part, depth + 1, opened=opened and count <= 12 and depth < 1)
        return _BRANCH.format(Markup(" open") if opened and count <= 24 else "", printable(name), told, inner)


def _called(part: Any) -> str:
    """Return how a mapping names itself, so that it is known while it is folded; empty where it does not."""
    if not isinstance(part, Mapping):
        return ""
    names = (part.get(key) for key in _NAMES)
    said = [printable(name) for name in names if isinstance(name, str) and 0 < len(name) <= _SHORT]
    return " ".join(said[:2])


def _count(value: Any) -> int:
    return len(value)


def _leaf(name: str, value: Any) -> Markup:
    if isinstance(value, str):
        shown = value if len(value) <= _LONG else f"{value[:_LONG]}… ({len(value):,} characters)"
        return _LEAF.format(printable(name), "text", printable(shown))
    told = (
        {None: "null", True: "true", False: "false"}.get(value)
        if value is None or isinstance(value, bool)
        else None
    )
    return _LEAF.format(
        printable(name), "number", escape(told if told is not None else printable(str(value)))
    )
