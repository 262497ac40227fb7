"""Scoring a file of any size: read once, sorted into pieces by client, scored piece by piece, given back in its own order.

Blocks of rows go through the models on one thread each, a few blocks at once, while the features of the next piece are
made. A block does not know of the others, so the answers are the same to the last bit whatever the number of threads.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
import polars as pl

from corrida.errors import PipelineFailed
from corrida.pipelines.risk.alignment import Aligner
from corrida.pipelines.risk.decisions import decide, decision_frame
from corrida.pipelines.risk.features import feature_table, ordered
from corrida.pipelines.risk.layers import one_thread
from corrida.pipelines.risk.spill import Buckets
from corrida.pipelines.risk.transactions import open_transactions
from corrida.pipelines.streaming import ScoreReport
from corrida.pipelines.table_stream import PROBLEM, ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corrida.pipelines.risk.alignment import Matrix
    from corrida.pipelines.risk.features import Ordered
    from corrida.pipelines.risk.layers import Layers
    from corrida.pipelines.risk.settings import Columns, Reading
    from corrida.pipelines.risk.transactions import TransactionFile

ID: Final = "id"  # of the transaction, where the file has one
_PIECE: Final = 125_000  # rows that are scored together
_MOST_PIECES: Final = 256
_BLOCK: Final = 65_536  # rows that the models see at once
_RANGE: Final = 250_000  # rows that are given back together
_DRIFT_ROWS: Final = 50_000  # of a file, by which drift is measured
_MOST_THREADS: Final = 4  # beyond them the interpreter is what blocks wait for
_HASH_SEED: Final = 1


class _Decided(NamedTuple):
    """What came of a block of rows."""

    frame: pl.DataFrame
    rules: dict[str, int]
    seconds: Counter[str]


class _Piece(NamedTuple):
    """A piece that is being scored: its rows in the order of clients and time, and the blocks of that order."""

    frame: pl.DataFrame
    blocks: list[Future[_Decided]]


class FileScores:
    """The scored rows of a file; see :class:`corrida.pipelines.streaming.ScoreStream`."""

    def __init__(
        self,
        layers: Layers,
        file: TransactionFile,
        *,
        history: TransactionFile | None = None,
        work: Path | None = None,
    ) -> None:
        self._layers, self._file, self._history, self._work = layers, file, history, work
        self._aligner = Aligner(layers.alignment)
        self._pieces = min(max(math.ceil(file.stream.about_rows / _PIECE), 1), _MOST_PIECES)
        self._stride = max(file.stream.about_rows // _DRIFT_ROWS, 1)
        self._counts: dict[str, Counter[str]] = {"class": Counter(), "rule": Counter(), "problem": Counter()}
        self._seconds: Counter[str] = Counter()
        self._without_history = 0
        self.report = ScoreReport()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield frames in the order of the file."""
        with ExitStack() as stack:
            work = self._work or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="corrida-score-"))
            )
            results = Buckets(work, "scores")
            given = Buckets(work, "rows")
            with _Clock(self._seconds, "reading"):
                rows = self._sort(given, results)
                past = Buckets(work, "history")
                past_rows = self._read_history(past)
            for scored in self._score(given, past):
                self._keep(results, scored)
            self._finish(rows, past_rows)
            expected = 1
            for number in range(math.ceil(rows / _RANGE)):
                part = results.take(number)
                with _Clock(self._seconds, "sorting"):
                    part = part.sort(ROW) if part is not None else pl.DataFrame({ROW: []})
                wanted = min(_RANGE, rows - number * _RANGE)
                # Rows are never lost silently: it is looked at once more.
                if part.height != wanted or part[ROW][0] != expected:
                    raise PipelineFailed(
                        f"{part.height:,} of {wanted:,} rows from row {expected:,} on came back; nothing is given out"
                    )
                expected += part.height
                yield part
            self.report.seconds = _rounded(self._seconds)

    def _sort(self, given: Buckets, results: Buckets) -> int:
        """Read the file: what can be scored goes to the piece of its client, the rest to the results. Return the rows."""
        rows = 0
        for chunk in self._file.chunks((ID,)):
            rows += chunk.height
            good = chunk.filter(pl.col(PROBLEM).is_null())
            if good.height < chunk.height:
                bad = chunk.filter(pl.col(PROBLEM).is_not_null())
                self._counts["problem"].update(bad[PROBLEM].to_list())
                self._keep(results, self._laid_out(bad, None))
            self._aligner.meet(good)
            for piece, part in self._parts(good):
                given.add(piece, part)
        return rows

    def _read_history(self, past: Buckets) -> int:
        """Read the history; its rows go to the pieces of their clients. Return how many can be used."""
        rows = 0
        if self._history is not None:
            for chunk in self._history.chunks():
                good = chunk.filter(pl.col(PROBLEM).is_null())
                rows += good.height
                for piece, part in self._parts(good):
                    past.add(piece, part)
        return rows

    def _parts(self, frame: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
        if self._pieces == 1:
            yield 0, frame
            return
        piece = frame["client"].hash(_HASH_SEED) % self._pieces
        for (number,), part in frame.group_by(piece.alias("piece"), maintain_order=True):
            yield int(number), part

    def _score(self, given: Buckets, past: Buckets) -> Iterator[pl.DataFrame]:
        """Yield the scored rows, piece by piece; while the models are at one, the features of the next are made."""
        waiting: deque[_Piece] = deque()
        with one_thread(), _Blocks(self._file.stream.about_rows) as blocks:
            for number in range(self._pieces):
                frame = given.take(number)
                if frame is not None:
                    waiting.append(self._begun(blocks, frame, past.take(number)))
                if len(waiting) > 1:
                    yield self._ended(waiting.popleft())
            while waiting:
                yield self._ended(waiting.popleft())

    def _begun(self, blocks: _Blocks, frame: pl.DataFrame, before: pl.DataFrame | None) -> _Piece:
        """Make the features of a piece and hand its blocks to the models."""
        layers = self._layers
        with _Clock(self._seconds, "features"):
            if before is not None:
                before = before.join(
                    frame.select("client").unique(), on="client", how="semi", maintain_order="left"
                )
                # Rows of history are not given out, so they need no id.
                before = before.with_columns(
                    pl.lit(0, dtype=pl.UInt32).alias(ROW), pl.lit(None, dtype=pl.String).alias(ID)
                )
                frame = pl.concat([before.select(frame.columns), frame])
            data = ordered(frame, layers.law, layers.alignment.categories)
            own = frame[ROW].to_numpy()[data.rows] > 0
            table = feature_table(data, layers.alignment.categories)
            if not own.all():
                keep = np.flatnonzero(own)
                table = {name: values[keep] for name, values in table.items()}
                data = data.at(keep)
            self._aligner.observe(table, slice(0, None, self._stride))
            self._without_history += int((table["count_180"] == 0).sum())
            matrix = self._aligner.matrix(table)
            frame = frame[data.rows]
        starts = range(0, len(data), _BLOCK)
        return _Piece(
            frame, [blocks.submit(layers, matrix, data, slice(start, start + _BLOCK)) for start in starts]
        )

    def _ended(self, piece: _Piece) -> pl.DataFrame:
        """Wait for the blocks of a piece, count, and return its rows as they are given out."""
        found = []
        while piece.blocks:
            one = piece.blocks.pop(0).result()
            self._counts["rule"].update(one.rules)
            self._counts["class"].update(dict(one.frame["class"].value_counts().iter_rows()))
            self._seconds.update(one.seconds)
            found.append(one.frame)
        with _Clock(self._seconds, "decisions"):
            return self._laid_out(piece.frame, pl.concat(found))

    def _laid_out(self, frame: pl.DataFrame, decided: pl.DataFrame | None) -> pl.DataFrame:
        """Return rows as they are given out; those without a decision say why."""
        own = [ID] if ID in frame.columns else []
        about = frame.select(
            ROW,
            *own,
            "client",
            (pl.col("cents") / 100).alias("amount"),
            (pl.col("seconds") // 86_400).cast(pl.Int32).cast(pl.Date).alias("date"),
            PROBLEM,
        )
        if decided is None:
            empty = self._layers.empty_decision()
            decided = empty.clear(about.height)
        return pl.concat([about, decided], how="horizontal").select(
            ROW,
            *own,
            "client",
            "amount",
            "date",
            "class",
            "decided_by",
            "reasons",
            PROBLEM,
            *decided.columns[3:],
        )

    def _keep(self, results: Buckets, frame: pl.DataFrame) -> None:
        ranges = (frame[ROW] - 1) // _RANGE
        if ranges.n_unique() <= 1:
            if frame.height:
                results.add(int(ranges[0]), frame)
            return
        for (number,), part in frame.group_by(ranges.alias("range"), maintain_order=True):
            results.add(int(number), part)

    def _finish(self, rows: int, past: int) -> None:
        bad = self._counts["problem"]
        self.report = ScoreReport(
            rows=rows,
            scored=rows - bad.total(),
            not_scored=dict(bad.most_common()),
            classes=dict(self._counts["class"]),
            rules={rule: count for rule, count in self._counts["rule"].items() if count},
            alignment=self._aligner.report(self._file.ignored),
            reading=self._file.how_read(),
            history={"rows": past, "scored_without_any": self._without_history},
            drift=self._aligner.drift(),
            seconds=_rounded(self._seconds),
        )


def score_file(
    layers: Layers,
    columns: Columns,
    reading: Reading,
    path: Path,
    *,
    history: Path | None = None,
    work: Path | None = None,
    max_bytes: int | None = None,
    max_rows: int | None = None,
) -> FileScores:
    """Open a file, and perhaps one of history, to be scored.

    Raises:
        InvalidData: one of them cannot be used.
    """
    file = open_transactions(path, columns, reading, max_bytes=max_bytes, max_rows=max_rows)
    known = open_transactions(history, columns, reading) if history is not None else None
    return FileScores(layers, file, history=known, work=work)


class _Blocks:
    """Scores blocks of rows: a few at once when a file has several, else where they are submitted."""

    def __init__(self, rows: int) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = min(cores, _MOST_THREADS)
        self._pool: ThreadPoolExecutor | None = None
        if threads > 1 and rows > _BLOCK:
            # OpenMP keeps its limit by thread, so that each of ours has to say it.
            self._pool = ThreadPoolExecutor(threads, "corrida-models", initializer=one_thread)

    def submit(self, layers: Layers, matrix: Matrix, data: Ordered, rows: slice) -> Future[_Decided]:
        """Score some rows now or soon."""
        if self._pool is not None:
            return self._pool.submit(_decided, layers, matrix, data, rows)
        done: Future[_Decided] = Future()
        done.set_result(_decided(layers, matrix, data, rows))
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _decided(layers: Layers, matrix: Matrix, data: Ordered, rows: slice) -> _Decided:
    """Return what the layers and the law say of some rows."""
    seconds: Counter[str] = Counter()
    with _Clock(seconds, "models"):
        risks = layers.ensemble.risks(matrix[rows])
        isolation, distance = layers.anomaly.shares(matrix[rows])
    with _Clock(seconds, "decisions"):
        found = decide(risks, isolation, distance, data.checked.at(rows), layers.policy)
        rules = {rule: int(holds.sum()) for rule, holds in found.rules().items()}
        frame = decision_frame(found, data, rows, layers.law, layers.policy)
    return _Decided(frame, rules, seconds)


class _Clock:
    """Adds the seconds of a block to a counter."""

    def __init__(self, seconds: Counter[str], step: str) -> None:
        self._seconds, self._step = seconds, step

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._step] += time.perf_counter() - self._started  # type: ignore[assignment]


def _rounded(seconds: Counter[str]) -> dict[str, float]:
    return {step: round(float(value), 4) for step, value in seconds.items()}
