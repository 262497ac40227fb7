"""Pages of a table in a file: CSV and Parquet, read lazily."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.errors import InvalidData
from corrida.runs.files import digest_bytes, digest_file
from corrida.runs.run_file import SEALED
from corrida.web.pages import size_text

if TYPE_CHECKING:
    import polars as pl

    from corrida.runs.record import RunRecord

ROWS = 100
_MOST_COLUMNS = 60
_MOST_NAMES = 20_000
_LONGEST = 300
_HEAD = 1_000_000
_READ = 128_000_000
_UNPACKED = 256_000_000
_WHOLE = 256_000_000


class TablePage(NamedTuple):
    """Some rows of a table.

    Attributes:
        columns: name, type and whether it holds numbers.
        rows: as many cells each.
        total: rows of the table.
        left_out: columns that are not shown.
        more: whether there is another page.
        cut: whether the file has more rows than the table, which is its beginning.
    """

    columns: list[tuple[str, str, bool]]
    rows: list[list[Any]]
    total: int
    left_out: int
    more: bool
    cut: bool


def read_page(run: RunRecord, name: str, fd: int, page: int) -> TablePage:
    """Return a page of a table.

    Args:
        run: of which it is a file.
        name: of the file.
        fd: the open file.
        page: from 1.

    Raises:
        InvalidData: it cannot be read as a table.
    """
    import polars as pl

    ending = name.rpartition(".")[2].lower()
    first = (page - 1) * ROWS
    try:
        if ending == "parquet":
            return _parquet(fd, _sealed_content(run, name, fd), first)
        return _csv(fd, first, "\t" if ending == "tsv" else ",")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise InvalidData(
            f"{name} cannot be read as a table ({reason[0] if reason else type(error).__name__})"
        ) from None


def _parquet(fd: int, data: bytes | None, first: int) -> TablePage:
    import polars as pl

    _check_unpacked(fd, first)
    # What lies in memory nobody can cut while it is read, which would end the process.
    lazy = pl.scan_parquet(f"/dev/fd/{fd}" if data is None else io.BytesIO(data), glob=False)
    schema = lazy.collect_schema()
    total = int(lazy.select(pl.len()).collect().item())
    frame = lazy.select(_cells(schema)).slice(first, ROWS).collect()
    return _page(frame, schema, total, first)


def _check_unpacked(fd: int, first: int) -> None:
    """Refuse rows that a small file holds and no memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open(fd, "rb", closefd=False) as file:
            told = pq.read_metadata(file)
    except pa.ArrowException as error:
        raise InvalidData(str(error)) from None
    start = unpacked = 0
    for group in map(told.row_group, range(told.num_row_groups)):
        if start < first + ROWS and start + group.num_rows > first:
            shown = range(min(group.num_columns, _MOST_COLUMNS))
            unpacked += sum(group.column(i).total_uncompressed_size for i in shown)
        start += group.num_rows
    if unpacked > _UNPACKED:
        raise InvalidData(f"its rows take {size_text(unpacked)} of memory; download it to read it")


def _csv(fd: int, first: int, separator: str) -> TablePage:
    import polars as pl

    size = os.fstat(fd).st_size
    data = os.pread(fd, min(size, _READ), 0)
    if not data:
        raise InvalidData("the file is empty")
    head = data[:_HEAD].partition(b"\n")[0]
    if len(head) == _HEAD or head.count(separator.encode()) > _MOST_NAMES:
        raise InvalidData(f"its first line has more than {_HEAD // 1000:,} kB or {_MOST_NAMES:,} columns")
    cut = size > len(data)
    if cut:
        data = data[: data.rfind(b"\n") + 1]
    options: dict[str, Any] = {
        "separator": separator,
        "encoding": "utf8-lossy",
        "truncate_ragged_lines": True,
        "glob": False,
    }
    try:
        lazy = pl.scan_csv(io.BytesIO(data), infer_schema_length=1_000, **options)
        frame, schema = _rows(lazy, first)
    except (pl.exceptions.PolarsError, ValueError):  # a later row is of another type: all of it is text
        lazy = pl.scan_csv(io.BytesIO(data), infer_schema=False, quote_char=None, **options)
        frame, schema = _rows(lazy, first)
    total = int(lazy.select(pl.len()).collect().item())
    return _page(frame, schema, total, first, cut=cut)


def _rows(lazy: pl.LazyFrame, first: int) -> tuple[pl.DataFrame, pl.Schema]:
    schema = lazy.collect_schema()
    return lazy.select(_cells(schema)).slice(first, ROWS).collect(), schema


def _cells(schema: pl.Schema) -> list[pl.Expr]:
    """Return the columns that are shown, of long values the beginning."""
    import polars as pl

    cells = []
    for name, kind in list(schema.items())[:_MOST_COLUMNS]:
        cell = pl.col(f"^{re.escape(name)}$")
        if kind == pl.String:
            cell = cell.str.slice(0, _LONGEST)
        elif kind == pl.Binary:
            cell = pl.format("{} bytes", cell.bin.size())
        elif isinstance(kind, pl.List):
            cell = cell.list.head(_LONGEST)
        cells.append(cell.alias(name))
    return cells


def _page(frame: pl.DataFrame, schema: pl.Schema, total: int, first: int, *, cut: bool = False) -> TablePage:
    columns = [(name, str(kind), kind.is_numeric()) for name, kind in list(schema.items())[: frame.width]]
    rows = [list(row) for row in frame.iter_rows()]
    return TablePage(columns, rows, total, len(schema) - frame.width, first + ROWS < total, cut)


def _sealed_content(run: RunRecord, name: str, fd: int) -> bytes | None:
    """Return the content of a table; None where it is too large to be held.

    Raises:
        InvalidData: it is not what the run sealed: a reader of Parquet may end the process over such a file.
    """
    sealed = _seal(run, name) if run.status in SEALED else None
    size = os.fstat(fd).st_size
    same = sealed is None or size == sealed[0]
    data = os.pread(fd, size, 0) if same and size <= _WHOLE else None
    if sealed is not None and same:
        same = (digest_file(f"/dev/fd/{fd}") if data is None else digest_bytes(data)) == sealed
    if not same:
        raise InvalidData(
            f"{name} was altered since the run {run.id}, so it is not opened; `corrida verify {run.id}` says more"
        )
    return data


def _seal(run: RunRecord, name: str) -> tuple[int, str]:
    """Return size and digest of a table, as the run or one of its predictions recorded them."""
    stored = run.run_file().files.get(name)
    if stored is not None:
        return stored.size, stored.sha256
    if name.startswith("predictions/"):
        for made in run.predictions():
            if f"predictions/{made.file}" == name:
                return made.size, made.sha256
    raise InvalidData(f"{name} is not among the files that the run {run.id} sealed; download it to read it")
