"""What a file of results says of itself: which analysis or prediction it is, and which run made it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.errors import BadInput, NotFound
from corrida.runs.predictions import PredictionFile

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["analysis", "prediction"]


class Maker(msgspec.Struct, frozen=True):
    """What a result says of itself.

    Attributes:
        kind: an analysis of the runner, or a prediction of ``corrida predict``.
        id: of it.
        run: id of the run that made it.
        digest: the seal of that run at the time, as far as the result says it.
        said: what else it says: alias, pipeline, input.
    """

    kind: Kind
    id: str
    run: str | None
    digest: str | None = None
    said: dict[str, Any] = {}


def makers_of_file(path: Path) -> tuple[Path | None, list[Maker]]:
    """Return the table that a file is or stands for, and what it says of itself.

    Raises:
        BadInput: it says nothing of that, or cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _read_json(path)
    if suffix not in {".parquet", ".csv"}:
        raise BadInput(f"{path.name} is no table of results; name a .parquet, .csv or .json file, or an id")
    if suffix == ".parquet":
        from corrida.inference.results import stamp_of

        if stamp := stamp_of(path):
            return path, [_maker_of(stamp)]
    makers = _of_columns(path)
    if not makers:
        raise BadInput(
            f"{path.name} does not say which run made it: it has no column run_id, and no stamp{_beside(path)}"
        )
    return path, makers


def _beside(path: Path) -> str:
    """Return a hint to the results of a file that was scored, which lie beside it under the same name."""
    there = [
        one
        for one in (path.with_suffix(".parquet"), path.with_suffix(".json"))
        if one != path and one.is_file()
    ]
    if not there:
        return ". A file that was scored is no result: name the .json or .parquet of its analysis in the spool, or its id"
    return f". If it is the file that was scored, name its results: {' or '.join(one.name for one in there)}"


def _read_json(path: Path) -> tuple[Path | None, list[Maker]]:
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (ValueError, RecursionError):
        raise BadInput(f"{path.name} is not JSON") from None
    if isinstance(content, dict) and "analysis_id" in content:
        table = path.with_suffix(".parquet")
        return (table if table.is_file() else None), [_maker_of(content)]
    if isinstance(content, dict) and "run_digest" in content and "file" in content:
        found = msgspec.convert(content, PredictionFile)
        table = path.with_name(Path(found.file).name)
        return (table if table.is_file() else None), [maker_of_prediction(found)]
    raise BadInput(f"{path.name} does not say which run made it")


def _maker_of(stamp: dict[str, Any]) -> Maker:
    """Return what the stamp of a result says; that of a failed analysis may name no run."""
    run = stamp.get("run")
    run = run if isinstance(run, dict) else {"id": run}
    said = {"alias": run.get("alias"), "pipeline": run.get("pipeline"), "input": stamp.get("input")}
    return Maker("analysis", str(stamp["analysis_id"]), run.get("id"), run.get("digest"), said)


def maker_of_prediction(found: PredictionFile) -> Maker:
    """Return what the file beside a prediction says."""
    said = {"alias": found.alias, "pipeline": found.pipeline, "data": msgspec.to_builtins(found.data)}
    return Maker("prediction", found.id, found.run, found.run_digest, said)


def _of_columns(path: Path) -> list[Maker]:
    """Return what the columns of a table say: ``run_id``, and ``analysis_id`` or ``prediction_id``."""
    import polars as pl

    try:
        table = _scan(path)
        names = table.collect_schema().names()
        kinds: list[tuple[Kind, str]] = [("analysis", "analysis_id"), ("prediction", "prediction_id")]
        makers = []
        for kind, column in kinds:
            if column in names and "run_id" in names:
                pairs = (
                    table.select(column, "run_id").drop_nulls(column).unique(maintain_order=True).collect()
                )
                makers += [Maker(kind, str(one), run) for one, run in pairs.iter_rows()]
    except pl.exceptions.PolarsError:
        raise BadInput(f"{path.name} cannot be read as a table") from None
    return makers


def _scan(path: Path) -> pl.LazyFrame:
    import polars as pl

    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path, glob=False)
    return pl.scan_csv(path, infer_schema=False, glob=False)


def row_of(table: Path | None, row: int) -> dict[str, Any]:
    """Return a row of a table, from 1.

    Raises:
        NotFound: there is none.
    """
    if table is None:
        raise NotFound("the table of the rows is no longer there")
    found = _scan(table).slice(row - 1, 1).collect() if row > 0 else None
    if found is None or found.height == 0:
        raise NotFound(f"{table.name} has no row {row}; the first is 1")
    return found.row(0, named=True)
