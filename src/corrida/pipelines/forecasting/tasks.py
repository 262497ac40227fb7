"""The pieces of training that may run anywhere: one model in one window, or one model on all the data."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from corrida.pipelines.forecasting.models import MODELS
from corrida.pipelines.forecasting.validation import try_model, windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.pipelines.forecasting.models import Fitted, ForecastModel
    from corrida.pipelines.forecasting.panel import Forecast, Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig
    from corrida.pipelines.forecasting.validation import Trial


@dataclass(frozen=True)
class Task:
    """A piece.

    Attributes:
        model: its name.
        window: the number of the window; None for the fit on all the data.
    """

    model: str
    window: int | None

    def __str__(self) -> str:
        """Return what is done, for a person."""
        return f"{self.model}, {'the fit on all data' if self.window is None else f'window {self.window}'}"


@dataclass(frozen=True)
class Done:
    """What came of a piece.

    Attributes:
        seconds: that the fit took, and in a window the forecasts.
        trials: of a window.
        files: of the fitted model by their place in its folder.
        ahead: what the fitted model says of the time after the data.
    """

    seconds: float
    trials: list[Trial] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)
    ahead: Mapping[str, Forecast] = field(default_factory=dict)


@dataclass(frozen=True)
class Trainer:
    """Does a piece; sent once to each worker, with the data.

    Attributes:
        panel: the series.
        config: the configuration, with as many jobs inside a piece as there are cores for it.
        seed: of models that draw random numbers.
    """

    panel: Panel
    config: ForecastingConfig
    seed: int

    def __call__(self, task: Task) -> Done:
        """Validate a model in a window, or fit it on all the data and write it down."""
        model, started = MODELS[task.model], time.perf_counter()
        if task.window is not None:
            window = windows(self.panel, self.config)[task.window - 1]
            trials = try_model(model, self.panel, window, self.config, self.seed)
            return Done(time.perf_counter() - started, trials)
        fitted = model.fit(self.panel, self.config, self.seed)
        seconds = time.perf_counter() - started
        with tempfile.TemporaryDirectory(prefix="corrida-fit-") as folder:
            fitted.save(Path(folder))
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in sorted(Path(folder).rglob("*"))
                if path.is_file()
            }
        return Done(seconds, files=files, ahead=forecast_ahead(model, fitted, self.panel, self.config))


def forecast_ahead(
    model: ForecastModel, fitted: Fitted, panel: Panel, config: ForecastingConfig
) -> Mapping[str, Forecast]:
    """Return what a model says of the time after the data; nothing where exogenous values of it are not known."""
    needs = model.uses_exogenous and panel.exogenous
    if needs and any(one.known_ahead < config.horizon for one in panel.series):
        return {}
    levels = tuple(config.levels) if model.own_intervals else ()
    return fitted.predict(panel, config.horizon, levels)
