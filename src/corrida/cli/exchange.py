"""``corrida export`` and ``corrida import``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import json_option, open_store, print_json, short_time, show_blocks, store_option

if TYPE_CHECKING:
    from corrida.analysis.blocks import Block
    from corrida.bridges.mlflow.export_runs import Sent
    from corrida.bridges.mlflow.import_plan import ImportPlan, PlannedImport
    from corrida.bridges.mlflow.import_runs import Imported

_SHOWN = 30
_NAME_SHOWN = 40


@click.group()
def export() -> None:
    """Send runs to another tracker."""


@click.group(name="import")
def import_() -> None:
    """Bring runs of another tracker into the store."""


@export.command("mlflow")
@click.argument("runs", nargs=-1, metavar="RUN…")
@click.option(
    "--to", "uri", required=True, metavar="URI", help="sqlite:///mlflow.db, http://host:5000, databricks …"
)
@click.option(
    "--experiment", metavar="NAME", help="The experiment they go to. [default: the name of the pipeline]"
)
@click.option("--all", "everything", is_flag=True, help="All runs of the store that have ended.")
@json_option
@store_option
def export_mlflow(
    runs: tuple[str, ...],
    uri: str,
    experiment: str | None,
    *,
    everything: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Send runs to MLflow, each with the runs above and below it.

    Parameters, step metrics with their times, final metrics, tags, notes, dataset inputs and every file of the run folder
    go along. Exporting again finds what is there, and completes what a kill or the network cut off.
    """
    from corrida.bridges.mlflow.export_runs import export_runs
    from corrida.cli.progress import terminal_progress

    if bool(runs) == everything:
        raise click.UsageError("name runs, or give --all" if not runs else "give runs or --all, not both")
    if experiment is not None and not experiment.strip():
        raise click.UsageError("--experiment is an empty name; give a name, or leave it out")
    if uri.strip().lower().startswith("corrida:"):
        raise click.UsageError(
            "--to names a store of corrida; copy the run folders there, they have everything (`cp -r`)"
        )
    opened = open_store(store)
    if everything:
        runs = tuple(run.id for run in opened.runs() if run.status not in {"running", "unreadable"})
    sent = export_runs(opened, runs, uri, experiment=experiment, progress=terminal_progress)
    if as_json:
        print_json({"runs": [_sent_as_json(one) for one in sent]})
    else:
        show_blocks(_sent_blocks(sent, uri))


def _sent_as_json(one: Sent) -> dict[str, Any]:
    return {
        "id": one.run_id,
        "mlflow_id": one.mlflow_id,
        "mlflow_parent": one.parent,
        "experiment": one.experiment,
        "state": one.state,
        "remarks": one.remarks,
    }


_STATES = {
    "exported": "exported",
    "completed": "completed",
    "there": "there already",
    "deleted": "deleted there",
}


def _sent_blocks(sent: list[Sent], uri: str) -> Iterator[Block]:
    from corrida.analysis.blocks import Heading, Line, Table
    from corrida.bridges.mlflow.client import checked_uri, shown_uri

    yield Heading(f"To MLflow at {shown_uri(checked_uri(uri))}")
    rows = [[one.run_id, _STATES[one.state], one.experiment, one.mlflow_id] for one in sent]
    styles = [{"there": "quiet", "deleted": "warning"}.get(one.state, "plain") for one in sent]
    yield Table(
        ("run", "state", "experiment", "id in MLflow"), rows[:_SHOWN], whole=frozenset({0}),
        styles=styles[:_SHOWN],  # type: ignore[arg-type]
    )  # fmt: skip
    yield from _and_more(len(rows))
    remarks = [f"{one.run_id}: {remark}" for one in sent for remark in one.remarks]
    yield from (Line(remark, "warning") for remark in remarks[:_SHOWN])
    yield from _and_more(len(remarks))
    if any(one.state == "deleted" for one in sent):
        yield Line("what was deleted there stays deleted; restore it in MLflow", "warning")
    made = sum(one.state in {"exported", "completed"} for one in sent)
    there = len(sent) - made
    yield Line(
        f"{_counted(made, 'run')} exported" + (f", {there} there before" if there else ""),
        "good" if made else "quiet",
    )


@import_.command("mlflow")
@click.argument("place", metavar="URI|FOLDER")
@click.option(
    "--experiment",
    "experiments",
    multiple=True,
    metavar="NAME",
    help="Only this experiment; may be repeated.",
)
@click.option("--artifacts", metavar="DIR", help="Where artifacts are that are not where they were.")
@click.option(
    "--without-artifacts", is_flag=True, help="Import a run also when its artifacts cannot be reached."
)
@click.option("--unfinished", is_flag=True, help="Also import runs that still seem to run.")
@click.option("--dry-run", "-n", is_flag=True, help="Show what would become what, and change nothing.")
@json_option
@store_option
def import_mlflow(
    place: str, experiments: tuple[str, ...], artifacts: str | None, *, without_artifacts: bool, unfinished: bool,
    dry_run: bool, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Bring runs of MLflow into the store.

    FOLDER is an mlruns folder of any age, or a SQLite file; URI the address of a server or a database. Nothing there is
    changed. Experiments become pipelines; deleted runs go to the trash of the store. Importing again brings what is new.

    The exit code is 1 when a run could not be imported; the others are.
    """
    from corrida.bridges.mlflow.import_plan import open_source, plan_import
    from corrida.bridges.mlflow.import_runs import Imported, carry_out_import
    from corrida.cli.progress import terminal_progress

    opened = open_store(store)
    with open_source(place, Path(artifacts) if artifacts is not None else None) as source:
        plan = plan_import(
            source, opened, experiments=experiments, unfinished=unfinished, progress=terminal_progress
        )
        done = Imported()
        if not dry_run:
            done = carry_out_import(
                plan, opened, without_artifacts=without_artifacts, progress=terminal_progress
            )
    if as_json:
        print_json(_import_as_json(plan, done, dry_run=dry_run))
    else:
        show_blocks(_import_blocks(plan, done, opened.root.name, dry_run=dry_run))
    return 1 if done.failed else 0


_STAYED = {
    "running": "still runs",
    "changed": "changed there",
    "there": "there already",
    "in the trash": "in the trash",
}


def _state(run: PlannedImport, done: Imported, *, dry_run: bool) -> str:
    if run.problem:
        return "not imported"
    if run.state != "new":
        return _STAYED[run.state]
    if dry_run:
        return "would go to the trash" if run.head.deleted else "would be imported"
    if run.run_id in done.returned:
        return "came back"
    return "imported to the trash" if run.head.deleted else "imported"


def _import_as_json(plan: ImportPlan, done: Imported, *, dry_run: bool) -> dict[str, Any]:
    return {
        "from": plan.source.label,
        "dry_run": dry_run,
        "runs": [
            {
                "mlflow_id": run.head.run_id,
                "name": run.head.name,
                "experiment": run.head.experiment.name,
                "id": run.run_id or None,
                "parent": run.parent,
                "status": run.head.status,
                "deleted": run.head.deleted,
                "started": run.head.started,
                "state": _state(run, done, dry_run=dry_run),
                "problem": run.problem or None,
            }
            for run in plan.runs
        ],
        "tagged": done.tagged,
        "remarks": plan.remarks,
    }


def _import_blocks(plan: ImportPlan, done: Imported, store: str, *, dry_run: bool) -> Iterator[Block]:
    from corrida.analysis.blocks import Heading, Line, Table
    from corrida.runs.plain import text

    yield Heading(f"From MLflow: {plan.source.label}")
    if not plan.runs:
        yield Line("it holds no run", "quiet")
    rows = [
        [
            run.run_id or "–",
            _state(run, done, dry_run=dry_run),
            _shortened(text(run.head.experiment.name)),
            _started(run),
            run.head.status,
            _shortened(text(run.head.name)) or "–",
            run.head.run_id,
        ]
        for run in plan.runs
    ]
    if rows:
        columns = ("run", "state", "experiment", "started", "status there", "name there", "id there")
        yield Table(columns, rows[:_SHOWN], whole=frozenset({0}), leave=(6, 5, 4, 2, 3))
    yield from _and_more(len(rows))
    for run in done.failed[:_SHOWN]:
        yield Line(
            f"{text(run.head.name) or run.head.run_id} was not imported, its artifacts cannot be had: {run.problem}; name their "
            "folder with --artifacts, or give --without-artifacts",
            "bad",
        )
    yield from _and_more(len(done.failed))
    yield from (Line(remark, "warning") for remark in plan.remarks[:_SHOWN])
    yield from _and_more(len(plan.remarks))
    yield from _waiting_blocks(plan)
    if dry_run:
        yield Line("nothing was changed", "quiet")
        return
    if done.tagged:
        yield Line(f"tags that were set there since: {', '.join(done.tagged[:5])}", "quiet")
    there = sum(run.state in {"there", "changed", "in the trash"} for run in plan.runs)
    yield Line(
        f"{_counted(len(done.ids), 'run')} imported into {store}/"
        + (f", {there} there before" if there else ""),
        "good" if done.ids else "quiet",
    )


def _waiting_blocks(plan: ImportPlan) -> Iterator[Block]:
    from corrida.analysis.blocks import Line
    from corrida.runs.plain import text

    running = [text(run.head.name) or run.head.run_id for run in plan.runs if run.state == "running"]
    if running:
        yield Line(
            f"still running there, so left out: {_some(running)}; import again when they have ended, or give --unfinished",
            "warning",
        )
    changed = [run.run_id for run in plan.runs if run.state == "changed"]
    if changed:
        yield Line(
            f"changed there since the import: {_some(changed)}; a sealed run stays as it is. To have it anew, remove it, "
            "empty the trash and import again",
            "warning",
        )


def _started(run: PlannedImport) -> str:
    from datetime import UTC, datetime

    if run.head.started is None:
        return "–"
    return short_time(datetime.fromtimestamp(run.head.started / 1000, UTC).isoformat())


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_SHOWN else f"{name[: _NAME_SHOWN - 1]}…"


def _and_more(count: int) -> Iterator[Block]:
    from corrida.analysis.blocks import Line

    if count > _SHOWN:
        yield Line(f"… {count - _SHOWN} more; --json has all", "quiet", 1)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
