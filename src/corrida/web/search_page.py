"""What a few letters lead to: runs, items, files, and results of runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import RedirectResponse, Response

from corrida.errors import CorridaError
from corrida.runs import layout
from corrida.runs.alias import current
from corrida.runs.catalog_search import search_runs
from corrida.runs.ids import parse_reference
from corrida.runs.query import Sql
from corrida.web.address import item_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.requests import Request

    from corrida.runs.record import RunRecord
    from corrida.web.viewer import Site

_MOST = 20
_MOST_ITEMS = 12
_PIPELINES = 8
_WITH_ITEMS = 5  # runs of a pipeline of which one should have items
_RUNS_WITH_FILES = 100
_RUNS_WITH_PREDICTIONS = 500
_SECONDS = 0.1


class FoundItem(NamedTuple):
    """An item whose id fits: in which pipeline, and its page."""

    id: str
    pipeline: str
    address: str


class FoundFile(NamedTuple):
    """A file whose name fits: the newest run that has it, and in how many of those that were looked at it is."""

    name: str
    run: str
    runs: int


class FoundResult(NamedTuple):
    """A result of a run: ``analysis`` or ``prediction``, its id, the run that made it, and its table where that is kept."""

    kind: str
    id: str
    run: str | None
    said: str
    file: str = ""


def show(site: Site, request: Request) -> Response:
    """Answer ``/search``."""
    text = " ".join(request.query_params.get("q", "").split())[:200]
    site.freshness.look()
    problem = ""
    if text:
        try:
            run_id = _whole(site, text)
        except CorridaError as error:
            run_id, problem = None, str(error)
        if run_id is not None:
            return RedirectResponse(f"{site.pages.base}/runs/{run_id}", status_code=303)
    everything = request.query_params.get("all", "") == "1"
    content: dict[str, Any] = {"text": text, "problem": problem, "everything": everything}
    if text:
        catalog = site.store.catalog
        runs = search_runs(catalog, text, limit=_MOST, seconds=None if everything else 0.2)
        content |= {
            "runs": runs,
            "aliases": _aliases(site),
            "total": catalog.count(),
            "items": _items(site, text),
            "files": _files(site, text),
            "results": _results(site, text) if " " not in text else [],
        }
        nothing = not (runs.runs or content["items"] or content["files"] or content["results"])
        content["with_items"] = next((run for _, run in _newest_with_items(site)), None) if nothing else None
    return site.pages.page(request, "search", content, here="runs")


def _whole(site: Site, text: str) -> str | None:
    """Return the run that a whole id or a reference names; None for any other text.

    Raises:
        CorridaError: a reference leads to no run.
    """
    if text in site.store:
        return text
    if text == "latest" or text.startswith(("@", "latest~")):
        parse_reference(text)
        return site.store.resolve(text)
    return None


def _aliases(site: Site) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, promotion in current(site.store.root).items():
        if promotion.run:
            found.setdefault(promotion.run, []).append(name)
    return found


def _items(site: Site, text: str) -> list[FoundItem]:
    """Return items whose id fits: of the newest run of each pipeline that has items, the nearest first."""
    import polars as pl

    from corrida.runs.items_scan import scan_items

    found: list[FoundItem] = []
    for pipeline, run in _newest_with_items(site):
        frame = scan_items([run.dir], []).frame
        if frame is None:
            continue
        fits = pl.col("item_id").str.to_lowercase().str.contains(text.lower(), literal=True)
        try:
            near = frame.filter(fits).select("item_id").head(1_000).collect()["item_id"].to_list()
        except pl.exceptions.PolarsError:
            continue  # a damaged table: its run says so
        near.sort(key=lambda name: (name.lower() != text.lower(), len(name), name))
        found += [
            FoundItem(name, pipeline, item_address(site.pages.base, name, pipeline))
            for name in near[:_MOST_ITEMS]
        ]
    return found[:_MOST]


def _newest_with_items(site: Site) -> Iterator[tuple[str, RunRecord]]:
    for pipeline in site.store.catalog.newest_pipelines()[:_PIPELINES]:
        runs = site.store.runs(pipeline=pipeline, status="finished", limit=_WITH_ITEMS, refresh=False)
        run = next((run for run in runs if run.has_items()), None)
        if run is not None:
            yield pipeline, run


def _files(site: Site, text: str) -> list[FoundFile]:
    """Return files of the newest runs whose name fits."""
    found: dict[str, FoundFile] = {}
    wanted = text.casefold()
    started = time.monotonic()
    for run in site.store.runs(limit=_RUNS_WITH_FILES, refresh=False):
        if time.monotonic() - started > _SECONDS:
            break
        try:
            names = run.run_file().files
        except CorridaError:
            continue
        for name in names:
            if wanted not in name.casefold() or name in layout.OWN_FILES:
                continue
            known = found.get(name)
            found[name] = FoundFile(name, run.id, 1) if known is None else known._replace(runs=known.runs + 1)
    return list(found.values())[:_MOST]


def _results(site: Site, text: str) -> list[FoundResult]:
    """Return the result whose whole id this is, as ``corrida why`` knows it."""
    found = list(_predictions(site, text))
    try:
        job = site.jobs.ask(lambda jobs: jobs.get(text))
    except (CorridaError, ImportError):
        return found  # no analysis of that id, or no database to ask
    if job is not None:
        found.append(FoundResult("analysis", job.id, job.run_id, f"of {job.file}"))
    return found


def _predictions(site: Site, text: str) -> Iterator[FoundResult]:
    from corrida.runs.predictions import prediction_ids, read_prediction

    for folder in _likely_folders(site):
        if text in prediction_ids(folder):
            try:
                found = read_prediction(folder, text)
            except CorridaError as error:
                yield FoundResult("prediction", text, folder.name, str(error))
            else:
                yield FoundResult("prediction", text, folder.name, f"with {found.rows:,} rows", found.file)
            return


def _likely_folders(site: Site) -> Iterator[Path]:
    """Yield the folders of runs that have been in use, then of the newest."""
    names = dict.fromkeys(_aliases(site))
    names |= dict.fromkeys(
        header.id
        for header in site.store.catalog.query(
            where=[Sql("runs.status = 'finished'")], limit=_RUNS_WITH_PREDICTIONS
        )
    )
    yield from (site.store.root / name for name in names)
