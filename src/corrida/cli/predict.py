"""``corrida predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import (
    json_option,
    open_project,
    parse_pairs,
    print_json,
    show_blocks,
    store_option,
)

if TYPE_CHECKING:
    import polars as pl

    from corrida.analysis.blocks import Block
    from corrida.execute.predict import Predicted
    from corrida.project import Project

_ROWS = 8
_TRUST = (
    "Read model files that can run any code when they are read, such as pickles. Give it only where you know who "
    "wrote them: nothing that corrida trains needs it."
)


class _SeveralValues(click.Command):
    """A command whose option --series takes all the values up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each of its values, which is what click understands."""
        spread: list[str] = []
        several = False
        for place, argument in enumerate(args):
            if argument == "--":
                spread += args[place:]
                break
            if argument.startswith("-"):
                several = argument == "--series"
                spread.append(argument)
            else:
                if several and spread[-1] != "--series":
                    spread.append("--series")
                spread.append(argument)
        return super().parse_args(ctx, spread)


@click.command(cls=_SeveralValues)
@click.argument("run", required=False, metavar="[RUN]")
@click.option(
    "--data",
    multiple=True,
    metavar="FILE",
    help="A data file or glob, or the URL of a table; repeatable [default: what the run was trained on].",
)
@click.option("--cherry-pick", is_flag=True, help="Forecasting: for each series the model that proved best.")
@click.option("--model", metavar="NAME", help="This model of the run, or this child of a search.")
@click.option(
    "--series",
    multiple=True,
    metavar="ID...",
    help="Forecasting: only these series; repeatable. RUN goes before it.",
)
@click.option("--horizon", type=int, metavar="N", help="Forecasting: steps ahead [default: as trained].")
@click.option(
    "--score",
    is_flag=True,
    help="Forecasting: forecast what --data say that happened since the training, and measure the errors.",
)
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other option of the pipeline; repeatable.",
)
@click.option("--pipeline", metavar="NAME", help="Only a run of this pipeline.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Of the file in the run folder.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="A copy: FILE.csv or FILE.parquet."
)
@click.option("--run-id", hidden=True, help="RUN, for those who are used to an option.")
@click.option("--trust", is_flag=True, help=_TRUST)
@json_option
@store_option
def predict(
    run: str | None,
    *,
    data: tuple[str, ...],
    cherry_pick: bool,
    model: str | None,
    series: tuple[str, ...],
    horizon: int | None,
    score: bool,
    others: tuple[str, ...],
    pipeline: str | None,
    kind: str,
    out: Path | None,
    run_id: str | None,
    trust: bool,
    as_json: bool,
    store: str | None,
) -> int:
    """Predict with the models of RUN, and keep the prediction in its folder.

    RUN is an id, a prefix, latest, @alias or the path of a run folder. Without it @production predicts, where its
    pipeline can, else the latest finished run that can.

    The prediction is predictions/<id>.parquet of the run folder, with run and prediction on each row;
    predictions/<id>.json says how it came about.
    """
    from corrida.execute.options import relative_to_project
    from corrida.execute.predict import PredictOptions, predict_run
    from corrida.runs.documents import parse_value

    if run_id is not None:
        if run is not None:
            raise click.UsageError("RUN and --run-id say the same; give one")
        run = run_id
    options: dict[str, Any] = {key: parse_value(text) for key, text in parse_pairs(others, "--set").items()}
    named = {
        "cherry_pick": cherry_pick or None,
        "model": model,
        "series": list(series) or None,
        "horizon": horizon,
        "score": score or None,
    }
    for key, value in named.items():
        if value is not None:
            if key in options:
                raise click.UsageError(f"--set {key} and --{key.replace('_', '-')} say the same; give one")
            options[key] = value
    project = open_project(store)
    asked = PredictOptions(
        reference=run,
        pipeline=pipeline,
        data=[relative_to_project(project, path) for path in data],
        options=options,
        trust=trust,
        kind=kind,
        out=out,
    )
    done = predict_run(project, asked)
    if as_json:
        print_json(_as_json(project, done))
    else:
        show_blocks(_blocks(project, done))
    return 0


def _as_json(project: Project, done: Predicted) -> dict[str, Any]:
    """Return what is said of a prediction, and where its table is; not the rows, which are there."""
    import msgspec

    said = msgspec.to_builtins(done.prediction) if done.prediction else {"id": None, "run": done.run.id}
    return {
        **said,
        "why": done.why,
        "rows": done.frame.height,
        "notes": list(done.notes),
        "path": _place(project, done.path) if done.path else None,
        "out": str(done.out) if done.out else None,
        "not_kept": done.not_kept,
    }


def _place(project: Project, path: Path) -> str:
    """Return a path below the store as the person would type it; elsewhere the end of it, which names the run."""
    from corrida.runs.snapshot.configs import relative_name

    if path.is_relative_to(project.root):
        return relative_name(path, Path.cwd())
    return "/".join(path.parts[-3:])


def _blocks(project: Project, done: Predicted) -> list[Block]:
    from corrida.analysis.blocks import Line, Table

    frame = done.frame.drop("run_id", "prediction_id")
    blocks: list[Block] = [Line(f"{done.run.id} predicts: {done.why}")]
    rows = [[_cell(value) for value in row] for row in frame.head(_ROWS).iter_rows()]
    numbers = frozenset(i for i, kind in enumerate(frame.dtypes) if kind.is_numeric())
    if rows:
        table = Table(list(frame.columns), rows, right=numbers, hint="the file has them")
        blocks.append(table)
    if frame.height > _ROWS:
        blocks.append(Line(f"… {frame.height - _ROWS:,} more rows", "quiet", 1))
    if done.errors is not None:
        blocks += _errors(done.errors)
    blocks += [Line(f"note: {note}", "warning") for note in done.notes]
    count = f"{frame.height:,} row{'s' if frame.height != 1 else ''}"
    if done.path is not None:
        blocks.append(Line(f"{count} in {_place(project, done.path)}", "strong"))
        if done.prediction is not None and done.prediction.errors is not None:
            path = done.path.with_name(done.prediction.errors.file)
            blocks.append(Line(f"errors in {_place(project, path)}", "strong"))
    if done.not_kept:
        blocks.append(Line(f"not kept in the run: {done.not_kept}", "warning"))
    if done.out is not None:
        blocks.append(Line(f"{count} in {done.out}", "strong"))
    return blocks


def _errors(errors: pl.DataFrame) -> list[Block]:
    """Return the mean errors of each model on what has happened since the training."""
    import polars as pl

    from corrida.analysis.blocks import Heading, Table

    means = errors.group_by("model", maintain_order=True).agg(pl.col(pl.Float64).mean())
    rows = [[_cell(value) for value in row] for row in means.iter_rows()]
    return [
        Heading("Forecasts from the end of the training, and what happened"),
        Table(list(means.columns), rows, right=frozenset(range(1, means.width)), hint="the file has them"),
    ]


def _cell(value: Any) -> str:
    from corrida.runs.numbers import format_number

    if value is None:
        return "–"
    return format_number(value) if isinstance(value, float) else str(value)
