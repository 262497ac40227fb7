"""One series on its way from rows to values: where it starts, what is missing, and what is known of its future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.forecasting.panel import Series

if TYPE_CHECKING:
    from corrida.pipelines.forecasting.frequency import Frequency
    from corrida.pipelines.forecasting.panel import Floats
    from corrida.pipelines.forecasting.settings import ForecastingConfig


class Reading:
    """One series on its way from rows to values without gaps."""

    def __init__(
        self,
        name: str,
        part: pl.DataFrame,
        frequency: Frequency,
        exogenous: tuple[str, ...],
        config: ForecastingConfig,
        *,
        appended: bool,
        future: bool,
    ) -> None:
        self.appended = appended
        self.name, self.frequency, self.exogenous, self.config = name, frequency, exogenous, config
        known = part["y"].is_not_null().arg_true()
        self.dropped = int(known[0]) if len(known) else 0
        self.rows = part.slice(self.dropped) if len(known) or future else part.head(0)
        self.filled = 0
        self.length = 0
        if self.rows.height:
            self.positions = self._positions()
        if len(known):
            self.length = int(self.positions[int(known[-1]) - self.dropped]) + 1

    def _positions(self) -> Any:
        times = self.rows["time"]
        positions = self.frequency.positions(times)
        if positions is not None:
            return positions
        at = next(
            (i for i in range(2, len(times) + 1) if self.frequency.positions(times[:i]) is None), len(times)
        )
        raise InvalidData(
            f"the series {self.name!r} does not go by {self.frequency}: {said(times[at - 1])} lies between two steps "
            f"from {said(times[0])}. "
            + (
                "Correct the dates."
                if self.appended
                else f"Set freq if {self.frequency} is wrong, or correct the dates."
            )
        )

    def series(self) -> Series:
        """Return the series, filled where the configuration allows it."""
        last = int(self.positions[-1]) + 1
        y = self._spread("y", last)[: self.length]
        self._fill(y, "y")
        columns = []
        for name in self.exogenous:
            values = self._spread(name, last)
            end = self._known_ahead(values)
            history = values[:end]
            self._fill(history, name)
            columns.append(history)
        width = min((len(column) for column in columns), default=self.length)
        exogenous = np.column_stack([c[:width] for c in columns]) if columns else np.empty((self.length, 0))
        return Series(self.name, self.rows["time"][0], y, exogenous)

    def _known_ahead(self, values: Floats) -> int:
        """Return up to where exogenous values are known without a gap, the future included."""
        missing = np.flatnonzero(np.isnan(values[self.length :]))
        return self.length + int(missing[0]) if missing.size else len(values)

    def _spread(self, column: str, last: int) -> Floats:
        values = np.full(last, np.nan)
        values[self.positions] = self.rows[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values

    def _fill(self, values: Floats, column: str) -> None:
        """Fill missing values in place."""
        missing = np.isnan(values)
        if not missing.any():
            return
        where = np.flatnonzero(missing)
        where_from = "" if column == "y" else f" in {column[2:]!r}"
        if self.config.gaps == "refuse":
            raise InvalidData(
                f"the series {self.name!r} has no value{where_from} for {said(self._time(int(where[0])))}"
                f"{f' and {where.size - 1:,} other times' if where.size > 1 else ''}, counted by {self.frequency}. "
                + (
                    "Fill it."
                    if self.appended
                    else "Fill it, set gaps to zero, previous or interpolate, or set freq if that is wrong."
                )
            )
        seen = np.flatnonzero(~missing)
        if not seen.size:
            raise InvalidData(
                f"the series {self.name!r} has no value{where_from} at all; leave the column out"
            )
        if column != "y" or self.config.gaps == "previous":
            before = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))))
            values[:] = values[np.where(before < 0, seen[0], before)]
        elif self.config.gaps == "zero":
            values[missing] = 0.0
        else:
            values[missing] = np.interp(where, seen, values[seen])
        self.filled += int(where.size) if column == "y" else 0

    def _time(self, position: int) -> object:
        return self.frequency.times(self.rows["time"][0], position, 1)[0]


def said(time: Any) -> str:
    """Return a time as a person writes it."""
    return str(time).removesuffix(" 00:00:00")
