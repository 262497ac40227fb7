"""What models see: many series of one frequency, and what they give: forecasts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.forecasting.frequency import Frequency

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One series without gaps.

    Attributes:
        id: its name.
        start: the time of the first value, a datetime or a whole number.
        y: the values, shape (n,), finite.
        exogenous: shape (n + known future steps, columns), finite; what is known of the future comes after the n.
    """

    id: str
    start: Any
    y: Floats
    exogenous: Floats

    @property
    def known_ahead(self) -> int:
        """Future steps whose exogenous values are known."""
        return len(self.exogenous) - len(self.y)


@dataclass(frozen=True)
class Panel:
    """Many series.

    Attributes:
        series: in the order of their ids.
        frequency: of all of them.
        season_length: steps.
        exogenous: names of the columns.
    """

    series: tuple[Series, ...]
    frequency: Frequency
    season_length: int
    exogenous: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.series)

    @cached_property
    def by_id(self) -> dict[str, Series]:
        """The series by their ids."""
        return {one.id: one for one in self.series}

    def only(self, ids: frozenset[str]) -> Panel:
        """Return some of the series."""
        return replace(self, series=tuple(one for one in self.series if one.id in ids))

    def until(self, back: int) -> Panel:
        """Return what was known before the last ``back`` values; exogenous values of the time after stay known."""
        return replace(self, series=tuple(replace(one, y=one.y[: len(one.y) - back]) for one in self.series))

    @cached_property
    def cutoffs(self) -> dict[str, Any]:
        """The time of the last value of each series."""
        import polars as pl

        starts = pl.Series([one.start for one in self.series])
        steps = pl.Series([len(one.y) - 1 for one in self.series], dtype=pl.Int64)
        ends = self.frequency.times_from(starts, steps)
        return dict(zip((one.id for one in self.series), ends, strict=True))

    def cutoff(self, one: Series) -> Any:
        """Return the time of the last value of a series of this panel, or of another of the same frequency."""
        if self.by_id.get(one.id) is one:
            return self.cutoffs[one.id]
        return self.frequency.times(one.start, len(one.y) - 1, 1)[0]

    def ahead(self, one: Series, horizon: int) -> pl.Series:
        """Return the times of the next ``horizon`` steps."""
        return self.frequency.times(one.start, len(one.y), horizon)


@dataclass(frozen=True)
class Forecast:
    """What a model says of one series.

    Attributes:
        mean: shape (horizon,).
        bounds: lower and upper end of the interval by level in percent, each of shape (horizon,).
    """

    mean: Floats
    bounds: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)
