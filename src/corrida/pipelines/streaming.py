"""What a predictor offers beyond ``predict`` when files may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DRIFTED", "LEAST_ROWS", "ScoreReport", "ScoreStream", "StreamingPredictor"]

DRIFTED = 0.25
"""From this stability index on a feature stands far from training."""
LEAST_ROWS = 100
"""With fewer rows the index is mostly chance."""


class ScoreReport(msgspec.Struct, kw_only=True):
    """What is to be said of a scored file.

    Attributes:
        rows: of the file; where the answers are no rows of the file, answers.
        scored: of them.
        unit: what is counted: ``rows`` of the file, or what the answers are, such as ``forecasts``.
        not_scored: the others, by reason.
        classes: scored rows by class.
        rules: rows that a rule caught, by rule.
        alignment: what had to be done to bring the file into the shape of training: unseen categories, filled values,
            columns that were not used.
        reading: how the file was read.
        history: rows that were known of earlier ones.
        drift: how far each feature stands from training.
        drift_measure: ``psi`` is the population stability index; ``level`` is how far the level of a series moved, in
            changes that were usual in training.
        seconds: of work, by step.
    """

    rows: int = 0
    scored: int = 0
    unit: str = "rows"
    not_scored: dict[str, int] = {}
    classes: dict[str, int] = {}
    rules: dict[str, int] = {}
    alignment: dict[str, Any] = {}
    reading: dict[str, str] = {}
    history: dict[str, int] = {}
    drift: dict[str, float] = {}
    drift_measure: str = "psi"
    seconds: dict[str, float] = {}


class ScoreStream(Protocol):
    """The scored rows of a file: frames in its order, with ``row`` = 1 to n and none missing.

    Where the answers are no rows of the file, as of forecasts, the ``unit`` of the report says so; ``row`` then counts answers.

    Attributes:
        report: complete once all frames were taken.
    """

    report: ScoreReport

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield the frames, once."""
        ...


@runtime_checkable
class StreamingPredictor(Protocol):
    """A predictor that scores a file in bounded memory; it keeps nothing from one file to the next."""

    def score(
        self,
        path: Path,
        *,
        history: Path | None = None,
        work: Path | None = None,
        max_bytes: int | None = None,
        max_rows: int | None = None,
    ) -> ScoreStream:
        """Score a file.

        Args:
            path: the file.
            history: earlier rows, which have a say in the scores and are not scored themselves.
            work: an empty folder for what does not fit into memory; without one a temporary folder is used.
            max_bytes: a larger file is refused.
            max_rows: a longer one is refused.

        Raises:
            InvalidData: the file cannot be used.
        """
        ...
