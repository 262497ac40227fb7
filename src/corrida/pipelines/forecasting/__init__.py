"""Forecasting: many series by many models, validated by rolling origin, chosen for each series."""

from corrida.pipelines.forecasting.pipeline import ForecastingPipeline, pipeline

__all__ = ["ForecastingPipeline", "pipeline"]
