"""The table of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.analysis.run_columns import HAS, are_numbers, chosen_fields, said_of, telling_fields
from corrida.errors import InvalidFilter
from corrida.web.address import PAGE_SIZE, RunsState
from corrida.web.sparkline import sparkline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_POINTS = 60


class Head(NamedTuple):
    """The head of a column: its name, field, where a click leads, and how it is sorted now."""

    name: str
    field: str
    address: str
    sorted: str
    number: bool


class Trend(NamedTuple):
    """The primary metric of a pipeline over its last runs."""

    metric: str
    latest: float
    picture: Markup


def show(site: Site, request: Request) -> Response:
    """Answer ``/``."""
    state = RunsState.of(request.query_params)
    fresh = site.freshness.look()
    error = ""
    runs: list[RunRecord] = []
    shown: list[RunRecord] = []
    fields: list[tuple[str, str]] = []
    try:
        runs = _runs(site, state)
        shown = runs[:PAGE_SIZE]
        fields = chosen_fields(state.columns) if state.columns else telling_fields(shown)
    except InvalidFilter as problem:
        error = str(problem)
        shown = []
    catalog = site.store.catalog
    content: dict[str, Any] = {
        "state": state,
        "error": error,
        "fresh": fresh,
        "runs": [_row(run, [field for _, field in fields]) for run in shown],
        "heads": [_head(state, name, field, shown) for name, field in fields],
        "more": len(runs) > PAGE_SIZE,
        "first": (state.page - 1) * PAGE_SIZE + 1,
        "total": catalog.count(),
        "pipelines": sorted(catalog.pipelines()),
        "families": catalog.children([run.id for run in shown], state.pipeline or None)
        if not state.children
        else {},
        "trend": _trend(site, state.pipeline) if state.pipeline else None,
        "names": catalog.names(),
    }
    return site.pages.page(request, "runs", content, here="runs", status=400 if error else 200)


def _runs(site: Site, state: RunsState) -> list[RunRecord]:
    """Return the runs of a page, and one more where there is another page."""
    return list(
        site.store.runs(
            filter=state.filter or None,
            order_by=state.sort or None,
            limit=PAGE_SIZE + 1,
            offset=(state.page - 1) * PAGE_SIZE,
            pipeline=state.pipeline or None,
            children=state.children or bool(state.filter),
            refresh=False,
        )
    )


def _head(state: RunsState, name: str, field: str, runs: Sequence[RunRecord]) -> Head:
    current = state.sort.replace("`", "")
    way = {f"-{field}": "descending", field: "ascending"}.get(current, "none")
    return Head(
        name,
        field,
        state.address(sort=state.sorted_by(field)) if field != HAS else "",
        way,
        are_numbers(runs, field),
    )


def _row(run: RunRecord, fields: Sequence[str]) -> dict[str, Any]:
    values = run.as_row()
    if HAS in fields:
        values[HAS] = ", ".join(run.has())
    for name in ("description", "notes"):
        values[name] = said_of(run, name)
    return {"run": run, "cells": [(field, values.get(field)) for field in fields]}


def _trend(site: Site, pipeline: str) -> Trend | None:
    runs = site.store.runs(pipeline=pipeline, status="finished", limit=_POINTS, children=False, refresh=False)
    metric = next((run.primary_metric.name for run in runs if run.primary_metric), None)
    if metric is None:
        return None
    points = [run.metrics[metric] for run in reversed(runs) if metric in run.metrics]
    return (
        Trend(metric, points[-1], sparkline(points, f"{metric} of the last {len(points)} runs"))
        if points
        else None
    )
