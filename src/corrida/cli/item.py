"""``corrida item``: one item over all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import (
    json_option,
    open_project,
    print_json,
    say,
    short_time,
    show_blocks,
    store_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.analysis.blocks import Block, Style
    from corrida.analysis.item_history import ItemHistory
    from corrida.runs.record import RunRecord

_STYLE: dict[bool | None, Style] = {None: "plain", True: "good", False: "bad"}
_RIGHT = {None: "–", True: "yes", False: "no"}


@click.command()
@click.argument("item_id", metavar="ID")
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.")
@click.option("--filter", "filter_", metavar="EXPR", help="Only runs that fit, as in corrida list.")
@click.option("--limit", "-n", type=click.IntRange(1), metavar="N", help="The last N changes [default: 20].")
@click.option("--all", "everything", is_flag=True, help="Every change of the answer.")
@json_option
@store_option
def item(
    item_id: str, pipeline: str | None, filter_: str | None, limit: int | None,
    *, everything: bool, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Show one item over all runs: what they gave, right or wrong, since when, under which configuration."""
    from corrida.analysis.item_history import item_history
    from corrida.errors import InvalidData

    project = open_project(store)
    runs = project.store().runs(filter=filter_, pipeline=pipeline)
    found = item_history(runs, item_id, list_keys=project.settings.list_keys)
    for run_id, reason in found.damaged.items():
        say(f"left out {run_id}: {reason}", err=True)
    if not found.histories:
        raise InvalidData(_not_found(item_id, runs))
    if as_json:
        print_json([_plain(history) for history in found.histories])
        return 0
    blocks: list[Block] = []
    for history in found.histories:
        blocks += _blocks(history, None if everything else limit or 20)
    show_blocks(blocks)
    return 0


def _plain(history: ItemHistory) -> Mapping[str, Any]:
    import msgspec

    return {**msgspec.to_builtins(history, enc_hook=str), "sentence": history.sentence()}


def _not_found(item_id: str, runs: Sequence[RunRecord]) -> str:
    """Say that no run has the item, and which ids of the newest run with items look like it."""
    from rapidfuzz import process

    newest = next((run for run in runs if run.tags.get("replay") != "bisect" and run.has_items()), None)
    if newest is None:
        return "no run that fits has items; `corrida list` shows the runs"
    known = newest.items()["item_id"].to_list()
    near = [name for name, _, _ in process.extract(item_id, known, limit=3, score_cutoff=75)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"`corrida items {newest.id}` lists items"
    return f"no run has the item {item_id!r}; {hint}"


def _blocks(history: ItemHistory, limit: int | None) -> list[Block]:
    from corrida.analysis.blocks import Heading, Line, Table

    now = history.stretches[-1]
    title = f"{history.item_id} in {history.runs} run{'s' if history.runs != 1 else ''} of {history.pipeline}"
    blocks: list[Block] = [Heading(title)]
    blocks += [Line(f"{name}: {text}", "plain", 1) for name, text in list(history.about.items())[:4]]
    blocks.append(Line(history.sentence(), _STYLE[now.correct], 1))
    if history.without:
        blocks.append(Line(f"{history.without} other runs with items do not have it", "quiet", 1))
    shown = history.stretches[-limit:] if limit else history.stretches
    expectations = len({repr(s.expected) for s in history.stretches}) > 1
    if not expectations and now.expected is not None:
        blocks.append(Line(f"expected: {_cell(now.expected)}", "plain", 1))
    columns: dict[str, list[str]] = {
        "first run": [stretch.first for stretch in shown],
        "since": [short_time(stretch.since) for stretch in shown],
        "runs": [str(stretch.runs) for stretch in shown],
        "answer": [_cell(stretch.output) for stretch in shown],
        "expected": [_cell(stretch.expected) for stretch in shown],
        "right": [_RIGHT[stretch.correct] for stretch in shown],
        "loss": [_cell(stretch.loss) for stretch in shown],
        "what changed": ["; ".join(stretch.changes) for stretch in shown],
    }
    judged = any(stretch.correct is not None for stretch in history.stretches)
    by_loss = not judged and any(stretch.loss is not None for stretch in history.stretches)
    answered = any(stretch.output is not None for stretch in history.stretches)
    wanted = {
        "answer": answered or not by_loss,
        "expected": expectations,
        "right": not by_loss,
        "loss": by_loss,
    }
    headers = [name for name in columns if wanted.get(name, True)]
    rows = [list(row) for row in zip(*(columns[name] for name in headers), strict=True)]
    styles = [_STYLE[stretch.correct] for stretch in shown]
    right = frozenset(i for i, name in enumerate(headers) if name in {"runs", "loss"})
    blocks.append(Table(headers, rows, right, styles, frozenset({0}), leave=(1, 2)))
    if len(shown) < len(history.stretches):
        more = len(history.stretches) - len(shown)
        blocks.append(Line(f"{more} earlier changes; --all shows them", "quiet", 1))
    return blocks


def _cell(value: Any) -> str:
    from corrida.analysis.items_values import format_answer

    return " ".join(format_answer(value).split())
