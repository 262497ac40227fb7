"""The models that can be named, from the simplest to the most complex."""

from __future__ import annotations

from corrida.pipelines.forecasting.models.base import Fitted, ForecastModel
from corrida.pipelines.forecasting.models.boosting import GradientBoosting
from corrida.pipelines.forecasting.models.neural import NETWORKS, Network
from corrida.pipelines.forecasting.models.statistical import StatisticalModel

__all__ = ["MODELS", "NAIVE", "Fitted", "ForecastModel"]

NAIVE = "SeasonalNaive"
_STATISTICAL = ("SeasonalNaive", "DynamicOptimizedTheta", "AutoTheta", "AutoETS", "AutoARIMA")

MODELS: dict[str, ForecastModel] = {
    model.name: model
    for model in (
        *(StatisticalModel(name, rank) for rank, name in enumerate(_STATISTICAL)),
        GradientBoosting("LightGBM", 10),
        *(Network(name, 20 + rank) for rank, name in enumerate(NETWORKS)),
    )
}
