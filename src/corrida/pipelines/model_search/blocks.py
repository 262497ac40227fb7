"""Blocks of neighbouring times: their errors are alike, so that tests swap and draw whole blocks.

The blocks are those of the target and of the test rows, not of a model: every model of every search on the same test rows has the
same ones, and can be compared with each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from corrida.pipelines.model_search.dates import time_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_BLOCKS = 10
_DAY, _YEAR = 86_400.0, 365.25 * 86_400.0


def blocks_of(times: pl.Series, target: NDArray[Any]) -> pl.Series:
    """Return the block of each row, named after its first time.

    Args:
        times: of the rows, in any order.
        target: of the rows: numbers, or classes as text.
    """
    ordered = times.unique().sort()
    length = block_length(ordered, _by_time(times, target))
    names = time_text(ordered)
    place = pl.Series(np.searchsorted(ordered.to_numpy(), times.to_numpy()) // length * length)
    return pl.Series([names[at] for at in place.to_list()])


def block_length(times: pl.Series, target: NDArray[np.float64]) -> int:
    """Return how many times make a block: n^(1/3), and more where the target lingers from one time to the next.

    What lingers is seen in the target without trend, season and time of day, which models know: its correlation φ with the time
    before. A loss is a product of two errors, so that φ² is taken as the correlation of losses. There are at least 10 blocks
    where n^(1/3) does not ask for fewer.

    Sources: Künsch, H. R. (1989), The jackknife and the bootstrap for general stationary observations, Annals of Statistics
    17, 1217-1241; the length for a correlation: Carlstein, E. (1986), The use of subseries values for estimating the variance
    of a general statistic from a stationary sequence, Annals of Statistics 14, 1171-1179.

    Args:
        times: in order, each once.
        target: the mean at each time.
    """
    count = len(target)
    least: int = max(1, round(count ** (1 / 3)))
    lingering = _lag_one(_without_season(times, target)) ** 2
    wanted: int = round((2 * lingering / (1 - lingering**2)) ** (2 / 3) * count ** (1 / 3))
    most: int = count // _LEAST_BLOCKS
    return max(least, min(wanted, most))


def _by_time(times: pl.Series, target: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of the target at each time; of classes the share of the commonest."""
    if target.dtype == object:
        names, counts = np.unique(target.astype(str), return_counts=True)
        target = target.astype(str) == names[counts.argmax()]
    frame = pl.DataFrame({"time": times, "y": target.astype(np.float64)})
    means = frame.group_by("time").agg(pl.col("y").mean()).sort("time")["y"]
    return np.asarray(means.to_numpy(), dtype=np.float64)


def _without_season(times: pl.Series, target: NDArray[np.float64]) -> NDArray[np.float64]:
    seconds = times.dt.epoch("us").to_numpy() / 1e6
    terms = [np.ones(len(target)), (seconds - seconds[0]) / max(seconds[-1] - seconds[0], 1.0)]
    if seconds[-1] - seconds[0] > _YEAR / 4:
        terms += _circle(seconds / _YEAR)
    if (seconds % _DAY != seconds[0] % _DAY).any():
        terms += [*_circle(seconds / _DAY), *_circle(2 * seconds / _DAY)]
    if len(target) < 4 * len(terms):
        return np.asarray(target - target.mean())
    known = np.column_stack(terms)
    fitted, *_ = np.linalg.lstsq(known, target, rcond=None)
    return np.asarray(target - known @ fitted, dtype=np.float64)


def _circle(turns: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [np.sin(2 * math.pi * turns), np.cos(2 * math.pi * turns)]


def _lag_one(values: NDArray[np.float64]) -> float:
    """Return the correlation with the value before, from 0 to 0.99."""
    with np.errstate(all="ignore"):  # of huge numbers the squares are infinite
        around = values - values.mean()
        spread = float(around @ around)
        share = float(around[1:] @ around[:-1]) / spread if spread > 0 else 0.0
    return min(max(share, 0.0), 0.99) if math.isfinite(share) else 0.0
