"""Scoring a file of any size: read once, sorted into pieces by client, scored piece by piece, given back in its own order."""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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

    from corrida.pipelines.risk.layers import Layers
    from corrida.pipelines.risk.settings import Columns, Reading
    from corrida.pipelines.risk.transactions import TransactionFile

_PIECE: Final = 250_000  # rows that are scored together
_MOST_PIECES: Final = 256
_BLOCK: Final = 65_536  # rows that the models see at once
_RANGE: Final = 250_000  # rows that are given back together
_DRIFT_ROWS: Final = 50_000  # of a file, by which drift is measured
_HASH_SEED: Final = 1


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
            for piece in range(self._pieces):
                frame, before = given.take(piece), past.take(piece)
                if frame is not None:
                    self._keep(results, self._scored(frame, before))
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
        for chunk in self._file.chunks():
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

    def _scored(self, frame: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
        layers = self._layers
        with _Clock(self._seconds, "features"):
            if before is not None:
                before = before.join(
                    frame.select("client").unique(), on="client", how="semi", maintain_order="left"
                )
                frame = pl.concat([before.with_columns(pl.lit(0, dtype=pl.UInt32).alias(ROW)), frame])
            data = ordered(frame, layers.law, layers.alignment.categories)
            own = frame[ROW].to_numpy()[data.rows] > 0
            table = feature_table(data, layers.alignment.categories)
            if not own.all():
                keep = np.flatnonzero(own)
                table = {name: values[keep] for name, values in table.items()}
                data = data.at(keep)
            self._aligner.observe(table, slice(0, None, self._stride))
            self._without_history += int((table["count_180"] == 0).sum())
        with one_thread():
            decided = [self._decided(data, table, start) for start in range(0, len(data), _BLOCK)]
        with _Clock(self._seconds, "decisions"):
            return self._laid_out(frame[data.rows], pl.concat(decided))

    def _decided(self, data: Any, table: Any, start: int) -> pl.DataFrame:
        layers, rows = self._layers, slice(start, min(start + _BLOCK, len(data)))
        with _Clock(self._seconds, "features"):
            matrix = self._aligner.matrix(table, rows)
        with _Clock(self._seconds, "models"):
            risks = layers.ensemble.risks(matrix)
            isolation, distance = layers.anomaly.shares(matrix)
        with _Clock(self._seconds, "decisions"):
            found = decide(risks, isolation, distance, data.checked.at(rows), layers.policy)
            for rule, holds in found.rules().items():
                self._counts["rule"][rule] += int(holds.sum())
            frame = decision_frame(found, data, rows, layers.law, layers.policy)
            self._counts["class"].update(dict(frame["class"].value_counts().iter_rows()))
        return frame

    def _laid_out(self, frame: pl.DataFrame, decided: pl.DataFrame | None) -> pl.DataFrame:
        """Return rows as they are given out; those without a decision say why."""
        about = frame.select(
            ROW,
            "client",
            (pl.col("cents") / 100).alias("amount"),
            (pl.col("seconds") // 86_400).cast(pl.Int32).cast(pl.Date).alias("date"),
            PROBLEM,
        )
        if decided is None:
            empty = self._layers.empty_decision()
            decided = empty.clear(about.height)
        return pl.concat([about, decided], how="horizontal").select(
            ROW, "client", "amount", "date", "class", "decided_by", "reasons", PROBLEM, *decided.columns[3:]
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
