"""The grid, the labels and the topics as heat maps, with numbers in their cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from corrida.analysis.blocks import display_width, shorten
from corrida.analysis.charts.theme import INK, Spec, figure
from corrida.pipelines.evaluation.charts.words import ABSENT, PLAIN, ceiling, number, percent

if TYPE_CHECKING:
    from corrida.pipelines.evaluation.results import Evaluation

MOST_LABELS: Final = 80
MOST_TOPICS: Final = 30
_NOTHING = "#F6F8FA"
_NAME = 62  # characters of a label in the margin of a figure
_ROW = 19


class _Square(NamedTuple):
    """One cell of a heat map: where it is, what colours it, and what is written in it."""

    row: str
    column: str
    value: float | None
    text: str
    told: str
    framed: bool = False


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
            between = "" if f1 is None or f1.low is None else f"  {number(f1.low)}–{number(f1.high)}"
            squares.append(
                _Square(
                    f"{strategy} · {model}",
                    matcher,
                    f1.value if f1 else None,
                    f"{number(f1.value if f1 else None)}{between}{mark}",
                    name,
                    framed=bool(best and name == best.cell),
                )
            )
    note = [f"F1 with {percent(evaluation)} interval"]
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
        _Square(names[topic], f"{strategy}\n{matcher}", _share(counts), number(_share(counts)), _fraction(counts))
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
    top = top or ceiling(square.value for square in squares)
    values: list[dict[str, Any]] = [
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
            "orient": "top", "labelAngle": 0, "labelLimit": width - 4, "labelPadding": 6 + 14 * lines, **PLAIN,
            "labelExpr": "split(datum.label, '\\n')", "labelLineHeight": 14,
        },
    }  # fmt: skip
    y = {
        "field": "row", "type": "nominal", "sort": list(rows), "title": None,
        "axis": {"labelLimit": 460, "labelPadding": 8, **PLAIN},
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


def _label_name(label: str, name: str, topic: str | None) -> str:
    """Return a label as it stands in the margin: its id keeps two with one beginning apart."""
    text = label if not name or name == label else f"{label}  {name}"
    return shorten(
        f"{text}  [{topic}]" if topic and display_width(text) + len(topic) < _NAME - 4 else text, _NAME
    )


def _share(counts: tuple[int, int]) -> float | None:
    return counts[0] / counts[1] if counts[1] else None


def _fraction(counts: tuple[int, int]) -> str:
    return f"{counts[0]}/{counts[1]}" if counts[1] else ABSENT
