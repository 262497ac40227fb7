"""Pages of a table in a file: CSV and Parquet, read lazily."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.errors import InvalidData
from corrida.runs.files import digest_bytes, digest_file
from corrida.runs.run_file import SEALED

if TYPE_CHECKING:
    import polars as pl

    from corrida.runs.record import RunRecord

ROWS = 100
_MOST_COLUMNS = 60
_COUNTED = 1_000_000_000
_WHOLE = 256_000_000


class TablePage(NamedTuple):
    """Some rows of a table.

    Attributes:
        columns: name, type and whether it holds numbers.
        rows: as many cells each.
        total: rows of the whole table; None where counting takes too long.
        left_out: columns that are not shown.
        more: whether there is another page.
    """

    columns: list[tuple[str, str, bool]]
    rows: list[list[Any]]
    total: int | None
    left_out: int
    more: bool


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
            _check_seal(run, name, fd)
            return _parquet(fd, first)
        return _csv(fd, first, "\t" if ending == "tsv" else ",")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise InvalidData(
            f"{name} cannot be read as a table ({reason[0] if reason else type(error).__name__})"
        ) from None


def _parquet(fd: int, first: int) -> TablePage:
    import polars as pl

    lazy = pl.scan_parquet(f"/dev/fd/{fd}", glob=False)
    schema = lazy.collect_schema()
    shown = list(schema)[:_MOST_COLUMNS]
    total = int(lazy.select(pl.len()).collect().item())
    frame = lazy.select(shown).slice(first, ROWS).collect()
    return _page(frame, total, len(schema), first)


def _csv(fd: int, first: int, separator: str) -> TablePage:
    import polars as pl

    size = os.fstat(fd).st_size
    if not size:
        raise InvalidData("the file is empty")
    path = f"/dev/fd/{fd}"
    options: dict[str, Any] = {
        "separator": separator,
        "encoding": "utf8-lossy",
        "truncate_ragged_lines": True,
        "glob": False,
    }
    try:
        lazy = pl.scan_csv(path, infer_schema_length=1_000, **options)
        frame, width = _rows(lazy, first)
    except (pl.exceptions.PolarsError, ValueError):  # a later row is of another type: all of it is text
        lazy = pl.scan_csv(path, infer_schema=False, quote_char=None, **options)
        frame, width = _rows(lazy, first)
    total = int(lazy.select(pl.len()).collect().item()) if size <= _COUNTED else None
    return _page(frame, total, width, first)


def _rows(lazy: pl.LazyFrame, first: int) -> tuple[pl.DataFrame, int]:
    schema = lazy.collect_schema()
    return lazy.select(list(schema)[:_MOST_COLUMNS]).slice(first, ROWS + 1).collect(), len(schema)


def _page(frame: pl.DataFrame, total: int | None, width: int, first: int) -> TablePage:
    more = frame.height > ROWS or (total is not None and first + ROWS < total)
    frame = frame.head(ROWS)
    columns = [(name, str(kind), kind.is_numeric()) for name, kind in frame.schema.items()]
    return TablePage(columns, [list(row) for row in frame.iter_rows()], total, width - frame.width, more)


def _check_seal(run: RunRecord, name: str, fd: int) -> None:
    """Refuse a table that is not what the run sealed: a reader of Parquet may end the process over such a file."""
    if run.status not in SEALED:
        return
    stored = run.run_file().files.get(name)
    sealed = None if stored is None else (stored.size, stored.sha256)
    if sealed is None and name.startswith("predictions/"):
        made = [one for one in run.predictions() if f"predictions/{one.file}" == name]
        sealed = (made[0].size, made[0].sha256) if made else None
    if sealed is None:
        raise InvalidData(
            f"{name} is not among the files that the run {run.id} sealed; download it to read it"
        )
    size = os.fstat(fd).st_size
    digest = digest_file(f"/dev/fd/{fd}") if size > _WHOLE else digest_bytes(os.pread(fd, size, 0))
    if tuple(digest) != sealed:
        raise InvalidData(
            f"{name} was altered since the run {run.id}, so it is not opened; `corrida verify {run.id}` says more"
        )
