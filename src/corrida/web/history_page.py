"""The step metrics of a run: figures that follow the address, and the points they draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from corrida.errors import CorridaError
from corrida.runs.numbers import format_number
from corrida.web.address import page_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from corrida.analysis.curves import Axis
    from corrida.runs.record import RunRecord
    from corrida.runs.step_metrics import StepMetrics
    from corrida.web.viewer import Site

FIGURES = 24
_OTHERS = 30
_MOST_ASKED = 60


class HistoryState(NamedTuple):
    """What the figures show.

    Attributes:
        others: ids of the runs that are laid over.
        smooth: weight of what came before, from 0 below 1.
        log: logarithmic values.
        axis: ``step`` or ``time``.
        metric: part of the names that are shown.
        page: from 1.
    """

    others: tuple[str, ...] = ()
    smooth: float = 0.0
    log: bool = False
    axis: Axis = "step"
    metric: str = ""
    page: int = 1

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read it from the query of an address; what cannot be read is as if it were not there."""
        from corrida.analysis.charts.history import MOST_RUNS
        from corrida.analysis.curves import MOST_SMOOTH

        query = request.query_params
        named = [part.strip() for text in query.getlist("with") for part in text.split(",")]
        try:
            smooth = float(query.get("smooth", "0"))
        except ValueError:
            smooth = 0.0
        return cls(
            tuple(dict.fromkeys(part for part in named if part))[: MOST_RUNS - 1],
            min(max(smooth, 0.0), MOST_SMOOTH) if math.isfinite(smooth) else 0.0,
            query.get("log") == "1",
            "time" if query.get("x") == "time" else "step",
            query.get("metric", "").strip(),
            page_number(query.get("page", "")),
        )

    def address(self, **changes: Any) -> str:
        """Return the query of this state with changes."""
        state = self._replace(**{"page": 1, **changes})
        pairs: list[tuple[str, str]] = [("tab", "charts")]
        pairs += [("with", ",".join(state.others))] if state.others else []
        pairs += [("smooth", f"{state.smooth:g}")] if state.smooth else []
        pairs += [("log", "1")] if state.log else []
        pairs += [("x", "time")] if state.axis == "time" else []
        pairs += [("metric", state.metric)] if state.metric else []
        pairs += [("page", str(state.page))] if state.page > 1 else []
        return f"?{urlencode(pairs)}"


class Summary(NamedTuple):
    """A step metric in a line of a table."""

    name: str
    last: str
    step: int
    low: str
    high: str
    points: int


def charts_content(site: Site, request: Request, run: RunRecord) -> dict[str, Any]:
    """Return what the page of the figures needs."""
    site.freshness.look()
    state = HistoryState.of(request)
    others, problems = _others(site, state, run)
    metrics = site.steps.of(run.dir)
    wanted = state.metric.casefold()
    names = [name for name in metrics.names() if wanted in name.casefold()]
    first = (state.page - 1) * FIGURES
    shown = names[first : first + FIGURES]
    return {
        "state": state,
        "shown_runs": [run, *others],
        "problems": problems,
        "figures": shown,
        "fitting": len(names),
        "known": len(metrics.names()),
        "first": first + 1,
        "more": first + FIGURES < len(names),
        "calls": metrics.calls,
        "summaries": [made for name in shown if (made := _summary(metrics, name)) is not None],
        "candidates": _candidates(site, run, {run.id, *(other.id for other in others)}),
    }


def points(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID/history.json``: the figures of the metrics that are named, drawn as the address says."""
    from corrida.analysis.charts.history import RunCurve, history_alt, history_chart
    from corrida.analysis.curves import curve

    run = site.store.get(request.path_params["id"])
    state = HistoryState.of(request)
    others, _ = _others(site, state, run)
    wanted = request.query_params.getlist("name")[:_MOST_ASKED]
    read = [(number, one, site.steps.of(one.dir)) for number, one in enumerate([run, *others])]
    figures = []
    for name in wanted:
        curves = []
        for number, one, metrics in read:
            logged = metrics.points(name)
            if logged is None:
                continue
            plain = curve(logged, axis=state.axis, log=state.log)
            line = (
                curve(logged, axis=state.axis, log=state.log, smooth=state.smooth) if state.smooth else plain
            )
            curves.append(RunCurve(one.id, number, line, plain if state.smooth else None))
        spec = history_chart(name, curves, axis=state.axis, log=state.log)
        figures.append({"metric": name, "alt": history_alt(name, curves), "spec": spec})
    content = msgspec.json.encode({"calls": read[0][2].calls, "figures": figures})
    return Response(content, media_type="application/json", headers={"cache-control": "no-cache"})


def _others(site: Site, state: HistoryState, run: RunRecord) -> tuple[list[RunRecord], list[str]]:
    found: dict[str, RunRecord] = {}
    problems = []
    for reference in state.others:
        try:
            other = site.store.get(reference)
        except CorridaError as error:
            problems.append(str(error))
        else:
            if other.id != run.id:
                found[other.id] = other
    return list(found.values()), problems


def _candidates(site: Site, run: RunRecord, shown: set[str]) -> list[RunRecord]:
    """Return runs of the same pipeline that could be laid over: the newest, and those beside it in its family."""
    runs = list(site.store.runs(pipeline=run.pipeline, limit=_OTHERS, refresh=False))
    return [one for one in runs if one.id not in shown and one.status != "unreadable"]


def _summary(metrics: StepMetrics, name: str) -> Summary | None:
    import numpy as np

    logged = metrics.points(name)
    if logged is None:
        return None
    finite = logged.values[np.isfinite(logged.values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (math.nan, math.nan)
    return Summary(
        name,
        format_number(float(logged.values[-1])),
        int(logged.steps[-1]),
        format_number(low),
        format_number(high),
        len(logged.values),
    )
