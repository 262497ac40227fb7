"""The per-item table: logged in parts while the run lives, one Parquet file when it ends."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import DamagedRun, InvalidData
from corrida.runs import layout
from corrida.runs.files import explained, read_lines, write_all
from corrida.runs.plain import encode_json, plain
from corrida.runs.tables import as_text, frame_from_rows, is_frame, to_polars, write_parquet

if TYPE_CHECKING:
    import polars as pl


_numbers = itertools.count(1)  # of the process: several writers in it may share a run


class ItemsWriter:
    """Keeps each logging call as a part on disk, so that a kill loses nothing that returned."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir
        self._parts = run_dir / layout.ITEM_PARTS
        self._rows_fd: int | None = None
        self._seen: set[str] = set()
        self._counts: dict[str, int] | None = None
        self.duplicates = 0

    def log(self, rows: Any) -> None:
        """Keep rows: a polars or pandas frame, or mappings; ``item_id`` is required and unique in the run.

        Raises:
            InvalidData: no ``item_id``, an empty or repeated one, or something that is not rows.
            StoreError: the part cannot be written.
        """
        if is_frame(rows):
            self._log_frame(to_polars(rows))
            return
        if isinstance(rows, Mapping):
            rows = [rows]
        if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
            raise InvalidData(
                f"log_items takes rows (mappings) or a polars or pandas frame, not {type(rows).__name__}"
            )
        self._log_rows(rows)

    def _log_frame(self, frame: pl.DataFrame) -> None:
        import polars as pl

        if "item_id" not in frame.columns:
            raise InvalidData(
                f"items need a column item_id; there are {', '.join(frame.columns[:12]) or 'none'}"
            )
        kind = frame["item_id"].dtype
        if kind.is_float() or kind.is_nested() or kind == pl.Object:
            raise InvalidData(f"item_id is a column of {kind}; pass the ids as text or integers")
        frame = frame.with_columns(pl.col("item_id").cast(pl.String))
        if "correct" in frame.columns:
            truth = [_truth(value) for value in frame["correct"].to_list()]
            frame = frame.with_columns(pl.Series("correct", truth, dtype=pl.Boolean))
        ids = self._checked(frame["item_id"].to_list())
        self._close_rows()
        with explained("writing items"):
            self._parts.mkdir(exist_ok=True)
            write_parquet(self._parts / f"{self._next()}.parquet", frame)
        self._seen |= ids

    def _log_rows(self, rows: Iterable[Any]) -> None:
        listed = [_as_item(row) for row in rows]
        ids = self._checked([item["item_id"] for item in listed])
        if not listed:
            return
        data = b"".join(encode_json(item) + b"\n" for item in listed)
        with explained("writing items"):
            if self._rows_fd is None:
                self._parts.mkdir(exist_ok=True)
                path = self._parts / f"{self._next()}.jsonl"
                self._rows_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            size = os.fstat(self._rows_fd).st_size
            try:
                write_all(self._rows_fd, data)
            except OSError:
                os.ftruncate(self._rows_fd, size)
                raise
        self._seen |= ids

    def _checked(self, ids: list[Any]) -> set[str]:
        """Return the ids as a set when none is empty, repeated or known; they count once they are written."""
        if any(not i for i in ids):
            raise InvalidData(f"item_id is empty in row {next(n for n, i in enumerate(ids, 1) if not i)}")
        fresh = set(ids)
        if len(fresh) < len(ids):
            twice = [i for i, count in Counter(ids).items() if count > 1]
            raise InvalidData(f"item_id must be unique in a run; twice there: {_some(twice)}")
        if again := fresh & self._seen:
            raise InvalidData(f"item_id must be unique in a run; logged before: {_some(sorted(again))}")
        return fresh

    def _next(self) -> str:
        # Under `corrida exec` several processes may log to one run.
        return f"{next(_numbers):06d}-{os.getpid()}"

    def _close_rows(self) -> None:
        if self._rows_fd is not None:
            os.close(self._rows_fd)
            self._rows_fd = None

    def close(self) -> dict[str, int] | None:
        """Turn the parts into items.parquet.

        Several processes may log to one run, and each knows its own items only: the first of an id counts, and the
        others go to a table of their own, ``duplicates`` in number.

        Returns:
            Counts for run.json (``count``, and ``correct`` and ``wrong`` where known), or None without items.
        """
        self._close_rows()
        if self._counts is not None:  # tried again: the table is there, and the parts may be gone in part
            shutil.rmtree(self._parts, ignore_errors=True)
            return self._counts
        if not self._parts.exists():
            return None
        everything = _read_parts(self._parts)
        first = everything["item_id"].is_first_distinct()
        frame = everything.filter(first)
        self.duplicates = everything.height - frame.height
        with explained("writing items"):
            if self.duplicates:
                write_parquet(self._dir / layout.ITEMS_TWICE, everything.filter(~first))
            write_parquet(self._dir / layout.ITEMS, frame)
        counts = {"count": frame.height}
        if "correct" in frame.columns and str(frame["correct"].dtype) == "Boolean":
            counts["correct"] = int(frame["correct"].sum() or 0)
            counts["wrong"] = int((~frame["correct"]).sum() or 0)
        self._counts = counts
        with explained("writing items"):
            shutil.rmtree(self._parts)
        return counts


def _some(ids: list[Any]) -> str:
    return ", ".join(map(str, ids[:5])) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def _as_item(row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise InvalidData(f"an item must be a mapping with item_id, not {type(row).__name__}")
    item = {str(k): _cell(v) for k, v in row.items()}
    name = item.get("item_id")
    if name is None:
        raise InvalidData(f"an item has no item_id; it has {', '.join(list(item)[:12]) or 'no keys'}")
    if not isinstance(name, str | int):
        raise InvalidData(f"the item_id {name!r} is a {type(name).__name__}; pass text or an integer")
    item["item_id"] = str(name)
    if "correct" in item:
        item["correct"] = _truth(item["correct"])
    return item


def _truth(value: Any) -> bool | None:
    """Return a truth value; 1 and 0, and the words of a CSV, are taken for one, and NaN for nothing."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    word = value.lower() if isinstance(value, str) else value
    if word in (1, "true"):
        return True
    if word in (0, "false"):
        return False
    raise InvalidData(
        f"{value!r} in the column correct is neither true nor false; partial credit goes into score"
    )


def _cell(value: Any) -> Any:
    """Return a value as JSON holds it; NaN, like None, is a value that is not there."""
    if isinstance(value, float):
        return float(value)
    if hasattr(value, "tolist") and hasattr(value, "ndim"):
        value = value.tolist()  # an array, a tensor, or one number of them
    if isinstance(value, Mapping):
        return {str(k): _cell(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_cell(v) for v in value]
    return plain(value) if not isinstance(value, float) else float(value)


def _read_parts(parts: Path) -> pl.DataFrame:
    import polars as pl

    frames = []
    for part in sorted(parts.iterdir(), key=lambda p: (len(p.name.split(".")[0]), p.name)):
        if not stat.S_ISREG(part.lstat().st_mode):
            continue
        if part.suffix == ".parquet" and not part.name.startswith("."):
            frames.append(pl.read_parquet(part))
        elif part.suffix == ".jsonl":
            frames.append(frame_from_rows(read_lines(part, follow=False)))
    frames = [f for f in frames if f.width]
    if not frames:
        return pl.DataFrame(schema={"item_id": pl.String})
    try:
        return _normalise(pl.concat(_as_text_where_mixed(frames), how="diagonal_relaxed"))
    except pl.exceptions.PolarsError:
        # A column whose types have nothing in common, such as lists and numbers.
        kinds: dict[str, set[Any]] = {}
        for frame in frames:
            for name, dtype in frame.schema.items():
                kinds.setdefault(name, set()).add(dtype)
        mixed = [name for name, found in kinds.items() if len(found) > 1]
        frames = [f.with_columns(as_text(f[c]) for c in mixed if c in f.columns) for f in frames]
        return _normalise(pl.concat(frames, how="diagonal_relaxed"))


def _as_text_where_mixed(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Turn a column to text in every part when one part holds it as text and another does not."""
    import polars as pl

    kinds: dict[str, set[bool]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            if dtype != pl.Null:
                kinds.setdefault(name, set()).add(dtype == pl.String)
    mixed = [name for name, found in kinds.items() if len(found) > 1]
    return [f.with_columns(as_text(f[c]) for c in mixed if c in f.columns) for f in frames]


def _normalise(frame: pl.DataFrame) -> pl.DataFrame:
    """Give ``item_id`` and ``correct`` the types that comparison relies on: text, and true or false."""
    import polars as pl

    casts = [pl.col("item_id").cast(pl.String)]
    if "correct" in frame.columns and frame.schema["correct"].is_numeric():
        values = set(frame["correct"].drop_nulls().unique())
        if values <= {0, 1}:
            casts.append(pl.col("correct").cast(pl.Boolean))
    return frame.with_columns(casts)


def items_file(run_dir: Path) -> Path | None:
    """Return the table of the items of an ended run; None where there is none.

    Raises:
        DamagedRun: something else is in its place; a link may lead anywhere, and a pipe has no end.
        OSError: the folder cannot be looked at.
    """
    path = run_dir / layout.ITEMS
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(mode):
        raise DamagedRun(
            f"the items of the run {run_dir.name} cannot be read ({layout.ITEMS} is no file of its own); "
            f"`corrida verify {run_dir.name}` says more"
        )
    return path


def read_items(run_dir: Path) -> pl.DataFrame:
    """Return the per-item table of a run, also of one that runs or crashed; no columns without items.

    Raises:
        DamagedRun: the table cannot be read.
    """
    import polars as pl

    parts = run_dir / layout.ITEM_PARTS
    try:
        path = items_file(run_dir)
        if path is not None:
            return pl.read_parquet(path)
        if not parts.is_dir() or parts.is_symlink():
            return pl.DataFrame()
        frame = _read_parts(parts)
        return frame.filter(frame["item_id"].is_first_distinct())
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).split("\n")[0]
        raise DamagedRun(
            f"the items of the run {run_dir.name} cannot be read ({reason}); `corrida verify {run_dir.name}` says more"
        ) from None
