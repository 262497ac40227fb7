"""Search over estimators and their settings: many models on one table, honestly split, and which of them are as good."""

from corrida.pipelines.model_search.pipeline import ModelSearchPipeline, pipeline

__all__ = ["ModelSearchPipeline", "pipeline"]
