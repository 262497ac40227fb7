"""``corrida shadow``: how a second run answered the files that were processed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import json_option, open_project, print_json, say, show_blocks
from corrida.cli.serve import needs_serving, open_runner, runner_options

if TYPE_CHECKING:
    from corrida.analysis.blocks import Block
    from corrida.inference.shadow_summary import PairSummary

_NO_TRUTH = "Which of them is right is not known: the files hold no truth."
_FILES = 5


@click.command()
@click.argument("run", required=False)
@click.option("--against", metavar="RUN", help="Only where this run was in production.")
@click.option("--analysis", metavar="ID", help="Only this analysis.")
@click.option("--was", metavar="CLASS", help="Only rows to which production answered so.")
@click.option("--now", metavar="CLASS", help="Only rows to which the shadow answered so.")
@click.option(
    "--items",
    "item_count",
    type=click.IntRange(0),
    default=12,
    show_default=True,
    help="Rows to list; 0 for all.",
)
@json_option
@runner_options
@needs_serving
def shadow(
    run: str | None,
    *,
    against: str | None,
    analysis: str | None,
    was: str | None,
    now: str | None,
    item_count: int,
    as_json: bool,
    spool: str | None,
    database: str | None,
    store: str | None,
) -> int:
    """Compare what the shadow RUN answered with what was published, row by row.

    `corrida serve --shadow RUN` lets a second run score every processed file, too. Without RUN, every pair of runs is
    shown. A file that is to be scored seldom holds the truth, so this says what differs and gives no verdict;
    `corrida compare A B` gives one, on the items that both runs were evaluated on.
    """
    from corrida.inference.service import opened
    from corrida.inference.shadow import Shadows
    from corrida.inference.shadow_summary import rows_that_differ, run_of, summarize
    from corrida.inference.shadow_worker import folder_of

    runs = open_project(store).store()
    with opened(open_runner(store, spool, database)) as service:
        shadows = Shadows(service.database)
        known = [(one.run_id or "", main) for one, main, _ in shadows.of_pairs()]
        found = summarize(
            shadows,
            shadow=run and run_of(runs, run, sorted({pair[0] for pair in known})),
            production=against and run_of(runs, against, sorted({pair[1] for pair in known})),
            analysis=analysis and service.jobs.get(analysis).id,
        )
        for pair in found:
            pair.items = list(rows_that_differ(folder_of(service.spool), pair, item_count, was=was, now=now))
    if as_json:
        print_json({"pairs": found})
        return 0
    if not found:
        say(
            "nothing was scored by a shadow; `corrida serve --shadow RUN` lets one score what is processed",
            err=True,
        )
        return 0
    blocks: list[Block] = []
    for pair in found:
        blocks += _pair(pair, was, now)
    show_blocks(blocks)
    return 0


def _pair(pair: PairSummary, was: str | None, now: str | None) -> list[Block]:
    from corrida.analysis.blocks import Heading, Line

    blocks: list[Block] = [Heading(f"{pair.shadow.id} as the shadow of {pair.production.id}")]
    if pair.analyses:
        share = pair.differ / pair.rows if pair.rows else 0.0
        blocks.append(
            Line(
                f"{_count(pair.rows, 'row')} of {_count(pair.analyses, 'analysis')} scored by both; "
                f"{pair.differ:,} differ ({share:.2%})",
                "strong",
            )
        )
        blocks.append(Line(_truth(pair)))
    if pair.waiting:
        blocks.append(Line(f"{_count(pair.waiting, 'analysis')} yet to be scored by the shadow"))
    blocks += [
        Line(f"{_count(n, 'analysis')} not compared: {why}", "warning") for why, n in pair.failed.items()
    ]
    for side, names in pair.missing.items():
        blocks.append(Line(f"only in {side}, not compared: {', '.join(names)}", "quiet"))
    if pair.decision is not None and pair.table:
        blocks += _decisions(pair)
    if any(shift.mean or shift.low or shift.high for shift in pair.scores):
        blocks += _scores(pair)
    if len(pair.files) > 1 and pair.differ:
        blocks += _files(pair)
    if pair.items:
        blocks += _items(pair, _listed(pair, was, now))
    elif pair.analyses and not _listed(pair, was, now) and (was or now):
        sides = [f"production {was}" if was else "", f"the shadow {now}" if now else ""]
        blocks.append(
            Line(f"there is no row to which they answered so: {', '.join(filter(None, sides))}", "warning")
        )
    return blocks


def _truth(pair: PairSummary) -> str:
    if not pair.truth:
        return _NO_TRUTH
    t = pair.truth
    return (
        f"Of {_count(t['known'], 'row')} the truth is in the files: production is right in {t['production']:,}, the shadow in "
        f"{t['shadow']:,}; {t['fixed']:,} fixed, {t['broken']:,} broken. Of the others it is not known."
    )


def _decisions(pair: PairSummary) -> list[Block]:
    from corrida.analysis.blocks import Heading, Table

    rows = [
        [was, now, f"{n:,}", f"{n / pair.rows:.2%}"]
        for was, now, n in sorted(pair.table, key=lambda row: (row[0] == row[1], -row[2]))
    ]
    styles: Any = ["plain" if row[0] != row[1] else "quiet" for row in rows]
    columns = (f"{pair.decision} of production", "of the shadow", "rows", "share")
    return [Heading(f"by {pair.decision}"), Table(columns, rows, right=frozenset({2, 3}), styles=styles)]


def _scores(pair: PairSummary) -> list[Block]:
    from corrida.analysis.blocks import Heading, Line, Table

    moved = [s for s in pair.scores if s.mean or s.low or s.high]
    rows = [
        [s.name, f"{s.rows:,}", f"{s.mean:+.4g}", "–" if s.low is None else f"{s.low:+.4g} … {s.high:+.4g}"]
        for s in moved
    ]
    units = {s.unit for s in moved if s.low is not None}
    blocks: list[Block] = [
        Heading("scores: the shadow less production"),
        Table(("score", "rows", "mean", "95 % interval"), rows, right=frozenset({1, 2, 3})),
    ]
    if units == {"rows"}:
        blocks.append(Line("The intervals take rows as independent; from 30 analyses on, files.", "quiet"))
    elif units:
        blocks.append(Line("The intervals take files as independent, not the rows within them.", "quiet"))
    if same := [s.name for s in pair.scores if s not in moved]:
        blocks.append(Line(f"the same in both: {', '.join(same)}", "quiet"))
    return blocks


def _files(pair: PairSummary) -> list[Block]:
    from corrida.analysis.blocks import Heading, Line, Table

    shown = [file for file in pair.files if file.differ][:_FILES]
    rows = [[file.analysis, f"{file.rows:,}", f"{file.differ:,}"] for file in shown]
    more = sum(1 for file in pair.files if file.differ) - len(shown)
    table = Table(("analysis", "rows", "differ"), rows, right=frozenset({1, 2}), whole=frozenset({0}))
    blocks: list[Block] = [Heading("where they differ most"), table]
    if more:
        blocks.append(Line(f"and {_count(more, 'further analysis')}", "quiet"))
    return blocks


def _listed(pair: PairSummary, was: str | None, now: str | None) -> int:
    """Return how many rows could be listed."""
    if was is None and now is None:
        return pair.differ
    return sum(n for a, b, n in pair.table if a != b and was in {None, a} and now in {None, b})


def _items(pair: PairSummary, of: int) -> list[Block]:
    from corrida.analysis.blocks import Heading, Table
    from corrida.inference.shadow_difference import NOT_SCORED, SHADOW

    compared = [name for name in pair.items[0] if name + SHADOW in pair.items[0]]
    if pair.decision in compared:
        compared = [pair.decision, *(name for name in compared if name != pair.decision)]
    scores = [shift.name for shift in pair.scores]
    columns = [name for name in compared if name == pair.decision or name in scores]

    def text(item: dict[str, Any], name: str) -> str:
        value = item.get(name)
        if value is None:
            return NOT_SCORED
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    rows = [
        [
            str(item["analysis"]),
            str(item.get("row", "")),
            *(f"{text(item, name)} → {text(item, name + SHADOW)}" for name in columns),
        ]
        for item in pair.items
    ]
    total = f" of {of:,}" if len(rows) < of else ""
    return [
        Heading(f"{len(rows):,}{total} rows that differ: production → shadow"),
        Table(("analysis", "row", *columns), rows, right=frozenset({1}), whole=frozenset({0, 1})),
    ]


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-2] + 'es' if noun.endswith('is') else noun + 's'}"
