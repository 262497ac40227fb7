"""The rows of a processed analysis, in pages and as a file, without ever holding more than a piece of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import polars as pl

RUN_COLUMN, ANALYSIS_COLUMN = "run_id", "analysis_id"
_PIECE = 20_000


def stamp_of(path: Path) -> dict[str, Any]:
    """Return what a table of results says of itself: ids of the analysis and of the run; {} of another table.

    Raises:
        OSError: it cannot be read.
    """
    import polars as pl

    try:
        found = msgspec.json.decode(pl.read_parquet_metadata(path).get("corrida", "{}"))
    except (pl.exceptions.PolarsError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def page_of(path: Path, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """Return rows of a table, and how many it has.

    Args:
        path: the table.
        offset: rows before the first one.
        limit: rows at most.

    Raises:
        OSError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        total = int(file.metadata.num_rows)
        rows: list[dict[str, Any]] = []
        start = 0
        for number in range(file.metadata.num_row_groups):
            height = file.metadata.row_group(number).num_rows
            first = max(0, offset - start)
            if first < height and len(rows) < limit:
                table = file.read_row_group(number).slice(first, limit - len(rows))
                rows += table.to_pylist()
            start += height
    return rows, total


def csv_of(path: Path) -> Iterator[bytes]:
    """Yield a table as CSV, with the ids of run and analysis on each row, so that it can be traced wherever it goes.

    A text that a spreadsheet would take for a formula is not altered: programs read these files too.
    """
    import polars as pl
    import pyarrow.parquet as pq

    stamp = stamp_of(path)
    ids = {RUN_COLUMN: stamp.get("run", {}).get("id"), ANALYSIS_COLUMN: stamp.get("analysis_id")}
    with pq.ParquetFile(path) as file:
        header = True
        for batch in file.iter_batches(batch_size=_PIECE):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)  # noqa: S101 - what a batch becomes
            yield _csv(frame, ids, header=header)
            header = False


def _csv(frame: pl.DataFrame, ids: dict[str, str | None], *, header: bool) -> bytes:
    import polars as pl

    frame = frame.with_columns(
        pl.lit(value, pl.String).alias(name) for name, value in ids.items() if name not in frame.columns
    )
    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    frame = frame.with_columns(_as_text(frame[name]) for name in nested)
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=header)
    return buffer.getvalue()


def _as_text(column: pl.Series) -> pl.Series:
    """Return nested values as JSON, since CSV has no place for them."""
    import polars as pl

    texts = [None if v is None else msgspec.json.encode(v, enc_hook=str).decode() for v in column.to_list()]
    return pl.Series(column.name, texts, dtype=pl.String)
