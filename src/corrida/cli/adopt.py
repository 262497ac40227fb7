"""``corrida adopt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import json_option, open_store, print_json, short_time, show_blocks, store_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from corrida.adopt.carry_out import Adopted
    from corrida.adopt.plan import Plan, PlannedRun
    from corrida.analysis.blocks import Block

_SHOWN = 30


@click.command()
@click.argument("folder")
@click.option(
    "--as",
    "layout",
    type=click.Choice(["forecasting", "tracking", "storage", "generic"]),
    help="The layout of FOLDER; generic makes one run of any folder. [default: recognised]",
)
@click.option(
    "--pipeline",
    metavar="NAME",
    help="List the runs under this name. [default: by layout, see docs/adopt.md]",
)
@click.option("--run-id", metavar="ID", help="The id of the run, where FOLDER is one run without an id.")
@click.option("--to", metavar="DIR", help="The folder of the runs (the same as --store).")
@click.option("--backup-to", metavar="DIR", help="The folder for the backup. [default: beside FOLDER]")
@click.option("--clean", is_flag=True, help="Remove the old files that were adopted, after backup and check.")
@click.option("--dry-run", "-n", is_flag=True, help="Show what would become what, and change nothing.")
@click.option("--yes", is_flag=True, help="Also adopt a folder of more than 100,000 files.")
@json_option
@store_option
def adopt(
    folder: str, layout: str | None, pipeline: str | None, run_id: str | None, to: str | None,
    backup_to: str | None, *, clean: bool, dry_run: bool, yes: bool, as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Make runs of an existing folder of results.

    A tar.gz of the whole FOLDER is written beside it first, and read back. Known layouts are forecasting (models/,
    metrics.csv, cv_results_*.csv), tracking (run_X.json, run_X_config/, run_X_results.json) and storage (index.json, and
    folders with config.json, metrics.json, report.md). FOLDER itself stays as it is, unless --clean is given.

    The exit code is 1 when a run of FOLDER could not be read; the others are adopted.
    """
    from corrida.adopt.carry_out import Adopted, carry_out
    from corrida.adopt.plan import plan_adoption
    from corrida.adopt.tree import FILE_LIMIT
    from corrida.cli.progress import terminal_progress

    if not folder or "\0" in folder:
        raise click.UsageError("FOLDER is an empty name; name the folder that holds the old results")
    if to is not None and store is not None and Path(to).resolve() != Path(store).resolve():
        raise click.UsageError("--to and --store name two folders; give one of them")
    opened = open_store(to or store)
    plan = plan_adoption(
        Path(folder),
        opened,
        layout=layout,
        pipeline=pipeline,
        run_id=run_id,
        limit=None if yes else FILE_LIMIT,
        progress=terminal_progress,
    )
    done = Adopted()
    if not dry_run:
        place = Path(backup_to) if backup_to is not None else None
        done = carry_out(plan, opened, clean=clean, backup_to=place, progress=terminal_progress)
    if as_json:
        print_json(_as_json(plan, done, dry_run=dry_run))
    else:
        show_blocks(_blocks(plan, done, opened.root.name, dry_run=dry_run))
    return 1 if plan.found.broken or done.stayed else 0


def _state(run: PlannedRun, *, dry_run: bool) -> str:
    if run.there:
        return "in the trash" if run.in_trash else "there already"
    return "would be adopted" if dry_run else "adopted"


def _as_json(plan: Plan, done: Adopted, *, dry_run: bool) -> dict[str, Any]:
    from corrida.adopt.plan import where_files_went
    from corrida.runs.numbers import json_number
    from corrida.runs.plain import text

    return {
        "folder": text(plan.tree.root.name),
        "layout": plan.found.layout,
        "pipeline": plan.pipeline,
        "dry_run": dry_run,
        "backup": text(done.backup.name) if done.backup else None,
        "runs": [
            {
                "old_id": text(run.old.old_id) if run.old.old_id is not None else None,
                "id": run.run_id,
                "state": _state(run, dry_run=dry_run),
                "created": run.old.when.created.isoformat(),
                "created_from": text(run.old.when.told_by),
                "metrics": {name: json_number(value) for name, value in run.old.metrics.items()},
                "items": len(run.old.item_ids) if run.old.item_ids else run.old.item_count,
                "configs": sorted(run.old.configs.values()),
                "files": len(run.old.all_files),
                "warnings": run.old.warnings,
            }
            for run in plan.runs
        ],
        "broken": [{"old_id": text(b.name), "reason": b.reason} for b in plan.found.broken],
        "remarks": plan.remarks,
        "places": [{"old": old, "new": new, "files": n} for old, new, n in where_files_went(plan)],
        "backup_only": [text(name) for name in plan.backup_only],
        "removed": [text(name) for name in done.removed],
        "stayed": [text(name) for name in done.stayed],
    }


def _blocks(plan: Plan, done: Adopted, store: str, *, dry_run: bool) -> list[Block]:
    from corrida.analysis.blocks import Line

    blocks = [*_run_blocks(plan, dry_run=dry_run), *_remark_blocks(plan)]
    if dry_run:
        return [*blocks, Line("nothing was changed; without --dry-run a backup is written first", "quiet")]
    return [*blocks, *_done_blocks(plan, done, store)]


def _run_blocks(plan: Plan, *, dry_run: bool) -> Iterator[Block]:
    """Yield what became, or would become, of the runs and of the files."""
    from corrida.adopt.plan import where_files_went
    from corrida.analysis.blocks import Heading, Table
    from corrida.runs.plain import text

    rows = [
        [
            run.run_id,
            _state(run, dry_run=dry_run),
            short_time(run.old.when.created.isoformat()),
            text(run.old.when.told_by),
            str(len(run.old.metrics)),
            str(len(run.old.item_ids) if run.old.item_ids else run.old.item_count or "–"),
            str(len(run.old.configs)),
            str(len(run.old.all_files)),
            text(run.old.old_id or "–"),
        ]
        for run in plan.runs
    ]
    columns = ["run", "state", "created", "as said by", "metrics", "items", "configs", "files", "old id"]
    if all(row[-1] in {row[0], "–"} for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    yield Heading(f"{text(plan.tree.root.name)}: {plan.found.layout} layout, pipeline {plan.pipeline}")
    right, leave = frozenset({4, 5, 6, 7}), (3, 6, 5, 4, 7)
    yield Table(columns, rows[:_SHOWN], right=right, whole=frozenset({0}), leave=leave)
    yield from _and_more(len(rows), "--json has all")
    if dry_run:
        places = [[old, new, str(count)] for old, new, count in where_files_went(plan)]
        yield Heading("Where the files go")
        yield Table(("file", "place in the run", "files"), places[:_SHOWN], right=frozenset({2}))
        yield from _and_more(len(places), "--json has all")


def _remark_blocks(plan: Plan) -> Iterator[Block]:
    from corrida.analysis.blocks import Line
    from corrida.runs.plain import text

    yield from (Line(f"{text(b.name)} was not adopted: {b.reason}", "bad") for b in plan.found.broken)
    warnings = [f"{run.run_id}: {w}" for run in plan.runs if not run.there for w in run.old.warnings]
    for lines, hint in ((plan.remarks, "--json has all"), (warnings, "each run keeps its warnings")):
        yield from (Line(line, "warning") for line in lines[:_SHOWN])
        yield from _and_more(len(lines), hint)
    if plan.backup_only:
        yield Line(f"in the backup only, since part of no run: {_some(plan.backup_only)}", "quiet")


def _done_blocks(plan: Plan, done: Adopted, store: str) -> Iterator[Block]:
    from corrida.analysis.blocks import Line
    from corrida.runs.plain import text

    if done.ids:
        yield Line(f"{_counted(len(done.ids), 'run')} adopted into {store}/", "good")
    if done.backup:
        yield Line(f"backup: {text(done.backup.name)}", "quiet")
    if done.removed:
        removed = _counted(len(done.removed), "old file")
        yield Line(f"{removed} removed from {text(plan.tree.root.name)}", "quiet")
    if done.stayed:
        yield Line(f"not removed, since they changed meanwhile: {_some(done.stayed)}", "bad")


def _and_more(count: int, hint: str) -> Iterator[Block]:
    from corrida.analysis.blocks import Line

    if count > _SHOWN:
        yield Line(f"… {count - _SHOWN} more; {hint}", "quiet", 1)


def _some(names: Sequence[str]) -> str:
    from corrida.runs.plain import text

    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(text(name) for name in names[:5]) + more


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
