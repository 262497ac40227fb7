"""The items in which two runs differ, a page at a time, each with all that both runs say of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.analysis.config_sides import Piece, words_apart
from corrida.analysis.items_diff import STANDARD_COLUMNS
from corrida.analysis.items_report import items_table
from corrida.analysis.items_values import format_answer, item_ids
from corrida.runs.numbers import format_number
from corrida.runs.plain import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from corrida.analysis.compare import Comparison
    from corrida.analysis.items_diff import ItemsDiff
    from corrida.runs.record import RunRecord

PAGE = 25
OTHER_TRUTH = "expected"
"""The kind of items whose expected answer is not the same in both runs."""
_KINDS = ("broken", "worse", "fixed", "better", "changed")
_LONGEST = 1_200
_MOST_FIELDS = 16
_WORDY = 24


class Chip(NamedTuple):
    """A kind of items: its name in the address, what it is called, and how many there are."""

    kind: str
    label: str
    items: int


class Field(NamedTuple):
    """What both runs say of an item under one name.

    Attributes:
        name: of the column.
        a, b: the values in pieces; those are marked that the other side lacks.
        same: whether both say the same; then ``b`` is to be left out.
    """

    name: str
    a: tuple[Piece, ...]
    b: tuple[Piece, ...]
    same: bool


class Item(NamedTuple):
    """An item that is not the same in both runs.

    Attributes:
        id: of the item.
        kind: what became of it.
        cells: what its line shows, by column.
        about: what it is, in its own words; empty when nothing says so.
        expected: what was expected, one text, or two where that is not the same in both.
        fields: what both runs say of it.
    """

    id: str
    kind: str
    cells: Mapping[str, str]
    about: str
    expected: tuple[str, ...]
    fields: Sequence[Field]


class ItemsPage(NamedTuple):
    """A page of items, and how many there are on all pages."""

    items: list[Item]
    columns: list[str]
    total: int


def chips(items: ItemsDiff) -> list[Chip]:
    """Return the kinds of items that differ, all of them first."""
    counts = items.counts
    found = [Chip(kind, kind, getattr(counts, kind)) for kind in _KINDS]
    found.append(Chip(OTHER_TRUTH, "another expected answer", counts.expected_changed))
    return [Chip("", "all", items.differing.height), *(chip for chip in found if chip.items)]


def items_page(comparison: Comparison, kind: str, find: str, page: int) -> ItemsPage:
    """Return a page of the items that differ.

    Args:
        comparison: of two runs with items.
        kind: only these; empty for all.
        find: text that must stand in the id or another text of an item, whatever its case.
        page: from 1.

    Raises:
        DamagedRun: the items of a run can no longer be read.
    """
    import polars as pl

    items = comparison.items
    if items is None:
        return ItemsPage([], [], 0)
    if kind == OTHER_TRUTH:
        frame = items.expected_changed.with_columns(kind=pl.lit("other truth"))
    else:
        frame = items.differing.filter(pl.col("kind") == kind) if kind else items.differing
    if find:
        frame = frame.filter(_holds(frame, find))
    shown = frame.slice((page - 1) * PAGE, PAGE)
    ids = shown["item_id"].to_list()
    sides = [_rows(run, ids) for run in (comparison.a, comparison.b)]
    cells = _truth_cells(shown) if kind == OTHER_TRUTH else _cells(items, shown)
    about = next((name for name in shown.columns if _tells(shown, name)), None)
    found = [
        Item(
            row["item_id"],
            row["kind"],
            line,
            "" if about is None or row[about] is None else printable(str(row[about])),
            _expected(row),
            _fields(sides[0].get(row["item_id"], {}), sides[1].get(row["item_id"], {})),
        )
        for row, line in zip(shown.iter_rows(named=True), cells, strict=True)
    ]
    return ItemsPage(found, list(cells[0]) if cells else [], frame.height)


def _holds(frame: pl.DataFrame, text: str) -> pl.Expr:
    import polars as pl

    texts = [name for name, kind in frame.schema.items() if kind == pl.String and name != "kind"]
    wanted = text.lower()
    return pl.any_horizontal(
        pl.col(name).str.to_lowercase().str.contains(wanted, literal=True).fill_null(False) for name in texts
    )


def _tells(frame: pl.DataFrame, name: str) -> bool:
    """Tell whether a column says what the items are: a text that is no answer."""
    sided = name.endswith(("_a", "_b")) and name[:-2] in STANDARD_COLUMNS
    return name not in {*STANDARD_COLUMNS, "kind"} and not sided and str(frame.schema[name]) == "String"


def _rows(run: RunRecord, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the rows of some items of a run by their id."""
    if not ids:
        return {}
    frame = run.items()
    names = item_ids(frame["item_id"])
    chosen = names.is_in(list(ids))
    rows = frame.filter(chosen).iter_rows(named=True)
    return dict(zip(names.filter(chosen).to_list(), rows, strict=True))


def _cells(items: ItemsDiff, shown: pl.DataFrame) -> list[dict[str, str]]:
    """Return what the terminal shows of items, but for what they are."""
    table = items_table(items, 0, chosen=shown)
    answers = {"A", "B", "expected", "loss A", "loss B", "difference"}
    return [
        {name: cell for name, cell in zip(table.columns, row, strict=True) if name in answers}
        for row in table.rows
    ]


def _truth_cells(shown: pl.DataFrame) -> list[dict[str, str]]:
    names = {"expected A": "expected_a", "expected B": "expected_b", "A": "output_a", "B": "output_b"}
    return [
        {name: format_answer(row[column]) for name, column in names.items()}
        for row in shown.iter_rows(named=True)
    ]


def _expected(row: Mapping[str, Any]) -> tuple[str, ...]:
    values = [row[name] for name in ("expected", "expected_a", "expected_b") if name in row]
    return tuple(_text(value) for value in values if value is not None)


def _fields(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Field]:
    """Return what both runs say of an item: answers first, then what differs, then the rest."""
    names = [n for n in dict.fromkeys([*a, *b]) if n not in {"item_id", "expected"}]
    first = [n for n in ("output", "correct", "score", "loss") if n in names]
    fields = [_field(n, a.get(n), b.get(n)) for n in [*first, *(n for n in names if n not in first)]]
    fields = [f for f in fields if not (f.same and f.a == (Piece("–"),))]
    return sorted(fields, key=lambda f: (f.name not in first, f.same))[:_MOST_FIELDS]


def _field(name: str, a: Any, b: Any) -> Field:
    left, right = _text(a), _text(b)
    if left == right:
        return Field(name, (Piece(left),), (Piece(right),), same=True)
    if max(len(left), len(right)) < _WORDY or a is None or b is None:
        return Field(name, (Piece(left),), (Piece(right),), same=False)
    return Field(name, *words_apart(left, right), same=False)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    else:
        text = format_answer(value)
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()} …"
