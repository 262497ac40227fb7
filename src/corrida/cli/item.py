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
    from corrida.analysis.item_history import ItemHistory, Stretch
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
    headers = ["first run", "since", "runs", "answer", "right"]
    if expectations:
        headers.insert(4, "expected")
    elif now.expected is not None:
        blocks.append(Line(f"expected: {_cell(now.expected)}", "plain", 1))
    rows = [_row(stretch, expected=expectations) for stretch in shown]
    headers.append("what changed")
    styles = [_STYLE[stretch.correct] for stretch in shown]
    blocks.append(Table(headers, rows, frozenset({2}), styles, frozenset({0}), leave=(1, 2)))
    if len(shown) < len(history.stretches):
        more = len(history.stretches) - len(shown)
        blocks.append(Line(f"{more} earlier changes; --all shows them", "quiet", 1))
    return blocks


def _row(stretch: Stretch, *, expected: bool) -> list[str]:
    row = [stretch.first, short_time(stretch.since), str(stretch.runs), _cell(stretch.output)]
    if expected:
        row.append(_cell(stretch.expected))
    return [*row, _RIGHT[stretch.correct], "; ".join(stretch.changes)]


def _cell(value: Any) -> str:
    from corrida.runs.numbers import format_number

    if value is None:
        return "–"
    return format_number(value) if isinstance(value, float) else " ".join(str(value).split())
