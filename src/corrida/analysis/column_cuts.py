"""A column of the items cut into segments: one for each value or label, or between edges of numbers and dates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from corrida.analysis.items_values import equal_values
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from corrida.analysis.paired_items import PairedItems

_FEW_VALUES = 50  # of a column that is looked at unasked
_FEW_NUMBERS = 8  # up to so many, each number is a value of its own
_BINS = 4
_SLACK = 0.03  # an edge may be rounded as long as no more than this share of the items changes sides
_NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """A column cut into segments.

    Attributes:
        names: of the column, or of those that were combined.
        labels: of its segments, one text a name, such as ``sector = retail`` or ``10 ≤ words < 25``.
        rows: places of items, ascending within a segment.
        codes: the segment of each of these places.
        overlaps: whether an item may lie in several segments, as it has several labels; else every item has one place.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    overlaps: bool = False


def cut(paired: PairedItems, name: str, *, unasked: bool) -> Column | str:
    """Cut a column of the shared items into segments.

    Args:
        paired: the items of both runs.
        name: a column of at least one of them.
        unasked: nobody named the column; then it must be in both, and have few values or numbers.

    Returns:
        The column, or why it cannot be cut.
    """
    import polars as pl

    in_a, in_b = paired.column(name, "a"), paired.column(name, "b")
    values = in_a if in_b is None else in_b
    if unasked and (in_a is None or in_b is None):
        return f"only {'B' if in_a is None else 'A'} has it"
    if values is None or not len(values):
        return "the runs share no items"
    kind = values.dtype
    made: Column | str
    if isinstance(kind, pl.List) and not kind.inner.is_nested() and kind.inner != pl.Object:
        made = _by_label(name, values, unasked=unasked)
    elif kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Duration, pl.Time):
        made = f"it holds {kind}"
    elif kind.is_numeric() or kind in (pl.Date, pl.Datetime):
        made = _by_number(name, values)
    else:
        made = _by_value(name, values.cast(pl.String), unasked=unasked)
    # The expected answers are the same in all items that are compared.
    if in_a is not None and in_b is not None and name != "expected" and not isinstance(made, str):
        moved = int((~equal_values(in_a, in_b)).sum())
        if moved:
            some = "1 item" if moved == 1 else f"{moved:,} items"
            return f"it is not the same in both runs ({some}): it says what a run did, not what an item is"
    return made


def _by_value(name: str, values: pl.Series, *, unasked: bool) -> Column | str:
    import polars as pl

    distinct = values.n_unique()
    if distinct == 1:
        only = values[0]
        return f"it has one value, {_shown(only)}"
    if distinct == len(values):
        return "every item has another value"
    if unasked and distinct > _FEW_VALUES:
        return f"it has {distinct:,} values, more than {_FEW_VALUES}"
    frame = pl.DataFrame({"value": values})
    levels = frame.unique().sort("value", nulls_last=True).with_row_index("code")
    codes = frame.join(levels, on="value", how="left", nulls_equal=True, maintain_order="left")["code"]
    labels = tuple(f"{name} = {_shown(value)}" for value in levels["value"].to_list())
    return _column(name, labels, codes)


def _by_label(name: str, values: pl.Series, *, unasked: bool) -> Column | str:
    """Put an item into a segment for each of its labels; one without any into a segment of its own."""
    import polars as pl

    frame = pl.DataFrame({"value": values}).with_row_index("row")
    some = pl.when(pl.col("value").list.len() > 0).then(pl.col("value").list.unique())
    exploded = (
        frame.with_columns(some)  # an empty list is as none: some versions of polars explode it to nothing
        .explode("value")
        .with_columns(pl.col("value").cast(pl.String))
    )
    distinct = exploded["value"].n_unique()
    if distinct == 1:
        return f"it has one label, {_shown(exploded['value'][0])}"
    if distinct >= exploded.height:
        return "every item has other labels"
    if unasked and distinct > _FEW_VALUES:
        return f"it has {distinct:,} labels, more than {_FEW_VALUES}"
    levels = exploded.select("value").unique().sort("value", nulls_last=True).with_row_index("code")
    codes = exploded.join(levels, on="value", how="left", nulls_equal=True, maintain_order="left")
    labels = tuple(
        f"{name} = {_NOTHING}" if value is None else f"{name} has {_shown(value)}"
        for value in levels["value"].to_list()
    )
    return Column(
        (name,), tuple((x,) for x in labels), _places(codes["row"]), _places(codes["code"]), overlaps=True
    )


def _by_number(name: str, values: pl.Series) -> Column | str:
    import numpy as np
    import polars as pl

    dated = values.dtype in (pl.Date, pl.Datetime)
    if dated:
        numbers = values.cast(pl.Date).to_physical().cast(pl.Float64)
    else:
        numbers = values.cast(pl.Float64).fill_nan(None)
    known = np.sort(numbers.drop_nulls().to_numpy())
    distinct = np.unique(known)
    if distinct.size == 0:
        return f"it has one value, {_NOTHING}"
    if distinct.size == 1 and numbers.null_count() == 0:
        return f"it has one value, {_number(float(distinct[0]), dated=dated)}"
    if distinct.size <= _FEW_NUMBERS:
        labels = [f"{name} = {_number(float(v), dated=dated)}" for v in distinct]
        codes = np.searchsorted(distinct, numbers.fill_null(distinct[0]).to_numpy())
    else:
        edges = _edges(known, distinct, dated=dated)
        shown = [_number(edge, dated=dated) for edge in edges]
        inner = [f"{low} ≤ {name} < {high}" for low, high in itertools.pairwise(shown)]
        labels = [f"{name} < {shown[0]}", *inner, f"{name} ≥ {shown[-1]}"]
        codes = np.searchsorted(np.array(edges), numbers.fill_null(0.0).to_numpy(), side="right")
    absent = numbers.is_null().to_numpy()
    if absent.any():
        codes = np.where(absent, len(labels), codes)
        labels.append(f"{name} = {_NOTHING}")
    return _column(name, tuple(labels), pl.Series(codes))


def _edges(known: NDArray[np.float64], distinct: NDArray[np.float64], *, dated: bool) -> list[float]:
    """Return edges near the quartiles, as round as they can be without moving many items to another side."""
    import numpy as np

    found: list[float] = []
    for place in range(1, _BINS):
        exact = float(known[known.size * place // _BINS])
        below = np.searchsorted(known, exact) / known.size
        for edge in _rounded(exact, dated=dated):
            if abs(np.searchsorted(known, edge) / known.size - below) <= _SLACK:
                exact = edge
                break
        if known[0] < exact <= known[-1] and exact not in found:
            found.append(exact)
    return sorted(found) or [float(distinct[1])]


def _rounded(value: float, *, dated: bool) -> Iterator[float]:
    if dated:
        day = date.fromordinal(int(value) + date(1970, 1, 1).toordinal())
        for rounder in (day.replace(month=1, day=1), day.replace(day=1)):
            yield float(rounder.toordinal() - date(1970, 1, 1).toordinal())
    elif value and math.isfinite(value):
        size = math.floor(math.log10(abs(value)))
        for digits in range(1, 7):
            yield round(value, digits - 1 - size)


def _number(value: float, *, dated: bool) -> str:
    if dated:
        return date.fromordinal(int(value) + date(1970, 1, 1).toordinal()).isoformat()
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.10g}"


def _shown(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, float):
        return format_number(value)
    text = str(value)
    return text if text.strip() else repr(text)


def _column(name: str, labels: tuple[str, ...], codes: pl.Series) -> Column:
    import numpy as np

    rows = np.arange(len(codes), dtype=np.int64)
    return Column((name,), tuple((label,) for label in labels), rows, _places(codes))


def _places(column: pl.Series) -> NDArray[np.int64]:
    import polars as pl

    return column.cast(pl.Int64).to_numpy()


def combined(columns: Sequence[Column]) -> Column:
    """Return the combinations of the segments of columns that occur, as one column."""
    import numpy as np
    import polars as pl

    first, *others = columns
    for other in others:
        width = len(other.labels)
        overlaps = first.overlaps or other.overlaps
        if overlaps:
            left = pl.DataFrame({"row": first.rows, "one": first.codes})
            right = pl.DataFrame({"row": other.rows, "two": other.codes})
            joined = left.join(right, on="row", how="inner").sort("row", "one", "two")
            rows, both = joined["row"].to_numpy(), (joined["one"] * width + joined["two"]).to_numpy()
        else:
            rows, both = first.rows, first.codes * width + other.codes
        places, codes = np.unique(both, return_inverse=True)
        labels = tuple((*first.labels[p // width], *other.labels[p % width]) for p in places.tolist())
        first = Column((*first.names, *other.names), labels, rows, codes, overlaps=overlaps)
    return first
