"""The detections: what models said of items, under which strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.errors import InvalidData
from corrida.pipelines.inputs import (
    read_table,
    require_columns,
    rows_named,
    shown,
    suggest,
    text_column,
)

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from corrida.pipelines.evaluation.settings import DetectionColumns
    from corrida.pipelines.evaluation.truth import Truth

COLUMNS = ("item", "model", "strategy", "name", "description", "topic", "confidence")
_TEXTS = COLUMNS[:-1]
_REQUIRED = ("item", "model", "strategy")
_FORBIDDEN = "+|="
_LONGEST_NAME = 80
NAMED_AT_MOST = 5


def empty_detections() -> pl.DataFrame:
    """Return a table of detections without rows."""
    import polars as pl

    return pl.DataFrame(schema={**dict.fromkeys(_TEXTS, pl.String), "confidence": pl.Float64})


def load_detections(path: Path, columns: DetectionColumns, truth: Truth) -> pl.DataFrame:
    """Read detections.

    A row whose name and description are both empty says that the model looked at the item and found nothing.

    Args:
        path: a table with one row a detection.
        columns: what its columns are called.
        truth: what the items must be in.

    Returns:
        The columns :data:`COLUMNS`: strings, null where empty, and ``confidence`` float.

    Raises:
        InvalidData: a column or value is missing, an item is not in the truth, a confidence is outside of [0, 1], or a
            model or strategy has a name that cells cannot be called by.
    """
    import polars as pl

    frame = read_table(path)
    names = {role: getattr(columns, role) for role in COLUMNS}
    require_columns(frame, path, [name for name in names.values() if name])
    found = pl.DataFrame(
        {
            role: text_column(frame, path, name)
            if (name := names[role])
            else pl.Series([None] * frame.height, dtype=pl.String)
            for role in _TEXTS
        }
    )
    for role in _REQUIRED:
        blank = found[role].is_null().arg_true().to_list()
        if blank:
            raise InvalidData(
                f"{shown(path)}: column {names[role]!r} is empty at {rows_named(path, blank)}. "
                f"Say of every detection which {role} it belongs to."
            )
    found = found.with_columns(confidence=_confidences(frame, path, names["confidence"]))
    for role in ("model", "strategy"):
        for name in found[role].unique(maintain_order=True).to_list():
            try:
                check_part(role, name)
            except InvalidData as error:
                rows = (found[role] == name).arg_true().to_list()
                raise InvalidData(f"{shown(path)}: {rows_named(path, rows)}: {error}") from None
    _refuse_unknown_items(found, path, truth)
    return found


def check_part(role: str, name: str) -> str:
    """Return the name of a model or strategy when a cell can be called by it.

    Raises:
        InvalidData: it holds ``+``, ``|``, ``=`` or an invisible character, or is too long.
    """
    bad = next((sign for sign in _FORBIDDEN if sign in name), None)
    if bad or not name.isprintable() or not name.strip() or len(name) > _LONGEST_NAME:
        why = f"holds {bad!r}" if bad else "is empty, too long, or holds an invisible character"
        raise InvalidData(
            f"the {role} {name[:_LONGEST_NAME]!r} {why}. Cells are called matcher+strategy+model; choose a name of at "
            f"most {_LONGEST_NAME} printable characters without {', '.join(_FORBIDDEN)}."
        )
    return name


def _confidences(frame: pl.DataFrame, path: Path, column: str | None) -> pl.Series:
    """Return the confidences as numbers in [0, 1]; null where there is none."""
    import polars as pl

    if column is None:
        return pl.Series([None] * frame.height, dtype=pl.Float64)
    series = frame[column]
    if series.dtype == pl.String:
        texts = series.str.strip_chars()
        series = texts.set(texts == "", None)
    elif not series.dtype.is_numeric() and series.null_count() < frame.height:
        raise InvalidData(
            f"{shown(path)}: column {column!r} must hold numbers from 0 to 1 but holds {series.dtype}."
        )
    numbers = series.cast(pl.Float64, strict=False)
    odd = (numbers.is_null() & series.is_not_null()) | ~numbers.is_between(0, 1).fill_null(value=True)
    rows = odd.arg_true().to_list()
    if rows:
        raise InvalidData(
            f"{shown(path)}: column {column!r} has {frame[column][rows[0]]!r} at {rows_named(path, rows)}. "
            "A confidence is a number from 0 to 1; write 85 % as 0.85, and leave it empty where there is none."
        )
    return numbers


def _refuse_unknown_items(found: pl.DataFrame, path: Path, truth: Truth) -> None:
    unknown = ~found["item"].is_in(truth.ids)
    if not unknown.any():
        return
    items = found["item"].filter(unknown).unique(maintain_order=True).to_list()
    few = ", ".join(repr(item) for item in items[:NAMED_AT_MOST])
    more = f" and {len(items) - NAMED_AT_MOST:,} more" if len(items) > NAMED_AT_MOST else ""
    raise InvalidData(
        f"{shown(path)}: {rows_named(path, unknown.arg_true().to_list())}: {shown(truth.path)} has no item {few}{more}; "
        f"what is not known is not clean. Add the items to the truth, or take the detections out.{suggest(items[0], truth.ids)}"
    )
