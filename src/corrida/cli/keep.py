"""``corrida verify``, ``index`` and ``completion``."""

from __future__ import annotations

import click
import msgspec

from corrida.cli.common import json_option, open_project, open_store, print_json, show_blocks, store_option


@click.command()
@click.argument("references", nargs=-1)
@json_option
@store_option
def verify(references: tuple[str, ...], *, as_json: bool, store: str | None) -> int:
    """Recompute every digest of runs (all by default) and say what was altered since they ended.

    The exit code is 1 when a run is not what it was.
    """
    results = open_store(store).verify(references or None)
    damaged = [r for r in results if not r.intact]
    if as_json:
        print_json([{**msgspec.to_builtins(r), "intact": r.intact} for r in results])
        return 1 if damaged else 0
    from corrida.analysis.blocks import Block, Line

    blocks: list[Block] = []
    for result in damaged:
        blocks.append(Line(result.run, "bad"))
        for problem in result.problems:
            detail = f" ({problem.detail})" if problem.detail else ""
            blocks.append(Line(f"{problem.finding}: {problem.file}{detail}", "bad", 1))
    files = sum(r.files for r in results)
    intact = len(results) - len(damaged)
    text = f"{intact} of {len(results)} runs intact, {files} files looked at"
    blocks.append(Line(text, "bad" if damaged else "good"))
    show_blocks(blocks)
    return 1 if damaged else 0


@click.command()
@json_option
@store_option
def index(*, as_json: bool, store: str | None) -> int:
    """Write index.json anew from the run folders, as after a merge or a removal by hand."""
    project = open_project(store)
    opened = project.store()
    opened.refresh()
    changed = opened.write_index()
    count = len(opened.catalog.index_lines())
    if as_json:
        print_json({"runs": count, "changed": changed})
    else:
        state = "written" if changed else "already right"
        click.echo(
            f"{project.store_folder.name}/index.json {state}: {count} ended run{'s' if count != 1 else ''}"
        )
    return 0


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of SHELL; put `eval "$(corrida completion bash)"` into its start-up file."""
    from click.shell_completion import get_completion_class

    from corrida.cli.main import cli

    found = get_completion_class(shell)
    if found is None:  # pragma: no cover - the choice above lists what click has
        raise click.BadParameter(f"no completion for {shell}")
    click.echo(found(cli, {}, "corrida", "_CORRIDA_COMPLETE").source())
    return 0
