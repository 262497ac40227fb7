"""From configuration files and overrides to a checked :class:`EvaluationConfig`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidConfig
from corrida.pipelines.conversion import convert
from corrida.pipelines.evaluation.embeddings import THRESHOLDS
from corrida.pipelines.evaluation.settings import EvaluationConfig
from corrida.pipelines.registry import merge_configs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.contract import ConfigFile


def configure(files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> EvaluationConfig:
    """Build the configuration; see :meth:`corrida.pipelines.contract.Pipeline.configure`.

    Files are merged in their order, later ones win. What nobody says is filled in, so that every threshold stands in
    the configuration that the run records.

    Raises:
        InvalidConfig: naming the file, the place in it and the mend.
    """
    for file in files:  # each alone, so that a fault is said with its file
        convert(merge_configs([file], {}), EvaluationConfig, file.path)
    for key, value in overrides.items():
        convert(merge_configs([], {key: value}), EvaluationConfig, f"--set {key}")
    merged = merge_configs(files, overrides)
    config: EvaluationConfig = convert(merged, EvaluationConfig, "the configuration")
    _check(config)
    return _with_threshold(config)


def _with_threshold(config: EvaluationConfig) -> EvaluationConfig:
    """Return the configuration with the threshold of the embedding provider where none is set."""
    semantic = config.matchers.semantic
    if semantic.threshold is not None:
        return config
    semantic = msgspec.structs.replace(semantic, threshold=THRESHOLDS[config.embedding.provider])
    matchers = msgspec.structs.replace(config.matchers, semantic=semantic)
    return msgspec.structs.replace(config, matchers=matchers)


def _check(config: EvaluationConfig) -> None:
    """Refuse settings that contradict each other."""
    twice = [name for name in config.matchers.use if config.matchers.use.count(name) > 1]
    if twice:
        raise InvalidConfig(f"matchers.use: {twice[0]} is named twice; name each matcher once.")
    hybrid = config.matchers.hybrid
    if not hybrid.fuzzy + hybrid.semantic:
        raise InvalidConfig(
            "matchers.hybrid: the weights fuzzy and semantic are both 0, so only topics would decide. "
            "Give at least one a number above 0."
        )
    listed = detection_files(config)
    if len(set(listed)) < len(listed):
        raise InvalidConfig("detections: a file is named twice, and would be counted twice; name each once.")


def detection_files(config: EvaluationConfig) -> list[str]:
    """Return the files of detections that the configuration names."""
    if config.detections is None:
        return []
    return [config.detections] if isinstance(config.detections, str) else list(config.detections)
