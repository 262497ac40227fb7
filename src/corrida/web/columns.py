"""The chooser of the columns of a table of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from corrida.analysis.run_columns import HAS, RESULT, TAGS
from corrida.web.address import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.web.address import RunsState

_OWN = (
    "id", "pipeline", "status", "created", "finished", "duration", RESULT, "source", "description", "notes", TAGS, HAS, "seed",
    "parent", "resumed_from", "git.commit", "git.branch",
)  # fmt: skip
_GROUPS = {"metrics": "Metrics", "params": "Parameters", "tags": "Tags", "findings": "Findings"}
_MOST = 80


class Shown(NamedTuple):
    """A column that is shown: its field, and where a click moves it to the left and to the right."""

    field: str
    left: str
    right: str


class Group(NamedTuple):
    """Fields that could be shown as (field, name), and how many more there are than that."""

    title: str
    fields: list[tuple[str, str]]
    more: int


class Chooser(NamedTuple):
    """What the chooser offers: columns that are shown, in their order, and the others by group."""

    shown: list[Shown]
    groups: list[Group]


def chooser(state: RunsState, fields: Sequence[str], names: Sequence[str]) -> Chooser:
    """Return what can be chosen.

    Args:
        state: of the table.
        fields: that are shown.
        names: of metrics, parameters, tags and findings that occur, with their group.
    """
    groups = [_group("Run", _OWN, fields)]
    for group, title in _GROUPS.items():
        groups.append(_group(title, [name for name in names if name.startswith(f"{group}.")], fields))
    shown = [
        Shown(field, _moved(state, fields, i, -1), _moved(state, fields, i, 1))
        for i, field in enumerate(fields)
    ]
    return Chooser(shown, [group for group in groups if group.fields])


def listed(fields: Sequence[str]) -> str:
    """Return fields as an address lists them."""
    return ",".join(quoted(field) for field in fields)


def _group(title: str, names: Sequence[str], shown: Sequence[str]) -> Group:
    own = title == "Run"
    left = [(name, name if own else name.partition(".")[2]) for name in names if name not in shown]
    return Group(title, left[:_MOST], max(0, len(left) - _MOST))


def _moved(state: RunsState, fields: Sequence[str], place: int, step: int) -> str:
    other = place + step
    if not 0 <= other < len(fields):
        return ""
    order = list(fields)
    order[place], order[other] = order[other], order[place]
    return state.address(columns=listed(order), page=state.page)
