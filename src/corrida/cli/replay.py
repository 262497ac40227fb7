"""``corrida rerun`` and ``corrida bisect``."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import (
    F,
    command_line,
    json_option,
    open_project,
    print_json,
    say,
    show_blocks,
    store_option,
)
from corrida.runs.numbers import duration_text

if TYPE_CHECKING:
    from corrida.project import Project
    from corrida.replay.bisect import Trying
    from corrida.runs.record import RunRecord

_SHOWN = 5
_INNER = "CORRIDA_REPLAY_INNER"  # set once the variables are those of the run


def _data_option(function: F) -> F:
    return click.option(
        "--data",
        multiple=True,
        metavar="FILE",
        help="Where a data file is that is no longer at its place; repeatable.",
    )(function)


def _drift_option(function: F) -> F:
    return click.option(
        "--allow-drift", is_flag=True, help="Execute also with other code than that of the run."
    )(function)


@click.command()
@click.argument("reference", metavar="[RUN]", default="latest")
@click.option(
    "--tolerance", type=float, default=0.0, metavar="X",
    help="Numbers that differ by at most X, or by that share, count as equal [default: 0, the same bits].",
)  # fmt: skip
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    metavar="NAME",
    help="A metric or column that does not count; repeatable.",
)
@_data_option
@_drift_option
@click.option(
    "--items",
    "item_count",
    type=click.IntRange(0),
    default=12,
    show_default=True,
    help="Items to list; 0 for all.",
)
@json_option
@store_option
def rerun(
    reference: str, *, tolerance: float, ignored: tuple[str, ...], data: tuple[str, ...], allow_drift: bool,
    item_count: int, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Execute RUN (the latest by default) again from its own folder, and say whether it gives the same.

    Configurations, --set values, seed and items are those of the run; its data are found by digest. The exit code is
    0 when all is identical or equal within the tolerance, 1 when it differs, 2 when it cannot be executed.
    """
    from corrida.cli.progress import terminal_progress
    from corrida.execute import relative_to_project
    from corrida.replay.rerun import prepare
    from corrida.replay.rerun import rerun as execute_again

    project = open_project(store)
    run = project.store().get(reference)
    code = _under_variables_of(run)
    if code is not None:
        return code
    places = [relative_to_project(project, place) for place in data]
    replay = prepare(project, run, data=places, allow_drift=allow_drift)
    if replay.drift and not as_json:
        texts = [entry.text for entry in replay.drift]
        more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        say(f"not as it was: {'; '.join(texts[:_SHOWN])}{more}", err=True, fg="yellow")
    done = execute_again(
        replay,
        tolerance=tolerance,
        ignored=ignored,
        argv=command_line(),
        progress=terminal_progress,
        quiet=as_json,
    )
    certificate = done.certificate
    if as_json:
        import msgspec

        print_json({"run": done.run.id, "certificate": msgspec.to_builtins(certificate)})
    else:
        from corrida.replay.report import certificate_blocks

        show_blocks(certificate_blocks(done.run, certificate, seed=run.seed, items=item_count))
    return 1 if certificate.outcome == "differs" else 0


@click.command()
@click.argument("good")
@click.argument("bad")
@click.option(
    "--item", "items", multiple=True, metavar="ID", help="Look for the cause of this item only; repeatable."
)
@click.option(
    "--metric", metavar="NAME", help="Look for the cause of the fall of this metric, then of the items."
)
@click.option(
    "--all-items", is_flag=True, help="Execute every hybrid on all items, not on those that flipped."
)
@click.option(
    "--max-runs", type=click.IntRange(1), metavar="N", help="Execute at most N runs; a later call goes on."
)
@click.option("--dry-run", is_flag=True, help="Say what would be tried and how long it takes, and stop.")
@click.option("--force", is_flag=True, help="Search also when GOOD is not better than BAD.")
@_data_option
@_drift_option
@json_option
@store_option
def bisect(
    good: str, bad: str, *, items: tuple[str, ...], metric: str | None, all_items: bool, max_runs: int | None,
    dry_run: bool, force: bool, data: tuple[str, ...], allow_drift: bool, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Find which change from run GOOD to run BAD made it worse.

    Hybrids of the two configurations are executed, each change taken over or left alone, until for every item that
    broke the smallest set of changes is known that breaks it. Every hybrid is kept as a run of the family of BAD;
    when the command is interrupted, the same command goes on from there.
    """
    from corrida.execute import relative_to_project
    from corrida.replay.plan import Question, plan_bisect

    if items and metric:
        raise click.UsageError("give --item or --metric, not both")
    project = open_project(store)
    opened = project.store()
    before, after = opened.get(good), opened.get(bad)
    code = _under_variables_of(after)
    if code is not None:
        return code
    question = Question(
        items=items,
        metric=metric,
        all_items=all_items,
        force=force,
        allow_drift=allow_drift,
        data=[relative_to_project(project, place) for place in data],
        list_keys=project.settings.list_keys,
    )
    plan = plan_bisect(project, before, after, question)
    return _bisect(project, plan, max_runs=max_runs, dry_run=dry_run, as_json=as_json)


def _bisect(project: Project, plan: Any, *, max_runs: int | None, dry_run: bool, as_json: bool) -> int:
    import msgspec

    from corrida.replay.bisect import Bisecting
    from corrida.replay.report import bisection_blocks, plan_blocks, plan_json

    del project
    if dry_run and as_json:
        print_json(plan_json(plan))
        return 0
    if not as_json:
        show_blocks(plan_blocks(plan))
    if dry_run:
        return 0
    watcher = _Watcher()
    work = Bisecting(plan, max_runs=max_runs, argv=command_line(), watch=watcher)
    try:
        found = work.run()
    except KeyboardInterrupt:
        watcher.clear()
        say(
            f"corrida: interrupted; what was executed is kept, and `corrida bisect {plan.good.id} {plan.bad.id}` "
            "with the same options goes on from there",
            err=True,
        )
        return 130
    finally:
        watcher.clear()
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        say("")
        show_blocks(bisection_blocks(found))
    return 0


class _Watcher:
    """Says on standard error what is being tried: one line that is written anew on a terminal, else one a run."""

    def __init__(self) -> None:
        self._shown = False

    def __call__(self, trying: Trying) -> None:
        from corrida.analysis.blocks import shorten
        from corrida.cli.common import terminal_width

        left = max(0, trying.expected - trying.number + 1) * (trying.seconds_each or 0)
        time = f", {duration_text(left)} left" if trying.seconds_each else ""
        text = f"run {trying.number} of about {trying.expected}{time}: {trying.label}"
        if not sys.stderr.isatty():
            say(text, err=True)
            return
        self.clear()
        say(shorten(text, terminal_width() - 1), err=True, nl=False)
        self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        from corrida.cli.common import clear_line

        if self._shown:
            clear_line()
            self._shown = False


def _under_variables_of(run: RunRecord) -> int | None:
    """Do the whole command again in a process with the environment variables of ``run``, where they are others.

    Libraries read the number of threads when they are loaded, and Python its hash seed when it starts: too late here.

    Returns:
        The exit code of that process; None when all is as it was, or the run cannot be executed in this process.
    """
    from corrida.replay.drift import variables_to_set

    if run.status != "finished" or os.environ.get(_INNER):
        return None
    file = run.run_file()
    if file.invocation is None or file.invocation.kind != "pipeline":
        return None
    wanted = variables_to_set(file)
    if not wanted:
        return None
    environment = {
        name: value for name, value in {**os.environ, **wanted, _INNER: "1"}.items() if value is not None
    }
    arguments = command_line()[1:]
    command = [sys.executable, "-P", "-c", "from corrida.cli.main import main; main()", *arguments]
    if (
        sys.argv[1:] == arguments
    ):  # this process is the command: it becomes the other, with its terminal and signals
        sys.stdout.flush()
        os.execve(sys.executable, command, environment)  # noqa: S606
    return subprocess.run(command, env=environment, check=False).returncode
