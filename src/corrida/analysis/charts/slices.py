"""Segments of the items: how far the metric moved in each, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.charts.intervals import differences_tooltip, intervals_chart
from corrida.analysis.charts.theme import BAD, CHANGED, GOOD, QUIET, Spec
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.slices import Slice, Slices

_COLOURS = {"worse": BAD, "better": GOOD, "changed": CHANGED, "within noise": QUIET}
_SHAPES = {"worse": "triangle-down", "better": "triangle-up", "changed": "diamond", "within noise": "circle"}


def slices_chart(slices: Slices, *, most: int = 24) -> Spec | None:
    """Return the difference of each segment with its interval, the worst at the top.

    Args:
        slices: the segments.
        most: show so many; those that are sure first.

    Returns:
        The figure; None when no segment was tested.
    """
    shown = _chosen(slices, most)
    if not shown:
        return None
    rows = [
        {
            "segment": row.segment,
            "difference": row.difference,
            "low": row.low,
            "high": row.high,
            "state": _state(row),
            "values": f"{format_number(row.a)} → {format_number(row.b)}",
            "items": row.items,
            "q": row.q_value,
        }
        for row in shown
    ]
    left_out = "" if len(rows) == slices.looked_at else f" ({len(rows)} of {slices.looked_at:,} shown)"
    return intervals_chart(
        f"{slices.metric} by segment{left_out}",
        f"point: B − A in the segment; line: {100 * slices.confidence:g} % interval; coloured: more than chance "
        f"({slices.method})",
        rows,
        name="segment",
        colours=_COLOURS,
        shapes=_SHAPES,
        facts=[
            {"field": "segment", "type": "nominal"},
            {"field": "items", "type": "quantitative", "format": ","},
            {"field": "values", "type": "nominal", "title": "A → B"},
            *differences_tooltip(),
            {"field": "q", "type": "quantitative", "format": ".2g"},
        ],
    )


def _state(row: Slice) -> str:
    return row.outcome if row.outcome in _COLOURS else "within noise"


def _chosen(slices: Slices, most: int) -> list[Slice]:
    """Return segments in the order of the result: those that are sure, then those most likely to be real."""
    sure = [row for row in slices.found if row.outcome in _COLOURS]
    rest = sorted((row for row in slices.found if row.outcome not in _COLOURS), key=lambda row: row.p_value)
    kept = {id(row) for row in [*sure, *rest][:most]}
    return [row for row in slices.found if id(row) in kept]
