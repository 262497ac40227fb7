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
    from collections.abc import Mapping

    from corrida.analysis.blocks import Block, Style
    from corrida.analysis.item_history import ItemHistory

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
    from corrida.analysis.item_report import no_such_item
    from corrida.errors import InvalidData

    project = open_project(store)
    runs = project.store().runs(filter=filter_, pipeline=pipeline)
    found = item_history(runs, item_id, list_keys=project.settings.list_keys)
    for run_id, reason in found.damaged.items():
        say(f"left out {run_id}: {reason}", err=True)
    if not found.histories:
        raise InvalidData(no_such_item(item_id, runs))
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


def _blocks(history: ItemHistory, limit: int | None) -> list[Block]:
    from corrida.analysis.blocks import Heading, Line, Table
    from corrida.analysis.item_report import history_title, telling_columns

    now = history.stretches[-1]
    blocks: list[Block] = [Heading(history_title(history))]
    blocks += [Line(f"{name}: {text}", "plain", 1) for name, text in list(history.about.items())[:4]]
    blocks.append(Line(history.sentence(), _STYLE[now.correct], 1))
    if history.without:
        blocks.append(Line(f"{history.without} other runs with items do not have it", "quiet", 1))
    shown = history.stretches[-limit:] if limit else history.stretches
    telling = telling_columns(history)
    if "expected" not in telling and now.expected is not None:
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
    asked = ("answer", "expected", "right", "loss")
    headers = [name for name in columns if name not in asked or name in telling]
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
