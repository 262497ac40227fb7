"""The table of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import RedirectResponse

from corrida.analysis.no_fit import why_none_fits
from corrida.analysis.run_columns import HAS, TAGS, are_numbers, chosen_fields, said_of, telling_fields
from corrida.errors import InvalidFilter
from corrida.web.address import PAGE_SIZE, RunsState, tag_condition
from corrida.web.columns import chooser, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_TAGS_SHOWN = 6
_SUGGESTED = 300
FIELDS_OF_PAGES = (HAS, TAGS)
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
        fields = chosen_fields(state.columns, [TAGS]) if state.columns else _telling(shown)
    except InvalidFilter as problem:
        error = str(problem)
        shown = []
    overview = site.overviews.get()
    names = [field for _, field in fields]
    site.freshness.prepare(names)
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
        "runs": [_row(state, run, names) for run in shown],
        "heads": [_head(state, name, field, shown) for name, field in fields],
        "more": len(runs) > PAGE_SIZE,
        "first": (state.page - 1) * PAGE_SIZE + 1,
        "overview": overview,
        "families": {}
        if state.children
        else site.store.catalog.children([run.id for run in shown], state.pipeline or None),
        "chooser": chooser(state, names, overview.names) if names else None,
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


def _telling(runs: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Return the columns that say something of these runs; tags last but for words."""
    fields = telling_fields(runs)
    if any(run.tags for run in runs):
        words = [field for field in fields if field[1] in {"description", "notes"}]
        fields = [*(field for field in fields if field not in words), (TAGS, TAGS), *words]
    return fields


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


def _row(state: RunsState, run: RunRecord, fields: Sequence[str]) -> dict[str, Any]:
    values = run.as_row()
    if HAS in fields:
        values[HAS] = ", ".join(run.has())
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
