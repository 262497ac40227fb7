"""The columns of a pandas frame, a polars frame or a numpy array, as numbers or texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from corrida.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: of the column.
        rows: how many.
        numbers: its values where all are numbers or missing (NaN).
        texts: its values where some are text; None where missing.
        may_be_numbers: it is text of no declared kind, so numbers in it may be there by mistake.
    """

    name: str
    rows: int
    numbers: NDArray[np.float64] | None = None
    texts: Sequence[str | None] | None = None
    may_be_numbers: bool = False

    @property
    def all_missing(self) -> bool:
        """Tell whether there is no value."""
        if self.numbers is not None:
            return bool(np.isnan(self.numbers).all())
        return all(text is None for text in self.texts or ())

    def as_texts(self) -> Sequence[str | None]:
        """Return the values as text, whole numbers without a point."""
        if self.texts is not None:
            return self.texts
        values: list[float] = self.numbers.tolist() if self.numbers is not None else []
        return [None if v != v else str(int(v)) if v.is_integer() else str(v) for v in values]  # noqa: PLR0124 - NaN


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        columns: in order.
        rows: how many.
        named: whether the table has names of its own.
    """

    columns: list[Column]
    rows: int
    named: bool


def columns_of(table: Any) -> Columns:
    """Return the columns of a table.

    Args:
        table: a pandas or polars frame, a two-dimensional array or a list of rows.

    Raises:
        InvalidData: it is no table, or a column is neither numbers nor text.
    """
    if hasattr(table, "get_column") and hasattr(table, "schema"):
        return Columns(
            [_of_polars(table.get_column(name)) for name in table.columns], table.height, named=True
        )
    if hasattr(table, "iloc") and hasattr(table, "columns"):
        columns = [_of_pandas(str(name), table.iloc[:, place]) for place, name in enumerate(table.columns)]
        return Columns(columns, len(table), named=True)
    try:
        array = np.asarray(table)
    except ValueError as error:
        raise InvalidData(f"the features are no table: {error}") from None
    if array.ndim != 2:
        raise InvalidData(
            f"the features are no table of rows and columns but a {type(table).__name__} of shape {array.shape}"
        )
    columns = [_of_values(f"x{place}", array[:, place]) for place in range(array.shape[1])]
    return Columns(columns, len(array), named=False)


def _of_polars(series: Any) -> Column:
    import polars as pl

    name, kind = series.name, series.dtype
    if kind.is_numeric() or kind == pl.Boolean:
        numbers = series.cast(pl.Float64).to_numpy().astype(np.float64, copy=False)
        return Column(name, len(series), numbers=numbers)
    if kind in {pl.String, pl.Categorical, pl.Enum} or isinstance(kind, pl.Categorical | pl.Enum):
        texts = series.cast(pl.String).to_list()
        return Column(name, len(series), texts=texts, may_be_numbers=kind == pl.String)
    if kind == pl.Null:
        return Column(name, len(series), texts=[None] * len(series))
    if kind.is_temporal():
        raise _is_time(name)
    raise _is_odd(name, str(kind))


def _of_pandas(name: str, series: Any) -> Column:
    kind = series.dtype
    if kind.kind in "iufb" if hasattr(kind, "kind") else False:
        return Column(name, len(series), numbers=series.to_numpy(dtype=np.float64, na_value=np.nan))
    if getattr(kind, "kind", "") in "Mm":
        raise _is_time(name)
    categorical = kind.name == "category"
    values = np.asarray(series.astype(object).where(series.notna(), None), dtype=object)
    column = _of_values(name, values)
    if categorical and column.numbers is not None:
        return Column(name, len(series), texts=column.as_texts())
    return Column(name, len(series), column.numbers, column.texts, column.may_be_numbers and not categorical)


def _of_values(name: str, values: NDArray[Any]) -> Column:
    """Return a column of a numpy array, which may hold objects."""
    kind = values.dtype.kind
    if kind in "iufb":
        return Column(name, len(values), numbers=values.astype(np.float64))
    if kind in "Mm":
        raise _is_time(name)
    if kind in "US":
        return Column(name, len(values), texts=values.astype(str).tolist(), may_be_numbers=True)
    if kind != "O":
        raise _is_odd(name, str(values.dtype))
    plain = [None if is_missing(value) else value for value in values.tolist()]
    if all(value is None or isinstance(value, int | float | np.number | np.bool_) for value in plain):
        numbers = np.array([np.nan if value is None else float(value) for value in plain], dtype=np.float64)
        return Column(name, len(plain), numbers=numbers)
    for row, value in enumerate(plain):
        if hasattr(value, "isoformat"):
            raise _is_time(name)
        if value is not None and not isinstance(value, str | int | float | np.number | np.bool_):
            raise _is_odd(name, f"{type(value).__name__} in row {row + 1}")
    return Column(name, len(plain), texts=[None if v is None else str(v) for v in plain], may_be_numbers=True)


def is_missing(value: Any) -> bool:
    """Tell whether a single value stands for none."""
    return (
        value is None
        or type(value).__name__ in {"NAType", "NaTType"}
        or (isinstance(value, float) and math.isnan(value))
    )


def _is_time(name: str) -> InvalidData:
    return InvalidData(
        f"the column {name!r} holds times; make numbers of it (such as month, day of the year, hour), or leave it out"
    )


def _is_odd(name: str, kind: str) -> InvalidData:
    return InvalidData(
        f"the column {name!r} holds neither numbers nor text but {kind}; convert it, or leave it out"
    )
