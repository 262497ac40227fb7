"""``corrida restore``, ``undo``, ``rm`` and ``trash``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corrida.cli.common import (
    json_option,
    open_project,
    open_store,
    print_json,
    say,
    show_blocks,
    store_option,
)

if TYPE_CHECKING:
    from corrida.runs.restore import RestorePlan


@click.command()
@click.argument("reference")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option(
    "--to", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Write into DIR instead."
)
@click.option("--exact", is_flag=True, help="Also remove configuration files that the run did not have.")
@click.option(
    "--force", is_flag=True, help="Also overwrite files that are saved nowhere; undo brings them back."
)
@json_option
@store_option
def restore(
    reference: str, *, dry_run: bool, yes: bool, to: Path | None, exact: bool, force: bool,
    as_json: bool, store: str | None,
) -> int:  # fmt: skip
    """Put the configurations of a run back into the project, byte for byte.

    What would change is shown first, and on a terminal you are asked. Files that are saved nowhere (in no
    run, not committed) are not overwritten.
    """
    from corrida.analysis.restore_report import plan_blocks
    from corrida.runs.restore import unsaved_sentence

    project = open_project(store)
    opened = project.store()
    plan = opened.plan_restore(reference, project.root, to=to.absolute() if to else None, exact=exact)
    blocked = bool(plan.unsaved) and not force
    if as_json and dry_run:
        print_json(_plan_json(plan))
        return 1 if blocked else 0
    if not as_json:
        show_blocks(plan_blocks(plan))
    if blocked:
        say(f"corrida: {unsaved_sentence(plan.unsaved)}", err=True)
        return 1
    if dry_run or not plan.changes:
        return 0
    if not yes and not _confirmed(len(plan.changes)):
        return 1
    opened.restore(plan, force=force)
    if as_json:
        print_json(_plan_json(plan))
    else:
        count = len(plan.changes)
        say(f"restored {count} file{'s' if count > 1 else ''} from {plan.run}; `corrida undo` takes it back")
    return 0


def _confirmed(count: int) -> bool:
    if not sys.stdin.isatty():
        return True  # a script means what it says; nothing unsaved is overwritten, and undo takes it back
    if click.confirm(f"Write {count} file{'s' if count > 1 else ''}?"):
        return True
    say("nothing was changed")
    return False


def _plan_json(plan: RestorePlan) -> dict[str, Any]:
    files = [{"path": f.path, "state": f.state, "saved_in": f.saved_in} for f in plan.files]
    return {"run": plan.run, "files": files, "changes": len(plan.changes), "unsaved": plan.unsaved}


@click.command()
@json_option
@store_option
def undo(*, as_json: bool, store: str | None) -> int:
    """Take back the last restore or removal that was not taken back yet."""
    operation, things = open_store(store).undo()
    if as_json:
        print_json({"kind": operation.kind, "runs": list(operation.runs), "changed": things})
        return 0
    if operation.kind == "restore":
        say(f"took back the restore of {operation.runs[0]}: {', '.join(things)}")
    else:
        say(f"brought back {', '.join(things)}")
    return 0


@click.command()
@click.argument("references", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Also runs that an alias points to, or that still run.")
@json_option
@store_option
def rm(references: tuple[str, ...], *, force: bool, as_json: bool, store: str | None) -> int:
    """Move runs, each with its children, to the trash; undo brings them back."""
    removed = open_store(store).remove(references, force=force)
    if as_json:
        print_json({"removed": removed})
    else:
        say(f"moved to the trash: {', '.join(removed)}; `corrida undo` brings back")
    return 0


@click.command()
@click.option("--restore", "back", multiple=True, metavar="ID", help="Bring this run back; repeatable.")
@click.option("--empty", is_flag=True, help="Delete everything in the trash for good.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@store_option
def trash(back: tuple[str, ...], *, empty: bool, yes: bool, as_json: bool, store: str | None) -> int:
    """List the runs in the trash, bring some back, or delete all of them for good."""
    opened = open_store(store)
    if back and empty:
        raise click.UsageError("use either --restore or --empty")
    if back:
        done = opened.bring_back(back)
        if as_json:
            print_json({"brought_back": done})
        else:
            say(f"brought back {', '.join(done)}")
        return 0
    there = opened.trashed()
    if not empty or not there:
        if as_json:
            print_json(there)
        else:
            say("\n".join(there) if there else "the trash is empty")
        return 0
    if not yes and not (
        sys.stdin.isatty()
        and click.confirm(f"Delete {len(there)} run{'s' if len(there) > 1 else ''} for good?")
    ):
        say("corrida: nothing was deleted; add --yes to delete without being asked", err=True)
        return 1
    deleted = opened.empty_trash()
    if as_json:
        print_json({"deleted": deleted})
    else:
        say(f"deleted {len(deleted)} run{'s' if len(deleted) != 1 else ''} for good")
    return 0
