"""Risk: transactions through learned layers and the limits of the law, to one of four classes with reasons."""

from corrida.pipelines.risk.pipeline import RiskPipeline, pipeline

__all__ = ["RiskPipeline", "pipeline"]
