"""What the figures of an evaluation share: how numbers are written, and the look of axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from corrida.analysis.charts.theme import INK

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.results import Evaluation

ABSENT: Final = "–"
PLAIN: Final[Mapping[str, Any]] = {"ticks": False, "domain": False}
HEADER: Final[Mapping[str, Any]] = {
    "labelFontSize": 12, "labelFontWeight": 600, "labelColor": INK, "labelAnchor": "start", "labelLimit": 250,
}  # fmt: skip


def ceiling(values: Iterable[float | None]) -> float:
    """Return the least tenth that is above all values."""
    greatest = max((value for value in values if value is not None), default=0.0)
    return min(1.0, max(0.1, math.ceil(round(greatest * 10, 6)) / 10))


def number(value: float | None) -> str:
    """Return a rate with two digits, or a dash."""
    return ABSENT if value is None else f"{value:.2f}"


def percent(evaluation: Evaluation) -> str:
    """Return the confidence of the intervals."""
    return f"{100 * evaluation.confidence:g} %"
