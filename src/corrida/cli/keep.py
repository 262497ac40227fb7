"""``corrida verify``, ``index`` and ``completion``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

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
    from collections.abc import Sequence

    from corrida.analysis.blocks import Block, Style
    from corrida.runs.store import Store
    from corrida.runs.verify import Verification


@click.command()
@click.argument("references", nargs=-1)
@json_option
@store_option
def verify(references: tuple[str, ...], *, as_json: bool, store: str | None) -> int:
    """Recompute every digest of runs (all by default) and say what was altered since they ended.

    The exit code is 1 when a run is not what it was. A run that has not ended is named, and is no damage.
    """
    from corrida.cli.progress import terminal_progress
    from corrida.runs.verify import (
        is_lost_run,
        is_worth_telling,
        known_to_have_ended,
        lost_runs,
        verify_run,
        verify_store_files,
    )

    opened = open_store(store)
    running: set[str] = set()
    ended = known_to_have_ended(opened.root)  # first: looking at the store mends what says so
    if references:
        # A run that lost its run.json is no run to any other command, and is named here all the same.
        chosen = [r if is_lost_run(opened.root, r) else opened.resolve(r) for r in references]
    else:
        opened.refresh()
        statuses = {header.id: header.status for header in opened.catalog.query()}
        running = {run_id for run_id, status in statuses.items() if status == "running"}
        chosen = [*statuses, *lost_runs(opened.root, statuses)]
    results = [
        verify_run(opened.root / run_id, ended=ended.get(run_id))
        for run_id in terminal_progress(chosen, len(chosen), "verifying")
    ]
    results = [result for result in results if is_worth_telling(result, running)]
    if not references and (of_store := verify_store_files(opened.root)):
        results.append(of_store)
    if as_json:
        print_json([{**msgspec.to_builtins(r), "intact": r.intact} for r in results])
    else:
        show_blocks(_verify_blocks(results, opened.root.name))
    return 0 if all(r.intact for r in results) else 1


def _verify_blocks(results: Sequence[Verification], folder: str) -> list[Block]:
    from corrida.analysis.blocks import Line

    if not results:
        return [Line(f"no runs in {folder}/ yet; nothing was verified", "warning")]
    blocks: list[Block] = []
    for result in results:
        left_over = any(p.finding == "left over" for p in result.problems)
        if left_over or not result.intact:
            style: Style = "warning" if result.intact else "bad"
            blocks.append(Line(result.run or "the store itself", style))
            for problem in result.problems:
                detail = f" ({problem.detail})" if problem.detail else ""
                blocks.append(Line(f"{problem.finding}: {problem.file}{detail}", style, 1))
    runs = [r for r in results if r.run is not None]
    waiting = [r for r in runs if any(p.finding == "not ended" for p in r.problems)]
    blocks += [Line(f"not ended: {r.run}", "quiet") for r in waiting]
    ended = len(runs) - len(waiting)
    damaged = sum(not r.intact for r in runs)
    files = sum(r.files for r in runs)
    text = f"{ended - damaged} of {ended} runs intact, {files} files looked at"
    return [*blocks, Line(text, "good" if all(r.intact for r in results) else "bad")]


@click.command()
@json_option
@store_option
def index(*, as_json: bool, store: str | None) -> int:
    """Write index.json anew from the run folders, as after a merge or a removal by hand."""
    project = open_project(store)
    changed, count = _write_index(project.store())
    if as_json:
        print_json({"runs": count, "changed": changed})
    else:
        state = "written" if changed else "already right"
        say(f"{project.store_folder.name}/index.json {state}: {count} ended run{'s' if count != 1 else ''}")
    return 0


def _write_index(store: Store) -> tuple[bool, int]:
    """Write index.json where it is not right, and return whether it was not, and how many runs it holds.

    Raises:
        StoreError: it cannot be written; the store itself says nothing of that, since readers do without.
    """
    from contextlib import ExitStack, suppress

    from corrida.runs.claim import ensure_store
    from corrida.runs.files import explained
    from corrida.runs.index_file import index_lock, index_state, write_index

    with explained("writing index.json"), ExitStack() as held:
        with suppress(OSError):  # where nothing can be written, the file may still be right
            ensure_store(store.root)
            held.enter_context(index_lock(store.root))
        store.catalog.refresh()
        lines = list(store.catalog.index_lines())
        changed = write_index(store.root, lines)
        store.catalog.note_index(index_state(store.root))
    return changed, len(lines)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@store_option
def completion(shell: str, *, store: str | None) -> int:
    """Print the completion script of SHELL; put `eval "$(corrida completion bash)"` into its start-up file."""
    del store  # every command takes it
    from click.shell_completion import get_completion_class

    from corrida.cli.main import cli

    found = get_completion_class(shell)
    if found is None:  # pragma: no cover - the choice above lists what click has
        raise click.BadParameter(f"no completion for {shell}")
    click.echo(found(cli, {}, "corrida", "_CORRIDA_COMPLETE").source())
    return 0
