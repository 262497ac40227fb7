"""A text for people as headings, lines and tables, independent of where it is shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from corrida.runs.plain import printable

Style = Literal["plain", "good", "bad", "warning", "quiet", "strong"]

# A column of texts is cut to no less than this; then whole columns are left out instead.
_LEAST = 16
_GAP = 2
_WORDS = re.compile(r"(\s*)(\S+)")


class Heading(msgspec.Struct, frozen=True):
    """A heading above what follows."""

    text: str


class Line(msgspec.Struct, frozen=True):
    """A line of text.

    Attributes:
        text: what it says.
        style: how it looks.
        indent: steps of two blanks before it.
        hang: blanks before what does not fit on its first line, beyond the indent.
    """

    text: str
    style: Style = "plain"
    indent: int = 0
    hang: int = 2


class Table(msgspec.Struct, frozen=True):
    """A table of texts.

    Attributes:
        columns: the headers.
        rows: one text a column.
        right: indices of columns that are aligned to the right (numbers); a number is never cut.
        styles: the style of each row; plain when shorter.
        whole: indices of columns that are neither cut nor left out: an id that is cut cannot be copied.
        leave: indices of columns in the order in which they are left out where the table is too wide, before
            any other; those that are not named follow from right to left.
        hint: said with the names of columns that were left out.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    styles: Sequence[Style] = ()
    whole: frozenset[int] = frozenset()
    leave: Sequence[int] = ()
    hint: str = "a wider terminal shows all"


Block = Heading | Line | Table


class Fit(NamedTuple):
    """Which columns of a table are shown, how wide each of them is, and which are left out."""

    shown: list[int]
    widths: list[int]
    left_out: list[int]


def display_width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes; characters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(_character_width(c) for c in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """Return ``text`` on one line, cut to ``width`` columns, with an ellipsis where something is missing."""
    text = printable(" ".join(text.split()))
    if display_width(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += _character_width(character)
        if used > width - 1:
            break
        kept += character
    return kept.rstrip() + "…"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return ``text`` filled with blanks to ``width`` columns."""
    blanks = " " * max(0, width - display_width(text))
    return blanks + text if right else text + blanks


def wrap(text: str, width: int, indent: str = "", hang: str = "") -> str:
    """Return ``text`` on lines of at most ``width`` columns; its own line breaks stay.

    A word of ASCII that is longer stays in one piece, since it may be an id or a path that somebody copies.
    Writing without blanks is broken anywhere.

    Args:
        text: what to write.
        width: columns of the terminal.
        indent: before the first line.
        hang: before every other.
    """
    lines: list[str] = []
    for paragraph in printable(text).expandtabs(4).split("\n"):
        start = hang if lines else indent
        line, used = start, display_width(start)
        for blanks, word in _WORDS.findall(paragraph):
            pieces = [word] if word.isascii() else _pieces(word, max(2, width - display_width(hang)))
            for number, piece in enumerate(pieces):
                between = "" if number else blanks
                size = len(between) + display_width(piece)
                if line != start and used + size > width:
                    lines.append(line)
                    start = line = hang
                    used, between, size = display_width(hang), "", display_width(piece)
                line, used = line + between + piece, used + size
        lines.append(line)
    return "\n".join(lines)


def _pieces(word: str, width: int) -> list[str]:
    if display_width(word) <= width:
        return [word]
    pieces, piece, used = [], "", 0
    for character in word:
        size = _character_width(character)
        if piece and used + size > width:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + character, used + size
    return [*pieces, piece]


def fit(table: Table, width: int | None) -> Fit:
    """Say how a table is shown in ``width`` columns; two blanks stand between its columns.

    Texts are cut first, the widest most; where that is not enough, columns are left out.
    """
    natural = [
        max(display_width(shorten(str(row[i]), 1_000_000)) for row in [table.columns, *table.rows])
        for i in range(len(table.columns))
    ]
    shown = list(range(len(natural)))
    if width is None:
        return Fit(shown, natural, [])
    least = [
        size
        if i in table.right or i in table.whole
        else min(size, max(_LEAST, display_width(table.columns[i])))
        for i, size in enumerate(natural)
    ]
    order = [*table.leave, *(i for i in reversed(shown) if i not in table.leave)]
    left_out: list[int] = []
    for i in order:
        if sum(least[k] for k in shown) + _GAP * (len(shown) - 1) <= width:
            break
        if i not in table.whole and len(shown) > 1:
            shown.remove(i)
            left_out.append(i)
    sizes = {i: natural[i] for i in shown}
    over = sum(sizes.values()) + _GAP * (len(shown) - 1) - width
    while over > 0 and (soft := [i for i in shown if sizes[i] > least[i]]):
        widest = max(soft, key=lambda i: sizes[i])
        others = [sizes[i] for i in soft if sizes[i] < sizes[widest]]
        floor = max(least[widest], max(others, default=0))
        taken = min(over, max(1, sizes[widest] - floor))
        sizes[widest] -= taken
        over -= taken
    return Fit(shown, [sizes[i] for i in shown], sorted(left_out))


def left_out_line(table: Table, left_out: Sequence[int]) -> Line:
    """Return the line that names columns for which there was no room."""
    names = ", ".join(printable(" ".join(table.columns[i].split())) for i in left_out)
    return Line(f"no room for {names}; {table.hint}", "quiet", 1)


def table_lines(table: Table, width: int | None = None) -> list[str]:
    """Return the header and the rows as aligned text, and a line on columns that were left out."""
    shown, widths, left_out = fit(table, width)
    lines = []
    for row in [table.columns, *table.rows]:
        cells = [
            pad(shorten(str(row[i]), w), w, right=i in table.right)
            for i, w in zip(shown, widths, strict=True)
        ]
        lines.append((" " * _GAP).join(cells).rstrip())
    return [*lines, left_out_line(table, left_out).text] if left_out else lines


def to_text(blocks: Iterable[Block], width: int | None = None) -> str:
    """Return blocks as plain text.

    Args:
        blocks: what to show.
        width: cut tables to so many columns; None leaves every cell whole.
    """
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            lines += [*([""] if lines else []), printable(block.text)]
        elif isinstance(block, Line):
            indent = "  " * block.indent
            lines.append(indent + printable(block.text).replace("\n", "\n" + indent + " " * block.hang))
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
            text = _escape(" ".join(block.text.split()))
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
    text = printable(text)
    for sign in ("\\", "`", "|", "<", "*", "_", "~", "[", "]"):
        text = text.replace(sign, "\\" + sign)
    return text
