"""Detections that detectors make, as the table that they give back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from corrida.pipelines.evaluation.detections import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl


class Row(NamedTuple):
    """One detection, with the fields of :data:`corrida.pipelines.evaluation.detections.COLUMNS`."""

    item: str
    model: str
    strategy: str
    name: str
    description: str | None
    topic: str | None
    confidence: float | None


def detections_table(rows: Sequence[Row]) -> pl.DataFrame:
    """Return detections as a table; without any it has all its columns too."""
    import polars as pl

    schema = {name: pl.Float64 if name == "confidence" else pl.String for name in COLUMNS}
    return pl.DataFrame(list(rows), schema=schema, orient="row")
