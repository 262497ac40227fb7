"""Matching: texts to codes of any classification, by rules and lexical retrieval."""

from corrida.pipelines.matching.matcher import MatchingPipeline, pipeline

__all__ = ["MatchingPipeline", "pipeline"]
