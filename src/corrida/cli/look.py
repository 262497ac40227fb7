"""``corrida list`` and ``show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import (
    json_option,
    on_terminal,
    open_project,
    open_store,
    print_json,
    say,
    short_time,
    show_blocks,
    store_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.analysis.blocks import Block, Style, Table
    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store

_STATUS_STYLE: dict[str, Style] = {
    "failed": "bad",
    "crashed": "bad",
    "unreadable": "bad",
    "running": "warning",
}


@click.command("list")
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.")
@click.option("--filter", "filter_", metavar="EXPR", help="As in \"metrics.f1 > 0.6 and source = 'gold'\".")
@click.option("--sort", metavar="FIELDS", help="As in -metrics.f1,created; - puts the greatest first.")
@click.option(
    "--limit", "-n", type=click.IntRange(1), metavar="N", help="At most N runs [default on a terminal: 30]."
)
@click.option("--columns", metavar="FIELDS", help="Fields to show, separated by commas.")
@click.option(
    "--all", "everything", is_flag=True, help="Every run, and children of runs on lines of their own."
)
@json_option
@store_option
def list_(
    pipeline: str | None, filter_: str | None, sort: str | None, limit: int | None, columns: str | None,
    *, everything: bool, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """List runs, the newest first."""
    project = open_project(store)
    opened = project.store()
    if limit is None and on_terminal() and not everything and not as_json:
        limit = 30
    # Without a filter every child has its parent here; with one, it is folded where the parent fits as well.
    top_only = not (everything or as_json or filter_)
    # One more than is shown tells whether there are more.
    runs = opened.runs(
        filter=filter_,
        order_by=sort,
        limit=None if limit is None else limit + 1,
        pipeline=pipeline,
        children=not top_only,
    )
    more = limit is not None and len(runs) > limit
    shown = list(runs[:limit])
    if as_json:
        print_json([run.as_json() for run in shown])
        return 0
    from corrida.analysis.blocks import Line
    from corrida.runs.query import compile_order

    chosen = filter_ or pipeline
    sorted_by = [name for name, _ in compile_order(sort)] if sort else []
    if not shown:
        if chosen and opened.catalog.count():
            say(f"no run fits{_none_fits(opened, pipeline, filter_)}; `corrida list` shows all", err=True)
        else:
            folder = project.store_folder.name
            say(
                f"no runs in {folder}/ yet; start one with `corrida run PIPELINE`, or look at `corrida demo`",
                err=True,
            )
        return 0
    if top_only:
        families = opened.catalog.children([run.id for run in shown], pipeline)
    else:
        shown, families = (shown, {}) if everything else _fold(shown)
    blocks: list[Block] = [_runs_table(shown, columns, families, sorted_by)]
    if more:
        there = len(shown) + sum(families.values())
        count = "" if chosen else f"{opened.catalog.count() - there} "  # as fresh as the runs above
        blocks.append(Line(f"… {count}more; --all shows every run", "quiet", 1))
    show_blocks(blocks)
    return 0


def _none_fits(store: Store, pipeline: str | None, filter_: str | None) -> str:
    """Say in brackets why no run fits, where that is known."""
    from corrida.analysis.no_fit import why_none_fits

    catalog = store.catalog
    why = why_none_fits(
        pipeline, filter_, pipelines=catalog.pipelines(), names=catalog.names() if filter_ else ()
    )
    return f" ({why})" if why else ""


def _runs_table(
    runs: Sequence[RunRecord], columns: str | None, families: dict[str, int], sorted_by: Sequence[str]
) -> Table:
    from corrida.analysis.blocks import Table
    from corrida.analysis.run_columns import are_numbers, chosen_fields, result_fields, telling_fields

    fields = chosen_fields(columns) if columns else telling_fields(runs)
    fields += [
        (name.removeprefix("metrics."), name) for name in sorted_by if name not in {f for _, f in fields}
    ]
    names = [field for _, field in fields]
    primary = result_fields(runs, names)
    numbers = {i for i, f in enumerate(names) if are_numbers(runs, f)}
    return Table(
        [header for header, _ in fields],
        [_cells(run, names, families) for run in runs],
        right=frozenset(numbers),
        styles=[_STATUS_STYLE.get(run.status, "plain") for run in runs],
        whole=frozenset(i for i, f in enumerate(names) if f in {"id", "parent"}),
        leave=() if columns else _least_wanted(names, primary, states={run.status for run in runs}),
        hint="--columns chooses",
    )


def _least_wanted(names: Sequence[str], primary: set[str], states: set[str]) -> list[int]:
    """Return columns in the order in which a narrow terminal does without them.

    Of pipelines that show what their runs have, that and what stands before it is wanted most; the status more than
    anything where a run is not finished.
    """
    from corrida.analysis.run_columns import HAS

    first = max((names.index(name) for name in ("created", "seed") if name in names), default=-1) + 1
    own = range(first, names.index(HAS) + 1) if HAS in names else range(0)

    def rank(i: int) -> tuple[int, int]:
        if i in own:
            return (8, -i)
        if names[i].startswith("metrics."):
            return (5 if names[i] in primary else 1, -i)
        if names[i].startswith("findings."):
            return (4, -i)
        order = {
            "source": 0,
            "seed": 2,
            "created": 3,
            "pipeline": 3,
            "notes": 4,
            "description": 6,
            "status": 7 if states <= {"finished"} else 9,
        }
        return (order.get(names[i], 1), -i)

    return sorted((i for i, name in enumerate(names) if name != "id"), key=rank)


def _fold(runs: Sequence[RunRecord]) -> tuple[list[RunRecord], dict[str, int]]:
    """Fold children under their parent where it is shown too; return what is left and how many each holds."""
    ids = {run.id for run in runs}
    families: dict[str, int] = {}
    top = []
    for run in runs:
        if run.parent in ids and run.parent is not None:
            families[run.parent] = families.get(run.parent, 0) + 1
        else:
            top.append(run)
    return top, families


def _cells(run: RunRecord, fields: Sequence[str], families: dict[str, int]) -> list[str]:
    from corrida.analysis.run_columns import HAS

    row = run.as_row()
    if HAS in fields:
        row[HAS] = ", ".join(run.has())
    return [_cell(run, row.get(field), field, families) for field in fields]


def _cell(run: RunRecord, value: Any, field: str, families: dict[str, int]) -> str:
    from corrida.analysis.run_columns import said_of
    from corrida.runs.numbers import duration_text, format_number

    if field == "id":
        marks = "".join(f" @{alias}" for alias in run.aliases)
        return f"{run.id}{marks}" + (f" (+{families[run.id]})" if run.id in families else "")
    if field in {"created", "finished"}:
        return short_time(getattr(run, field))
    if field == "duration":
        return duration_text(run.duration)
    if field in {"source", "description", "notes"}:
        return said_of(run, field) or "–"
    if value is None or value == "":
        return "–"
    return format_number(value) if isinstance(value, float) else str(value)


@click.command()
@click.argument("reference", default="latest")
@json_option
@store_option
def show(reference: str, *, as_json: bool, store: str | None) -> int:
    """Show one run: what it was, what came out, and which files it keeps."""
    from corrida.cli.run_report import models_of, run_blocks

    run = open_store(store).get(reference)
    if as_json:
        whole = run.as_json()
        if run.status != "unreadable":
            content = run.run_file()
            whole |= {
                "environment": content.environment,
                "manifest": run.manifest(),
                "artifacts": run.artifacts(),
            }
            whole["files"] = content.files
            whole["models"] = models_of(run)
            whole["predictions"] = run.predictions()
        print_json(whole)
        return 0
    show_blocks(run_blocks(run))
    return 0
