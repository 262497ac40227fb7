"""Predicting a file of any size: read in pieces, each row by itself, given back in its order."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from corrida.pipelines.feature_profile import ProfileCounter
from corrida.pipelines.inputs import shown
from corrida.pipelines.model_search.columns import encoded, texts_of, values_or_problem
from corrida.pipelines.model_search.dates import times_by_row
from corrida.pipelines.streaming import ScoreReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corrida.pipelines.model_search.predictor import ModelPredictor
    from corrida.pipelines.model_search.table import Alignment
    from corrida.pipelines.table_stream import TableStream

_PIECE: Final = 65_536  # rows that are predicted together
_MOST_NAMED: Final = 20  # unseen texts in a report
_MOST_KEPT: Final = 10_000  # unseen texts of a column that are told apart
_LONGEST: Final = 100


class FileScores:
    """The predicted rows of a file; see :class:`corrida.pipelines.streaming.ScoreStream`.

    The frames have ``row``, the columns of :meth:`ModelPredictor.predict`, and ``problem``: null, or why the row could not be
    predicted.
    """

    def __init__(self, predictor: ModelPredictor, stream: TableStream) -> None:
        """Look at the columns of a file.

        Raises:
            InvalidData: one is missing.
        """
        self._predictor, self._stream = predictor, stream
        about = predictor.about
        predictor.require_columns(stream.path, stream.header)
        self._date = predictor.shown_date(stream.header)
        carried = [one for one in (about.id, self._date, about.target) if one in stream.header]
        # Read under names of our own: a column may be called as those that the reader adds.
        wanted = dict.fromkeys([column.name for column in about.columns] + [str(one) for one in carried])
        self._called = {name: f"given {place}" for place, name in enumerate(wanted)}
        self._empty = predictor.answers(pl.DataFrame())[0]
        self._counter = ProfileCounter(predictor.profile) if predictor.profile is not None else None
        self._problems: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._filled: Counter[str] = Counter()
        self._unseen: dict[str, Counter[str]] = {}
        self._unseen_rows: Counter[str] = Counter()
        self._seconds = dict.fromkeys(("reading", "features", "models"), 0.0)
        self._rows = 0
        self.report = ScoreReport()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield frames in the order of the file."""
        began = time.perf_counter()
        for chunk in self._stream.chunks(list(self._called), list(self._called.values())):
            self._seconds["reading"] += time.perf_counter() - began
            for start in range(0, chunk.height, _PIECE):
                yield self._predicted(chunk.slice(start, _PIECE))
            began = time.perf_counter()
        self._seconds["reading"] += time.perf_counter() - began
        self._finish()

    def _predicted(self, given: pl.DataFrame) -> pl.DataFrame:
        began = time.perf_counter()
        values, problem = self._read(given)
        good = problem.is_null()
        features = encoded(values.filter(good), self._predictor.about.columns)
        middle = time.perf_counter()
        answers, alignment = self._predictor.answers(features) if features.height else (self._empty, None)
        ended = time.perf_counter()
        self._seconds["features"] += middle - began
        self._seconds["models"] += ended - middle
        self._rows += given.height
        self._problems.update(problem.drop_nulls().to_list())
        self._count(values.filter(good), answers, alignment)
        return self._laid_out(given, problem, good, answers)

    def _read(self, given: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """Return the columns of training as what they hold, and why a row cannot be predicted."""
        problem, columns = given["problem"], []
        for column in self._predictor.about.columns:
            series = given[self._called[column.name]].alias(column.name)
            values, said = values_or_problem(self._stream.path, series, column.kind)
            columns.append(values.alias(column.name))
            problem = problem.zip_with(problem.is_not_null(), said)
        return pl.DataFrame(columns), problem

    def _laid_out(
        self, given: pl.DataFrame, problem: pl.Series, good: pl.Series, answers: list[pl.Series]
    ) -> pl.DataFrame:
        about = self._predictor.about
        columns = [given["row"], self._ids(given)]
        if self._date is not None:
            times = times_by_row(given[self._called[self._date]])
            text = None if times is None else self._predictor.date_text(times)
            columns.append(
                pl.Series(self._date, [None] * given.height, dtype=pl.String)
                if text is None
                else text.alias(self._date)
            )
        if about.target in self._called:
            columns.append(self._expected(given[self._called[about.target]]).alias("expected"))
        said = pl.DataFrame([given["row"].filter(good), *answers])
        frame = pl.DataFrame(columns).join(said, on="row", how="left", maintain_order="left")
        return frame.with_columns(pl.lit(about.model).alias("model"), problem.alias("problem"))

    def _ids(self, given: pl.DataFrame) -> pl.Series:
        name = self._predictor.about.id
        if name is None or name not in self._called:
            return given["row"].cast(pl.String).alias("item_id")
        return texts_of(given[self._called[name]]).alias("item_id")

    def _expected(self, given: pl.Series) -> pl.Series:
        if self._predictor.about.task == "classification":
            return texts_of(given)
        if given.dtype == pl.String:
            given = given.str.strip_chars()
        return given.cast(pl.Float64, strict=False).fill_nan(None)

    def _count(self, values: pl.DataFrame, answers: list[pl.Series], alignment: Alignment | None) -> None:
        if self._predictor.about.task == "classification":
            self._classes.update(dict(answers[0].value_counts(name="corrida rows").iter_rows()))
        if alignment is None:
            return
        self._filled.update(self._predictor.filled(alignment))
        for name, texts in alignment.unseen.items():
            counts = self._unseen.setdefault(name, Counter())
            for text, rows in texts.items():
                self._unseen_rows[name] += rows
                if text in counts or len(counts) < _MOST_KEPT:
                    counts[text[:_LONGEST]] += rows
        if self._counter is not None:
            self._counter.observe(values, alignment.unseen)

    def _finish(self) -> None:
        bad = self._problems.total()
        self.report = ScoreReport(
            rows=self._rows,
            scored=self._rows - bad,
            not_scored=dict(self._problems.most_common()),
            classes=dict(self._classes.most_common()),
            alignment=self._alignment(),
            reading=self._stream.reading,
            drift=self._counter.drift() if self._counter is not None else {},
            seconds={step: round(value, 4) for step, value in self._seconds.items()},
        )

    def _alignment(self) -> dict[str, Any]:
        unseen = {
            name: {
                "categories": len(counts),
                "rows": self._unseen_rows[name],
                "most": dict(counts.most_common(_MOST_NAMED)),
            }
            for name, counts in self._unseen.items()
        }
        return {
            "features": len(self._predictor.about.columns),
            "unseen": unseen,
            "filled": dict(self._filled),
            "ignored_columns": self._predictor.not_used(self._stream.header),
        }

    def __repr__(self) -> str:
        return f"FileScores({shown(self._stream.path)})"
