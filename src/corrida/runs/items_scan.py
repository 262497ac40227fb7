"""The items of many runs, queried in place: a columnar scan that reads only what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from corrida.errors import DamagedRun
from corrida.runs import layout
from corrida.runs.items import items_file, read_items
from corrida.runs.tables import as_text

if TYPE_CHECKING:
    import polars as pl

RUN = "run"


@dataclass
class ItemsScan:
    """The items of several runs as one lazy table.

    Attributes:
        frame: a column ``run`` (the id), and the columns asked for; a column that a run lacks is null, and one
            that has several types among the runs is text. None when no run has items.
        runs: the ids of the runs that are in it, in the order given.
        damaged: for each run that was left out, why.
    """

    frame: pl.LazyFrame | None
    runs: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)


def scan_items(
    folders: Iterable[Path], columns: Sequence[str], *, item_ids: Sequence[str] | None = None
) -> ItemsScan:
    """Lay the items of runs under one lazy table.

    Files with equal columns are scanned together, so that a thousand runs cost little more than their bytes.

    Args:
        folders: the run folders; those without items are passed over.
        columns: which columns to keep; ``item_id`` is always kept.
        item_ids: only these items; None for all.
    """
    import polars as pl

    wanted = list(dict.fromkeys(["item_id", *columns]))
    found = ItemsScan(None)
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    schemas: dict[tuple[tuple[str, str], ...], dict[str, pl.DataType]] = {}
    parts: list[tuple[pl.LazyFrame, dict[str, pl.DataType]]] = []
    for folder in folders:
        try:
            file = items_file(folder)
            if file is not None:
                schema = dict(pl.read_parquet_schema(file))
                if "item_id" not in schema:
                    found.damaged[folder.name] = f"the items of the run {folder.name} have no column item_id"
                    continue
                key = tuple((name, str(dtype)) for name, dtype in schema.items())
                groups.setdefault(key, []).append(str(file))
                schemas[key] = schema
            elif (folder / layout.ITEM_PARTS).exists():
                frame = read_items(folder)
                if "item_id" not in frame.columns:
                    continue
                frame = frame.with_columns(pl.lit(folder.name).alias(RUN))
                parts.append((frame.lazy(), dict(frame.schema)))
            else:
                continue
        except (OSError, DamagedRun, pl.exceptions.PolarsError) as error:
            found.damaged[folder.name] = str(error).split("\n")[0]
            continue
        found.runs.append(folder.name)
    for key, files in groups.items():
        scan = pl.scan_parquet(files, include_file_paths=RUN, glob=False)
        run = pl.col(RUN).str.split("/").list.get(-2)
        parts.append((scan.with_columns(run.alias(RUN)), schemas[key]))
    if parts:
        found.frame = _joined(parts, wanted, item_ids)
    return found


def _joined(
    parts: Sequence[tuple[pl.LazyFrame, dict[str, pl.DataType]]],
    wanted: Sequence[str],
    item_ids: Sequence[str] | None,
) -> pl.LazyFrame:
    import polars as pl

    kinds = {name: {str(schema[name]) for _, schema in parts if name in schema} for name in wanted}
    frames = []
    for frame, schema in parts:
        kept = frame
        if item_ids is not None:  # before anything else, so that it is decided while a file is read
            kept = kept.filter(_text("item_id", schema["item_id"]).is_in(list(item_ids)))
        chosen = [pl.col(RUN)]
        for name in wanted:
            if name not in schema:
                chosen.append(pl.lit(None).alias(name))
            elif len(kinds[name]) > 1 or name == "item_id":
                chosen.append(_text(name, schema[name]))
            else:
                chosen.append(pl.col(name))
        frames.append(kept.select(chosen))
    return pl.concat(frames, how="vertical_relaxed")


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as text, whatever it holds."""
    import polars as pl

    if dtype == pl.String:
        return pl.col(name)
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        return pl.col(name).map_batches(as_text, return_dtype=pl.String)
    return pl.col(name).cast(pl.String)
