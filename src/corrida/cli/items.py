"""``corrida items``."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from corrida.runs.store import Store


@click.command()
@click.argument("reference", required=False)
@click.option("--wrong", is_flag=True, help="Only items whose answer is wrong.")
@click.option("--worst", is_flag=True, help="The greatest loss first; items without a loss last.")
@click.option(
    "--where", metavar="EXPR", help="Only items that fit, as in \"score < 0.5 AND output = '5434'\"."
)
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this item; repeatable.")
@click.option(
    "--flaky", is_flag=True, help="Items whose answer changes between runs that were given the same."
)
@click.option("--pipeline", metavar="NAME", help="With --flaky: only runs of this pipeline.")
@click.option(
    "--limit", "-n", type=click.IntRange(1), metavar="N", help="At most N items [default on a terminal: 50]."
)
@click.option("--columns", metavar="NAMES", help="Columns to show, separated by commas.")
@json_option
@store_option
def items(
    reference: str | None, *, wrong: bool, worst: bool, where: str | None, ids: tuple[str, ...], flaky: bool, pipeline: str | None,
    limit: int | None, columns: str | None, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """List the items of a run: what came out, what was expected; numbers with six digits, with --json all of them.

    --where takes SQL over the columns of the items. With --flaky, RUN means the runs that were given the same.
    """
    opened = open_store(store)
    if limit is None and on_terminal() and not as_json:
        limit = 50
    if flaky:
        if wrong or worst or where or ids or columns:
            raise click.UsageError("--flaky goes with a run, --pipeline, --limit and --json only")
        return _show_flaky(opened, reference, pipeline, limit, as_json=as_json)
    run = opened.get(reference or "latest", pipeline=pipeline)
    if not run.has_items():
        if as_json:
            print_json([])
        say(f"the run {run.id} has no items", err=True)
        return 0
    frame = _chosen(run, wrong=wrong, where=where, ids=ids)
    if worst:
        from corrida.analysis.items_listing import by_loss

        frame = by_loss(frame, run.id)
    if columns:
        from corrida.errors import InvalidData

        chosen = [c.strip() for c in columns.split(",")]
        if unknown := [c for c in chosen if c not in frame.columns]:
            raise InvalidData(
                f"there is no column {', '.join(unknown)}; there are {', '.join(frame.columns)}"
            )
        frame = frame.select(chosen)
    total = frame.height
    frame = frame.head(limit) if limit else frame
    if as_json:
        print_json(frame.to_dicts())
        return 0
    from corrida.analysis.items_listing import readable_columns

    show_blocks(_blocks(frame, total, list(frame.columns) if columns else readable_columns(frame.columns)))
    return 0


def _blocks(frame: pl.DataFrame, total: int, names: Sequence[str]) -> list[Block]:
    """Return items as a table with the columns ``names``, and how many of ``total`` are not shown."""
    from corrida.analysis.blocks import Line, Table
    from corrida.analysis.items_listing import item_cell, number_columns

    rows = [[item_cell(row[name], name) for name in names] for row in frame.iter_rows(named=True)]
    styles = _item_styles(frame)
    whole = frozenset({names.index("item_id")} if "item_id" in names else ())
    numbers = number_columns(frame, names)
    hint = "--columns chooses"
    blocks: list[Block] = [Table(names, rows, numbers, styles, whole, hint=hint)]
    if frame.height < total:
        blocks.append(Line(f"… {total - frame.height} more; -n {total} shows all", "quiet", 1))
    return blocks


def _show_flaky(
    store: Store, reference: str | None, pipeline: str | None, limit: int | None, *, as_json: bool
) -> int:
    from corrida.analysis.blocks import Line, Table
    from corrida.analysis.item_history import flaky_items
    from corrida.analysis.item_report import ALL_STABLE, NOTHING_ALIKE, groups_alike
    from corrida.analysis.items_listing import item_cell

    alike_to = store.get(reference, pipeline=pipeline) if reference else None
    runs = store.runs(pipeline=alike_to.pipeline if alike_to else pipeline, status="finished")
    found = flaky_items(runs, alike_to=alike_to)
    for run_id, reason in found.damaged.items():
        say(f"left out {run_id}: {reason}", err=True)
    frame = found.frame.head(limit) if limit else found.frame
    if as_json:
        groups = dict(enumerate(found.groups, 1))
        print_json({"runs": groups, "items": frame.to_dicts()})
        return 0
    if not found.groups:
        say(NOTHING_ALIKE, err=True)
        return 0
    shown = found._replace(frame=frame)
    blocks: list[Block] = [Line(text, "quiet") for text in groups_alike(shown).values()]
    if found.frame.is_empty():
        blocks.append(Line(ALL_STABLE, "good"))
    else:
        headers = ["item_id", "configuration", "runs", "answers", "agree", "right", "most frequent answer"]
        rows = [[item_cell(value, "") for value in row] for row in frame.iter_rows()]
        blocks.append(Table(headers, rows, frozenset({1, 2, 3, 4, 5}), (), frozenset({0})))
        if frame.height < found.frame.height:
            more = found.frame.height - frame.height
            blocks.append(Line(f"… {more} more; -n {found.frame.height} shows all", "quiet", 1))
    show_blocks(blocks)
    return 0


def _chosen(run: RunRecord, *, wrong: bool, where: str | None, ids: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    from corrida.analysis.items_listing import items_where, wrong_items
    from corrida.errors import InvalidData

    everything = frame = run.items()
    if ids:
        frame = frame.filter(pl.col("item_id").is_in(list(ids)))
        if frame.is_empty():
            raise InvalidData(
                f"the run {run.id} has no item {', '.join(ids)}; `corrida items {run.id}` lists them"
            )
    if wrong:
        frame = wrong_items(frame, run.id, worst="--worst", of_all=everything)
    return frame if where is None else items_where(frame, where, "--where")


def _item_styles(frame: pl.DataFrame) -> list[Style]:
    """Return how each row looks; a column ``correct`` that holds something else says nothing."""
    from corrida.analysis.items_listing import rightness

    styles: dict[bool | None, Style] = {None: "plain", True: "good", False: "bad"}
    return [styles[value] for value in rightness(frame)]
