"""LightGBM on lags, running means and the calendar, by mlforecast: one model of all series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np

from corrida.pipelines.forecasting.models.base import Fitted, ForecastModel
from corrida.pipelines.forecasting.panel import Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from corrida.pipelines.forecasting.panel import Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig

_BOOSTER, _FEATURES = "booster.txt", "features.json"
_ONE = "forecast"


class Features(msgspec.Struct, frozen=True):
    """What LightGBM sees of a series.

    Attributes:
        lags: past values, in steps.
        window: steps of the running mean.
        season_length: values are differences to one season before, where a season is more than a step; then of one step.
    """

    lags: tuple[int, ...]
    window: int
    season_length: int


@dataclass(frozen=True)
class GradientBoosting(ForecastModel):
    """LightGBM, recursive over the horizon."""

    packages: ClassVar[tuple[str, ...]] = ("mlforecast", "lightgbm")
    file_format: ClassVar[str] = "lightgbm-text"
    learns_across: ClassVar[bool] = True

    @property
    def uses_exogenous(self) -> bool:
        """Tell that exogenous columns have a say."""
        return True

    def fit(self, panel: Panel, config: ForecastingConfig, seed: int) -> FittedBoosting:
        """Learn all series together; the same seed and data give the same trees."""
        import lightgbm

        from corrida.pipelines.forecasting.frames import history_frame

        features = _features(panel, config)
        settings = config.boosting
        learner = lightgbm.LGBMRegressor(
            n_estimators=settings.rounds,
            learning_rate=settings.learning_rate,
            num_leaves=settings.leaves,
            min_child_samples=settings.smallest_leaf,
            random_state=seed,
            n_jobs=config.n_jobs,
            deterministic=True,
            force_row_wise=True,
            verbosity=-1,
        )
        forecaster = _forecaster(features, {_ONE: learner})
        forecaster.fit(history_frame(panel), static_features=[])
        booster = forecaster.models_[_ONE].booster_
        forecaster.models_ = {_ONE: booster}
        return FittedBoosting(booster, features, (panel, forecaster))

    def load(self, folder: Path) -> FittedBoosting:
        """Read the trees and what they see."""
        import lightgbm

        features = msgspec.json.decode((folder / _FEATURES).read_bytes(), type=Features)
        text = (folder / _BOOSTER).read_text(encoding="utf-8")
        return FittedBoosting(lightgbm.Booster(model_str=text), features)


class FittedBoosting(Fitted):
    """Trees; the state of a series is worked out from its history, unless that is the one they were grown on."""

    def __init__(self, booster: Any, features: Features, grown: tuple[Panel, Any] | None = None) -> None:
        self._booster, self._features = booster, features
        self._grown = grown

    def predict(
        self, panel: Panel, horizon: int, levels: tuple[int, ...], *, newer: frozenset[str] = frozenset()
    ) -> Mapping[str, Forecast]:
        """Forecast each series, also one that was not learnt from."""
        del levels, newer
        from corrida.pipelines.forecasting.frames import future_frame

        forecaster, future = self._of(panel), future_frame(panel, horizon)
        found = forecaster.predict(horizon, X_df=future if future.width > 2 else None)
        means = {
            str(key[0]): part[_ONE].to_numpy().astype(np.float64)
            for key, part in found.sort("unique_id", "ds").group_by("unique_id", maintain_order=True)
        }
        if any(not np.isfinite(mean).all() for mean in means.values()):
            raise ValueError("the forecast is not finite")
        return {name: Forecast(mean) for name, mean in means.items()}

    def _of(self, panel: Panel) -> Any:
        """Return what forecasts from the end of the histories of a panel."""
        if self._grown is not None and self._grown[0] is panel:
            return self._grown[1]
        from corrida.pipelines.forecasting.frames import history_frame

        forecaster = _forecaster(self._features, {_ONE: self._booster})
        forecaster.preprocess(history_frame(panel), static_features=[])
        forecaster.models_ = {_ONE: self._booster}
        return forecaster

    def needs(self) -> int:
        """Return what the seasonal difference and the longest lag take, and one value that has them all."""
        return self._features.season_length + max(*self._features.lags, self._features.window) + 1

    def save(self, folder: Path) -> None:
        """Write LightGBM's own text format, and the features."""
        (folder / _BOOSTER).write_text(self._booster.model_to_string(), encoding="utf-8")
        (folder / _FEATURES).write_bytes(msgspec.json.format(msgspec.json.encode(self._features)))


def _features(panel: Panel, config: ForecastingConfig) -> Features:
    """Return what fits the shortest series: every lag must lie inside it, with values left to learn from."""
    season = panel.season_length
    size = config.input_size or max(2 * season, config.horizon)
    shortest = min(len(one.y) for one in panel.series)
    room = max(1, (shortest - season - 1) // 2)
    lags = config.boosting.lags or range(1, min(size, 2 * season if season > 1 else 12) + 1)
    fitting = tuple(lag for lag in lags if lag <= room)
    if not fitting:
        raise ValueError(f"the shortest series has {shortest} values, too few for the lags {list(lags)}")
    return Features(fitting, min(max(season, 3), room), season)


def _forecaster(features: Features, models: dict[str, Any]) -> Any:
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import Differences, LocalStandardScaler

    return MLForecast(
        models=models,
        freq=1,
        lags=list(features.lags),
        lag_transforms={1: [RollingMean(features.window)]},
        target_transforms=[Differences([features.season_length]), LocalStandardScaler()],
    )
