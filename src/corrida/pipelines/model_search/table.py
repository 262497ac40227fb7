"""Features of any kind of table as one matrix of numbers, by what was learnt from the training rows.

Text becomes the place of its category, missing is NaN. The same columns, categories and medians are used for every later table,
so that one row is encoded as it would be among others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from corrida.errors import InvalidData
from corrida.pipelines.inputs import suggest
from corrida.pipelines.model_search.table_columns import Column, columns_of

Matrix = NDArray[np.float64]
_NUMBERS_SHARE, _FEW = 0.9, 20
_CATEGORIES_AT_MOST, _CATEGORIES_SHARE = 50, 0.5


class Feature(msgspec.Struct, frozen=True):
    """A column that a model learns from.

    Attributes:
        name: of the column.
        kind: number or category.
        categories: those of the training rows, sorted; of a number none.
        median: of the training rows; of a category None.
    """

    name: str
    kind: Literal["number", "category"]
    categories: tuple[str, ...] = ()
    median: float | None = None


class Alignment(msgspec.Struct, frozen=True):
    """How a table fits what was learnt.

    Attributes:
        missing: values that are missing, by column.
        unseen: categories that the training rows lack, by column, with how many rows have them.
        ignored: columns of the table that no model knows.
    """

    missing: dict[str, int]
    unseen: dict[str, dict[str, int]]
    ignored: tuple[str, ...]


class Features(msgspec.Struct, frozen=True):
    """The columns that a model learns from, in order.

    Attributes:
        columns: name, kind, categories and median of each.
        named: whether the training table had names; else columns are known by their place.
    """

    columns: tuple[Feature, ...]
    named: bool = True

    @property
    def names(self) -> list[str]:
        """The names in their order."""
        return [feature.name for feature in self.columns]

    def matrix(self, table: Any) -> Matrix:
        """Return a table as numbers: rows × features; a category that was never seen is one past the last.

        Raises:
            InvalidData: a column is missing, or text stands where numbers are due.
        """
        return self.aligned(table)[0]

    def aligned(self, table: Any) -> tuple[Matrix, Alignment]:
        """Return a table as numbers, and how it fits; see :meth:`matrix`."""
        given, names = columns_of(table), self.names
        if not self.named or not given.named:
            if len(given.columns) != len(names):
                raise InvalidData(
                    f"the table has {len(given.columns)} columns, and the model learnt from {len(names)}: "
                    f"{_few(names)}"
                )
            there = dict(zip(names, given.columns, strict=True))
        else:
            there = {column.name: column for column in given.columns}
        lacking = [name for name in names if name not in there]
        if lacking:
            raise InvalidData(
                f"the table has no column {lacking[0]!r}, which the model learnt from."
                f"{suggest(lacking[0], there)} It needs: {_few(names)}"
            )
        matrix = np.empty((given.rows, len(names)), dtype=np.float64)
        missing: dict[str, int] = {}
        unseen: dict[str, dict[str, int]] = {}
        for place, feature in enumerate(self.columns):
            values, odd = _encoded(there[feature.name], feature)
            matrix[:, place] = values
            if gaps := int(np.isnan(values).sum()):
                missing[feature.name] = gaps
            if odd:
                unseen[feature.name] = odd
        ignored = tuple(name for name in there if name not in set(names))
        return matrix, Alignment(missing, unseen, ignored)


def learn_features(table: Any) -> tuple[Features, Matrix, list[str]]:
    """Return what the columns of the training table are, the table as numbers, and what a person should know.

    Args:
        table: pandas or polars frame, or a two-dimensional numpy array.

    Raises:
        InvalidData: a column can be neither number nor category, or nothing is left to learn from.
    """
    given = columns_of(table)
    if given.rows == 0 or not given.columns:
        raise InvalidData("there are no rows or no columns to learn from")
    names = [column.name for column in given.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidData(f"the column {twice!r} is there twice; give each its own name")
    features: list[Feature] = []
    columns: list[Matrix] = []
    said: list[str] = []
    for column in given.columns:
        if column.all_missing:
            said.append(f"the column {column.name!r} has no value in any training row and is left out")
            continue
        feature = _learnt(column)
        features.append(feature)
        columns.append(_encoded(column, feature)[0])
    if not features:
        raise InvalidData("no column has a value; there is nothing to learn from")
    if not given.named and len(features) < len(names):
        raise InvalidData(f"{said[0]}; an array without names cannot lose a column: take it out yourself")
    return Features(tuple(features), given.named), np.column_stack(columns), said


def _learnt(column: Column) -> Feature:
    if column.numbers is not None:
        return Feature(column.name, "number", median=float(np.nanmedian(column.numbers)))
    texts = [text for text in column.texts or () if text is not None]
    distinct = sorted(set(texts))
    if column.may_be_numbers:
        _refuse_numbers_as_text(column, texts, distinct)
    limit = max(_CATEGORIES_AT_MOST, int(len(texts) * _CATEGORIES_SHARE))
    if len(distinct) > limit:
        raise InvalidData(
            f"the column {column.name!r} is text with {len(distinct):,} different values in {len(texts):,} rows; "
            "leave it out, or make numbers or fewer categories of it"
        )
    return Feature(column.name, "category", tuple(distinct))


def _refuse_numbers_as_text(column: Column, texts: Sequence[str], distinct: Sequence[str]) -> None:
    others = {text for text in distinct if not _is_number(text)}
    numbers = sum(text not in others for text in texts)
    if len(distinct) <= _FEW or numbers < _NUMBERS_SHARE * len(texts):
        return
    if not others:
        raise InvalidData(
            f"the column {column.name!r} holds numbers as text; convert it to numbers, or to a categorical type if "
            "they are codes"
        )
    odd = next(row for row, text in enumerate(column.texts or ()) if text in others)
    value = (column.texts or ())[odd]
    raise InvalidData(
        f"the column {column.name!r} is text, yet {numbers:,} of its {len(texts):,} values are numbers; "
        f"{value!r} in row {odd + 1} is none: mend it, or make it empty"
    )


def _encoded(column: Column, feature: Feature) -> tuple[Matrix, dict[str, int]]:
    """Return the values of a column as numbers, and the categories that are new with their counts."""
    if feature.kind == "number":
        if column.numbers is None:
            if column.all_missing:
                return np.full(column.rows, np.nan), {}
            row, value = next((r, t) for r, t in enumerate(column.texts or ()) if t is not None)
            raise InvalidData(
                f"the column {feature.name!r} must hold numbers, as in training; row {row + 1} has the text {value!r}"
            )
        infinite = np.isinf(column.numbers)
        if infinite.any():
            raise InvalidData(
                f"the column {feature.name!r} is infinite in row {int(infinite.argmax()) + 1}; "
                "mend the value, or make it empty"
            )
        return column.numbers, {}
    places: dict[str | None, float] = {text: float(place) for place, text in enumerate(feature.categories)}
    places[None] = np.nan
    new = float(len(feature.categories))
    texts = column.as_texts()
    values = np.fromiter((places.get(text, new) for text in texts), dtype=np.float64, count=len(texts))
    odd: dict[str, int] = {}
    for place in np.flatnonzero(values == new):
        text = str(texts[int(place)])
        odd[text] = odd.get(text, 0) + 1
    return values, odd


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
