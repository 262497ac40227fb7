"""The figures of a model search, as Vega-Lite specifications."""

from corrida.pipelines.model_search.charts.answers import confusion_chart, importances_chart, residuals_chart
from corrida.pipelines.model_search.charts.search import leaderboard_chart, settings_chart, traces_chart

__all__ = [
    "confusion_chart",
    "importances_chart",
    "leaderboard_chart",
    "residuals_chart",
    "settings_chart",
    "traces_chart",
]
