"""The table of runs."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import RedirectResponse

from corrida.analysis.no_fit import why_none_fits
from corrida.analysis.run_columns import (
    HAS,
    RESULT,
    TAGS,
    are_numbers,
    chosen_fields,
    said_of,
    telling_fields,
)
from corrida.errors import InvalidFilter
from corrida.runs.numbers import format_number
from corrida.runs.record import flatten
from corrida.web.address import PAGE_SIZE, RunsState, quoted, tag_condition
from corrida.web.aligned import column_gaps
from corrida.web.columns import chooser, listed
from corrida.web.pages import value as value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.web.overview import Overview
    from corrida.web.viewer import Site

_TAGS_SHOWN = 6
_SUGGESTED = 300
_PARAMS, _SHORT = 5, 24
_LOOKED_AT = 10
_NAMED = 8
FIELDS_OF_PAGES = (HAS, TAGS, RESULT)
"""Columns that no filter and no order knows."""


class Head(NamedTuple):
    """The head of a column: its name, field, where a click leads, and how it is sorted now."""

    name: str
    field: str
    address: str
    sorted: str
    number: bool


class Tag(NamedTuple):
    """A tag of a run, and the address of the runs that have it; empty where no filter can name it."""

    name: str
    value: str
    address: str


class Tags(NamedTuple):
    """The tags of a run: some, and how many more."""

    shown: list[Tag]
    more: int


def show(site: Site, request: Request) -> Response:
    """Answer ``/``."""
    query = request.query_params
    state = RunsState.of(query)
    if "column" in query:  # from the form of the chooser: the address keeps them in one word
        chosen = listed(list(dict.fromkeys(name for name in query.getlist("column") if name)))
        return RedirectResponse(f"{site.pages.base}/{state.address(columns=chosen)}", status_code=303)
    fresh = site.freshness.look()
    error = ""
    runs: list[RunRecord] = []
    shown: list[RunRecord] = []
    fields: list[tuple[str, str]] = []
    try:
        runs = _runs(site, state)
        shown = runs[:PAGE_SIZE]
        fields = (
            chosen_fields(state.columns, [TAGS, RESULT]) if state.columns else _telling(shown, state.pipeline)
        )
    except InvalidFilter as problem:
        error = str(problem)
        shown = []
    overview = site.overviews.get()
    names = [field for _, field in fields]
    site.freshness.prepare(
        {*names} & {"description", "notes", *overview.names}
    )  # and not what an address made up
    heads = [_head(state, name, field, shown) for name, field in fields]
    hint = ""
    if not shown and not error:
        hint = why_none_fits(
            state.pipeline or None,
            state.filter or None,
            pipelines=overview.pipelines,
            names=overview.names,
        )
    content: dict[str, Any] = {
        "state": state,
        "error": error,
        "hint": hint,
        "fresh": fresh,
        "runs": _rows(state, shown, names, heads),
        "heads": heads,
        "more": len(runs) > PAGE_SIZE,
        "first": (state.page - 1) * PAGE_SIZE + 1,
        "overview": overview,
        "families": {}
        if state.children
        else site.store.catalog.children([run.id for run in shown], state.pipeline or None),
        "chooser": chooser(state, names, _near(shown, overview.names)) if names else None,
        "named": sorted(site.project.settings.pipelines)[:_NAMED],
        "example": _example(overview, state.pipeline),
        "suggested": overview.names[:_SUGGESTED],
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


def _telling(runs: Sequence[RunRecord], pipeline: str) -> list[tuple[str, str]]:
    """Return the columns that say something of these runs.

    Of several pipelines there is one column of results; of one that names no columns there are the parameters that differ. What
    may be long comes last.
    """
    fields = telling_fields(runs)
    metrics = [i for i, (_, field) in enumerate(fields) if field.startswith("metrics.")]
    at = metrics[0] if metrics else len(fields)
    primary = {f"metrics.{run.primary_metric.name}" for run in runs if run.primary_metric}
    if len({run.pipeline for run in runs}) > 1 and len(primary) > 1 and len(primary) >= len(metrics):
        fields.insert(at, (RESULT, RESULT))
        fields = [field for field in fields if field[1] not in {*primary, "seed"}]
    elif pipeline:
        if not any(run.columns for run in runs):
            fields[at:at] = [(name, f"params.{name}") for name in _differing(runs)]
        fields = [field for field in fields if field[1] != "pipeline"]
    words = [field for field in fields if field[1] in {"description", "notes"}]
    source = [field for field in fields if field[1] == "source"]
    tags = [(TAGS, TAGS)] if any(run.tags for run in runs) else []
    last = [*words, *source, *tags]
    return [*(field for field in fields if field not in last), *last]


def _near(runs: Sequence[RunRecord], names: Sequence[str]) -> list[str]:
    """Return the names that occur in a store, those of the first of these runs before the others."""
    own = {name for run in runs[:_LOOKED_AT] for name in run.as_row()}
    return sorted(names, key=lambda name: name not in own)


def _differing(runs: Sequence[RunRecord]) -> list[str]:
    """Return the parameters that are not the same in all of these runs, as far as they fit beside the rest."""
    flat = [flatten(run.params) for run in runs]
    names = dict.fromkeys(name for params in flat for name in params)
    values = {name: {repr(params.get(name)) for params in flat} for name in names}
    short = (name for name in names if len(values[name]) > 1 and max(map(len, values[name])) <= _SHORT)
    return list(itertools.islice(short, _PARAMS))


def _example(overview: Overview, pipeline: str) -> str:
    """Return a filter that fits the runs of this store."""
    trend = overview.trends.get(pipeline) or next(iter(overview.trends.values()), None)
    if trend is None or "`" in trend.metric or not math.isfinite(trend.latest):
        return "status = 'finished'"
    about = format_number(float(f"{trend.latest:.2g}"))
    return f"{quoted(f'metrics.{trend.metric}')} > {about} and status = 'finished'"


def _head(state: RunsState, name: str, field: str, runs: Sequence[RunRecord]) -> Head:
    current = state.sort.replace("`", "")
    way = {f"-{field}": "descending", field: "ascending"}.get(current, "none")
    return Head(
        name,
        field,
        "" if field in FIELDS_OF_PAGES else state.address(sort=state.sorted_by(field)),
        way,
        are_numbers(runs, field),
    )


def _rows(
    state: RunsState, runs: Sequence[RunRecord], fields: Sequence[str], heads: Sequence[Head]
) -> list[dict[str, Any]]:
    rows = [_row(state, run, fields) for run in runs]
    texts = [
        [
            value_text(content[1] if field == RESULT and content else content)
            for field, content in row["cells"]
        ]
        for row in rows
    ]
    numbers = [head.field == RESULT or (head.number and head.field != "duration") for head in heads]
    return [{**row, "gaps": gaps} for row, gaps in zip(rows, column_gaps(texts, numbers), strict=True)]


def _row(state: RunsState, run: RunRecord, fields: Sequence[str]) -> dict[str, Any]:
    values = run.as_row()
    if HAS in fields:
        values[HAS] = ", ".join(run.has())
    if RESULT in fields and run.primary_metric:
        name = run.primary_metric.name
        values[RESULT] = (name, run.metrics[name]) if name in run.metrics else None
    if TAGS in fields:
        values[TAGS] = _tags(state, run)
    for name in ("description", "notes"):
        values[name] = said_of(run, name)
    return {"run": run, "cells": [(field, values.get(field)) for field in fields]}


def _tags(state: RunsState, run: RunRecord) -> Tags:
    tags = []
    for name, value in list(run.tags.items())[:_TAGS_SHOWN]:
        condition = tag_condition(name, value)
        tags.append(Tag(name, value, state.with_condition(condition) if condition else ""))
    return Tags(tags, max(0, len(run.tags) - _TAGS_SHOWN))
