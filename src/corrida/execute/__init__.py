"""The only place where a pipeline meets a store: ``corrida run`` and ``corrida exec``."""

from __future__ import annotations

from corrida.execute.command import CommandWork, execute_command, run_command
from corrida.execute.item_ids import read_item_ids
from corrida.execute.options import Executed, Interrupted, RunOptions, relative_to_project
from corrida.execute.pipeline import (
    PipelineWork,
    execute_pipeline,
    pipeline_settings,
    run_pipeline,
    source_of,
)
from corrida.execute.recorder import Progress, RunRecorder, no_progress

__all__ = [
    "CommandWork",
    "Executed",
    "Interrupted",
    "PipelineWork",
    "Progress",
    "RunOptions",
    "RunRecorder",
    "execute_command",
    "execute_pipeline",
    "no_progress",
    "pipeline_settings",
    "read_item_ids",
    "relative_to_project",
    "run_command",
    "run_pipeline",
    "source_of",
]
