"""``corrida report``."""

from __future__ import annotations

from pathlib import Path

import click

from corrida.cli.common import open_project, say, store_option


@click.command()
@click.argument("a", required=False)
@click.argument("b", required=False)
@click.option("--to", metavar="DIR", help="The folder to write to [default: reports/A_B].")
@click.option(
    "--metric", "metrics", metavar="NAME", multiple=True, help="The metric that decides; repeatable."
)
@click.option(
    "--cluster",
    metavar="COLUMN",
    help="Items with one value in this column belong together; none takes each alone [default: as both runs say].",
)
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--margin", type=float, help="Differences inside ± this do not matter.")
@click.option(
    "--items",
    "item_count",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Items to list; 0 for all.",
)
@click.option(
    "--slices",
    metavar="COLUMN",
    multiple=True,
    help="Segments of the items by this column, or auto; repeatable.",
)
@click.option("--pipeline", metavar="NAME", help="Without A and B: the last two runs of this pipeline.")
@store_option
def report(
    a: str | None, b: str | None, *, to: str | None, metrics: tuple[str, ...], cluster: str | None, confidence: float,
    margin: float | None, item_count: int, slices: tuple[str, ...], pipeline: str | None, store: str | None,
) -> int:  # fmt: skip
    """Write the comparison of A with B as report.html, which stands alone, and report.md with pictures."""
    from corrida.analysis.compare import compare_runs
    from corrida.analysis.comparison_page import comparison_parts, comparison_title
    from corrida.analysis.metric_tests import VerdictOptions
    from corrida.analysis.pages import page_html, page_markdown
    from corrida.analysis.run_pairs import runs_to_compare
    from corrida.runs.files import atomic_write, explained

    project = open_project(store)
    if to and Path(to).exists() and not Path(to).is_dir():
        raise click.BadParameter(f"{to} is a file; name a folder", param_hint="--to")
    before, after = runs_to_compare(project.store(), a, b, pipeline)
    options = VerdictOptions(confidence=confidence, margin=margin, cluster=cluster)
    comparison = compare_runs(
        before, after, metric=metrics, list_keys=project.settings.list_keys, options=options, slices=slices
    )
    title, parts = comparison_title(comparison), comparison_parts(comparison, items=item_count)
    subtitle = f"{after.pipeline}: comparison of two runs"
    page = page_html(title, parts, subtitle=subtitle)
    text, pictures = page_markdown(title, parts, subtitle=subtitle)
    folder = Path(to) if to else project.root / "reports" / f"{before.id}_{after.id}"
    with explained("writing the report"):
        (folder / "assets").mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            atomic_write(folder / name, picture)
        atomic_write(folder / "report.md", text.encode())
        atomic_write(folder / "report.html", page.encode())
    say(comparison.verdict.sentence)
    say(f"written: {folder / 'report.html'} and report.md with {len(pictures)} pictures")
    return 0
