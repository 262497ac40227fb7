"""The only door of the ground to data frames; polars and pandas are imported when a table is really there."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corrida.errors import InvalidData, MissingExtra
from corrida.runs.files import atomic_write
from corrida.runs.plain import JSON_ERRORS

if TYPE_CHECKING:
    import polars as pl


_JSON_BYTES = 64 * 1024 * 1024


class TableFacts(NamedTuple):
    """Rows and column names of a table."""

    rows: int
    columns: list[str]


def is_frame(value: object) -> bool:
    """Tell whether ``value`` is a polars or pandas frame, without importing either."""
    return _is_polars(value) or _is_pandas(value)


def _is_polars(value: object) -> bool:
    return isinstance(value, _classes("polars", "DataFrame", "LazyFrame"))


def _is_pandas(value: object) -> bool:
    return isinstance(value, _classes("pandas", "DataFrame"))


def _classes(module: str, *names: str) -> tuple[type, ...]:
    """Return classes of a module, as far as they are loaded: another thread may be importing it in this moment."""
    found = (getattr(sys.modules.get(module), name, None) for name in names)
    return tuple(one for one in found if isinstance(one, type))


def to_polars(value: Any) -> pl.DataFrame:
    """Return a polars or pandas frame as a polars frame; an index that has a name becomes a column.

    Raises:
        InvalidData: pandas holds something that has no place in a table.
    """
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, pl.DataFrame):
        return value
    if any(name is not None for name in value.index.names):
        value = value.reset_index()
    columns = {}
    for name in value.columns:
        try:
            columns[str(name)] = pl.Series(
                str(name),
                [
                    None if missing else v
                    for v, missing in zip(value[name].tolist(), value[name].isna(), strict=True)
                ],
                strict=False,
            )
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise InvalidData(f"the column {name!r} of the pandas frame cannot be stored: {error}") from None
    return pl.DataFrame(columns)


def require_pandas() -> ModuleType:
    """Import pandas.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("pandas is not installed; pip install 'corrida[pandas]'") from None
    return pd


def frame_from_rows(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as a frame; a column of several types becomes text, a key that a row lacks becomes null."""
    import polars as pl

    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    columns: dict[str, pl.Series] = {}
    for name in names:
        values = [row.get(name) for row in listed]
        kinds = {type(v) for v in values if v is not None}
        if kinds <= {int, float} and len(kinds) == 2:
            columns[name] = pl.Series(
                name, [None if v is None else float(v) for v in values], dtype=pl.Float64
            )
            continue
        try:
            columns[name] = pl.Series(name, values, strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            columns[name] = pl.Series(
                name, [v if v is None or isinstance(v, str) else str(v) for v in values]
            )
    return pl.DataFrame(columns)


def as_text(column: pl.Series) -> pl.Series:
    """Return ``column`` as text, whatever it holds."""
    import polars as pl

    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        values = [v if v is None or isinstance(v, str) else str(v) for v in column.to_list()]
        return pl.Series(column.name, values, dtype=pl.String)
    return column.cast(pl.String)


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Write ``frame`` to ``path``, whole or not at all; a column that Parquet cannot hold becomes text."""
    import io

    import polars as pl

    buffer = io.BytesIO()
    try:
        frame.write_parquet(buffer, compression="zstd")
    except pl.exceptions.PolarsError:  # Python objects, or structures without a field
        odd = [c for c in frame.columns if frame[c].dtype.is_nested() or frame[c].dtype == pl.Object]
        buffer = io.BytesIO()
        frame.with_columns(as_text(frame[c]) for c in odd).write_parquet(buffer, compression="zstd")
    atomic_write(path, buffer.getvalue(), durable=False)


def table_facts(path: Path) -> TableFacts | None:
    """Return rows and columns of a CSV, TSV, Parquet, JSON-lines or JSON table; None for anything else.

    A JSON table is a list of objects, of 64 MB at most.

    A table that cannot be parsed is not an error here: the digest identifies the file all the same, and whoever
    reads the data will say what is wrong with it.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json"} or path.stat().st_size == 0:
        return None
    if suffix == ".json":
        return _json_facts(path)
    import polars as pl

    try:
        if suffix == ".parquet":
            scan = pl.scan_parquet(path)
        elif suffix in {".jsonl", ".ndjson"}:
            scan = pl.scan_ndjson(path, infer_schema_length=None)
        else:
            scan = pl.scan_csv(
                path, separator="\t" if suffix == ".tsv" else ",", infer_schema=False, encoding="utf8-lossy"
            )
        columns = scan.collect_schema().names()
        rows = int(scan.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError, ValueError):
        return None
    return TableFacts(rows, columns)


def _json_facts(path: Path) -> TableFacts | None:
    if path.stat().st_size > _JSON_BYTES:
        return None
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except JSON_ERRORS:
        return None
    return TableFacts(len(rows), list(dict.fromkeys(name for row in rows for name in row)))
