"""Every metric of two runs, side by side, with the way in which it is better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from corrida.analysis.directions import direction_of
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord
    from corrida.runs.run_file import Direction


class MetricChange(msgspec.Struct, frozen=True):
    """One metric in both runs.

    Attributes:
        name: the metric.
        a: its value before; None when that run does not have it.
        b: its value after, likewise.
        difference: ``b - a``; None when either is missing or not a number.
        direction: whether more or less is better; None when neither.
        better: whether the difference goes the better way; None when it does not move or has no direction.
            Not whether it is more than chance: that the test says.
        tested: what of the shared items was tested; None when the metric was not, and with it all that follows.
        low, high: the interval of the difference on the shared items.
        p_value: that the runs are alike.
        p_adjusted: the same, adjusted by Holm's correction for the metrics that were tested together.
        real: whether the difference is more than chance, by ``p_adjusted`` and the interval.
    """

    name: str
    a: float | None
    b: float | None
    difference: float | None
    direction: Direction | None
    better: bool | None
    tested: str | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    real: bool | None = None


def compare_metrics(a: RunRecord, b: RunRecord) -> tuple[MetricChange, ...]:
    """Return every metric of either run, in the order of B and then of A; what is missing stays missing."""
    found = []
    directions = {**a.directions, **b.directions}
    for primary in (a.primary_metric, b.primary_metric):
        if primary:
            directions[primary.name] = primary.direction
    for name in dict.fromkeys([*b.metrics, *a.metrics]):
        before, after = a.metrics.get(name), b.metrics.get(name)
        difference = _difference(before, after)
        direction = direction_of(name, directions)
        better = None
        if difference and direction:
            better = (difference > 0) == (direction == "max")
        found.append(MetricChange(name, before, after, difference, direction, better))
    return tuple(found)


def _difference(before: float | None, after: float | None) -> float | None:
    """Return ``after - before``; None when one is missing or they are no numbers to subtract (NaN)."""
    if before is None or after is None:
        return None
    if before == after:
        return 0.0  # equal infinities too
    difference = after - before
    return None if math.isnan(difference) else difference


def format_difference(difference: float) -> str:
    """Return a difference with its sign, ``+0.41`` or ``−0.41``."""
    text = format_number(float(abs(difference)))
    return f"{'−' if difference < 0 else '+'}{text}"
