"""The history of an item in words, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corrida.analysis.item_history import FlakyItems, ItemHistory
    from corrida.runs.record import RunRecord

_SOME = 3


def history_title(history: ItemHistory) -> str:
    """Return of which item, and of how many runs, a history is."""
    return f"{history.item_id} in {history.runs} run{'s' if history.runs != 1 else ''} of {history.pipeline}"


def telling_columns(history: ItemHistory) -> list[str]:
    """Return which of ``answer``, ``expected``, ``right`` and ``loss`` say something in a table of the stretches."""
    stretches = history.stretches
    judged = any(stretch.correct is not None for stretch in stretches)
    by_loss = not judged and any(stretch.loss is not None for stretch in stretches)
    wanted = {
        "answer": not by_loss or any(stretch.output is not None for stretch in stretches),
        "expected": len({repr(stretch.expected) for stretch in stretches}) > 1,
        "right": not by_loss,
        "loss": by_loss,
    }
    return [name for name, tells in wanted.items() if tells]


def no_such_item(item_id: str, runs: Sequence[RunRecord]) -> str:
    """Say that no run has an item, and which ids of the newest run with items look like it.

    Args:
        item_id: what was asked for.
        runs: where it was looked for, the newest first.
    """
    from rapidfuzz import process

    newest = next((run for run in runs if run.tags.get("replay") != "bisect" and run.has_items()), None)
    if newest is None:
        return "no run that fits has items; `corrida list` shows the runs"
    known = newest.items()["item_id"].to_list()
    near = [name for name, _, _ in process.extract(item_id, known, limit=3, score_cutoff=75)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"`corrida items {newest.id}` lists items"
    return f"no run has the item {item_id!r}; {hint}"


NOTHING_ALIKE = "no two finished runs with items were given the same; run one again, then ask"
ALL_STABLE = "every item has the same answer in all of them"


def groups_alike(found: FlakyItems) -> dict[int, str]:
    """Return in words which runs were given the same, by the number of their configuration.

    Configurations that no unstable item names are left out, unless all are stable.
    """
    named = set(found.frame["configuration"])
    said = {}
    for number, (members, seeds) in enumerate(zip(found.groups, found.seeds, strict=True), 1):
        if named and number not in named:
            continue
        other = "; their seeds differ" if seeds else ""
        some = ", ".join(members[:_SOME]) + (" …" if len(members) > _SOME else "")
        said[number] = f"{number}: {len(members)} runs that were given the same ({some}){other}"
    return said
