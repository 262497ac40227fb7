"""The figures of forecasting."""

from corrida.pipelines.forecasting.charts.choice import choice_errors
from corrida.pipelines.forecasting.charts.errors import model_errors, step_errors
from corrida.pipelines.forecasting.charts.histories import examples

__all__ = ["choice_errors", "examples", "model_errors", "step_errors"]
