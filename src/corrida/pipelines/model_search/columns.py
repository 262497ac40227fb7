"""The columns of a table: what each one holds, and how new rows are brought into the shape that was trained on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec
import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.inputs import rows_named, shown
from corrida.pipelines.model_search.dates import as_times, calendar_features, holds_dates, times_by_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Kind = Literal["number", "boolean", "category", "date"]

MISSING = frozenset({"nan", "na", "n/a", "null", "none", "-", ".", "?"})
_TRUE, _FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})
_CODE = r"^[+-]?0\d"  # 007 is a name, not a number
_COMMA = re.compile(r"[+-]?\d+,\d+")
# A column of text of which so many values are numbers is one of numbers with mistakes in it.
_MOSTLY = 0.9


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column that models learn from.

    Attributes:
        name: of the column.
        kind: what it holds.
        levels: the names that occur in the training rows, of a category.
        parts: what is taken of a date.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


class Source:
    """Rows of several files below each other, and where each of them stands."""

    def __init__(self, parts: Sequence[tuple[Path, pl.DataFrame]]) -> None:
        """Put tables below each other that have the same columns.

        Raises:
            InvalidData: a column of one file is missing in another.
        """
        self.parts = list(parts)
        first_path, first = self.parts[0]
        for path, frame in self.parts[1:]:
            if odd := sorted(set(first.columns) ^ set(frame.columns)):
                lacking = path if odd[0] in first.columns else first_path
                raise InvalidData(
                    f"{shown(lacking)}: there is no column {odd[0]!r}, which another data file has. "
                    "Give files with the same columns."
                )
        frames = [frame.select(first.columns) for _, frame in self.parts]
        self.frame = pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]

    @property
    def path(self) -> Path:
        """The first file, for errors that concern all."""
        return self.parts[0][0]

    def at(self, rows: Sequence[int]) -> tuple[Path, str]:
        """Return the file of the first of some rows, and where they stand in it."""
        start = 0
        for path, frame in self.parts:
            inside = [row - start for row in rows if start <= row < start + frame.height]
            if inside:
                return path, rows_named(path, inside)
            start += frame.height
        return self.path, "no row"


def kind_of(source: Source, name: str, *, named: bool = False) -> Kind:
    """Return what a column holds, by all its values.

    Args:
        source: the rows.
        name: of the column.
        named: whether somebody said that it is a category.

    Raises:
        InvalidData: numbers with a few texts among them, decimal commas, or lists.
    """
    given = source.frame[name]
    if given.dtype.is_nested() or given.dtype in (pl.Binary, pl.Object):
        raise InvalidData(
            f"{shown(source.path)}: column {name!r} holds {given.dtype}; a feature is a number, a text or a date. "
            f"Leave it out with --set ignore=[{name}]."
        )
    if named:
        return "category"
    if holds_dates(given):
        return "date"
    if given.dtype == pl.Boolean:
        return "boolean"
    if given.dtype.is_numeric() or given.dtype == pl.Null:
        return "number"
    return _kind_of_text(source, name, _stripped(given))


def _kind_of_text(source: Source, name: str, text: pl.Series) -> Kind:
    """Return what a column of text holds, where every value is a string."""
    known = text.drop_nulls()
    few = set(known.str.to_lowercase().unique().to_list()) if known.n_unique() <= 4 else set()
    if few and few <= _TRUE | _FALSE:
        return "boolean"
    if known.str.contains(_CODE).any():
        return "category"
    share = known.cast(pl.Float64, strict=False).is_not_null().mean() if known.len() else 1.0
    if share == 1:
        return "number"
    if isinstance(share, float) and share >= _MOSTLY and known.n_unique() > 10:
        _refuse_text(source, name, text, share)
    if known.len() > 5 and all(_COMMA.fullmatch(one) for one in known.head(50)):
        raise InvalidData(
            f"{shown(source.path)}: column {name!r} seems to hold numbers with a decimal comma, such as {known[0]!r}. "
            f"Write them with a point, or say that they are names: --set categories=[{name}]"
        )
    return "category"


def numbers_of(source: Source, name: str) -> pl.Series:
    """Return a column of numbers, null where nothing stands.

    Raises:
        InvalidData: a text or an infinite value among them, with its line.
    """
    values, odd, infinite = _numbers(source.path, source.frame[name])
    if odd.any():
        _refuse_text(source, name, _stripped(source.frame[name]), None)
    if (bad := infinite.arg_true().to_list()) != []:
        path, where = source.at(bad)
        raise InvalidData(
            f"{shown(path)}: column {name!r} is infinite at {where}. Correct the value, or leave it empty."
        )
    return values


def _numbers(path: Path, given: pl.Series) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Return a column as numbers, null where none stands, and where it holds other text, and infinite values.

    Raises:
        InvalidData: the column holds neither numbers nor text.
    """
    if given.dtype == pl.String:
        text = _stripped(given)
        values = text.cast(pl.Float64, strict=False)
        odd = values.is_null() & text.is_not_null()
    elif given.dtype.is_numeric() or given.dtype in (pl.Boolean, pl.Null):
        values = given.cast(pl.Float64)
        odd = pl.repeat(value=False, n=given.len(), dtype=pl.Boolean, eager=True)
    else:
        raise InvalidData(f"{shown(path)}: column {given.name!r} must be numbers but holds {given.dtype}.")
    values = values.fill_nan(None)
    return values, odd, values.is_infinite().fill_null(value=False)


def values_of(source: Source, name: str, kind: Kind, *, by_row: bool = False) -> pl.Series:
    """Return a column as what it holds: numbers (also of booleans), text, or times.

    Args:
        source: the rows.
        name: of the column.
        kind: what it holds.
        by_row: whether a date may be written otherwise than those of other rows, so that none has a say in what another is.

    Raises:
        InvalidData: a value is of another kind, with its line.
    """
    given = source.frame[name]
    if kind == "number":
        return numbers_of(source, name)
    if kind == "boolean":
        return _booleans(source, name)
    if kind == "date":
        times = times_by_row(given) if by_row else as_times(given)
        if times is None or times.null_count() > given.null_count():
            bad = [] if times is None else (times.is_null() & given.is_not_null()).arg_true().to_list()
            path, where = source.at(bad) if bad else (source.path, "its first row")
            value = given[bad[0]] if bad else given[0]
            raise InvalidData(
                f"{shown(path)}: column {name!r} is {value!r} at {where}, which is no date. "
                "Write dates alike, as in 2024-01-31 or 2024-01-31 13:00."
            )
        return times
    return texts_of(given)


def texts_of(given: pl.Series) -> pl.Series:
    """Return a column as names: text, with blank as null; a number that is whole has no point."""
    if given.dtype.is_float():
        # Each by itself: what a number is called must not hang on the others.
        known = given.fill_nan(None)
        whole = known.cast(pl.Int64, strict=False)
        given = whole.cast(pl.String).zip_with((whole == known).fill_null(value=False), known.cast(pl.String))
    text = given.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def values_or_problem(path: Path, given: pl.Series, kind: Kind) -> tuple[pl.Series, pl.Series]:
    """Return a column as :func:`values_of` does, row by row, and why a value cannot be read, null where it can.

    Args:
        path: of the file, for what is refused as a whole.
        given: the column.
        kind: what it holds.

    Raises:
        InvalidData: the whole column is of another kind.
    """
    said = pl.repeat(None, given.len(), dtype=pl.String, eager=True)
    if kind == "number":
        values, odd, infinite = _numbers(path, given)
        return values, _where(
            infinite, f"{given.name} is infinite", _where(odd, f"{given.name} is no number", said)
        )
    if kind == "boolean":
        values, odd = _truths(given)
        return values, _where(odd, f"{given.name} is neither true nor false", said)
    if kind == "category":
        return texts_of(given), said
    times = times_by_row(_blank_as_null(given) if given.dtype == pl.String else given)
    if times is None:
        raise InvalidData(f"{shown(path)}: column {given.name!r} must be dates but holds {given.dtype}.")
    missing = _blank_as_null(given).is_null() if given.dtype == pl.String else given.is_null()
    return times, _where(times.is_null() & ~missing, f"{given.name} is no date", said)


def _where(holds: pl.Series, text: str, other: pl.Series) -> pl.Series:
    return other.set(holds, text) if holds.any() else other


def _blank_as_null(given: pl.Series) -> pl.Series:
    text = given.str.strip_chars()
    return text.set(text == "", None)


def encoded(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return what estimators are given: numbers as floats and names as text, null where something is missing.

    Args:
        frame: of values as :func:`values_of` gives them, with all columns.
        columns: in the order of training.
    """
    found: list[pl.Series] = []
    for column in columns:
        values = frame[column.name].alias(column.name)
        if column.kind == "date":
            found += calendar_features(column.name, values, column.parts)
        else:
            # Said to be categories, so that codes made of digits are not taken for numbers again.
            found.append(values.cast(pl.Categorical) if column.kind == "category" else values)
    return pl.DataFrame(found)


def origin_of(feature: str, columns: Sequence[Column]) -> str:
    """Return the column that a feature was made of."""
    names = {column.name for column in columns if column.kind != "date"}
    if feature in names:
        return feature
    return next(c.name for c in columns if c.kind == "date" and feature.startswith(f"{c.name}."))


def _stripped(given: pl.Series) -> pl.Series:
    text = given.cast(pl.String).str.strip_chars()
    return text.set(text.str.to_lowercase().is_in(list(MISSING)) | (text == ""), None)


def _booleans(source: Source, name: str) -> pl.Series:
    given = source.frame[name]
    values, odd = _truths(given)
    if (bad := odd.arg_true().to_list()) != []:
        path, where = source.at(bad)
        raise InvalidData(
            f"{shown(path)}: column {name!r} is {given[bad[0]]!r} at {where}; it holds true and false."
        )
    return values


def _truths(given: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return a column of true and false as 1 and 0, and where it holds something else."""
    if given.dtype == pl.Boolean or given.dtype.is_numeric():
        values = given.cast(pl.Float64)
        return values, pl.repeat(value=False, n=given.len(), dtype=pl.Boolean, eager=True)
    text = _stripped(given).str.to_lowercase()
    values = text.replace_strict(
        {**dict.fromkeys(_TRUE, 1.0), **dict.fromkeys(_FALSE, 0.0)}, default=None, return_dtype=pl.Float64
    )
    return values, values.is_null() & text.is_not_null()


def _refuse_text(source: Source, name: str, text: pl.Series, share: float | None) -> None:
    bad = (text.cast(pl.Float64, strict=False).is_null() & text.is_not_null()).arg_true().to_list()
    path, where = source.at(bad)
    others = f", and {100 * share:.3g} % of the others are" if share else ""
    raise InvalidData(
        f"{shown(path)}: column {name!r} is {text[bad[0]]!r} at {where}, which is no number{others}. "
        "Write numbers with a point, leave unknown ones empty"
        + (f", or say that they are names: --set categories=[{name}]" if share else ".")
    )
