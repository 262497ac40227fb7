"""Prediction intervals from the errors of the validation, for models that have none of their own.

Split conformal prediction: an interval as wide as the errors on windows that the model had not seen. Source: Vovk, V.,
Gammerman, A. and Shafer, G. (2005), Algorithmic Learning in a Random World; for time series: Stankevičiūtė, K.,
Alaa, A. and van der Schaar, M. (2021), Conformal time-series forecasting, NeurIPS. It assumes that errors of the
windows, in units of each series' seasonal naive error, are exchangeable; the coverage is therefore always measured.
In the validation the interval of a window comes from the other windows (cross-conformal: Vovk, V. (2015), Annals of
Mathematics and Artificial Intelligence 74, 9-28).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from corrida.pipelines.forecasting.panel import Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.forecasting.panel import Floats


def calibrate(errors: Sequence[Floats], levels: Sequence[int]) -> dict[int, list[float]]:
    """Return how wide an interval is on each side, by level and step.

    Args:
        errors: absolute errors in units of the scale of their series; each of shape (horizon,).
        levels: in percent.

    Returns:
        By level, one width a step. A step with too few errors takes those of all steps; a level for which even those
        are too few is left out. Widths never fall from one step to the next.
    """
    if not errors:
        return {}
    table = np.stack(list(errors))
    widths = {}
    for level in levels:
        pooled = _quantile(table.ravel(), level)
        steps = [_quantile(table[:, step], level) for step in range(table.shape[1])]
        chosen = [pooled if one is None else one for one in steps]
        if all(one is not None for one in chosen):
            widths[level] = np.maximum.accumulate(np.array(chosen, dtype=np.float64)).tolist()
    return widths


def widened(forecast: Forecast, scale: float, widths: Mapping[int, Sequence[float]]) -> Forecast:
    """Return the forecast with intervals; beyond the last step that was calibrated the last width is used."""
    steps = len(forecast.mean)
    bounds = {}
    for level, known in widths.items():
        reach = scale * np.array([known[min(step, len(known) - 1)] for step in range(steps)])
        bounds[level] = (forecast.mean - reach, forecast.mean + reach)
    return Forecast(forecast.mean, bounds)


def _quantile(errors: Floats, level: int) -> float | None:
    """Return the ⌈(n + 1) level⌉-th smallest error, which covers at least ``level`` of new ones; None when n is too few."""
    rank = math.ceil((errors.size + 1) * level / 100)
    return float(np.sort(errors)[rank - 1]) if rank <= errors.size else None
