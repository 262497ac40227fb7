"""Forecasts for a file that somebody sent: how it is read, what is said of it, and how far it stands from training."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.forecasting.accuracy import seasonal_scale
from corrida.pipelines.inputs import shown
from corrida.pipelines.streaming import ScoreReport
from corrida.pipelines.table_stream import open_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corrida.pipelines.forecasting.panel import Panel, Series
    from corrida.pipelines.forecasting.predictor import ForecastPredictor
    from corrida.pipelines.table_stream import TableStream

_MOST_SERIES: Final = 1000  # whose drift a report names


class Asked(NamedTuple):
    """What is to be forecast.

    Attributes:
        steps: ahead.
        series: only these; all when empty.
        model: for all of them, or None.
        cherry_pick: take for each series the model that validation proved best.
    """

    steps: int
    series: tuple[str, ...]
    model: str | None
    cherry_pick: bool


class ForecastScores:
    """The forecasts for a file; see :class:`corrida.pipelines.streaming.ScoreStream`."""

    def __init__(
        self,
        predictor: ForecastPredictor,
        path: Path,
        asked: Asked,
        *,
        max_bytes: int | None = None,
        max_rows: int | None = None,
    ) -> None:
        """Open a file.

        Raises:
            InvalidData: it is no table.
        """
        self._predictor, self._path, self._asked, self._most = predictor, path, asked, max_rows
        self._stream = open_table(path, max_bytes=max_bytes, max_rows=max_rows)
        self._given = 0
        self.report = ScoreReport()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield the forecasts."""
        from corrida.pipelines.forecasting.predictor import only_series

        asked, notes, began = self._asked, list[str](), time.perf_counter()
        panel, newer = self._predictor.newer([self._path], notes, lambda _: self._table())
        panel = only_series(panel, asked.series)
        if self._most is not None and len(panel) * asked.steps > self._most:
            raise InvalidConfig(
                f"{asked.steps:,} steps of {len(panel):,} series are more than {self._most:,} forecasts, which is the limit; "
                "ask for fewer"
            )
        read = time.perf_counter()
        frame = self._predictor.forecasts(
            panel, asked.steps, newer, notes, cherry_pick=asked.cherry_pick, model=asked.model
        )
        ended = time.perf_counter()
        self.report = ScoreReport(
            rows=frame.height,
            scored=frame.height,
            unit="forecasts",
            alignment={
                "series": len(panel),
                "unseen": _unseen(self._predictor.history, panel),
                "ignored_columns": self._not_used(),
                "notes": notes,
            },
            reading=self._stream.reading | {"rows": str(self._given)},
            drift=level_drift(self._predictor.history, panel),
            drift_measure="level",
            seconds={"reading": round(read - began, 4), "models": round(ended - read, 4)},
        )
        yield frame.select(pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias("row"), pl.all())

    def _table(self) -> pl.DataFrame:
        """Return the file as a table of texts, or as typed as it is.

        Raises:
            InvalidData: a record cannot be read: a series must not lack a value without anybody knowing.
        """
        frame = read_whole(self._stream)
        self._given = frame.height
        return frame

    def _not_used(self) -> list[str]:
        columns = self._predictor.about.config.columns
        known = {columns.id, columns.time, columns.target, *self._predictor.about.exogenous}
        return [name for name in self._stream.header if name not in known]


def read_whole(stream: TableStream) -> pl.DataFrame:
    """Return all records of a table; empty texts are null.

    Raises:
        InvalidData: a record cannot be read.
    """
    called = [f"given {place}" for place in range(len(stream.header))]
    parts = []
    for part in stream.chunks(stream.header, called):
        bad = part.filter(pl.col("problem").is_not_null())
        if bad.height:
            more = f" and {bad.height - 1:,} more" if bad.height > 1 else ""
            raise InvalidData(f"{shown(stream.path)}: row {bad['row'][0]}{more}: {bad['problem'][0]}.")
        parts.append(part.select(called))
    frame = pl.concat(parts).rename(dict(zip(called, stream.header, strict=True)))
    return frame.with_columns(pl.col(pl.String).replace("", None))


def level_drift(history: Panel, panel: Panel) -> dict[str, float]:
    """Return how far the level of each series moved since training, the greatest first, of at most 1,000 series.

    (m - h) / s, with m the mean of the last season of the series, h that of its history, and s the mean absolute difference to
    one season before in the history, which is the scale of the MASE (Hyndman and Koehler 2006): how many usual changes
    from one season to the next it moved. Series without a history, and those that did not change in it, have none.
    """
    found = {}
    for one in panel.series:
        old = history.by_id.get(one.id)
        if old is None:
            continue
        scale = seasonal_scale(old.y, history.season_length)
        if scale > 0:
            moved = (_level(one, history.season_length) - _level(old, history.season_length)) / scale
            found[one.id] = round(float(moved), 4)
    return dict(sorted(found.items(), key=lambda item: -abs(item[1]))[:_MOST_SERIES])


def _level(one: Series, season: int) -> float:
    return float(np.mean(one.y[-season:]))


def _unseen(history: Panel, panel: Panel) -> dict[str, dict[str, object]]:
    names = [one.id for one in panel.series if one.id not in history.by_id]
    if not names:
        return {}
    rows = {name: len(panel.by_id[name].y) for name in names}
    few = {name: rows[name] for name in names[:20]}
    return {"series": {"categories": len(names), "rows": sum(rows.values()), "most": few}}
