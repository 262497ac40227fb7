"""Validation by rolling origin: each model forecasts the end of each series from before it, several times.

Source: Tashman, L. J. (2000), Out-of-sample tests of forecasting accuracy: an analysis and review, International Journal
of Forecasting 16, 437-450. A model is fitted anew in each window. Exogenous values of the window are those that happened,
as if they had been known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from corrida.pipelines.forecasting.accuracy import coverage, mae, mase, rmse, seasonal_scale, smape
from corrida.pipelines.forecasting.intervals import calibrate, widened

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from corrida.pipelines.forecasting.models import ForecastModel
    from corrida.pipelines.forecasting.panel import Floats, Forecast, Panel, Series
    from corrida.pipelines.forecasting.settings import ForecastingConfig


@dataclass(frozen=True)
class Window:
    """One origin.

    Attributes:
        number: from 1, the earliest.
        back: how many values at the end of a series are not known.
        known: what is known: the panel until the cutoff.
    """

    number: int
    back: int
    known: Panel


@dataclass(frozen=True)
class Trial:
    """What a model said of one series in one window, and what happened.

    Attributes:
        model: its name.
        series: the id.
        window: its number.
        cutoff: time of the last value that was known.
        actual: shape (horizon,).
        forecast: of the same steps.
        scale: the seasonal naive error of the history, the unit of the MASE; 0 where that does not change.
    """

    model: str
    series: str
    window: int
    cutoff: Any
    actual: Floats
    forecast: Forecast
    scale: float

    @cached_property
    def mae(self) -> float:
        """The mean absolute error."""
        return mae(self.actual, self.forecast.mean)

    @cached_property
    def mase(self) -> float | None:
        """The mean absolute scaled error; None without a scale."""
        return mase(self.actual, self.forecast.mean, self.scale)

    @property
    def steps(self) -> Floats:
        """The absolute error of each step."""
        return np.asarray(np.abs(self.actual - self.forecast.mean), dtype=np.float64)

    def errors(self, levels: Sequence[int]) -> dict[str, float | None]:
        """Return all errors by name, and the coverage of the intervals."""
        found: dict[str, float | None] = {
            "mae": self.mae,
            "rmse": rmse(self.actual, self.forecast.mean),
            "mase": self.mase,
            "smape": smape(self.actual, self.forecast.mean),
        }
        return found | {f"coverage_{level}": coverage(self.actual, self.forecast, level) for level in levels}


@dataclass
class Validated:
    """What validation found of one model.

    Attributes:
        model: the model.
        trials: one a series and window.
        widths: of intervals from the errors, by level and step; empty where the model has its own.
        ahead: by series, what the model that is saved says of the time after the data; empty where that needs exogenous
            values which are not known.
    """

    model: ForecastModel
    trials: list[Trial] = field(default_factory=list)
    widths: dict[int, list[float]] = field(default_factory=dict)
    ahead: Mapping[str, Forecast] = field(default_factory=dict)

    def means(
        self, names: Sequence[str], levels: Sequence[int], kept: Container[tuple[str, int]] | None = None
    ) -> dict[str, float]:
        """Return the means of errors over series and windows; one that is defined in none is left out.

        Args:
            names: of the errors.
            levels: of the intervals.
            kept: series and windows that count; None for all.
        """
        rows = [
            trial.errors(levels)
            for trial in self.trials
            if kept is None or (trial.series, trial.window) in kept
        ]
        known = {name: [row[name] for row in rows if row[name] is not None] for name in names}
        return {name: float(np.mean(values)) for name, values in known.items() if values}  # type: ignore[arg-type]


def windows(panel: Panel, config: ForecastingConfig) -> list[Window]:
    """Return the windows, the earliest first."""
    return [
        Window(number, back, panel.until(back))
        for number in range(1, config.n_windows + 1)
        for back in [config.held_out - (number - 1) * config.step]
    ]


def least_length(config: ForecastingConfig, season_length: int) -> int:
    """Return how many values a series needs: the windows, and before the first of them two seasons, or three values."""
    return config.held_out + max(2 * season_length, 3)


def try_model(
    model: ForecastModel, panel: Panel, window: Window, config: ForecastingConfig, seed: int
) -> list[Trial]:
    """Fit a model on what was known in a window, and compare its forecasts with what happened."""
    levels = tuple(config.levels) if model.own_intervals else ()
    said = model.fit(window.known, config, seed).predict(window.known, config.horizon, levels)
    return [trial_of(model, panel, window, one, said[one.id], config) for one in window.known.series]


def trial_of(
    model: ForecastModel,
    panel: Panel,
    window: Window,
    one: Series,
    forecast: Forecast,
    config: ForecastingConfig,
) -> Trial:
    """Return what a model said of the series ``one`` of a window, beside what happened."""
    known = len(one.y)
    whole = panel.by_id[one.id].y
    return Trial(
        model.name,
        one.id,
        window.number,
        window.known.cutoff(one),
        whole[known : known + config.horizon],
        forecast,
        seasonal_scale(one.y, panel.season_length),
    )


def with_intervals(found: Validated, config: ForecastingConfig) -> None:
    """Give a model without intervals of its own those that its errors tell; of each window from the other ones."""
    if found.model.own_intervals and config.intervals == "own":
        return
    levels = config.levels
    scaled = {
        (trial.series, trial.window): trial.steps / trial.scale for trial in found.trials if trial.scale > 0
    }
    found.widths = calibrate(list(scaled.values()), levels)
    for number in sorted({trial.window for trial in found.trials}):
        others = calibrate([errors for (_, window), errors in scaled.items() if window != number], levels)
        found.trials = [
            replace(trial, forecast=widened(trial.forecast, trial.scale, others))
            if trial.window == number and trial.scale > 0
            else trial
            for trial in found.trials
        ]
