"""Which items of two runs a metric is compared on.

Mostly an item is compared with the item of the same id. A metric such as the score of the best of several cells is of
other rows in each run when another cell is the best: then the rows of both cells are compared that are of the same
``item``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from corrida.analysis.measures import parse_measure

if TYPE_CHECKING:
    from corrida.analysis.paired_items import PairedItems
    from corrida.runs.record import RunRecord


class MetricPairs(NamedTuple):
    """What a metric is tested on.

    Attributes:
        paired: the items; None when the two runs measure what cannot be compared item by item.
        declared: measures by the name of the metric.
        note: what is to be known of it; empty when nothing is.
    """

    paired: PairedItems | None
    declared: Mapping[str, str]
    note: str = ""


def pairs_of_metric(a: RunRecord, b: RunRecord, paired: PairedItems, metric: str) -> MetricPairs:
    """Return what a metric of two runs is tested on.

    Raises:
        InvalidMetric: a declared measure cannot be read.
    """
    in_a, in_b = a.measures.get(metric), b.measures.get(metric)
    if in_a is None or in_b is None or in_a == in_b:
        return MetricPairs(paired, {**a.measures, **b.measures})
    one, two = parse_measure(in_a), parse_measure(in_b)
    said = f"{metric} is {in_a} in A and {in_b} in B"
    plain = msgspec.structs.replace(one, where=None)
    if one.where and two.where and plain == msgspec.structs.replace(two, where=None):
        across = paired.across(one.where, two.where)
        if across is not None:
            return MetricPairs(
                across, {metric: str(plain)}, f"{said}; what both say of the same items is tested"
            )
    return MetricPairs(None, {}, f"{said}, so it is not tested")
