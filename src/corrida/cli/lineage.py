"""``corrida why`` and ``corrida impact``: from a result to its run, and from a run to its results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import json_option, print_json, say, short_time, show_blocks
from corrida.cli.serve import needs_serving, open_runner, runner_options

if TYPE_CHECKING:
    from corrida.analysis.blocks import Block
    from corrida.inference.impact import Effect
    from corrida.inference.lineage import Origin


@click.command()
@click.argument("result", metavar="RESULT")
@click.option("--row", type=click.IntRange(min=1), metavar="N", help="A row of the table, from 1.")
@json_option
@runner_options
def why(
    result: str,
    *,
    row: int | None,
    as_json: bool,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """Say what made RESULT: the run, its configurations, and the data it was trained on.

    RESULT is a file of results or predictions, wherever it was copied to, or the id of an analysis or a prediction.
    """
    from contextlib import nullcontext

    from corrida.inference.installed import lacking
    from corrida.inference.lineage import opened_jobs, origins_of

    runner = open_runner(store, spool, database)
    # A file says itself what made it; the jobs' database only knows more.
    alone = bool(lacking()) and Path(result).is_file()
    with nullcontext() if alone else opened_jobs(runner) as jobs:
        found = origins_of(runner, jobs, result, row)
    if as_json:
        print_json(found[0] if len(found) == 1 else found)
        return 0
    blocks: list[Block] = []
    for origin in found:
        blocks += _origin(origin)
    show_blocks(blocks)
    if alone:
        say("the jobs' database was not asked, as that needs pip install 'corrida[serve]'", err=True)
    return 0


def _origin(origin: Origin) -> list[Block]:
    from corrida.analysis.blocks import Heading, Line, Table

    blocks: list[Block] = [Heading(f"{origin.kind} {origin.id}")]
    if origin.run is None:
        blocks.append(Line("no run came to it", "warning"))
    else:
        blocks.append(Line(f"made by the run {origin.run}{_of(origin)}", "strong"))
    if origin.run_state == "altered":
        blocks.append(
            Line(f"the run {origin.run} in the store is not the one that made it: its seal differs", "bad")
        )
    if origin.run_state == "missing":
        blocks.append(Line(f"the run {origin.run} is not in this store", "warning"))
    if origin.result is not None:
        altered = origin.result == "altered"
        said = "its rows were altered since" if altered else "its rows are as they were published"
        blocks.append(Line(said, "bad" if altered else "good"))
    if origin.job is not None:
        blocks.append(Line(_job(origin.job)))
    blocks += [Line(f"from {one['path']}  {_digest(one)}", hang=2) for one in origin.input]
    if origin.row is not None:
        blocks += [Heading("the row"), *_row(origin.row)]
    if origin.configs:
        rows = [[one["origin"], _digest(one)] for one in origin.configs]
        blocks += [Heading("its configurations"), Table(("file", "digest"), rows)]
    if origin.data:
        rows = [
            [one["path"], f"{one['rows']:,}" if one.get("rows") else "–", _digest(one)] for one in origin.data
        ]
        blocks += [
            Heading("trained on"),
            Table(("data", "rows", "digest"), rows, right=frozenset({1})),
        ]
    if origin.git and origin.git.get("commit"):
        dirty = ", with changes that were not committed" if origin.git.get("dirty") else ""
        blocks.append(Line(f"code: commit {origin.git['commit'][:12]}{dirty}"))
    return blocks


def _row(row: dict[str, Any]) -> list[Block]:
    """Return a row as lines, which wrap: what is said of it is the point."""
    from corrida.analysis.blocks import Line, display_width, pad

    width = max((display_width(name) for name in row), default=0) + 2
    return [
        Line(pad(name, width) + ("–" if value is None else str(value)), indent=1, hang=width)
        for name, value in row.items()
    ]


def _of(origin: Origin) -> str:
    parts = [origin.pipeline or "", f"@{origin.alias} then" if origin.alias else ""]
    if origin.created:
        parts.append(f"trained {short_time(origin.created)}")
    kept = ", ".join(part for part in parts if part)
    return f" ({kept})" if kept else ""


def _job(job: dict[str, Any]) -> str:
    from corrida.inference.report_text import counted

    told = f"{job['status']} {short_time(job.get('ended') or job['created'])}, by {job['source']}"
    if job.get("rows") is not None:
        told += f", {counted(job.get('scored'), job['rows'], job.get('unit'))}"
    return told + (f": {job['error']['message']}" if job.get("error") else "")


def _digest(one: dict[str, Any]) -> str:
    return str(one.get("sha256") or "–").removeprefix("sha256:")[:12]


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--recall", is_flag=True, help="Refund what was charged for its results.")
@click.option("--reason", metavar="TEXT", help="Why; stands in the ledger.")
@json_option
@runner_options
@needs_serving
def impact(
    run: str,
    *,
    recall: bool,
    reason: str | None,
    as_json: bool,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """List every result that RUN made: analyses, and predictions in its folder."""
    from corrida.inference.billing import Ledger
    from corrida.inference.billing_http import opened_gateway
    from corrida.inference.impact import effects_of, tell_refunds
    from corrida.inference.impact import recall as recall_results
    from corrida.inference.lineage import opened_jobs

    if recall and not reason:
        raise click.UsageError("--recall takes a --reason")
    if reason and not recall:
        raise click.UsageError("--reason belongs to --recall")
    runner = open_runner(store, spool, database)
    refunded: list[str] = []
    told: dict[str, list[str]] = {}
    with opened_jobs(runner) as jobs:
        run_id, found = effects_of(runner, jobs, run)
        if recall and jobs is not None:
            with opened_gateway(runner.limits) as gateway:
                refunded = recall_results(jobs, Ledger(jobs.database), run_id, str(reason))
                _, found = effects_of(runner, jobs, run)
                told = tell_refunds(jobs, gateway, [one.id for one in found if one.refunded])
    if as_json:
        print_json(
            {"run": run_id, "made": found, **({"refunded": refunded, "gateway": told} if recall else {})}
        )
        return 0
    _show_effects(run_id, found)
    if recall:
        say(f"refunded: {len(refunded):,}")
        for status, words in _TOLD.items():
            if told.get(status):
                say(f"{words}: {len(told[status]):,}", err=status in {"waiting", "refused"})
        late = sum(
            one.kind == "analysis" and not (one.charged or one.refunded) and one.status not in _NEVER
            for one in found
        )
        if late:
            say(f"not charged yet: {late:,}; recall once more when they are", err=True)
    return 0


_NEVER = ("failed", "cancelled")
_TOLD = {
    "taken": "taken by the gateway",
    "waiting": "still to be told to the gateway, which workers do",
    "refused": "refused by the gateway; `corrida jobs --refused` lists them",
    "void": "not told to the gateway, which had refused the charge",
}


def _show_effects(run_id: str, found: list[Effect]) -> None:
    from corrida.analysis.blocks import Line, Table

    if not found:
        say(f"{run_id} made no result that is known here", err=True)
        return
    rows = [
        [
            one.kind,
            one.id,
            one.status,
            one.file or "–",
            "–" if one.rows is None else f"{one.rows:,}",
            short_time(one.created),
            one.client or "–",
            "refunded" if one.refunded else "yes" if one.charged else "–",
        ]
        for one in found
    ]
    columns = ("made", "id", "status", "from", "rows", "when", "for", "charged")
    total = sum(one.rows or 0 for one in found)
    made = f"{run_id} made {len(found):,} result{'s' * (len(found) != 1)} with {total:,} rows"
    # Who paid for it, and when, is what a recall is about.
    table = Table(columns, rows, right=frozenset({4}), whole=frozenset({1, 5, 7}), leave=(0, 3, 6, 4, 2))
    show_blocks([Line(made, "strong"), table])
