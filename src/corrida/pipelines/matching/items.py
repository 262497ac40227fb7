"""The items of a matching run: read from the data, decided one by one, and laid out as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from corrida.errors import InvalidData
from corrida.pipelines.inputs import (
    id_column,
    read_table,
    require_columns,
    rows_named,
    shown,
    suggest,
    text_column,
)
from corrida.pipelines.matching.text import searchable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from corrida.pipelines.contract import Data
    from corrida.pipelines.matching.classification import Classification
    from corrida.pipelines.matching.rules import RuleSet
    from corrida.pipelines.matching.settings import MatchingConfig

NAMED_AT_MOST = 5


class Item(NamedTuple):
    """A text to be coded.

    Attributes:
        item_id: unique.
        text: as written; empty when the cell is.
        sector: as written; empty when it is not known.
        expected: the right code, or None.
        record: searchable text by field of the rules.
    """

    item_id: str
    text: str
    sector: str
    expected: str | None
    record: dict[str, str]


class Decision(msgspec.Struct, frozen=True):
    """What was decided for an item.

    Attributes:
        item: the item.
        code: the code, or None for an abstention.
        decided_by: ``rule``, ``index`` or ``abstained``.
        score: confidence in [0, 1]; 1 for a rule; of the best refused code for an abstention, None without one.
        rule: the id of the rule that decided.
        evidence: the rule's name, or the title of the index that is most like the text.
        runners_up: the codes that came after.
        incompatible: codes that the sector excluded.
        fired: positions, in the order of trial, of all rules whose condition holds.
    """

    item: Item
    code: str | None
    decided_by: str
    score: float | None = None
    rule: str | None = None
    evidence: str | None = None
    runners_up: str | None = None
    incompatible: str | None = None
    fired: tuple[int, ...] = ()

    @property
    def correct(self) -> bool | None:
        """Whether the code is the expected one; False for an abstention, None when nothing is expected."""
        return None if self.item.expected is None else self.code == self.item.expected


def read_items(
    data: Data, config: MatchingConfig, rules: RuleSet, classification: Classification
) -> list[Item]:
    """Read the items of all data files, in order.

    Raises:
        InvalidData: there is no file; a column is missing; an id is missing or occurs twice; an expected code is
            not in the classification; or an id that was asked for is not there.
        InvalidConfig: a rule asks for a column that the data lack.
    """
    if not data.files:
        raise InvalidData("There is no data file. Name a table with the texts to be coded.")
    items: list[Item] = []
    home: dict[str, Path] = {}
    for path in data.files:
        for item in _read_file(path, config, rules, classification):
            if item.item_id in home:
                raise InvalidData(
                    f"{shown(path)}: the id {item.item_id!r} is in {shown(home[item.item_id])} too. Give every item its own id."
                )
            home[item.item_id] = path
            items.append(item)
    if data.item_ids is None:
        return items
    unknown = sorted(data.item_ids - home.keys())
    if unknown:
        names = ", ".join(repr(name) for name in unknown[:NAMED_AT_MOST])
        more = f" and {len(unknown) - NAMED_AT_MOST:,} more" if len(unknown) > NAMED_AT_MOST else ""
        raise InvalidData(
            f"{', '.join(shown(path) for path in data.files)}: there is no item {names}{more}.{suggest(unknown[0], home)}"
        )
    chosen = [item for item in items if item.item_id in data.item_ids]
    if not chosen:
        raise InvalidData("No item was chosen. Name at least one id, or leave the choice out to process all.")
    return chosen


def _read_file(
    path: Path, config: MatchingConfig, rules: RuleSet, classification: Classification
) -> list[Item]:
    frame = read_table(path)
    columns = config.columns
    require_columns(
        frame, path, [name for name in (columns.id, columns.text, columns.sector, columns.expected) if name]
    )
    rules.check_columns(frame.columns, shown(path))
    ids: list[str] = id_column(frame, path, columns.id).to_list()
    texts = _values(frame, path, columns.text)
    sectors = _values(frame, path, columns.sector)
    expected = _values(frame, path, columns.expected)
    unknown = [row for row, code in enumerate(expected) if code and code not in classification]
    if unknown:
        code = expected[unknown[0]]
        raise InvalidData(
            f"{shown(path)}: {config.classification} has no code {code!r}, expected at {rows_named(path, unknown)}; it could never "
            f"be right. Correct or empty it.{suggest(code, classification.titles)}"
        )
    fields = {field: _values(frame, path, column) for field, column in rules.columns.items()}
    return [
        Item(
            ids[row],
            texts[row],
            sectors[row],
            expected[row] or None,
            {f: searchable(v[row]) for f, v in fields.items()},
        )
        for row in range(frame.height)
    ]


def _values(frame: pl.DataFrame, path: Path, column: str | None) -> list[str]:
    """Return a column as texts, empty where there is none."""
    return text_column(frame, path, column).fill_null("").to_list() if column else [""] * frame.height


def items_frame(decisions: Sequence[Decision], classification: Classification) -> pl.DataFrame:
    """Lay the decisions out as a table, one row an item in the order of the data.

    Returns:
        Columns of strings, with ``correct`` boolean and ``score`` float; see docs/pipelines/matching.md.
    """
    import polars as pl

    rows = [
        (
            d.item.item_id,
            d.item.text,
            d.item.sector or None,
            d.code,
            classification.titles[d.code] if d.code else None,
            d.item.expected,
            d.correct,
            d.score,
            d.decided_by,
            d.rule,
            d.evidence,
            d.runners_up,
            d.incompatible,
            classification.deepest_agreement(d.code, d.item.expected) if d.code and d.item.expected else None,
        )
        for d in decisions
    ]
    text = pl.String
    schema = {
        "item_id": text,
        "text": text,
        "sector": text,
        "output": text,
        "output_title": text,
        "expected": text,
        "correct": pl.Boolean,
        "score": pl.Float64,
        "decided_by": text,
        "rule": text,
        "evidence": text,
        "runners_up": text,
        "incompatible": text,
        "level": text,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
