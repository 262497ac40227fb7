"""Statistical models of statsforecast: one fit a series, with prediction intervals of their own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from corrida.pipelines.forecasting.models.base import Fitted, ForecastModel
from corrida.pipelines.forecasting.models.state import read_state, write_state
from corrida.pipelines.forecasting.panel import Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from corrida.pipelines.forecasting.panel import Floats, Panel, Series
    from corrida.pipelines.forecasting.settings import ForecastingConfig


class ModelFailed(RuntimeError):
    """A model raised on one series."""


@dataclass(frozen=True)
class StatisticalModel(ForecastModel):
    """A model of statsforecast, by its class name."""

    packages: ClassVar[tuple[str, ...]] = ("statsforecast",)
    file_format: ClassVar[str] = "json+npz"
    own_intervals: ClassVar[bool] = True

    @property
    def uses_exogenous(self) -> bool:
        """Tell whether exogenous columns have a say."""
        return self.name == "AutoARIMA"

    def fit(self, panel: Panel, config: ForecastingConfig, seed: int) -> FittedStatistical:
        """Fit each series, in several processes where the configuration says so."""
        del seed  # none of them draws random numbers
        work = [(self.name, panel.season_length, one, self.uses_exogenous) for one in panel.series]
        if config.n_jobs > 1 and len(work) > 1:
            from joblib import Parallel, delayed

            states = Parallel(n_jobs=config.n_jobs)(delayed(_fit)(*one) for one in work)
        else:
            states = [_fit(*one) for one in work]
        return FittedStatistical(
            self.name,
            panel.season_length,
            {one.id: state for one, state in zip(panel.series, states, strict=True)},
            self.uses_exogenous,
        )

    def load(self, folder: Path) -> FittedStatistical:
        """Read the fitted parameters."""
        tree = read_state(folder)
        return FittedStatistical(self.name, tree["season_length"], tree["series"], self.uses_exogenous)


class FittedStatistical(Fitted):
    """The fitted parameters of each series."""

    def __init__(self, name: str, season_length: int, states: dict[str, Any], uses_exogenous: bool) -> None:
        self._name, self._season_length, self._states = name, season_length, states
        self._uses_exogenous = uses_exogenous

    def knows(self, series: str) -> bool:
        """Tell whether the series was fitted."""
        return series in self._states

    def predict(
        self, panel: Panel, horizon: int, levels: tuple[int, ...], *, newer: frozenset[str] = frozenset()
    ) -> Mapping[str, Forecast]:
        """Forecast each series; on a newer history the parameters stay what they are, and the states are filtered anew."""
        return {one.id: self._one(one, horizon, levels, newer=one.id in newer) for one in panel.series}

    def _one(self, one: Series, horizon: int, levels: tuple[int, ...], *, newer: bool) -> Forecast:
        model = _new(self._name, self._season_length)
        model.model_ = self._states[one.id]
        future = one.exogenous[len(one.y) : len(one.y) + horizon] if self._uses_exogenous else None
        known = future is not None and future.shape[1]
        with _explained(one.id), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if newer:
                history = one.exogenous[: len(one.y)] if known else None
                found = model.forward(
                    y=one.y, h=horizon, X=history, X_future=future if known else None, level=list(levels)
                )
            else:
                found = model.predict(h=horizon, X=future if known else None, level=list(levels))
        return Forecast(
            _floats(found["mean"]),
            {level: (_floats(found[f"lo-{level}"]), _floats(found[f"hi-{level}"])) for level in levels},
        )

    def save(self, folder: Path) -> None:
        """Write the parameters of all series into two files."""
        write_state(folder, {"season_length": self._season_length, "series": self._states})


def _new(name: str, season_length: int) -> Any:
    import statsforecast.models

    return getattr(statsforecast.models, name)(season_length=season_length)


def _fit(name: str, season_length: int, one: Series, uses_exogenous: bool) -> Any:
    history = one.exogenous[: len(one.y)] if uses_exogenous and one.exogenous.shape[1] else None
    with _explained(one.id), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of divisions by 0 in constant stretches: the forecast is finite, or refused
        state = _new(name, season_length).fit(one.y, X=history).model_
    if "fit" in state:
        state["fit"] = None  # the way of the optimiser, which no forecast needs
    return state


class _explained:  # noqa: N801 - reads as a word of the sentence
    """Say in which series a model failed."""

    def __init__(self, series: str) -> None:
        self._series = series

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            raise ModelFailed(f"series {self._series!r}: {type(error).__name__}: {error}") from error


def _floats(values: Any) -> Floats:
    found: Floats = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("the forecast is not finite")
    return found
