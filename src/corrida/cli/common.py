"""Options that several commands share, and how things are shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from corrida.analysis.blocks import Block, Line, Table
    from corrida.project import Project
    from corrida.runs.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def store_option(function: F) -> F:
    """Add ``--store``."""
    return click.option(
        "--store", metavar="DIR", help="The folder of the runs [default: CORRIDA_DIR, corrida.toml, runs]."
    )(function)


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def open_project(store: str | None) -> Project:
    """Find the project of the working folder, with the store that was named."""
    from corrida.project import find_project

    return find_project(store=store)


def open_store(store: str | None) -> Store:
    """Open the store."""
    return open_project(store).store()


def command_line() -> list[str]:
    """Return the command as it was typed, for the record of a run."""
    return list(click.get_current_context().find_root().obj or ())


def on_terminal() -> bool:
    """Tell whether standard output is a terminal."""
    return sys.stdout.isatty()


def terminal_width() -> int:
    """Return the width to write for."""
    import shutil

    return shutil.get_terminal_size((100, 40)).columns


def in_colour() -> bool:
    """Tell whether to use colour: on a terminal, unless NO_COLOR or a dumb terminal says otherwise."""
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str, *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print text that comes from data: nothing in it steers the terminal. Everything shown goes through here.

    Args:
        text: what to print; its line breaks and tabs stay.
        err: on standard error.
        nl: end the line.
        style: as of ``click.style``; only where colour is used.
    """
    from corrida.runs.plain import printable

    text = printable(text)
    click.echo(click.style(text, **style) if style and in_colour() else text, err=err, nl=nl)


def clear_line() -> None:
    """Take away the line that was written last to the terminal on standard error."""
    click.echo("\r\x1b[2K", err=True, nl=False)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON, indented."""
    import msgspec

    data = msgspec.json.encode(value, enc_hook=str)
    click.echo(msgspec.json.format(data, indent=2).decode())


_STYLES: Mapping[str, Mapping[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "quiet": {"dim": True},
    "strong": {"bold": True},
    "plain": {},
}
_ROW_STYLES = {"good": "green", "bad": "red", "warning": "yellow", "quiet": "dim", "strong": "bold"}


def show_blocks(blocks: Iterable[Block]) -> None:
    """Print blocks: rich tables on a terminal, aligned text where the output is piped."""
    from corrida.analysis.blocks import Heading, Line, to_text

    if not on_terminal():
        say(to_text(blocks), nl=False)
        return
    width, colour = terminal_width(), in_colour()
    first = True
    for block in blocks:
        if isinstance(block, Heading):
            if not first:
                click.echo()
            say(block.text, bold=True, underline=True)
        elif isinstance(block, Line):
            _show_line(block, width)
        else:
            _show_table(block, width, colour=colour)
        first = False


def _show_line(line: Line, width: int) -> None:
    from corrida.analysis.blocks import wrap

    indent = "  " * line.indent
    say(wrap(line.text, width, indent, indent + " " * line.hang), **_STYLES[line.style])


def _show_table(table: Table, width: int, *, colour: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    from corrida.analysis.blocks import fit, left_out_line, shorten

    # The same columns and widths as in plain text: rich would fold cells, or cut an id.
    shown, widths, left_out = fit(table, width - 2)
    drawn = RichTable(
        box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="dim"
    )
    for i, size in zip(shown, widths, strict=True):
        side: Literal["left", "right"] = "right" if i in table.right else "left"
        header = Text(shorten(table.columns[i], size))
        drawn.add_column(header, justify=side, no_wrap=True, width=size, overflow="crop")
    for number, row in enumerate(table.rows):
        style = _ROW_STYLES.get(table.styles[number]) if number < len(table.styles) else None
        cells = [Text(shorten(str(row[i]), w)) for i, w in zip(shown, widths, strict=True)]
        drawn.add_row(*cells, style=style)
    # A table of ids that are wider than the terminal is folded by the terminal, and can still be copied.
    console = Console(
        width=max(width, 2 + sum(widths) + 2 * len(widths)),
        height=100,  # with both given, rich does not take a dumb terminal for one of 80 columns
        color_system="auto" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(Padding(drawn, (0, 0, 0, 2), expand=False))
    if left_out:
        _show_line(left_out_line(table, left_out), width)


def parse_pairs(pairs: Iterable[str], option: str) -> dict[str, str]:
    """Read ``key=value`` options.

    Raises:
        click.BadParameter: one has no ``=`` or no key.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{pair!r} is not key=value", param_hint=option)
        found[key.strip()] = value
    return found


def short_time(iso: str | None) -> str:
    """Return a time in UTC in the local zone, to the minute."""
    if not iso:
        return "–"
    from datetime import datetime

    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return iso
