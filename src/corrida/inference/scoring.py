"""Any predictor as a scorer of files: rows in order, none missing, written as they come and durable at the end."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from corrida.errors import InvalidData, PipelineFailed, PipelineNotFound, Refused
from corrida.execute.predictor_options import checked_options
from corrida.inference.models import Model, check_models
from corrida.inference.spool import RESULT, ROWS
from corrida.pipelines.contract import Data
from corrida.pipelines.registry import load_pipeline
from corrida.pipelines.streaming import ScoreReport, StreamingPredictor
from corrida.runs import layout
from corrida.runs.files import digest_file, fsync_dir, write_new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

    from corrida.inference.protocol import Score

_SAID_EVERY = 20_000
FORMAT_VERSION = 1


def load_scorer(model: Model, root: Path) -> Any:
    """Return the predictor of a run whose models are what they were when it ended.

    Args:
        model: the run.
        root: the project folder.

    Raises:
        DamagedRun: a model file was altered.
        PipelineNotFound: nothing loads it here.
        Refused: a model can run code when it is read.
    """
    check_models(model)
    pipeline = load_pipeline(model.uses, root)
    load = getattr(pipeline, "load", None)
    if load is None:
        raise PipelineNotFound(
            f"the pipeline {model.pipeline} of the run {model.run_id} cannot predict: it has no load()"
        )
    try:
        return load(model.folder / layout.MODELS_DIR)
    except Refused as error:  # it says how to consent, which nobody can here
        said = str(error).partition("; give --trust")[0]
        raise Refused(f"{said}; it is not served, train or promote a run without it") from None


def score_file(predictor: Any, request: Score, said: Callable[[int], None]) -> tuple[ScoreReport, str]:
    """Score a file into ``rows.parquet`` and ``result.json`` of a folder; both are durable on return.

    Args:
        predictor: of the run.
        request: what is scored, and whereto.
        said: called with the rows scored so far.

    Returns:
        What is to be said of the file, and the digest of the rows.

    Raises:
        InvalidData: the file cannot be used.
        PipelineFailed: the model gives no answer, or not one for each row.
    """
    work = Path(request.work)
    size = os.path.getsize(request.file)  # noqa: PTH202
    if size == 0:
        raise InvalidData("the file is empty; there is nothing to score")
    if size > request.max_bytes:
        raise InvalidData(f"the file is larger than {request.max_bytes:,} bytes; send it in parts")
    frames, report_of = _frames(predictor, request)
    first, rows = _write_rows(work / ROWS, frames, request, said)
    report = report_of()
    if isinstance(predictor, StreamingPredictor) and report.rows != rows:
        raise PipelineFailed(f"the model answered {rows:,} of {report.rows:,} rows; nothing is published")
    if not report.rows:
        report.rows = report.scored = rows
    digest = digest_file(work / ROWS, durable=True).sha256
    result = {
        "format_version": FORMAT_VERSION,
        **request.stamp,
        "report": msgspec.to_builtins(report),
        "results": {"file": f"{request.stamp['analysis_id']}.parquet", "rows": rows, "sha256": digest},
    }
    if rows <= request.inline_rows:
        result["rows"] = [] if first is None else first.to_dicts()
    text = msgspec.json.format(msgspec.json.encode(result, enc_hook=str))
    write_new(work / RESULT, text + b"\n", durable=True)
    fsync_dir(work)
    fsync_dir(work.parent)
    return report, digest


def _frames(predictor: Any, request: Score) -> tuple[Iterator[pl.DataFrame], Callable[[], ScoreReport]]:
    path = Path(request.file)
    pipeline = request.stamp["run"]["pipeline"]
    options = checked_options(predictor, pipeline, request.options, served=True)
    if isinstance(predictor, StreamingPredictor):
        spill = Path(request.work) / "spill"
        spill.mkdir()
        stream = predictor.score(
            path, work=spill, max_bytes=request.max_bytes, max_rows=request.max_rows, **options
        )
        return iter(stream), lambda: stream.report
    prediction = predictor.predict(Data(files=[path]), **options)
    if not hasattr(prediction.frame, "to_arrow"):
        raise PipelineFailed(f"the pipeline {pipeline} gave no table; its predict() must return a Prediction")
    report = ScoreReport(alignment={"notes": list(map(str, prediction.notes))} if prediction.notes else {})
    return iter([prediction.frame]), lambda: report


def _write_rows(
    path: Path, frames: Iterator[pl.DataFrame], request: Score, said: Callable[[int], None]
) -> tuple[pl.DataFrame | None, int]:
    """Write frames one by one; return those that the JSON file shows, and the number of rows."""
    import polars as pl

    kept: list[pl.DataFrame] = []
    rows = told = 0
    with _Table(path, request.stamp) as table:
        for frame in frames:
            if rows + frame.height > request.max_rows:
                raise InvalidData(f"the file has more than {request.max_rows:,} rows; send it in parts")
            table.append(frame)
            if rows + frame.height <= request.inline_rows:
                kept.append(frame)
            rows += frame.height
            if rows - told >= _SAID_EVERY:
                said(rows)
                told = rows
    if not path.exists():
        raise PipelineFailed("the model gave no rows; nothing is published")
    return (pl.concat(kept) if kept else None), rows


class _Table:
    """A Parquet file that is written in a thread of its own, so that the model does not wait for the disk."""

    def __init__(self, path: Path, stamp: Mapping[str, Any]) -> None:
        self._path, self._stamp = path, stamp
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="corrida-rows")
        self._waiting: deque[Future[None]] = deque()
        self._writer: Any = None

    def append(self, frame: pl.DataFrame) -> None:
        """Write a frame soon; no more than two wait, so that memory stays bounded."""
        self._waiting.append(self._thread.submit(self._write, frame))
        while len(self._waiting) > 2:
            self._waiting.popleft().result()

    def _write(self, frame: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        table = frame.to_arrow()
        if self._writer is None:
            schema = table.schema.with_metadata(_metadata(self._stamp))
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        """Finish the file; an error of the thread is raised here unless there is another."""
        try:
            while self._waiting:
                if kind is None:
                    self._waiting.popleft().result()
                else:
                    self._waiting.popleft().cancel()
        finally:
            self._thread.shutdown()
            if self._writer is not None:
                self._writer.close()


def _metadata(stamp: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return what the table says of itself, so that it can be traced wherever it was copied."""
    return {b"corrida": msgspec.json.encode(stamp)}
