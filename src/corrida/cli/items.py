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
        frame = _by_loss(frame, run)
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
    show_blocks(_blocks(frame, total, list(frame.columns) if columns else _readable_columns(frame.columns)))
    return 0


def _blocks(frame: pl.DataFrame, total: int, names: Sequence[str]) -> list[Block]:
    """Return items as a table with the columns ``names``, and how many of ``total`` are not shown."""
    from corrida.analysis.blocks import Line, Table
    from corrida.analysis.items_values import are_measurements

    rows = [[_item_cell(row[name], name) for name in names] for row in frame.iter_rows(named=True)]
    styles = _item_styles(frame)
    whole = frozenset({names.index("item_id")} if "item_id" in names else ())
    measured = {"output", "expected"} if are_measurements(frame) else set()
    numbers = frozenset(
        i for i, name in enumerate(names) if name in measured or frame.schema[name].is_numeric()
    )
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
        say("no two finished runs with items were given the same; run one again, then ask", err=True)
        return 0
    blocks: list[Block] = []
    named = set(frame["configuration"])  # no line for configurations that no row names
    for number, (members, seeds) in enumerate(zip(found.groups, found.seeds, strict=True), 1):
        if named and number not in named:
            continue
        other = "; their seeds differ" if seeds else ""
        some = ", ".join(members[:3]) + (" …" if len(members) > 3 else "")
        blocks.append(
            Line(f"{number}: {len(members)} runs that were given the same ({some}){other}", "quiet")
        )
    if found.frame.is_empty():
        blocks.append(Line("every item has the same answer in all of them", "good"))
    else:
        headers = ["item_id", "configuration", "runs", "answers", "agree", "right", "most frequent answer"]
        rows = [[_item_cell(value, "") for value in row] for row in frame.iter_rows()]
        blocks.append(Table(headers, rows, frozenset({1, 2, 3, 4, 5}), (), frozenset({0})))
        if frame.height < found.frame.height:
            more = found.frame.height - frame.height
            blocks.append(Line(f"… {more} more; -n {found.frame.height} shows all", "quiet", 1))
    show_blocks(blocks)
    return 0


def _chosen(run: RunRecord, *, wrong: bool, where: str | None, ids: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    from corrida.analysis.items_values import are_measurements, correctness
    from corrida.errors import InvalidData

    frame = run.items()
    if ids:
        frame = frame.filter(pl.col("item_id").is_in(list(ids)))
        if frame.is_empty():
            raise InvalidData(
                f"the run {run.id} has no item {', '.join(ids)}; `corrida items {run.id}` lists them"
            )
    if wrong and not frame.is_empty():
        if are_measurements(run.items() if ids else frame):
            raise InvalidData(
                f"the items of the run {run.id} are near or far, not right or wrong; --worst puts the greatest loss first"
            )
        if "correct" not in frame.columns and not {"output", "expected"} <= set(frame.columns):
            also = "; --worst puts the greatest loss first" if "loss" in frame.columns else ""
            raise InvalidData(
                f"the items of the run {run.id} do not say what is correct (no column correct){also}"
            )
        frame = frame.filter(~correctness(frame, f"the run {run.id}"))
    return _where(frame, where) if where is not None else frame


def _by_loss(frame: pl.DataFrame, run: RunRecord) -> pl.DataFrame:
    """Return the rows by their loss, the greatest first.

    Raises:
        InvalidData: the items have no losses, or no numbers there.
    """
    from corrida.errors import InvalidData

    if "loss" not in frame.columns or not frame.schema["loss"].is_numeric():
        raise InvalidData(f"the items of the run {run.id} have no loss (no column loss with numbers)")
    losses = frame.select("loss").fill_nan(None)
    order = losses["loss"].rank("ordinal", descending=True)
    return (
        frame.with_columns(_order=order).sort("_order", nulls_last=True, maintain_order=True).drop("_order")
    )


def _where(frame: pl.DataFrame, condition: str) -> pl.DataFrame:
    """Return the rows that fit a condition in SQL.

    Raises:
        InvalidFilter: it cannot be read, names no column, or is not true or false.
    """
    import polars as pl

    from corrida.errors import InvalidFilter

    try:
        return frame.filter(pl.sql_expr(condition))
    except pl.exceptions.ColumnNotFoundError:
        columns = ", ".join(frame.columns)
        raise InvalidFilter(
            f"--where {condition!r} names a column that is not there; there are {columns}"
        ) from None
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is empty"
        raise InvalidFilter(
            f"--where {condition!r} cannot be used ({reason}); write it as score < 0.5 AND output = 'x'"
        ) from None


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


def _item_cell(value: Any, column: str) -> str:
    from corrida.analysis.items_values import format_answer
    from corrida.runs.numbers import format_number

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and column not in {"output", "expected"}:
        return format_number(value)
    return " ".join(format_answer(value).split())


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
