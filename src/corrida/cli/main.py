"""The entry point: commands are loaded when they are called, so that ``corrida --help`` costs nothing."""

from __future__ import annotations

import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

from corrida import __version__
from corrida.cli.progress import terminal_progress
from corrida.runs.watch import telling


class Entry(NamedTuple):
    """Where a command lives, and its line in the help."""

    place: str
    help: str
    section: str
    hidden: bool = False


COMMANDS: dict[str, Entry] = {
    "init": Entry("corrida.cli.project:init", "Write a corrida.toml for this folder.", "Start"),
    "demo": Entry("corrida.cli.demo:demo", "Lay out a small project and run it.", "Start"),
    "adopt": Entry("corrida.cli.adopt:adopt", "Make runs of an existing folder of results.", "Start"),
    "run": Entry("corrida.cli.run:run", "Run a pipeline and keep the run.", "Run"),
    "train": Entry(
        "corrida.cli.run:train", "Run the forecasting pipeline (run forecasting).", "Run", hidden=True
    ),
    "exec": Entry("corrida.cli.run:exec_", "Run any command and keep the run.", "Run"),
    "predict": Entry("corrida.cli.predict:predict", "Predict with the models of a run.", "Run"),
    "pipelines": Entry("corrida.cli.project:pipelines", "List the pipelines that can be run.", "Run"),
    "ui": Entry("corrida.cli.ui:ui", "Show the runs in a browser.", "Look"),
    "list": Entry("corrida.cli.look:list_", "List runs, the newest first.", "Look"),
    "list-runs": Entry("corrida.cli.look:list_", "List runs (the same as list).", "Look", hidden=True),
    "show": Entry("corrida.cli.look:show", "Show one run: what it was, what came out.", "Look"),
    "items": Entry("corrida.cli.items:items", "List the items of a run.", "Look"),
    "item": Entry("corrida.cli.item:item", "Show one item over all runs.", "Look"),
    "compare": Entry("corrida.cli.compare:compare", "Compare two runs.", "Look"),
    "aggregate": Entry("corrida.cli.aggregate:aggregate", "Put runs of several seeds together.", "Look"),
    "report": Entry("corrida.cli.report:report", "Write a comparison as a page with figures.", "Look"),
    "rerun": Entry(
        "corrida.cli.replay:rerun", "Execute a run again and certify that it is the same.", "Prove"
    ),
    "bisect": Entry("corrida.cli.replay:bisect", "Find the change that made a run worse.", "Prove"),
    "restore": Entry("corrida.cli.back:restore", "Put the configurations of a run back.", "Go back"),
    "undo": Entry("corrida.cli.back:undo", "Take back the last restore or removal.", "Go back"),
    "rm": Entry("corrida.cli.back:rm", "Move runs to the trash.", "Go back"),
    "trash": Entry("corrida.cli.back:trash", "List, bring back or delete what is in the trash.", "Go back"),
    "note": Entry("corrida.cli.mark:note", "Add a note to a run.", "Mark"),
    "tag": Entry("corrida.cli.mark:tag", "Set or remove tags of a run.", "Mark"),
    "promote": Entry("corrida.cli.mark:promote", "Point an alias such as @production to a run.", "Mark"),
    "demote": Entry("corrida.cli.mark:demote", "Point an alias back to the run before.", "Mark"),
    "serve": Entry("corrida.cli.api:serve", "Score files over HTTP, with a worker of its own.", "Serve"),
    "worker": Entry("corrida.cli.serve:worker", "Score files as they come.", "Serve"),
    "submit": Entry("corrida.cli.serve:submit", "Hand files over to be scored.", "Serve"),
    "jobs": Entry("corrida.cli.serve:jobs", "List, retry or cancel analyses.", "Serve"),
    "keys": Entry("corrida.cli.api:keys", "Make and revoke the keys of the API.", "Serve"),
    "shadow": Entry("corrida.cli.shadow:shadow", "Compare a shadow run with what was published.", "Serve"),
    "why": Entry("corrida.cli.lineage:why", "Say which run, configuration and data made a result.", "Serve"),
    "impact": Entry("corrida.cli.lineage:impact", "List every result that a run made.", "Serve"),
    "stamp": Entry("corrida.cli.stamp:stamp", "Write a run id onto the rows of your database.", "Mark"),
    "aliases": Entry("corrida.cli.mark:aliases", "List aliases and their history.", "Mark"),
    "export": Entry("corrida.cli.exchange:export", "Send runs to MLflow.", "Exchange"),
    "import": Entry("corrida.cli.exchange:import_", "Bring runs of MLflow into the store.", "Exchange"),
    "verify": Entry("corrida.cli.keep:verify", "Recompute digests and say what was altered.", "Keep"),
    "doctor": Entry("corrida.cli.doctor:doctor", "Look at store, project and installation.", "Keep"),
    "index": Entry("corrida.cli.keep:index", "Write index.json anew from the folders.", "Keep"),
    "completion": Entry("corrida.cli.keep:completion", "Print the completion script of a shell.", "Keep"),
}


class _InterruptedError(Exception):
    """Ctrl-C during a command."""


class CorridaGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an interruption is not given to click, which would write an empty line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise _InterruptedError(*interrupt.args) from None  # work may say how to go on

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, and offer the nearest for one that is not there."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"there is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, without importing them."""
        del ctx
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            if not entry.hidden:
                sections.setdefault(entry.section, []).append((name, entry.help))
        width = max(len(name) for name in COMMANDS)
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])


@click.group(
    cls=CorridaGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, message="corrida %(version)s")
def cli() -> None:
    """Keep every run of a pipeline as a plain folder: list, compare, roll back.

    A run is named by its id, a unique prefix of it, latest, latest~1 or @alias. Every command takes
    --store DIR; those that read take --json.
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 worse, failed or refused, 2 wrong use, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal or a pipe that is not of Unicode shows escapes for what it does not know, as Python's stderr does.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run_cli(sys.argv[1:] if argv is None else argv))


def run_cli(argv: list[str]) -> int:
    """Run the command line.

    Returns:
        The exit code.
    """
    try:
        with telling(terminal_progress):
            result: Any = cli.main(argv, prog_name="corrida", standalone_mode=False, obj=["corrida", *argv])
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        help_ = f"; see {context.command_path} --help" if context else ""
        return _refused(error.format_message().rstrip(".") + help_, error.exit_code)
    except (click.Abort, KeyboardInterrupt, _InterruptedError) as error:
        return _refused(str(error) or "interrupted", 130)
    except BrokenPipeError:
        # The reader of a pipe (head) went away: nothing is wrong, and there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("CORRIDA_DEBUG"):
            raise
        return _explain(error)
    return result if isinstance(result, int) else 0


def _explain(error: Exception) -> int:
    """Say what went wrong; an error that nobody foresaw is raised again: its traceback is what helps."""
    from corrida.errors import CorridaError

    if isinstance(error, CorridaError):
        return _refused(str(error), error.exit_code)
    if isinstance(error, OSError) and error.strerror:
        name = f" ({Path(error.filename).name})" if isinstance(error.filename, str) else ""
        return _refused(f"the system refused: {error.strerror}{name}; check rights and space", 1)
    raise error


def _refused(sentence: str, code: int) -> int:
    """Say on one line of standard error why there is no result."""
    from corrida.cli.common import say

    say(f"corrida: {' '.join(sentence.split())}", err=True)
    return code
