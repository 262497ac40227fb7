"""How far a forecast is from what happened.

Definitions as in Hyndman, R. J. and Koehler, A. B. (2006), Another look at measures of forecast accuracy,
International Journal of Forecasting 22, 679-688, whose MASE is scaled by the naive forecast; for series with a season by
the seasonal naive one: Hyndman, R. J. and Athanasopoulos, G. (2021), Forecasting: Principles and Practice, 3rd ed.,
section 5.8. sMAPE in the form of Makridakis, S. and Hibon, M. (2000), The
M3-Competition, International Journal of Forecasting 16, 451-476, with absolute values in the denominator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from corrida.pipelines.forecasting.panel import Floats, Forecast


def mae(actual: Floats, forecast: Floats) -> float:
    """Return the mean absolute error."""
    return float(np.mean(np.abs(actual - forecast)))


def rmse(actual: Floats, forecast: Floats) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.mean((actual - forecast) ** 2)))


def smape(actual: Floats, forecast: Floats) -> float:
    """Return the mean of 200 |y - f| / (|y| + |f|), in percent from 0 to 200; a step where both are 0 counts 0."""
    size = np.abs(actual) + np.abs(forecast)
    error = np.abs(actual - forecast)
    return float(np.mean(np.divide(200 * error, size, out=np.zeros_like(error), where=size > 0)))


def seasonal_scale(history: Floats, season_length: int) -> float:
    """Return the mean absolute difference to one season before, over the history; 0 when it never changes.

    The history must be longer than a season.
    """
    found = float(np.mean(np.abs(history[season_length:] - history[:-season_length])))
    # What rounding leaves of a constant series is no scale.
    return found if found > 1e-12 * float(np.max(np.abs(history))) else 0.0


def mase(actual: Floats, forecast: Floats, scale: float) -> float | None:
    """Return the mean absolute error in units of the in-sample error of the seasonal naive forecast.

    Args:
        actual: what happened.
        forecast: what was said.
        scale: :func:`seasonal_scale` of the values before the cutoff.

    Returns:
        None when the scale is 0: the history does not change from season to season.
    """
    return mae(actual, forecast) / scale if scale > 0 else None


def coverage(actual: Floats, forecast: Forecast, level: int) -> float | None:
    """Return the share of steps that lie inside the interval; None where the forecast has none."""
    if level not in forecast.bounds:
        return None
    lower, upper = forecast.bounds[level]
    return float(np.mean((lower <= actual) & (actual <= upper)))
