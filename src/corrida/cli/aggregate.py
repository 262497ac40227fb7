"""``corrida aggregate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from corrida.cli.common import (
    json_option,
    open_project,
    parse_pairs,
    print_json,
    say,
    show_blocks,
    store_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.analysis.aggregate_results import Aggregate
    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store


@click.command()
@click.argument("references", nargs=-1, metavar="[RUN]...")
@click.option(
    "--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Finished runs with this tag; repeatable."
)
@click.option("--filter", "filter_", metavar="EXPR", help='Finished runs that fit, as in "seed > 100".')
@click.option("--pipeline", metavar="NAME", help="With --tag or --filter: only runs of this pipeline.")
@click.option("--metric", "metrics", metavar="NAME", multiple=True, help="A metric to aggregate; repeatable.")
@click.option(
    "--cluster",
    metavar="COLUMN",
    help="Items with one value in this column belong together [default: as the run says].",
)
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option(
    "--margin", type=float, default=0.01, show_default=True, help="Differences inside ± this do not matter."
)
@click.option(
    "--resamples", type=int, default=10_000, show_default=True, help="Of bootstrap and randomization."
)
@click.option(
    "--to", metavar="DIR", help="Also write report.html, report.md and its pictures to this folder."
)
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown.")
@json_option
@store_option
def aggregate(
    references: tuple[str, ...], *, tags: tuple[str, ...], filter_: str | None, pipeline: str | None,
    metrics: tuple[str, ...], cluster: str | None, confidence: float, margin: float, resamples: int, to: str | None,
    as_markdown: bool, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Put several runs together: what is consistently better, how much varies, what is robust.

    The runs are named, or chosen by --tag and --filter. They are of one pipeline and best differ in their seed alone.
    """
    from corrida.analysis.aggregate import aggregate_runs
    from corrida.analysis.aggregate_results import AggregateOptions

    if as_markdown and as_json:
        raise click.UsageError("give --md or --json, not both")
    if bool(references) == bool(tags or filter_):
        raise click.UsageError("name the runs, or choose them with --tag or --filter")
    if references and pipeline:
        raise click.UsageError("--pipeline goes with --tag or --filter")
    if to and Path(to).exists() and not Path(to).is_dir():
        raise click.BadParameter(f"{to} is a file; name a folder", param_hint="--to")
    opened = open_project(store).store()
    runs = [opened.get(r) for r in references] if references else _chosen(opened, tags, filter_, pipeline)
    options = AggregateOptions(confidence=confidence, margin=margin, resamples=resamples, cluster=cluster)
    found = aggregate_runs(runs, metrics, options)
    from corrida.analysis.aggregate_report import aggregate_blocks

    pictures = _write(found, Path(to)) if to else 0
    if as_json:
        print_json(found.to_json())
    elif as_markdown:
        from corrida.analysis.blocks import to_markdown

        say(to_markdown(aggregate_blocks(found)), nl=False)
    else:
        show_blocks(aggregate_blocks(found))
    if to:
        say(
            f"written: {Path(to) / 'report.html'} and report.md with {pictures} pictures",
            err=as_json or as_markdown,
        )
    return 0


def _chosen(store: Store, tags: Sequence[str], filter_: str | None, pipeline: str | None) -> list[RunRecord]:
    """Return the finished runs that have all tags and fit the filter; children of runs are not counted."""
    terms = [
        f"tags.`{key}` = '{value.replace(chr(39), chr(39) * 2)}'"
        for key, value in parse_pairs(tags, "--tag").items()
    ]
    if filter_:
        terms.append(f"({filter_})")
    found = store.runs(filter=" and ".join(terms), pipeline=pipeline, status="finished")
    return [run for run in found if not run.parent]


def _write(found: Aggregate, folder: Path) -> int:
    from corrida.analysis.aggregate_report import aggregate_parts, aggregate_title, runs_line
    from corrida.analysis.pages import page_html, page_markdown
    from corrida.runs.files import atomic_write, explained

    title, subtitle, parts = aggregate_title(found), runs_line(found), aggregate_parts(found)
    page = page_html(title, parts, subtitle=subtitle)
    text, pictures = page_markdown(title, parts, subtitle=subtitle)
    with explained("writing the report"):
        (folder / "assets").mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            atomic_write(folder / name, picture)
        atomic_write(folder / "report.md", text.encode())
        atomic_write(folder / "report.html", page.encode())
    return len(pictures)
