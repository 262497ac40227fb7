"""The page of a run: what it was, and what came out."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import RedirectResponse

from corrida.analysis.run_stamps import last_stamps
from corrida.errors import CorridaError
from corrida.runs.numbers import format_number
from corrida.runs.query import Sql
from corrida.runs.record import flatten
from corrida.web.address import compare_address
from corrida.web.aligned import column_gaps
from corrida.web.history_page import charts_content
from corrida.web.pages import value as shown
from corrida.web.run_files import list_files
from corrida.web.run_head import find_run, run_address, run_head
from corrida.web.run_inputs import inputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_CHILDREN = 100
_ALIASES = 6
_EFFECTS = 100
_PARAMS = 400
_MANY_METRICS = 20


def show(site: Site, request: Request) -> Response:
    """Answer ``/runs/ID``; what stands for a run, such as ``@production``, leads to it."""
    reference = request.path_params["id"]
    run = find_run(site, reference)
    if run.id != reference:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(run_address(site, run) + query, status_code=302)
    tab = request.query_params.get("tab", "overview")
    if tab == "charts":
        own = charts_content(site, request, run)
        return site.pages.page(request, "run_charts", {**run_head(site, run, tab), **own}, here="runs")
    make = {"inputs": lambda _, run: inputs(run), "files": _files, "results": _results}.get(tab)
    if make is None:
        own = _overview(site, request, run)
        return site.pages.page(request, "run", {**run_head(site, run, "overview"), **own}, here="runs")
    return site.pages.page(
        request, f"run_{tab}", {**run_head(site, run, tab), **make(site, run)}, here="runs"
    )


class Metric(NamedTuple):
    """A metric in the table: its name, without the prefix of its group where it has one."""

    name: str
    short: str
    value: float
    primary: bool
    direction: str


def _overview(site: Site, request: Request, run: RunRecord) -> dict[str, Any]:
    site.freshness.look()
    wanted = request.query_params.get("metric", "").strip()
    metrics = {name: value for name, value in run.metrics.items() if wanted.casefold() in name.casefold()}
    steps = site.steps.of(run.dir)
    before = site.store.before(run, refresh=False) if run.status == "finished" else None
    catalog = site.store.catalog
    children = (
        list(
            site.store.runs(
                filter=f"parent = '{run.id}'", limit=_CHILDREN + 1, order_by="created", refresh=False
            )
        )
        if run.id in catalog.children([run.id])
        else []
    )
    params = list(flatten(run.params).items())
    columns = _child_columns(children)
    cells = [[shown(child.metrics.get(name)) for name in columns] for child in children]
    return {
        "groups": metric_groups(run, metrics),
        "metric": wanted,
        "many": len(run.metrics) > _MANY_METRICS,
        "primary": _primary(site, run, before),
        "before": before,
        "warnings": _warnings(run),
        "against": _against(site, run, before),
        "last": {
            name: (step, format_number(value))
            for name, (step, value) in steps.last().items()
            if name not in run.metrics
        },
        "params": params[:_PARAMS],
        "more_params": len(params) - _PARAMS,
        "children": children[:_CHILDREN],
        "more_children": len(children) > _CHILDREN,
        "child_columns": columns,
        "child_gaps": column_gaps(cells, columns),
        "argv": shlex.join(run.argv),
        "stamps": last_stamps(run.dir),
    }


def metric_groups(run: RunRecord, metrics: dict[str, float]) -> list[tuple[str, list[Metric]]]:
    """Return metrics in groups: those whose names begin alike, where they are many; the others first."""
    prefixes: dict[str, int] = {}
    many = len(metrics) > _MANY_METRICS
    for name in metrics:
        if prefix := _prefix(name):
            prefixes[prefix] = prefixes.get(prefix, 0) + 1
    groups: dict[str, list[Metric]] = {"": []}
    for name, value in metrics.items():
        prefix = _prefix(name)
        group = prefix if many and prefixes.get(prefix, 0) > 1 else ""
        direction = run.directions.get(name, "")
        primary = run.primary_metric is not None and run.primary_metric.name == name
        if primary and run.primary_metric is not None:
            direction = run.primary_metric.direction
        short = name[len(group) + 1 :] if group else name
        groups.setdefault(group, []).append(Metric(name, short, value, primary, direction))
    return [(name, rows) for name, rows in groups.items() if rows]


def _prefix(name: str) -> str:
    for mark in "/.":
        head, found, rest = name.partition(mark)
        if found and head and rest:
            return head
    return ""


def _primary(site: Site, run: RunRecord, before: RunRecord | None) -> dict[str, Any] | None:
    metric = run.primary_metric
    if metric is None or metric.name not in run.metrics:
        return None
    value = run.metrics[metric.name]
    told: dict[str, Any] = {
        "name": metric.name,
        "value": format_number(value),
        "direction": metric.direction,
        "before": None,
    }
    if before is not None and metric.name in before.metrics:
        change = value - before.metrics[metric.name]
        told |= {
            "before": before,
            "was": format_number(before.metrics[metric.name]),
            "change": f"{'+' if change > 0 else '−' if change < 0 else '±'}{format_number(abs(change))}",
            "changed": bool(change),
            "compare": compare_address(site.pages.base, [before.id, run.id]),
        }
    return told


def _warnings(run: RunRecord) -> list[list[tuple[str, str]]]:
    """Return the warnings of a run in pieces: text, and the file of the run that it names, if it does."""
    if not run.warnings:
        return []
    try:
        names = list(run.run_file().files)
    except CorridaError:
        names = []
    return [_pieces(text, names) for text in run.warnings]


def _pieces(text: str, names: Iterable[str]) -> list[tuple[str, str]]:
    named = sorted((name for name in names if name in text), key=len, reverse=True)
    if not named:
        return [(text, "")]
    one = re.compile(rf"(?<![\w/.-])({'|'.join(map(re.escape, named))})(?![\w/-])")
    return [(piece, piece if i % 2 else "") for i, piece in enumerate(one.split(text)) if piece]


def _against(site: Site, run: RunRecord, before: RunRecord | None) -> list[tuple[str, str]]:
    """Return what a finished run may be compared with besides the run before: those that carry an alias."""
    carried = {
        promotion.run: alias
        for alias, promotion in site.store.aliases().items()
        if promotion.run not in {None, run.id, before.id if before else None}
    }
    if run.status != "finished" or not carried:
        return []
    # With "+" the few ids lead, not the index of the pipelines, which may have 100,000 runs.
    same = Sql(
        "+runs.pipeline = ? AND runs.id IN (SELECT value FROM json_each(?))",
        (run.pipeline, json.dumps(list(carried))),
    )
    found = site.store.catalog.query(where=[same], limit=_ALIASES)
    return [(f"@{carried[one.id]}", compare_address(site.pages.base, [one.id, run.id])) for one in found]


def _child_columns(children: list[RunRecord]) -> list[str]:
    """Return the metrics that tell children apart: the primary one first, at most four."""
    names = dict.fromkeys(
        child.primary_metric.name for child in children if child.primary_metric is not None
    ) | dict.fromkeys(name for child in children for name in child.metrics)
    return list(names)[:4]


def _files(site: Site, run: RunRecord) -> dict[str, Any]:
    del site
    files, more = list_files(run.dir)
    return {
        "saved": [one for one in files if not one.own],
        "kept": [one for one in files if one.own],
        "more": more,
    }


def _results(site: Site, run: RunRecord) -> dict[str, Any]:
    """Return what was predicted with the run, and what the runner made with it, where there is one."""
    problems: list[str] = []
    effects: list[Any] = []
    served = False
    try:
        from corrida.inference.impact import analyses_of

        found = site.jobs.ask(lambda jobs: analyses_of(jobs, run.id, _EFFECTS))
        served, effects = found is not None, found or []
    except ImportError:
        pass  # the extra of the runner is not installed
    except CorridaError as error:
        problems.append(str(error))
    return {
        "predictions": run.predictions()[::-1] if run.status != "unreadable" else [],
        "effects": effects,
        "served": served,
        "most": _EFFECTS,
        "problems": problems,
    }
