"""Values of item tables as their pipelines meant them, whatever type a file format gave them.

A table that went through CSV has "1" where another has 1 or 1.0. Such values are equal; values of one type are
compared as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidData
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    import polars as pl

_TRUE = ("true", "1", "1.0")
_FALSE = ("false", "0", "0.0")
# Beyond this a float does not tell neighbouring whole numbers apart.
_EXACT = 2**53
# Losses, and measured answers, that agree to so many digits are equal: threads and processors round differently.
_NEAR = 1e-9
_SHOWN_DIGITS = 6


def item_ids(column: pl.Series) -> pl.Series:
    """Return item ids as text.

    Args:
        column: Text or numbers; 7, 7.0 and "7" are one id.

    Raises:
        InvalidData: The ids are lists or other values that identify nothing.
    """
    import polars as pl

    if column.dtype == pl.String:
        return column
    if column.dtype.is_float():
        # pandas turns whole numbers into floats as soon as one is missing in the column.
        column = column.fill_nan(None)
        whole = column.cast(pl.Int64, strict=False)
        if bool((whole.cast(pl.Float64) == column.cast(pl.Float64)).all()) and not _loses(whole, column):
            column = whole
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise InvalidData(f"The column 'item_id' holds {column.dtype}; an id is text or a whole number.")
    return column.cast(pl.String)


def correctness(frame: pl.DataFrame, side: str) -> pl.Series:
    """Return for every item whether its output is right; null when that is not known.

    Args:
        frame: The items. ``correct`` is believed where it is present; else ``output`` is compared with
            ``expected``, and an item without an expected answer is not known to be right or wrong. Nor are
            measurements with a loss (:func:`are_measurements`): they are near or far.
        side: How to call the table in an error message.

    Raises:
        InvalidData: ``correct`` holds something else than truth values.
    """
    import polars as pl

    if "correct" in frame.columns and frame["correct"].null_count() < len(frame):
        return _truth_values(frame["correct"], side)
    if "output" in frame.columns and "expected" in frame.columns and not are_measurements(frame):
        right = equal_values(frame["output"], frame["expected"])
        return pl.DataFrame({"right": right, "expected": frame["expected"].is_not_null()}).select(
            pl.when("expected").then("right")
        )["right"]
    return pl.repeat(None, len(frame), eager=True, dtype=pl.Boolean)


def are_measurements(frame: pl.DataFrame) -> bool:
    """Tell whether the answers of items are measurements whose loss says how far off they are, as in a regression.

    Args:
        frame: The items. True when they have losses and nothing says what is correct, every expected answer is a
            number, every output is a number or missing, and not all of these are whole: whole numbers may be codes.
    """
    import polars as pl

    columns = frame.columns
    if not {"output", "expected", "loss"} <= {*columns} or frame["loss"].null_count() == len(frame):
        return False
    if "correct" in columns and frame["correct"].null_count() < len(frame):
        return False
    fractions = False
    for name in ("expected", "output"):
        column = _plain(frame[name]).drop_nulls()
        if column.dtype == pl.String:
            # The first value tells texts apart from numbers without a look at all of them.
            if len(column) and column.head(1).cast(pl.Float64, strict=False).null_count():
                return False
            numbers = column.cast(pl.Float64, strict=False)
        elif column.dtype.is_numeric():
            numbers = column.cast(pl.Float64)
        else:
            return False
        if numbers.null_count() or (name == "expected" and numbers.is_empty()):
            return False
        fractions = fractions or bool((numbers.is_finite() & (numbers.floor() != numbers)).any())
    return fractions


def near_values(a: pl.Series, b: pl.Series) -> pl.Series:
    """Return where two columns of numbers agree to nine digits; null where a number is missing or NaN.

    Args:
        a: Numbers, or texts that are numbers.
        b: As many.
    """
    import polars as pl

    pairs = pl.DataFrame({"a": _plain(a).cast(pl.Float64), "b": _plain(b).cast(pl.Float64)}).fill_nan(None)
    left, right = pl.col("a"), pl.col("b")
    far = (left - right).abs() > _NEAR * pl.max_horizontal(left.abs(), right.abs())
    both_finite = left.is_finite() & right.is_finite()
    return pairs.select(near=pl.when(both_finite).then(~far).otherwise(left == right))["near"]


def format_answer(value: Any) -> str:
    """Return an answer as a table shows it: numbers with at most six digits, ``–`` where there is none.

    A text is taken for a number when it is how a float is written out, as ``11.020406685308505``; one such as
    ``0123.10`` may be a code and stays.

    Args:
        value: An output or an expected answer.
    """
    if value is None:
        return "–"
    if isinstance(value, str) and len(value) > _SHOWN_DIGITS and "." in value:
        try:
            number = float(value)
        except ValueError:
            return value
        if repr(number) != value:
            return value
        value = number
    if not isinstance(value, float):
        return str(value)
    return format_number(value) if value.is_integer() else f"{value:.{_SHOWN_DIGITS}g}"


def equal_values(a: pl.Series, b: pl.Series) -> pl.Series:
    """Return where two columns hold equal values; two missing values are equal, as are two NaN.

    Args:
        a: One column.
        b: Another of the same length and of any type.

    Returns:
        Truth values without nulls.
    """
    import polars as pl

    a, b = _plain(a), _plain(b)
    if pl.Object in {a.dtype, b.dtype} or (
        a.dtype != b.dtype and (a.dtype.is_nested() or b.dtype.is_nested())
    ):
        pairs = zip(a.to_list(), b.to_list(), strict=True)
        return pl.Series([bool(x == y) for x, y in pairs], dtype=pl.Boolean)
    if a.dtype == b.dtype:
        return a.eq_missing(b)
    both_missing = a.is_null() & b.is_null()
    if pl.Null in {a.dtype, b.dtype}:
        return both_missing
    if b.dtype == pl.String or (a.dtype.is_integer() and b.dtype.is_float()):
        a, b = b, a
    return _equal_mixed(a, b).fill_null(False) | both_missing


def _equal_mixed(a: pl.Series, b: pl.Series) -> pl.Series:
    """Compare columns of two types; null counts as different."""
    import polars as pl

    if a.dtype == pl.String and b.dtype.is_numeric():
        return _equal_text_number(a.str.strip_chars(), b)
    if a.dtype == pl.String:
        return (a.str.to_lowercase() if b.dtype == pl.Boolean else a) == b.cast(pl.String)
    if a.dtype.is_numeric() and b.dtype.is_numeric():
        return _equal_numbers(a, b)
    if a.dtype.is_temporal() and b.dtype.is_temporal():
        return a.cast(pl.String) == b.cast(pl.String)
    return pl.repeat(False, len(a), eager=True, dtype=pl.Boolean)


def _equal_text_number(text: pl.Series, numbers: pl.Series) -> pl.Series:
    """Compare text with numbers; text that is no number differs."""
    import polars as pl

    as_float = _equal_numbers(text.cast(pl.Float64, strict=False), numbers)
    if not numbers.dtype.is_integer():
        return as_float
    # Long whole numbers must not be rounded to floats on the way.
    whole = text.cast(pl.Int64, strict=False)
    return pl.DataFrame({"whole": whole == numbers, "float": as_float}).select(
        pl.coalesce("whole", "float").alias("equal")
    )["equal"]


def _equal_numbers(a: pl.Series, b: pl.Series) -> pl.Series:
    """Compare numbers of two types exactly."""
    import polars as pl

    if a.dtype.is_float() and b.dtype.is_integer():
        # A float column above 2^53 equals several neighbouring whole numbers when compared as floats.
        near = a.cast(pl.Float64) == b.cast(pl.Float64)
        return near & ((a.abs() < _EXACT) | (a.cast(pl.Int64, strict=False) == b))
    if a.dtype.is_float() or b.dtype.is_float():
        return a.cast(pl.Float64) == b.cast(pl.Float64)
    return a == b


def _plain(column: pl.Series) -> pl.Series:
    """Return a column with categories as the text they stand for and truth values as they are."""
    import polars as pl

    return column.cast(pl.String) if isinstance(column.dtype, (pl.Categorical, pl.Enum)) else column


def _loses(whole: pl.Series, column: pl.Series) -> bool:
    """Tell whether a cast turned values into nulls."""
    return whole.null_count() > column.null_count()


def _truth_values(column: pl.Series, side: str) -> pl.Series:
    """Return a column as truth values; 1 and 0 and their spellings count."""
    import polars as pl

    if column.dtype == pl.Boolean:
        return column
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise InvalidData(f"The column 'correct' of {side} holds {column.dtype} instead of true and false.")
    text = column.cast(pl.String).str.to_lowercase()
    if column.dtype.is_float():
        text = column.fill_nan(None).cast(pl.String)
    strange = text.filter(text.is_not_null() & ~text.is_in([*_TRUE, *_FALSE]))
    if len(strange):
        raise InvalidData(f"The column 'correct' of {side} holds {strange[0]!r} instead of true or false.")
    return text.is_in(_TRUE)
