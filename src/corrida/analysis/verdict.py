"""What can be said of two runs by the metric that decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from corrida.analysis.metrics_diff import MetricChange, format_difference
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from corrida.analysis.items_diff import ItemsDiff
    from corrida.runs.record import RunRecord
    from corrida.runs.run_file import Direction


class Verdict(msgspec.Struct, frozen=True):
    """What can be said of the metric that decides.

    Attributes:
        outcome: ``untested``: the difference is shown, and whether it is more than chance was not tested;
            ``tied``: the values are the same; ``unknown``: there is nothing to compare.
        metric: the metric that decides, or None.
        a, b, difference, direction: as of :class:`MetricChange`.
        sentence: the verdict in words.
        cautions: why the two values are not of the same work: other items, another truth, another pipeline.
    """

    outcome: Literal["untested", "tied", "unknown"]
    metric: str | None
    a: float | None
    b: float | None
    difference: float | None
    direction: Direction | None
    sentence: str
    cautions: tuple[str, ...] = ()


def _shown(value: float | None) -> str:
    return "–" if value is None else format_number(value)


def judge(
    a: RunRecord,
    b: RunRecord,
    metrics: Sequence[MetricChange],
    items: ItemsDiff | None,
    metric: str | None = None,
) -> Verdict:
    """Say what can be said of the metric that decides.

    Args:
        a: the run before.
        b: the run after.
        metrics: the metrics of both.
        items: their items; None when a run has none.
        metric: the metric that decides; that of the runs when not given.
    """
    return msgspec.structs.replace(
        _compare_values(a, b, metrics, metric), cautions=tuple(_cautions(a, b, items))
    )


def _cautions(a: RunRecord, b: RunRecord, items: ItemsDiff | None) -> list[str]:
    found = []
    if a.pipeline != b.pipeline:
        found.append(f"not the same work: {a.pipeline} and {b.pipeline}")
    if items is not None and (items.counts.only_a or items.counts.only_b):
        counts = items.counts
        found.append(
            f"not the same items: {counts.shared} shared, {counts.only_a} only in A, {counts.only_b} only in B; "
            "the metrics are of all items of each run"
        )
    if items is not None and items.counts.expected_changed:
        found.append(
            f"not the same truth: {items.counts.expected_changed} items have another expected answer"
        )
    return found


def _compare_values(
    a: RunRecord, b: RunRecord, metrics: Sequence[MetricChange], metric: str | None
) -> Verdict:
    primary = b.primary_metric or a.primary_metric
    name = metric or (primary.name if primary else None)
    if name is None and len(metrics) == 1:
        name = metrics[0].name
    if name is None:
        return Verdict("unknown", None, None, None, None, None, "no metric decides; name one with --metric")
    row = next((m for m in metrics if m.name == name), MetricChange(name, None, None, None, None, None))
    if row.a is None or row.b is None or row.difference is None:
        lacking = " and ".join(r.id for r, v in ((a, row.a), (b, row.b)) if v is None)
        values = (
            f"{name} is {_shown(row.a)} and {_shown(row.b)}"
            if not lacking
            else f"{name} is missing in {lacking}"
        )
        sentence = f"{values}, so the runs cannot be compared by it"
        return Verdict("unknown", name, row.a, row.b, None, row.direction, sentence)
    if row.difference == 0:
        sentence = f"{name} is {format_number(row.a)} in both"
        return Verdict("tied", name, row.a, row.b, 0.0, row.direction, sentence)
    side = {True: "the better way", False: "the worse way", None: "no better side is known"}[row.better]
    sentence = (
        f"{name} {format_number(row.a)} → {format_number(row.b)} ({format_difference(row.difference)}, {side}); "
        "whether that is more than chance is not tested"
    )
    return Verdict("untested", name, row.a, row.b, row.difference, row.direction, sentence)
