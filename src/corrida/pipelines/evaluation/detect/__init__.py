"""Detectors: what makes detections during a run, instead of reading them from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import polars as pl

    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.evaluation.embeddings import TextEmbedder
    from corrida.pipelines.evaluation.taxonomy import Taxonomy
    from corrida.pipelines.evaluation.truth import Truth


class Failed(msgspec.Struct, frozen=True):
    """An item that a detector could not answer: never counted as clean.

    Attributes:
        item: its id.
        strategy, model: under which.
        reason: one sentence.
        attempts: how often it was tried.
    """

    item: str
    strategy: str
    model: str
    reason: str
    attempts: int = 1


@dataclass(frozen=True)
class Request:
    """What a detector gets.

    Attributes:
        truth: the items. A detector reads ``truth.ids`` and ``truth.text(columns)``, never labels.
        taxonomy: the labels.
        recorder: progress, warnings, files.
        embedder: makes the embedder of the run when called; cached.
        seed: of random numbers; None leaves it to the detector, which then uses 0.
        files: files that its settings name (see :meth:`Detector.files`), by role, absolute.
    """

    truth: Truth
    taxonomy: Taxonomy
    recorder: Recorder
    embedder: Callable[[], TextEmbedder]
    seed: int | None = None
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Detected:
    """What a detector gives back.

    Attributes:
        detections: one row a detection with the columns of
            :data:`corrida.pipelines.evaluation.detections.COLUMNS`: item, model, strategy, name, description, topic
            (strings; the last three may be null) and confidence (float in [0, 1], or null).
        pairs: every (strategy, model) that was tried, also when it detected nothing.
        failed: items without an answer.
        facts: for the manifest, such as versions, tokens and cost.
    """

    detections: pl.DataFrame
    pairs: Sequence[tuple[str, str]]
    failed: Sequence[Failed] = ()
    facts: dict[str, object] = field(default_factory=dict)


class Detector(Protocol):
    """Finds labels in items under one or more strategies."""

    def columns(self) -> Sequence[str]:
        """Return the columns of the truth file that it reads; they are checked before any work."""
        ...

    def files(self) -> Mapping[str, str]:
        """Return the files that its settings name: role to path, relative to the project."""
        ...

    def detect(self, request: Request) -> Detected:
        """Answer every item under every strategy.

        Raises:
            InvalidConfig, InvalidData: what was given cannot be used; nothing was done.
        """
        ...
