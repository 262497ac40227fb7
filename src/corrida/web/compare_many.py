"""Several runs against one: a row a metric, a column a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.analysis.compare_report import config_lines, side_of
from corrida.analysis.comparison_page import verdict_parts
from corrida.analysis.items_report import flips_sentence
from corrida.analysis.metrics_diff import format_difference
from corrida.analysis.verdict_text import format_interval
from corrida.errors import BadInput, CorridaError
from corrida.runs.numbers import format_number
from corrida.web.compare_state import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.analysis.blocks import Line, Style
    from corrida.analysis.compare import Comparison
    from corrida.analysis.metrics_diff import MetricChange
    from corrida.analysis.pages import Part
    from corrida.runs.record import RunRecord
    from corrida.web.compare_state import CompareState
    from corrida.web.viewer import Site

_MOST = 12
_METRICS = 40


class Cell(NamedTuple):
    """A metric of one run beside that of the baseline.

    Attributes:
        value: of the run.
        difference: to the baseline; empty when there is none.
        word: which way it went, such as ``better`` or ``within noise``.
        interval: of the difference; empty when it was not tested.
        style: how it looks.
    """

    value: str
    difference: str = ""
    word: str = ""
    interval: str = ""
    style: Style = "plain"


class MetricRow(NamedTuple):
    """A metric of all runs: its value in the baseline, and a cell a run."""

    name: str
    baseline: str
    cells: Sequence[Cell]


class Candidate(NamedTuple):
    """A run compared with the baseline.

    Attributes:
        run: which.
        verdict: what can be said of the metric that decides.
        flips: what became of the items, in a sentence.
        configs: what was configured differently.
        error: why nothing can be said; empty otherwise.
    """

    run: RunRecord
    verdict: Sequence[Part] = ()
    flips: str = ""
    configs: Sequence[Line] = ()
    error: str = ""


def show(site: Site, request: Request, state: CompareState) -> Response:
    """Answer ``/compare`` of three runs and more."""
    runs = _runs(site, state)
    state = state._replace(runs=tuple(run.id for run in runs), pipeline="")
    baseline, *others = runs
    candidates: list[Candidate] = []
    comparisons: list[Comparison | None] = []
    for run in others:
        try:
            comparison = site.comparisons.get(baseline, run, metric=state.metric).comparison
        except CorridaError as error:
            candidates.append(Candidate(run, error=str(error)))
            comparisons.append(None)
            continue
        comparisons.append(comparison)
        items = comparison.items
        flips = flips_sentence(items.counts) if items is not None and items.counts.shared else ""
        candidates.append(Candidate(run, verdict_parts(comparison.verdict), flips, config_lines(comparison)))
    decides = next((c.verdict.metric for c in comparisons if c), None)
    rows = _rows(baseline, others, comparisons, decides)
    shown = len(rows) if state.metrics == ALL else _METRICS
    content: dict[str, Any] = {
        "state": state,
        "runs": runs,
        "baseline": baseline,
        "candidates": candidates,
        "rows": rows[:shown],
        "left": max(0, len(rows) - shown),
        "names": list(dict.fromkeys(name for run in runs for name in run.metrics)),
        "decides": decides,
        "alone": sum(c is not None and c.verdict.method is not None for c in comparisons),
    }
    return site.pages.page(request, "compare_many", content, here="runs")


def _runs(site: Site, state: CompareState) -> list[RunRecord]:
    """Return the runs, each once.

    Raises:
        BadInput: there are too many of them.
    """
    if len(state.runs) > _MOST:
        raise BadInput(
            f"{len(state.runs)} runs are too many to compare; choose at most {_MOST}, or look at them in Explore"
        )
    found = [site.store.get(run, pipeline=state.pipeline or None) for run in state.runs]
    return list({run.id: run for run in found}.values())


def _rows(
    baseline: RunRecord,
    others: Sequence[RunRecord],
    comparisons: Sequence[Comparison | None],
    decides: str | None,
) -> list[MetricRow]:
    """Return a row a metric, that which decides first."""
    names = list(dict.fromkeys(name for run in (baseline, *others) for name in run.metrics))
    changes = [{m.name: m for m in comparison.metrics} if comparison else {} for comparison in comparisons]
    tested = [any(m.tested for m in known.values()) for known in changes]
    return [
        MetricRow(
            name,
            _number(baseline.metrics.get(name)),
            [
                _cell(known[name], tested=sure) if name in known else Cell(_number(run.metrics.get(name)))
                for run, known, sure in zip(others, changes, tested, strict=True)
            ],
        )
        for name in sorted(names, key=lambda name: name != decides)
    ]


def _cell(metric: MetricChange, *, tested: bool) -> Cell:
    if metric.difference is None:
        return Cell(_number(metric.b))
    word = side_of(metric, tested=tested)
    sure = metric.tested is not None and word in {"better", "worse"}
    if not tested and word:
        word = f"the {word} way"  # whether it is more than chance was not tested
    interval = "" if metric.low is None or metric.high is None else format_interval(metric.low, metric.high)
    return Cell(
        _number(metric.b),
        format_difference(metric.difference) if metric.difference else "0",
        word if metric.difference else "the same",
        interval,
        "quiet" if not sure else "good" if metric.better else "bad",
    )


def _number(value: float | None) -> str:
    return "–" if value is None else format_number(value)
