"""Matchers as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.charts.theme import INK, Spec, figure
from corrida.pipelines.evaluation.charts.words import HEADER, PLAIN, ceiling, number, percent
from corrida.pipelines.evaluation.results import RATES

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.results import Estimate, Evaluation


def matcher_ablation(evaluation: Evaluation) -> Spec:
    """Return precision, recall and F1 of each matcher: means over its cells, with intervals."""
    rows = []
    for matcher in evaluation.matchers:
        mean = evaluation.mean("matcher", matcher)
        for rate in RATES:
            estimate: Estimate | None = getattr(mean.macro, rate) if mean else None
            rows.append(
                {
                    "matcher": matcher,
                    "rate": _title(rate),
                    "value": estimate.value if estimate else None,
                    "low": estimate.low if estimate else None,
                    "high": estimate.high if estimate else None,
                    "place": _end(estimate),
                    "text": number(estimate.value if estimate else None),
                }
            )
    top = ceiling(
        _end(getattr(mean.macro, rate))
        for mean in evaluation.means
        for rate in RATES
        if mean.axis == "matcher"
    )
    y = {
        "field": "matcher",
        "type": "nominal",
        "sort": list(evaluation.matchers),
        "title": None,
        "axis": PLAIN,
    }
    x = {
        "field": "value", "type": "quantitative", "title": None, "scale": {"domain": [0, top]},
        "axis": {"tickCount": 4, "format": ".2~f"},
    }  # fmt: skip
    return figure(
        "Matchers",
        f"means over the cells of each matcher; lines: {percent(evaluation)} intervals over clusters",
        data={"values": rows},
        facet={"column": {"field": "rate", "sort": [_title(rate) for rate in RATES], "title": None, "header": HEADER}},
        spec={
            "width": 215,
            "height": {"step": 34},
            "layer": [
                {
                    "mark": {"type": "bar", "color": "#A8C8E4", "height": {"band": 0.62}},
                    "encoding": {"y": y, "x": x},
                },
                {
                    "transform": [{"filter": "isValid(datum.low)"}],
                    "mark": {"type": "rule", "strokeWidth": 2.5, "color": INK},
                    "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
                },
                {
                    "mark": {"type": "text", "align": "left", "dx": 6, "fontSize": 11, "color": INK, "clip": False},
                    "encoding": {"y": y, "x": {**x, "field": "place"}, "text": {"field": "text"}},
                },
            ],
        },
    )  # fmt: skip


def _end(estimate: Estimate | None) -> float:
    if estimate is None:
        return 0.0
    return estimate.value if estimate.high is None else max(estimate.high, estimate.value)


def _title(rate: str) -> str:
    return {"f1": "F1"}.get(rate, rate)
