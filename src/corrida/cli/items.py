"""``corrida items``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import (
    json_option,
    on_terminal,
    open_store,
    print_json,
    say,
    show_blocks,
    store_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from corrida.analysis.blocks import Block, Style
    from corrida.runs.record import RunRecord


@click.command()
@click.argument("reference", default="latest")
@click.option("--wrong", is_flag=True, help="Only items whose answer is wrong.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this item; repeatable.")
@click.option(
    "--limit", "-n", type=click.IntRange(1), metavar="N", help="At most N items [default on a terminal: 50]."
)
@click.option("--columns", metavar="NAMES", help="Columns to show, separated by commas.")
@json_option
@store_option
def items(
    reference: str, *, wrong: bool, ids: tuple[str, ...], limit: int | None, columns: str | None,
    as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """List the items of a run: what came out, what was expected."""
    run = open_store(store).get(reference)
    if not run.has_items():
        if as_json:
            print_json([])
        say(f"the run {run.id} has no items", err=True)
        return 0
    frame = _chosen(run, wrong=wrong, ids=ids)
    if columns:
        from corrida.errors import InvalidData

        chosen = [c.strip() for c in columns.split(",")]
        if unknown := [c for c in chosen if c not in frame.columns]:
            raise InvalidData(
                f"there is no column {', '.join(unknown)}; there are {', '.join(frame.columns)}"
            )
        frame = frame.select(chosen)
    total = frame.height
    if limit is None and on_terminal() and not as_json:
        limit = 50
    frame = frame.head(limit) if limit else frame
    if as_json:
        print_json(frame.to_dicts())
        return 0
    from corrida.analysis.blocks import Line, Table

    names = list(frame.columns) if columns else _readable_columns(frame.columns)
    rows = [[_item_cell(row[name]) for name in names] for row in frame.iter_rows(named=True)]
    styles = _item_styles(frame)
    whole = frozenset({names.index("item_id")} if "item_id" in names else ())
    numbers = frozenset(i for i, name in enumerate(names) if frame.schema[name].is_numeric())
    hint = "--columns chooses"
    blocks: list[Block] = [Table(names, rows, numbers, styles, whole, hint=hint)]
    if frame.height < total:
        blocks.append(Line(f"… {total - frame.height} more; -n {total} shows all", "quiet", 1))
    show_blocks(blocks)
    return 0


def _chosen(run: RunRecord, *, wrong: bool, ids: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    from corrida.analysis.items_values import correctness
    from corrida.errors import InvalidData

    frame = run.items()
    if ids:
        frame = frame.filter(pl.col("item_id").is_in(list(ids)))
        if frame.is_empty():
            raise InvalidData(
                f"the run {run.id} has no item {', '.join(ids)}; `corrida items {run.id}` lists them"
            )
    if wrong and not frame.is_empty():
        if "correct" not in frame.columns and not {"output", "expected"} <= set(frame.columns):
            raise InvalidData(f"the items of the run {run.id} do not say what is correct (no column correct)")
        frame = frame.filter(~correctness(frame, f"the run {run.id}"))
    return frame


def _readable_columns(names: Sequence[str]) -> list[str]:
    first = [
        n
        for n in (
            "item_id",
            "text",
            "title",
            "input",
            "output",
            "output_title",
            "expected",
            "correct",
            "score",
            "loss",
        )
        if n in names
    ]
    return first + [n for n in names if n not in first][: max(0, 9 - len(first))]


def _item_cell(value: Any) -> str:
    from corrida.runs.numbers import format_number

    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(value) if isinstance(value, float) else " ".join(str(value).split())


def _item_styles(frame: pl.DataFrame) -> list[Style]:
    """Return how each row looks; a column ``correct`` that holds something else says nothing."""
    from corrida.analysis.items_values import correctness
    from corrida.errors import InvalidData

    if "correct" not in frame.columns:
        return []
    try:
        right = correctness(frame.select("correct"), "the run")
    except InvalidData:
        return []
    styles: dict[bool | None, Style] = {None: "plain", True: "good", False: "bad"}
    return [styles[value] for value in right]
