"""The items of a run as a person goes through them: chosen, put in order, and written in cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.analysis.items_values import are_measurements, correctness, format_answer
from corrida.errors import InvalidData, InvalidFilter
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

_FIRST = (
    "item_id", "text", "title", "input", "output", "output_title", "expected", "correct", "score", "loss",
)  # fmt: skip
_COLUMNS = 9


def wrong_items(
    frame: pl.DataFrame, run_id: str, *, worst: str, of_all: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the items whose answer is wrong.

    Args:
        frame: the items.
        run_id: of whose run they are.
        worst: how to ask for the greatest losses, where nothing is right or wrong.
        of_all: all items of the run, where ``frame`` is a part of them.

    Raises:
        InvalidData: they do not say what is correct.
    """
    if frame.is_empty():
        return frame
    if are_measurements(frame if of_all is None else of_all):
        raise InvalidData(
            f"the items of the run {run_id} are near or far, not right or wrong; {worst} puts the greatest loss first"
        )
    if "correct" not in frame.columns and not {"output", "expected"} <= set(frame.columns):
        also = f"; {worst} puts the greatest loss first" if "loss" in frame.columns else ""
        raise InvalidData(
            f"the items of the run {run_id} do not say what is correct (no column correct){also}"
        )
    return frame.filter(~correctness(frame, f"the run {run_id}"))


def items_where(frame: pl.DataFrame, condition: str, name: str) -> pl.DataFrame:
    """Return the rows that fit a condition in SQL.

    Args:
        frame: the items.
        condition: over their columns, as in ``score < 0.5 AND output = 'x'``.
        name: of the place where the condition was given, for an error message.

    Raises:
        InvalidFilter: it cannot be read, names no column, or is not true or false.
    """
    import polars as pl

    try:
        return frame.filter(pl.sql_expr(condition))
    except pl.exceptions.ColumnNotFoundError:
        columns = ", ".join(frame.columns)
        raise InvalidFilter(
            f"{name} {condition!r} names a column that is not there; there are {columns}"
        ) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is empty"
        raise InvalidFilter(
            f"{name} {condition!r} cannot be used ({reason}); write it as score < 0.5 AND output = 'x'"
        ) from None


def by_loss(frame: pl.DataFrame, run_id: str) -> pl.DataFrame:
    """Return the rows by their loss, the greatest first.

    Raises:
        InvalidData: the items have no losses, or no numbers there.
    """
    if "loss" not in frame.columns or not frame.schema["loss"].is_numeric():
        raise InvalidData(f"the items of the run {run_id} have no loss (no column loss with numbers)")
    losses = frame.select("loss").fill_nan(None)
    order = losses["loss"].rank("ordinal", descending=True)
    return (
        frame.with_columns(_order=order).sort("_order", nulls_last=True, maintain_order=True).drop("_order")
    )


def readable_columns(names: Sequence[str]) -> list[str]:
    """Return the columns that say most, at most nine where they are many."""
    first = [n for n in _FIRST if n in names]
    return first + [n for n in names if n not in first][: max(0, _COLUMNS - len(first))]


def number_columns(frame: pl.DataFrame, names: Sequence[str]) -> frozenset[int]:
    """Return the places of the columns that hold numbers."""
    measured = {"output", "expected"} if are_measurements(frame) else set()
    return frozenset(i for i, name in enumerate(names) if name in measured or frame.schema[name].is_numeric())


def item_cell(value: Any, column: str) -> str:
    """Return a value of an item on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and column not in {"output", "expected"}:
        return format_number(value)
    return " ".join(format_answer(value).split())


def rightness(frame: pl.DataFrame) -> list[bool | None]:
    """Return for each row whether its answer is right, where a column ``correct`` says so; else an empty list."""
    if "correct" not in frame.columns:
        return []
    try:
        return correctness(frame.select("correct"), "the run").to_list()
    except InvalidData:  # it holds something else
        return []
