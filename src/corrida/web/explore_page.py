"""Many runs at once: parallel coordinates, a scatter, and a metric over time with the changes of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.responses import Response

from corrida.analysis.run_columns import are_numbers
from corrida.errors import CorridaError, InvalidFilter
from corrida.web.explore_state import MOST_RUNS, ExploreState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from corrida.analysis.config_timeline import ConfigStep
    from corrida.analysis.run_fields import Field
    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_ROWS = 100
_STEPS = 30
_MOST_MARKS = 40


class Seen(NamedTuple):
    """What is looked at.

    Attributes:
        runs: the newest first.
        more: whether others fit too.
        fields: that the runs have, by name.
        axes: of the parallel coordinates.
        x, y: of the scatter; y is also the metric over time. None where there is nothing to show.
        problems: runs that were named and are not there.
    """

    runs: list[RunRecord]
    more: bool
    fields: dict[str, Field]
    axes: list[Field]
    x: Field | None
    y: Field | None
    problems: list[str]


def show(site: Site, request: Request) -> Response:
    """Answer ``/explore``."""
    state = ExploreState.of(request.query_params)
    site.freshness.look()
    overview = site.overviews.get()
    error, seen = "", Seen([], False, {}, [], None, None, [])
    try:
        state, seen = _look(site, state)
    except InvalidFilter as problem:
        error = str(problem)
    names = [field.name for field in seen.axes]
    steps = _steps(site, seen.runs) if seen.y is not None else []
    content: dict[str, Any] = {
        "state": state,
        "seen": seen,
        "error": error,
        "overview": overview,
        "most": MOST_RUNS,
        "columns": [(name, are_numbers(seen.runs, name)) for name in names],
        "rows": [
            {"run": run, "cells": [(name, row.get(name)) for name in names]}
            for run, row in ((run, run.as_row()) for run in seen.runs[:_ROWS])
        ],
        "steps": steps[::-1][:_STEPS],
        "steps_left": max(0, len(steps) - _STEPS),
    }
    return site.pages.page(request, "explore", content, here="explore", status=400 if error else 200)


def figures(site: Site, request: Request) -> Response:
    """Answer ``/explore.json``: the runs along the axes, and the specifications of the figures."""
    from corrida.analysis.charts.over_time import over_time_chart
    from corrida.analysis.charts.scatter import scatter_chart

    site.freshness.look()
    state, seen = _look(site, ExploreState.of(request.query_params))
    charts: dict[str, Any] = {}
    ids = [run.id for run in seen.runs]
    if seen.x is not None and seen.y is not None:
        unfinished = {run.id for run in seen.runs if run.status != "finished"}
        charts["scatter"] = scatter_chart(ids, seen.x, seen.y, log=state.log, unfinished=unfinished)
    if seen.y is not None and seen.y.kind == "number":
        changes = {step.run.id: step.lines for step in _steps(site, seen.runs)}
        values = [value if isinstance(value, float) else None for value in seen.y.values]
        name = seen.y.name.removeprefix("metrics.")
        charts["time"] = over_time_chart(name, seen.runs[::-1], values[::-1], changes)
    beside = {f.name: f for f in (seen.x, seen.y) if f is not None and f not in seen.axes}
    content = {
        "axes": [_told(f, state) for f in seen.axes],
        "beside": [_told(f, state) for f in beside.values()],
        "x": seen.x and seen.x.name,
        "y": seen.y and seen.y.name,
        "colour": seen.y and seen.y.kind == "number" and seen.y.name,
        "runs": [
            {"id": run.id, "status": run.status, "created": run.created, "aliases": run.aliases}
            for run in seen.runs
        ],
        "values": {f.name: f.values for f in (*seen.axes, seen.x, seen.y) if f is not None},
        "charts": charts,
    }
    headers = {"cache-control": "no-cache"}
    return Response(msgspec.json.encode(content), media_type="application/json", headers=headers)


def _told(field: Field, state: ExploreState) -> dict[str, Any]:
    log = field.name in state.log and field.positive
    return {"name": field.name, "kind": field.kind, "domain": field.domain, "log": log}


def _look(site: Site, state: ExploreState) -> tuple[ExploreState, Seen]:
    """Return the runs that are asked for and the fields that are shown of them.

    Raises:
        InvalidFilter: the filter cannot be read.
    """
    from corrida.analysis.run_fields import fields_of, main_metric, telling_axes

    problems: list[str] = []
    if not state.runs and state.pipeline is None and not state.filter:
        state = state._replace(pipeline=site.overviews.get().last)
    runs = _named(site, state, problems) if state.runs else _fitting(site, state)
    more, runs = len(runs) > MOST_RUNS, runs[:MOST_RUNS]
    fields = fields_of(runs)
    metric = main_metric(runs, fields)
    axes = [name for name in state.axes if name in fields] or telling_axes(fields, metric)
    x = fields.get(state.x) or next((fields[name] for name in axes if name != metric), None)
    y = fields.get(state.y) or (fields[metric] if metric else None)
    if not state.axes and not state.log:  # nobody has chosen yet
        shown = dict.fromkeys([*axes, *(field.name for field in (x, y) if field is not None)])
        state = state._replace(log=tuple(name for name in shown if fields[name].is_wide))
    return state, Seen(runs, more, fields, [fields[name] for name in axes], x, y, problems)


def _named(site: Site, state: ExploreState, problems: list[str]) -> list[RunRecord]:
    found: dict[str, RunRecord] = {}
    for reference in state.runs:
        try:
            run = site.store.get(reference)
        except CorridaError as error:
            problems.append(str(error))
        else:
            found[run.id] = run
    return sorted(found.values(), key=lambda run: (run.order, run.id), reverse=True)


def _fitting(site: Site, state: ExploreState) -> list[RunRecord]:
    return list(
        site.store.runs(
            filter=state.filter or None,
            limit=MOST_RUNS + 1,
            pipeline=state.pipeline or None,
            children=state.children,
            refresh=False,
        )
    )


def _steps(site: Site, runs: Sequence[RunRecord]) -> list[ConfigStep]:
    """Return the changes of the configuration; in a search over parameters, those of files alone."""
    steps = site.timeline.steps(runs[::-1])
    in_files = [step for step in steps if step.in_files]
    return in_files if in_files and len(steps) > _MOST_MARKS else steps
