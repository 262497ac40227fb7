"""``corrida run`` and ``corrida exec``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from corrida.cli.common import (
    F,
    command_line,
    json_option,
    open_project,
    parse_pairs,
    print_json,
    say,
    show_blocks,
    store_option,
)

if TYPE_CHECKING:
    from corrida.execute import Executed, Interrupted, RunOptions
    from corrida.project import Project

_METRICS_AT_MOST = 30


def _run_options(function: F) -> F:
    options = [
        click.option(
            "--config",
            "configs",
            multiple=True,
            metavar="FILE",
            help="A configuration file or glob; repeatable.",
        ),
        click.option(
            "--data",
            multiple=True,
            metavar="FILE",
            help="A data file or glob, or the URL of a table; repeatable.",
        ),
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A value that wins over the files."
        ),
        click.option("--run-id", metavar="ID", help="Exactly this id; one that is taken is an error."),
        click.option(
            "--run-tag", metavar="TAG", help="The id becomes run_TAG, with a number when that is taken."
        ),
        click.option("--source", metavar="TEXT", help="What is processed, as in gold_set_100."),
        click.option("--description", metavar="TEXT", help="What is different this time."),
        click.option("--notes", metavar="TEXT", help="Anything else worth remembering."),
        click.option("--seed", type=int, metavar="N", help="The random seed."),
        click.option("--tag", "tags", multiple=True, metavar="K=V", help="A tag; repeatable."),
        click.option(
            "--stamp/--no-stamp",
            default=None,
            help="Write the run id onto the rows of the database [default: as corrida.toml says].",
        ),
        click.option("--add-column", is_flag=True, help="Add the column for it where the table lacks it."),
        click.option("--no-save", is_flag=True, help="Keep nothing, as for a quick test."),
        json_option,
        store_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _work_options(function: F) -> F:
    options = [
        click.option(
            "--resume",
            metavar="RUN",
            help="Go on with a run that was killed, interrupted or failed: a new run of the same inputs.",
        ),
        click.option(
            "--executor",
            metavar="WHERE",
            help="Where its tasks run: serial, local (processes), ray, ray://auto or ray://HOST:PORT.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(0),
            metavar="N",
            help="Tasks at once; 0 is the number of cores [default: as the pipeline says].",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.argument("pipeline", required=False)
@click.option(
    "--items", metavar="FILE", help="Only the items of this file: ids, one a line, or a table or JSON list."
)
@click.option(
    "--sweep", metavar="WHAT", help="Short for --set sweep.over=WHAT, of pipelines that sweep: threshold."
)
@_work_options
@_run_options
def run(
    pipeline: str | None,
    items: str | None,
    sweep: str | None,
    *,
    as_json: bool,
    store: str | None,
    **given: Any,
) -> int:
    """Run PIPELINE, a name of corrida.toml or of `corrida pipelines`, and keep the run.

    Files and values given here win over those of corrida.toml. With --resume the PIPELINE need not be named.
    """
    if pipeline is None and given["resume"] is None:
        raise click.UsageError(
            "name a pipeline (`corrida pipelines` lists them), or give --resume RUN",
            click.get_current_context(),
        )
    if sweep is not None:
        given["overrides"] = (*given["overrides"], f"sweep.over={sweep}")
    return _run_pipeline(pipeline, items, as_json=as_json, store=store, given=given)


def _run_pipeline(
    pipeline: str | None, items: str | None, *, as_json: bool, store: str | None, given: dict[str, Any]
) -> int:
    from corrida.cli.progress import terminal_progress
    from corrida.execute import Interrupted, relative_to_project, run_pipeline

    project = open_project(store)
    resumed = given.pop("resume")
    if resumed is not None:
        _refuse_inputs(given, items)
    options = _options(project, given, items=relative_to_project(project, items) if items else None)
    try:
        if resumed is not None:
            from corrida.replay.resume import resume

            old = project.store().get(resumed)
            done = resume(
                project, old, options, pipeline=pipeline, argv=command_line(), progress=terminal_progress
            )
        else:
            assert pipeline is not None  # noqa: S101 - looked at by whoever called
            done = run_pipeline(project, pipeline, options, argv=command_line(), progress=terminal_progress)
    except Interrupted as interrupt:
        raise KeyboardInterrupt(_how_to_go_on(interrupt, store)) from None
    _report(project, done, as_json=as_json)
    return _not_stamped(done)


def _refuse_inputs(given: dict[str, Any], items: str | None) -> None:
    """Refuse with --resume what would make another run of it."""
    names = {"configs": "--config", "overrides": "--set", "source": "--source", "no_save": "--no-save"}
    asked = [option for name, option in names.items() if given[name]]
    asked += ["--seed"] if given["seed"] is not None else []
    asked += ["--items"] if items else []
    if asked:
        raise click.UsageError(
            f"--resume goes on with the inputs of the run, so {asked[0]} has no place beside it; leave it out",
            click.get_current_context(),
        )


def _how_to_go_on(interrupt: Interrupted, store: str | None) -> str:
    import shlex

    command = ["corrida", "run", "--resume", interrupt.run_id, *(["--store", store] if store else [])]
    return f"{interrupt}; {interrupt.run_id} keeps what was done; go on with: {shlex.join(command)}"


@click.command()
@click.option(
    "--items", metavar="FILE", help="Only the items of this file: ids, one a line, or a table or JSON list."
)
@_work_options
@click.option("--horizon", type=int, metavar="N", help="Short for --set horizon=N: steps ahead.")
@click.option("--max-steps", type=int, metavar="N", help="Short for --set max_steps=N: of a network.")
@_run_options
def train(
    items: str | None,
    *,
    horizon: int | None,
    max_steps: int | None,
    as_json: bool,
    store: str | None,
    **given: Any,
) -> int:
    """Run the forecasting pipeline and keep the run: `corrida run forecasting`."""
    for key, value in (("horizon", horizon), ("max_steps", max_steps)):
        if value is not None:
            given["overrides"] = (*given["overrides"], f"{key}={value}")
    return _run_pipeline("forecasting", items, as_json=as_json, store=store, given=given)


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--pipeline", metavar="NAME", help="Name under which the run is listed [default: that of the script]."
)
@_run_options
def exec_(
    command: tuple[str, ...], pipeline: str | None, *, as_json: bool, store: str | None, **given: Any
) -> int:
    """Run any COMMAND (after --) and keep the run.

    The command finds its run folder in CORRIDA_RUN_DIR. metrics.json, history.jsonl and items.csv that it
    writes there become those of the run; other files are kept as they are. In Python, corrida.current_run()
    is the run.
    The exit code is that of the command.
    """
    from corrida.execute import run_command

    project = open_project(store)
    options = _options(project, given, items=None)
    code, done = run_command(project, list(command), options, pipeline=pipeline, argv=command_line())
    _report(project, done, as_json=as_json, quiet=True)
    return (code if code >= 0 else 128 - code) or _not_stamped(done)


def _not_stamped(done: Executed) -> int:
    """Say why the database was not stamped, if so, and return the exit code."""
    if done.not_stamped:
        say(f"corrida: not stamped: {done.not_stamped}", err=True)
    return 1 if done.not_stamped else 0


def _options(project: Project, given: dict[str, Any], *, items: str | None) -> RunOptions:
    from corrida.execute import RunOptions, relative_to_project
    from corrida.runs.documents import parse_value

    overrides = parse_pairs(given.pop("overrides"), "--set")
    return RunOptions(
        configs=[relative_to_project(project, path) for path in given.pop("configs")],
        data=[relative_to_project(project, path) for path in given.pop("data")],
        items=items,
        overrides={key: parse_value(value) for key, value in overrides.items()},
        tags=parse_pairs(given.pop("tags"), "--tag"),
        save=not given.pop("no_save"),
        **given,
    )


def _report(project: Project, done: Executed, *, as_json: bool, quiet: bool = False) -> None:
    """Say what came of the run: its id alone on standard output where a script reads it."""
    from corrida.analysis.blocks import Block, Line, Table
    from corrida.cli.stamp import stamp_blocks
    from corrida.runs.numbers import format_number

    if as_json:
        said = done.record.as_json() if done.record else {"id": None, "metrics": dict(done.metrics)}
        print_json({**said, "stamped": msgspec.to_builtins(done.stamped)} if done.stamped else said)
        return
    blocks: list[Block] = []
    if not quiet:
        if done.summary:
            blocks.append(Line(done.summary))
        if done.metrics:
            rows = [[name, format_number(value)] for name, value in done.metrics.items()]
            shown = rows if len(rows) <= _METRICS_AT_MOST else rows[: _METRICS_AT_MOST - 5]
            blocks.append(Table(("metric", "value"), shown, frozenset({1})))
            if len(shown) < len(rows):
                more = f"… {len(rows) - len(shown)} more; `corrida show {done.run_id}` lists them all"
                blocks.append(Line(more if done.record else more.partition(";")[0], "quiet", 1))
    blocks += [Line(f"warning: {text}", "warning") for text in done.warnings]
    if done.record is None:
        blocks.append(Line("nothing was kept (--no-save)", "quiet"))
    else:
        why = f" ({done.record.error.message})" if done.record.error else ""
        place = f"{project.store_folder.name}/{done.run_id}"
        blocks.append(Line(f"{done.run_id}  {done.record.status}{why}, in {place}", "strong"))
    if done.stamped:
        blocks += stamp_blocks(done.stamped)
    if quiet:
        from corrida.analysis.blocks import to_text

        say(to_text(blocks), nl=False, err=True)  # standard output is the command's own
    else:
        show_blocks(blocks)
