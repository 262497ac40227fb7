"""``corrida demo``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corrida.cli.common import say, store_option

if TYPE_CHECKING:
    from corrida.demos import Command, Demo, Generate, Replace


@click.command()
@click.argument("name", default="matching")
@click.option(
    "--to",
    metavar="DIR",
    help="The folder for the project [default: this one if it is empty, else demo-NAME].",
)
@click.option(
    "--neural", is_flag=True, help="With neural networks too, where the demo has them: forecasting."
)
@store_option
def demo(name: str, to: str | None, *, neural: bool, store: str | None) -> int:
    """Lay out a small project and run it: list, compare, and what to do next.

    NAME is the demo: `matching`, the default, on real job titles; `verdicts`, which asks of the same titles what is
    better, worse or chance; `evaluation` on a made-up classroom; `forecasting` of employment by sector; `model-search` on
    Seattle's weather; or `risk` of made-up payments. Its runs are kept in its own folder, unless --store names another.
    """
    from corrida.demos import Command, find_demo, lay_out

    chosen = find_demo(name, neural=neural)
    kept: tuple[str, ...] = () if store is None else ("--store", os.path.abspath(store))  # noqa: PTH100
    here = Path.cwd()
    folder = Path(to) if to else here if not any(here.iterdir()) else here / f"demo-{name}"
    lay_out(chosen, folder)
    place = os.path.relpath(folder, here)
    where = "this folder" if place == "." else f"{place}/"
    _say(f"{chosen.title}.\nThe project is in {where}; every command below is run there.")
    for sentence in chosen.left_out():
        _say(sentence)
    os.chdir(folder)
    elsewhere = os.environ.pop("CORRIDA_DIR", None)  # the demo's runs belong into its own folder
    try:
        for step in chosen.steps:
            _say(f"\n── {step.told}")
            code = _play(chosen, step, kept)
            wanted = step.code if isinstance(step, Command) else 0
            if code != wanted:
                return code or 1
            if code:
                _say(f"(exit code {code})")
    finally:
        os.chdir(here)
        if elsewhere is not None:
            os.environ["CORRIDA_DIR"] = elsewhere
    _say("\n── Your turn" + ("" if place == "." else f" (cd {shlex.quote(place)} first)"))
    say("  corrida ui --open               # the runs in a browser; corrida[ui]")
    for line in chosen.next_steps:
        say(f"  {line}")
    if kept:
        say(f"  each command with {_typed(kept)}")
    return 0


def _play(chosen: Demo, step: Replace | Command | Generate, kept: tuple[str, ...]) -> int:
    """Take a step, in the project folder.

    Returns:
        The exit code of a command; 0 for other steps.
    """
    from corrida.analysis.config_diff import diff_configs, explain
    from corrida.cli.main import run_cli
    from corrida.demos import Generate, Replace, read_step
    from corrida.runs.files import atomic_write

    if isinstance(step, Replace):
        target = Path(step.target)
        new = read_step(chosen, step.source)
        for file in diff_configs({step.target: target.read_bytes()}, {step.target: new}).files:
            for line in explain(file):
                say(f"  {line}")
        atomic_write(target, new)
        return 0
    if isinstance(step, Generate) and step.kind != "classroom":
        from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

        labels = step.kind == "labelled transactions"
        shape = Shape() if labels else Shape(clients=40)
        frame = generate_transactions(step.seed, shape)
        write_transactions(frame, Path(step.target), labels=labels)
        say(f"  written with seed {step.seed}: {step.target}, {frame.height:,} transactions")
        return 0
    if isinstance(step, Generate):
        from corrida.pipelines.evaluation.generate import generate_classroom, write_classroom

        written = write_classroom(generate_classroom(step.seed), Path(step.target))
        say(f"  written with seed {step.seed}: {', '.join(f'{step.target}/{name}' for name in written)}")
        return 0
    arguments = (*step.typed, *kept)
    say(f"$ corrida {_typed(arguments)}", bold=True)
    sys.stdout.flush()
    return run_cli(list(arguments))


def _say(text: str) -> None:
    say(text, fg="cyan")


def _typed(arguments: tuple[str, ...]) -> str:
    """Return a command as a person types it: quotes only where the shell needs them."""
    return " ".join(f'"{a}"' if set(a) & set(" []'|") else a for a in arguments)
