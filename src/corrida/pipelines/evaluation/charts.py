"""The figures of an evaluation, each of which says the same in grey: numbers stand in the cells, lines differ in dash."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from corrida.analysis.blocks import display_width, shorten
from corrida.analysis.charts.theme import GOOD, INK, PALETTE, Spec, figure
from corrida.pipelines.evaluation.results import RATES

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.results import Estimate, Evaluation, Sweep

ABSENT: Final = "–"
MOST_LABELS: Final = 80
MOST_TOPICS: Final = 30
_MOST_PANELS = 12
_NOTHING = "#F6F8FA"
_NAME = 62  # characters of a label in the margin of a figure
_ROW = 19
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])


class _Square(NamedTuple):
    """One cell of a heat map: where it is, what colours it, and what is written in it."""

    row: str
    column: str
    value: float | None
    text: str
    told: str
    framed: bool = False


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
                    "text": _number(estimate.value if estimate else None),
                }
            )
    top = _ceiling([_end(None), *(row["place"] for row in rows)])
    y = {
        "field": "matcher",
        "type": "nominal",
        "sort": list(evaluation.matchers),
        "title": None,
        "axis": _PLAIN,
    }
    x = {
        "field": "value", "type": "quantitative", "title": None, "scale": {"domain": [0, top]},
        "axis": {"tickCount": 4, "format": ".2~f"},
    }  # fmt: skip
    return figure(
        "Matchers",
        f"means over the cells of each matcher; lines: {_percent(evaluation)} intervals over clusters",
        data={"values": rows},
        facet={"column": {"field": "rate", "sort": [_title(rate) for rate in RATES], "title": None, "header": _HEADER}},
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


def matcher_strategy_grid(evaluation: Evaluation) -> Spec:
    """Return the F1 of every cell with its interval; the best is framed, and those that may be as good have a dot."""
    best = evaluation.best
    tied = set(best.tied) if best else set()
    squares = []
    pairs = [(s, m) for s in evaluation.strategies for m in evaluation.models]
    pairs = [(s, m) for s, m in pairs if any(c.strategy == s and c.model == m for c in evaluation.cells)]
    for strategy, model in pairs:
        for matcher in evaluation.matchers:
            cell = evaluation.cell(matcher, strategy, model)
            f1 = cell.rates.f1 if cell else None
            name = cell.name if cell else ""
            mark = " •" if name in tied else ""
            between = "" if f1 is None or f1.low is None else f"  {_number(f1.low)}–{_number(f1.high)}"
            squares.append(
                _Square(
                    f"{strategy} · {model}",
                    matcher,
                    f1.value if f1 else None,
                    f"{_number(f1.value if f1 else None)}{between}{mark}",
                    name,
                    framed=bool(best and name == best.cell),
                )
            )
    note = [f"F1 with {_percent(evaluation)} interval"]
    if best:
        note.append("framed: the best;  •  those whose difference from it may be chance")
    return _heat_map(
        "Every cell of the grid",
        note,
        squares,
        rows=[f"{strategy} · {model}" for strategy, model in pairs],
        columns=evaluation.matchers,
        width=150,
        height=26,
        legend="F1",
    )


def label_recall(evaluation: Evaluation) -> Spec | None:
    """Return how often each label was found: in the best cell, and in all cells of each matcher together.

    Returns:
        The figure; None when no item has a label.
    """
    about = {one.label: one for one in evaluation.labels}
    expected = [one for one in evaluation.labels if one.expected]
    if not expected:
        return None
    columns, found = _by_matcher(evaluation, ((one.cell, one.label, one.found, one.expected) for one in evaluation.label_counts))  # fmt: skip
    shown = sorted(expected, key=lambda one: -one.expected)[:MOST_LABELS]
    first = columns[0]

    def place(label: str) -> tuple[str, float, str]:
        hits, whole = found.get((label, first), (0, 0))
        return about[label].topic or "", -(hits / whole if whole else 0), label

    labels = sorted((one.label for one in shown), key=place)
    names = {label: _label_name(label, about[label].name, about[label].topic) for label in labels}
    squares = [
        _Square(names[label], column, _share(counts), _fraction(counts), about[label].topic or "")
        for label in labels
        for column in columns
        for counts in [found.get((label, column), (0, 0))]
    ]
    where = "in the best cell, and in all" if evaluation.best else "in all"
    note = [f"found of expected: {where} cells of each matcher together; grouped by topic"]
    left = len(expected) - len(shown)
    if left:
        note.append(f"the {len(shown)} labels that most items have; {left} more stand in labels.csv")
    return _heat_map(
        "Labels found",
        note,
        squares,
        rows=[names[label] for label in labels],
        columns=columns,
        width=92,
        height=_ROW,
        legend="recall",
        top=1.0,
    )


def topic_heatmap(evaluation: Evaluation) -> Spec | None:
    """Return the recall of each topic under every strategy and matcher, all models together.

    Returns:
        The figure; None when no label has a topic, or none is expected.
    """
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    support: dict[str, int] = {}
    for info in evaluation.labels:
        if info.topic:
            support[info.topic] = support.get(info.topic, 0) + info.expected
    for one in evaluation.topic_counts:
        matcher, strategy, _ = one.cell.split("+")
        hits, whole = found.get((one.topic, matcher, strategy), (0, 0))
        found[one.topic, matcher, strategy] = (hits + one.found, whole + one.expected)
    topics = sorted((topic for topic, size in support.items() if size), key=lambda topic: -support[topic])
    if not topics:
        return None
    shown = topics[:MOST_TOPICS]
    names = {topic: f"{topic} ({support[topic]:,})" for topic in shown}
    columns = [(strategy, matcher) for strategy in evaluation.strategies for matcher in evaluation.matchers]
    squares = [
        _Square(names[topic], f"{strategy}\n{matcher}", _share(counts), _number(_share(counts)), _fraction(counts))
        for topic in shown
        for strategy, matcher in columns
        for counts in [found.get((topic, matcher, strategy), (0, 0))]
    ]  # fmt: skip
    note = ["recall, all models together; in brackets: true labels of the topic"]
    left = len(topics) - len(shown)
    if left:
        note.append(f"the {len(shown)} topics with most labels; {left} more stand in topics.csv")
    return _heat_map(
        "Topics",
        note,
        squares,
        rows=[names[topic] for topic in shown],
        columns=[f"{strategy}\n{matcher}" for strategy, matcher in columns],
        width=max(72, min(160, 8 * max(display_width(s) for s in evaluation.strategies))),
        height=26,
        legend="recall",
        top=1.0,
    )


def calibration(evaluation: Evaluation) -> Spec | None:
    """Return the reliability curves under the matcher of the best cell, one panel a strategy and model.

    Returns:
        The figure; None when no detection has a confidence.
    """
    if not evaluation.calibration:
        return None
    matcher = evaluation.best.cell.split("+")[0] if evaluation.best else evaluation.matchers[0]
    chosen = [one for one in evaluation.calibration if one.cell.split("+")[0] == matcher]
    panels = [(one, " · ".join(one.cell.split("+")[1:])) for one in chosen[:_MOST_PANELS]]
    rows = [
        {
            "panel": f"ECE {_number(one.ece)}: {name}",
            "confidence": bin_.confidence,
            "precision": bin_.precision,
            "count": bin_.count,
        }
        for one, name in panels
        for bin_ in one.bins
    ]
    names = list(dict.fromkeys(row["panel"] for row in rows))
    x = {
        "field": "confidence", "type": "quantitative", "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 4, "format": ".2~f"}, "title": "confidence",
    }  # fmt: skip
    y = {**x, "field": "precision", "title": "share that is right"}
    more = len(chosen) - len(panels)
    return figure(
        "Confidence and being right",
        [
            f"matcher {matcher}; on the dashed line confidence is the chance of being right",
            "area of a point: decisions in the bin" + (f"; {more} more in calibration.csv" if more else ""),
        ],
        data={"values": rows},
        facet={"field": "panel", "type": "nominal", "sort": names, "title": None, "header": _HEADER},
        columns=3,
        spec={
            "width": 205,
            "height": 180,
            "layer": [
                {
                    "data": {"values": [{"at": 0}, {"at": 1}]},
                    "mark": {"type": "line", "color": "#6E7781", "strokeDash": [4, 3], "strokeWidth": 1},
                    "encoding": {"x": {**x, "field": "at"}, "y": {**y, "field": "at"}},
                },
                {
                    "mark": {"type": "line", "color": GOOD, "strokeWidth": 2},
                    "encoding": {"x": x, "y": y},
                },
                {
                    "mark": {"type": "point", "filled": True, "color": GOOD, "opacity": 1},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "size": {
                            "field": "count", "type": "quantitative", "title": "decisions",
                            "scale": {"range": [20, 260]}, "legend": {"orient": "bottom", "tickCount": 3, "format": ",d"},
                        },
                        "tooltip": [{"field": name, "type": "quantitative"} for name in ("confidence", "precision", "count")],
                    },
                },
            ],
        },
    )  # fmt: skip


def precision_recall(evaluation: Evaluation) -> Spec | None:
    """Return what each threshold of each matcher gives: its F1, and precision against recall.

    Returns:
        The figure; None when thresholds were not swept.
    """
    rows = [row for sweep in evaluation.sweeps for row in _curve(sweep)]
    if not rows:
        return None
    marks = [{**row, "what": what} for row in rows for what in _KINDS if row[what]]
    names = [sweep.matcher for sweep in evaluation.sweeps]
    legend = {"orient": "bottom", "symbolType": "stroke", "symbolSize": 500, "symbolStrokeWidth": 2}
    series = {"field": "matcher", "type": "nominal", "title": None, "sort": names}
    colour = {**series, "legend": legend, "scale": {"domain": names, "range": list(_COLOURS[: len(names)])}}
    dash = {
        **series,
        "legend": legend,
        "scale": {"domain": names, "range": [list(d) for d in _DASHES[: len(names)]]},
    }
    shape = {
        "field": "what", "type": "nominal", "legend": None, "scale": {"domain": list(_KINDS), "range": ["circle", "square"]},
    }  # fmt: skip

    def panel(x: str, y: str, title: str, top: tuple[float, float]) -> Spec:
        def axis(field: str, end: float) -> dict[str, Any]:
            name = "F1" if field == "f1" else field
            return {
                "field": field, "type": "quantitative", "title": name, "scale": {"domain": [0, end]},
                "axis": {"format": ".2~f", "tickCount": 5},
            }  # fmt: skip

        places = {"x": axis(x, top[0]), "y": axis(y, top[1])}
        order = {"field": "threshold", "type": "quantitative"}
        return {
            "title": {"text": title, "fontSize": 12},
            "width": 300,
            "height": 250,
            "layer": [
                {
                    "data": {"values": rows},
                    "mark": {"type": "line", "strokeWidth": 2},
                    "encoding": {**places, "color": colour, "strokeDash": dash, "order": order},
                },
                {
                    "data": {"values": marks},
                    "mark": {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1, "fill": "white"},
                    "encoding": {**places, "color": colour, "shape": shape},
                },
            ],
        }

    best, recall, precision = (_ceiling(row[rate] for row in rows) for rate in ("f1", "recall", "precision"))
    return figure(
        "Thresholds",
        [
            "on the half of the clusters where thresholds are chosen, all cells of a matcher together",
            "circle: the threshold chosen here, whose score is reported on the other half; square: the one that the run used",
        ],
        hconcat=[
            panel("threshold", "f1", "F1 by threshold", (1.0, best)),
            panel("recall", "precision", "precision and recall", (recall, precision)),
        ],
    )


_KINDS: Final = ("chosen", "configured")
_COLOURS: Final = (PALETTE[0], PALETTE[5], PALETTE[6])
_PLAIN: Final[Mapping[str, Any]] = {"ticks": False, "domain": False}
_HEADER: Final[Mapping[str, Any]] = {
    "labelFontSize": 12, "labelFontWeight": 600, "labelColor": INK, "labelAnchor": "start", "labelLimit": 250,
}  # fmt: skip


def _heat_map(
    title: str,
    note: Sequence[str],
    squares: Sequence[_Square],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    width: int,
    height: int,
    legend: str,
    top: float | None = None,
) -> Spec:
    """Return squares in shades of one blue, which in grey fall in lightness, with what they mean written in them."""
    top = top or _ceiling(square.value for square in squares)
    values = [
        {
            "row": square.row,
            "column": square.column,
            "value": square.value,
            "text": square.text,
            "told": square.told,
            # On the darker half the writing is white.
            "dark": square.value is not None and square.value > 0.55 * top,
        }
        for square in squares
    ]
    lines = max((column.count("\n") for column in columns), default=0)
    x = {
        "field": "column", "type": "nominal", "sort": list(columns), "title": None,
        "axis": {
            "orient": "top", "labelAngle": 0, "labelLimit": width - 4, "labelPadding": 6 + 14 * lines, **_PLAIN,
            "labelExpr": "split(datum.label, '\\n')", "labelLineHeight": 14,
        },
    }  # fmt: skip
    y = {
        "field": "row", "type": "nominal", "sort": list(rows), "title": None,
        "axis": {"labelLimit": 460, "labelPadding": 8, **_PLAIN},
    }  # fmt: skip
    known, unknown = [v for v in values if v["value"] is not None], [v for v in values if v["value"] is None]
    layers: list[Spec] = [
        {
            "data": {"values": known},
            "mark": {"type": "rect", "stroke": "white", "strokeWidth": 1.5},
            "encoding": {
                "x": x,
                "y": y,
                "color": {
                    "field": "value", "type": "quantitative", "title": legend,
                    "scale": {"domain": [0, top], "range": ["#EFF5FB", "#9CC4E4", "#3C83BD", "#08406F"], "interpolate": "lab"},
                    "legend": {"orient": "right", "gradientLength": min(140, max(50, height * len(rows))), "format": ".2~f", "tickCount": 4},
                },
                "tooltip": [{"field": "told", "type": "nominal"}, {"field": "text", "type": "nominal", "title": legend}],
            },
        }
    ]  # fmt: skip
    if unknown:
        layers.append(
            {
                "data": {"values": unknown},
                "mark": {"type": "rect", "stroke": "white", "strokeWidth": 1.5, "fill": _NOTHING},
                "encoding": {"x": x, "y": y},
            }
        )
    if framed := [v for v, square in zip(values, squares, strict=True) if square.framed]:
        layers.append(
            {
                "data": {"values": framed},
                "mark": {"type": "rect", "filled": False, "stroke": "#000000", "strokeWidth": 2.5},
                "encoding": {"x": x, "y": y},
            }
        )
    layers += [
        {
            "data": {"values": [v for v in values if v["dark"] is dark]},
            "mark": {"type": "text", "fontSize": 11, "color": "white" if dark else INK},
            "encoding": {"x": x, "y": y, "text": {"field": "text", "type": "nominal"}},
        }
        for dark in (False, True)
        if any(v["dark"] is dark for v in values)
    ]
    return figure(
        title,
        note,
        width={"step": width},
        height={"step": height},
        layer=layers,
        resolve={"scale": {"x": "shared", "y": "shared"}},
    )


def _by_matcher(
    evaluation: Evaluation, counts: Iterable[tuple[str, str, int, int]]
) -> tuple[list[str], dict[tuple[str, str], tuple[int, int]]]:
    """Sum (cell, name, found, expected) over the cells of each matcher, and keep those of the best cell apart.

    Returns:
        The columns, the best cell first, and by (name, column) what was found and expected.
    """
    best = evaluation.best.cell if evaluation.best else None
    found: dict[tuple[str, str], tuple[int, int]] = {}

    def add(name: str, column: str, hits: int, whole: int) -> None:
        before = found.get((name, column), (0, 0))
        found[name, column] = (before[0] + hits, before[1] + whole)

    for cell, name, hits, whole in counts:
        if cell == best:
            add(name, "best cell", hits, whole)
        add(name, cell.split("+")[0], hits, whole)
    return [*(["best cell"] if best else []), *evaluation.matchers], found


def _curve(sweep: Sweep) -> Iterable[dict[str, Any]]:
    """Yield what each threshold gives where that is defined; the nearest to the chosen and configured one are marked."""
    known = [
        point for point in sweep.points if point.counts.precision is not None and point.counts.f1 is not None
    ]
    nearest = {
        what: min(known, key=lambda point: abs(point.threshold - getattr(sweep, what)), default=None)
        for what in _KINDS
    }
    for point in known:
        yield {
            "matcher": sweep.matcher,
            "threshold": point.threshold,
            "precision": point.counts.precision,
            "recall": point.counts.recall,
            "f1": point.counts.f1,
            **{what: nearest[what] is point for what in _KINDS},
        }


def _label_name(label: str, name: str, topic: str | None) -> str:
    """Return a label as it stands in the margin: its id keeps two with one beginning apart."""
    text = label if not name or name == label else f"{label}  {name}"
    return shorten(
        f"{text}  [{topic}]" if topic and display_width(text) + len(topic) < _NAME - 4 else text, _NAME
    )


def _end(estimate: Estimate | None) -> float:
    if estimate is None:
        return 0.0
    return estimate.value if estimate.high is None else max(estimate.high, estimate.value)


def _ceiling(values: Iterable[float | None]) -> float:
    """Return the least tenth that is above all values."""
    greatest = max((value for value in values if value is not None), default=0.0)
    return min(1.0, max(0.1, math.ceil(round(greatest * 10, 6)) / 10))


def _share(counts: tuple[int, int]) -> float | None:
    return counts[0] / counts[1] if counts[1] else None


def _fraction(counts: tuple[int, int]) -> str:
    return f"{counts[0]}/{counts[1]}" if counts[1] else ABSENT


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2f}"


def _title(rate: str) -> str:
    return {"f1": "F1"}.get(rate, rate)


def _percent(evaluation: Evaluation) -> str:
    return f"{100 * evaluation.confidence:g} %"
