"""A text for people as headings, lines and tables, independent of where it is shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Style = Literal["plain", "good", "bad", "warning", "quiet", "strong"]


@dataclass(frozen=True)
class Heading:
    """A heading above what follows."""

    text: str


@dataclass(frozen=True)
class Line:
    """A line of text; ``indent`` counts steps of two blanks."""

    text: str
    style: Style = "plain"
    indent: int = 0


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: the headers.
        rows: one text a column.
        right: indices of columns that are aligned to the right (numbers).
        styles: the style of each row; plain when shorter.
        flexible: index of the column that gives way when the table is too wide; the last when None.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    styles: Sequence[Style] = field(default_factory=tuple)
    flexible: int | None = None


Block = Heading | Line | Table


def display_width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes; characters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def shorten(text: str, width: int) -> str:
    """Return ``text`` cut to ``width`` columns, with an ellipsis where something is missing."""
    text = " ".join(text.split())
    if display_width(text) <= width:
        return text
    kept = ""
    for character in text:
        if display_width(kept + character) > width - 1:
            break
        kept += character
    return kept.rstrip() + "…"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return ``text`` filled with blanks to ``width`` columns."""
    blanks = " " * max(0, width - display_width(text))
    return blanks + text if right else text + blanks


def column_widths(table: Table, width: int | None) -> list[int]:
    """Return the width of each column when the whole may take ``width``; two blanks stand between columns."""
    rows = [table.columns, *table.rows]
    widths = [max(display_width(str(row[i])) for row in rows) for i in range(len(table.columns))]
    if width is None:
        return widths
    over = sum(widths) + 2 * (len(widths) - 1) - width
    order = [len(widths) - 1 if table.flexible is None else table.flexible]
    order += sorted((i for i in range(len(widths)) if i not in order), key=lambda i: -widths[i])
    for i in order:
        if over <= 0:
            break
        least = min(widths[i], max(8, display_width(table.columns[i])))
        taken = min(over, widths[i] - least)
        widths[i] -= taken
        over -= taken
    return widths


def table_lines(table: Table, width: int | None = None) -> list[str]:
    """Return the header and the rows as aligned text."""
    widths = column_widths(table, width)
    lines = []
    for row in [table.columns, *table.rows]:
        cells = [
            pad(shorten(str(cell), w), w, right=i in table.right)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def to_text(blocks: Iterable[Block], width: int | None = None) -> str:
    """Return blocks as plain text.

    Args:
        blocks: what to show.
        width: cut tables to so many columns; None leaves every cell whole.
    """
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            lines += [*([""] if lines else []), block.text]
        elif isinstance(block, Line):
            lines.append("  " * block.indent + block.text)
        else:
            lines += ["  " + line for line in table_lines(block, None if width is None else width - 2)]
    return "\n".join(lines) + "\n"


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return blocks as Markdown, as for the comment on a pull request."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            lines += ["", f"### {_escape(block.text)}", ""]
        elif isinstance(block, Line):
            text = _escape(block.text)
            lines.append(f"{'  ' * max(0, block.indent - 1)}- {text}" if block.indent else f"{text}\n")
        else:
            marks = ["---:" if i in block.right else "---" for i in range(len(block.columns))]
            lines += ["", _row(block.columns), _row(marks, raw=True), *(_row(row) for row in block.rows), ""]
    text = "\n".join(lines).strip() + "\n"
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def _row(cells: Sequence[str], *, raw: bool = False) -> str:
    return "| " + " | ".join(c if raw else _escape(" ".join(str(c).split())) for c in cells) + " |"


def _escape(text: str) -> str:
    for sign in ("\\", "`", "|", "<", "*", "_"):
        text = text.replace(sign, "\\" + sign)
    return text
