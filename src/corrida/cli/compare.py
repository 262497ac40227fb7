"""``corrida compare``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click

from corrida.cli.common import json_option, open_project, print_json, say, show_blocks, store_option

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store

_AT_ONCE = 50


@click.command()
@click.argument("a", required=False)
@click.argument("b", required=False)
@click.option("--latest", is_flag=True, help="The last two finished runs of one pipeline (the default).")
@click.option("--pipeline", metavar="NAME", help="With --latest: of this pipeline.")
@click.option(
    "--metric", "metrics", metavar="NAME", multiple=True, help="The metric that decides; may be repeated."
)
@click.option("--cluster", metavar="COLUMN", help="Items with one value in this column belong together.")
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Of the intervals, between 0 and 1."
)
@click.option(
    "--margin", type=float, help="Differences inside ± this do not matter [default: 0.01, or 1 % of a loss]."
)
@click.option(
    "--resamples", type=int, default=10_000, show_default=True, help="Of bootstrap and randomization."
)
@click.option("--only-changed", is_flag=True, help="Leave out what is the same.")
@click.option(
    "--items",
    "item_count",
    type=click.IntRange(0),
    default=12,
    show_default=True,
    help="Items to list; 0 for all.",
)
@click.option("--details", is_flag=True, help="Every change of a configuration on a line of its own.")
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, as for a pull request.")
@json_option
@store_option
def compare(
    a: str | None, b: str | None, *, latest: bool, pipeline: str | None, metrics: tuple[str, ...],
    cluster: str | None, confidence: float, margin: float | None, resamples: int,
    only_changed: bool, item_count: int, details: bool, as_markdown: bool, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Compare run A with run B: configurations by meaning, metrics, items, data and environment.

    With one run, it is compared with the finished run of its pipeline before it; with none, the last two are.
    """
    from corrida.analysis.compare import compare_runs
    from corrida.analysis.metric_tests import VerdictOptions

    if as_markdown and as_json:
        raise click.UsageError("give --md or --json, not both")
    if a and latest:
        raise click.UsageError("give two runs, or --latest, not both")
    project = open_project(store)
    opened = project.store()
    before, after = pair(opened, a, b, pipeline)
    options = VerdictOptions(confidence=confidence, margin=margin, resamples=resamples, cluster=cluster)
    keys = project.settings.list_keys
    comparison = compare_runs(before, after, metric=metrics, list_keys=keys, options=options)
    if as_json:
        print_json(comparison.to_json())
    elif as_markdown:
        say(comparison.to_markdown(only_changed=only_changed, items=item_count), nl=False)
    else:
        from corrida.analysis.compare_report import comparison_blocks

        show_blocks(
            comparison_blocks(comparison, only_changed=only_changed, items=item_count, details=details)
        )
    return 0


def pair(store: Store, a: str | None, b: str | None, pipeline: str | None) -> tuple[RunRecord, RunRecord]:
    """Return the runs to compare, the earlier first where corrida chooses."""
    from corrida.errors import RunNotFound

    if a and b:
        return store.get(a), store.get(b)
    after = store.get(a or "latest", pipeline=pipeline)
    place = (after.order, after.id)
    for offset in itertools.count(0, _AT_ONCE):
        found = store.runs(pipeline=after.pipeline, status="finished", limit=_AT_ONCE, offset=offset)
        for run in found:  # the newest first
            if (run.order, run.id) < place and run.tags.get("replay") != "bisect":
                return run, after
        if len(found) < _AT_ONCE:
            break
    raise RunNotFound(f"no run of {after.pipeline} finished before {after.id}; run it again, then compare")
