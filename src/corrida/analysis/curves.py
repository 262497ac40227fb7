"""Step metrics as curves: smoothed, and thinned to what a screen can show."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from corrida.runs.step_metrics import Points

Axis = Literal["step", "time"]
BUCKETS = 200
MOST_SMOOTH = 0.999
_UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (2 * 60.0, 60.0, "minutes"))


class Curve(NamedTuple):
    """A line to draw.

    Attributes:
        x: ascending.
        y: as many, finite.
        total: how many points it stands for.
        left_out: points that were not finite, or not above 0 on a logarithmic axis.
    """

    x: list[float]
    y: list[float]
    total: int
    left_out: int


def curve(
    points: Points, *, axis: Axis = "step", smooth: float = 0.0, log: bool = False, buckets: int = BUCKETS
) -> Curve:
    """Return the curve of a metric.

    Each bucket of the axis keeps its smallest and its greatest value, so that no peak is lost.

    Args:
        points: as logged.
        axis: the step, or the seconds since the first point.
        smooth: weight of what came before, from 0 (none) below 1: an exponential moving average without the bias
            of its beginning (Kingma and Ba, "Adam", 2015, section 3).
        log: whether the axis of the values is logarithmic.
        buckets: of the axis; up to twice as many points are kept.
    """
    import numpy as np

    x = points.steps.astype(float) if axis == "step" else points.times - points.times.min()
    order = np.argsort(x, kind="stable")
    x, y = x[order], points.values[order]
    usable = np.isfinite(y) & (y > 0) if log else np.isfinite(y)
    left_out = int(len(y) - usable.sum())
    x, y = x[usable], y[usable]
    if smooth > 0 and len(y):
        y = _smoothed(y, min(smooth, MOST_SMOOTH))
    kept = _extremes(x, y, buckets)
    return Curve(x[kept].tolist(), y[kept].tolist(), len(y), left_out)


def _smoothed(values: np.ndarray, weight: float) -> np.ndarray:
    import polars as pl

    return pl.Series(values).ewm_mean(alpha=1 - weight, adjust=True).to_numpy()


def _extremes(x: np.ndarray, y: np.ndarray, buckets: int) -> np.ndarray:
    """Return the places of the first and last point, and of the smallest and greatest value of each bucket."""
    import numpy as np

    if len(x) <= 2 * buckets:
        return np.arange(len(x))
    span = x[-1] - x[0]
    if span > 0:
        edges = np.searchsorted(x, x[0] + span * np.arange(buckets + 1) / buckets)
    else:
        edges = np.arange(buckets + 1) * len(x) // buckets
    edges[0], edges[-1] = 0, len(x)
    kept = {0, len(x) - 1}
    for low, high in itertools.pairwise(edges.tolist()):
        if low < high:
            kept |= {low + int(y[low:high].argmin()), low + int(y[low:high].argmax())}
    return np.array(sorted(kept))


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the seconds of a unit in which a span is read well, and its name."""
    return next(((size, name) for least, size, name in _UNITS if seconds >= least), (1.0, "seconds"))
