"""Several runs together as text for people, and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Heading, Line, Style, Table
from corrida.analysis.verdict_text import format_interval, format_p
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.analysis.aggregate_results import Aggregate, AxisResult, Robustness, SeedContrast, Spread
    from corrida.analysis.pages import Part

_ABSENT = "–"
_SHOWN = 12
_LEVEL = 0.05
_STYLES: dict[str, Style] = {
    "consistent": "strong",
    "on average": "plain",
    "tied": "quiet",
    "not shown": "quiet",
}


def aggregate_title(found: Aggregate) -> str:
    """Return the title of a page."""
    return f"{found.pipeline}: {len(found.runs)} runs together"


def aggregate_sentences(found: Aggregate) -> list[str]:
    """Return the answers in sentences: what is consistently better, how much varies, what is most robust."""
    said = [
        sentence for axis in found.axes if axis.axis == "matcher" for sentence in _consistency(axis, found)
    ]
    said += [_variation(found.metrics[0])] if found.metrics else []
    said += [_robust(axis, found) for axis in found.axes if axis.axis == "strategy"]
    if found.best:
        cell, times = next(iter(found.best.items()))
        said.append(
            f"The best cell is {cell} in {times} of {len(found.runs)} runs."
            if len(found.best) > 1
            else f"The best cell is {cell} in every run."
        )
    return said


def aggregate_blocks(found: Aggregate) -> list[Block]:
    """Return the whole as headings, lines and tables."""
    blocks: list[Block] = [Heading(aggregate_title(found))]
    blocks += [Line(sentence, "plain", 1) for sentence in aggregate_sentences(found)]
    blocks += [Line(caution, "warning", 1) for caution in found.cautions]
    blocks += metric_blocks(found)
    for axis in found.axes:
        blocks += axis_blocks(axis, found)
    return blocks


def aggregate_parts(found: Aggregate) -> list[Part]:
    """Return a page: the answers, then metrics and each axis with their figures."""
    from corrida.analysis.charts.seeds import axis_chart, contrasts_chart, metrics_chart
    from corrida.analysis.pages import Figure

    parts: list[Part] = [Heading("Answers"), *(Line(sentence) for sentence in aggregate_sentences(found))]
    parts += [Line(caution, "warning") for caution in found.cautions]
    metrics = metric_blocks(found)
    chart = metrics_chart(found.metrics, found.runs)
    parts += [
        metrics[0],
        *([Figure("metrics_by_run", chart, "metrics of each run")] if chart else []),
        *metrics[1:],
    ]
    for axis in found.axes:
        blocks = axis_blocks(axis, found)
        parts += [
            blocks[0],
            Figure(f"{axis.axis}_by_run", axis_chart(axis, found.runs), f"F1 of each {axis.axis} by run"),
        ]
        if axis.contrasts:
            title = f"Differences of {_plural(axis.axis)}"
            shown = axis.contrasts[:_SHOWN]
            parts.append(
                Figure(f"{axis.axis}_contrasts", contrasts_chart(shown, found.confidence, title), title)
            )
        parts += blocks[1:]
    return parts


def metric_blocks(found: Aggregate) -> list[Block]:
    """Return metrics with mean, spread, and what of the spread sampling explains."""
    rows = [
        (
            m.name,
            str(m.runs),
            _number(m.mean),
            f"{_number(m.least)} to {_number(m.greatest)}",
            _number(m.deviation),
            _number(m.sampling_error),
            _number(m.beyond),
            _p(m.p_value),
        )
        for m in found.metrics
    ]
    columns = ("metric", "runs", "mean", "range", "SD of runs", "sampling error", "SD beyond it", "p")
    note = (
        "Sampling error: standard error within a run, from resampling its items. SD beyond it: what seeds add. "
        "p: that sampling alone gives so great an SD."
    )
    if found.shared_items:
        note += " All runs have the same items, so what they have in common does not count as spread."
    table = Table(columns, rows, right=frozenset({1, 2, 4, 5, 6, 7}), leave=(1, 7, 6, 3))
    blocks: list[Block] = [Heading("How much varies"), table]
    if any(m.sampling_error is not None for m in found.metrics):
        blocks.append(Line(note, "quiet", 1))
    return blocks


def axis_blocks(axis: AxisResult, found: Aggregate) -> list[Block]:
    """Return one axis: how each fares over the runs, and the pairs."""
    heading = {"matcher": "Matchers", "strategy": "Strategies", "model": "Models"}[axis.axis]
    levels = [
        (
            one.name,
            f"{one.mean:.3f}",
            _number(one.deviation, 3),
            f"{one.worst:.3f}",
            one.worst_run,
            f"{one.spread:.3f}",
            f"{one.mean_rank:.1f}",
            f"{one.firsts} of {sum(v is not None for v in one.values)}",
        )
        for one in axis.levels
    ]
    columns = (axis.axis, "mean F1", "SD", "worst F1", "worst run", "spread", "mean rank", "first in")
    blocks: list[Block] = [
        Heading(heading),
        Table(columns, levels, right=frozenset({1, 2, 3, 5, 6, 7}), styles=["strong"], leave=(4, 2, 5, 6)),
    ]
    blocks.append(Line("In pairs, on the cells that both have:", "plain", 1))
    pairs = axis.contrasts[:_SHOWN]
    rows = [
        (
            f"{p.better} − {p.other}",
            f"{p.difference:+.3f}",
            format_interval(round(p.low, 3), round(p.high, 3)),
            _p(p.p_adjusted),
            f"{p.wins} of {p.runs}",
            format_number(round(p.p_seeds, 4)),
            p.judgement,
        )
        for p in pairs
    ]
    of_pairs = ("pair", "F1", "interval", "p (Holm)", "better in", "p over seeds", "")
    blocks.append(
        Table(
            of_pairs,
            rows,
            right=frozenset({1, 3, 4, 5}),
            styles=[_STYLES[p.judgement] for p in pairs],
            leave=(5, 2),
        )
    )
    if left := len(axis.contrasts) - len(pairs):
        blocks.append(Line(f"{left} more pairs; --json shows all", "quiet", 1))
    least = axis.contrasts[0].least_p_seeds if axis.contrasts else 1.0
    blocks.append(
        Line(
            f"p (Holm): on the items of these runs, clusters swapped within each. p over seeds: a run is one observation; "
            f"{len(found.runs)} runs cannot give less than {format_number(least)}.",
            "quiet",
            1,
        )
    )
    return blocks


def _consistency(axis: AxisResult, found: Aggregate) -> list[str]:
    """Say of every matcher pair, the best first, whether one is consistently better."""
    best = max(axis.levels, key=lambda level: level.mean)
    own = [pair for pair in axis.contrasts if best.name in {pair.better, pair.other}]
    return [_pair_sentence(pair, found) for pair in own]


def _pair_sentence(pair: SeedContrast, found: Aggregate) -> str:
    size = f"{pair.difference:.3f} in F1 ({format_interval(round(pair.low, 3), round(pair.high, 3))}; {_said_p(pair.p_adjusted)} after Holm)"
    in_runs = "every run" if pair.wins == pair.runs else f"{pair.wins} of {pair.runs} runs"
    if pair.judgement == "consistent":
        text = f"{pair.better} is better than {pair.other} in {in_runs}, by {size}."
    elif pair.judgement == "on average":
        text = f"{pair.better} is better than {pair.other} on average, by {size}, and in {in_runs}: not consistently."
    elif pair.judgement == "tied":
        return f"{pair.better} and {pair.other} are tied: the difference lies inside ±{format_number(found.margin)}."
    else:
        return f"That {pair.better} is better than {pair.other} is not shown: by {size}, in {in_runs}."
    if pair.p_seeds > _LEVEL:
        text += f" Of other seeds {pair.runs} runs cannot tell (p = {format_number(round(pair.p_seeds, 4))})."
    return text


def _variation(metric: Spread) -> str:
    if metric.deviation is None:
        return f"{metric.name} is known of one run only; nothing can be said of its spread."
    text = (
        f"{metric.name} is {_number(metric.mean)} on average and varies by {_number(metric.deviation)} (SD) between runs, "
        f"from {_number(metric.least)} to {_number(metric.greatest)}"
    )
    if metric.sampling_error is None or metric.p_value is None:
        return f"{text}; its items do not say how much of that is sampling."
    if metric.p_value <= _LEVEL:
        return f"{text}: more than the sampling error of {_number(metric.sampling_error)} explains ({format_p(metric.p_value)})."
    return f"{text}: no more than the sampling error of {_number(metric.sampling_error)} explains ({format_p(metric.p_value)})."


def _robust(axis: AxisResult, found: Aggregate) -> str:
    worst = axis.levels[0]  # the greatest worst run
    steady = min(axis.levels, key=lambda level: level.spread)
    first = min(axis.levels, key=lambda level: level.mean_rank)
    text = f"The most robust {axis.axis} is {worst.name}: in its worst run it has F1 {worst.worst:.3f} ({worst.worst_run})"
    others = [other for other in axis.levels if other is not worst]
    if others:
        text += f", against {others[0].worst:.3f} of {others[0].name}"
    text += f"; it is first in {worst.firsts} of {_counted(worst)} runs."
    if steady is not worst:
        text += f" {steady.name} varies least ({steady.spread:.3f} from worst to best)."
    if first is not worst:
        text += f" {first.name} has the best mean rank ({first.mean_rank:.1f})."
    pair = next((p for p in axis.contrasts if worst.name in {p.better, p.other}), None)
    if pair is not None and pair.judgement in {"not shown", "tied"} and len(axis.levels) == 2:
        text += f" The two differ by no more than chance on these items ({_said_p(pair.p_adjusted)})."
    del found
    return text


def _counted(level: Robustness) -> int:
    return sum(value is not None for value in level.values)


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _number(value: float | None, digits: int = 4) -> str:
    return _ABSENT if value is None else format_number(round(value, digits) if abs(value) < 1000 else value)


def _said_p(value: float) -> str:
    return format_p(value)


def _p(value: float | None) -> str:
    if value is None:
        return _ABSENT
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def runs_line(found: Aggregate) -> str:
    """Return the runs with their seeds."""
    named: Sequence[str] = [
        f"{run} (seed {seed})" if seed is not None else run
        for run, seed in zip(found.runs, found.seeds, strict=True)
    ]
    return ", ".join(named)
