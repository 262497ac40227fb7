"""Evaluation: which matcher, which strategy, which model finds the labels that are really there."""

from corrida.pipelines.evaluation.pipeline import EvaluationPipeline, pipeline

__all__ = ["EvaluationPipeline", "pipeline"]
