"""The viewer as an ASGI application: its addresses, and what each serves."""

from __future__ import annotations

import contextlib
import functools
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from corrida.analysis.config_timeline import ConfigTimeline
from corrida.errors import BadInput, CorridaError, NotFound
from corrida.runs.step_metrics import KeptStepMetrics
from corrida.web.comparisons import Comparisons
from corrida.web.forms import BadForm, Forms, read_form
from corrida.web.freshness import Freshness
from corrida.web.live import Live, events
from corrida.web.overview import Overviews
from corrida.web.pages import Pages, static_file
from corrida.web.warm import warm_up

if TYPE_CHECKING:
    from starlette.requests import Request

    from corrida.inference.job_reader import JobReader
    from corrida.inference.settings import Runner
    from corrida.project import Project
    from corrida.runs.store import Store


class _AnyName(Convertor[str]):
    """A path whose names may hold every character, line ends too."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("file", _AnyName())
_FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class Site(NamedTuple):
    """What every page works with.

    Attributes:
        project: whose store is shown.
        store: the store.
        pages: writes them.
        freshness: keeps the catalog up to date.
        write: whether the pages may change something.
        steps: keeps the step metrics of the runs that were looked at last.
        live: tells pages of running runs what changed.
        comparisons: remembers the last comparisons.
        overviews: what is known of all runs.
        timeline: remembers what was configured differently from one run to the next.
        forms: tells forms of these pages from others.
        jobs: asks the jobs' database.
    """

    project: Project
    store: Store
    pages: Pages
    freshness: Freshness
    write: bool
    steps: KeptStepMetrics
    live: Live
    comparisons: Comparisons
    overviews: Overviews
    timeline: ConfigTimeline
    forms: Forms
    jobs: JobReader


Handler = Callable[[Site, "Request"], Response]
"""Answers a call; runs in a thread, since folders and tables are read."""
FormHandler = Callable[[Site, "Request", Mapping[str, str]], Response]
"""Answers a form that changes something; likewise."""


def create_viewer(
    project: Project,
    *,
    base: str = "",
    write: bool = False,
    runner: Callable[[], Runner] | None = None,
    warm: bool = True,
) -> Starlette:
    """Return the viewer of a project's store; :class:`corrida.web.guard.Guard` goes before it.

    Args:
        project: whose store is shown.
        base: what stands before every path.
        write: whether the pages may promote, demote and restore.
        runner: tells where the jobs are; the settings of the project when None.
        warm: whether what most pages need is loaded before it is asked for.
    """
    from corrida.inference.job_reader import JobReader
    from corrida.inference.settings import runner_of
    from corrida.web import (
        aliases_page,
        analysis_page,
        compare_page,
        explore_page,
        file_page,
        history_page,
        item_page,
        items_page,
        promote_page,
        raw_file,
        restore_page,
        run_page,
        runs_export,
        runs_page,
        search_page,
        serving_page,
    )

    store = project.store()
    steps = KeptStepMetrics()
    live = Live(store, steps)
    forms = Forms()
    jobs = JobReader(runner or (lambda: runner_of(project)))
    pages = Pages(_title(store.root), base=base, write=write, forms=forms)
    comparisons = Comparisons(project.settings.list_keys)
    timeline = ConfigTimeline(project.settings.list_keys)
    site = Site(
        project, store, pages, Freshness(store), write, steps, live, comparisons, Overviews(store), timeline,
        forms, jobs,
    )  # fmt: skip
    handlers: dict[str, Handler] = {
        "/": runs_page.show,
        "/runs.csv": runs_export.as_csv,
        "/runs.json": runs_export.as_json,
        "/explore": explore_page.show,
        "/explore.json": explore_page.figures,
        "/compare": compare_page.show,
        "/compare.html": compare_page.html,
        "/compare.md": compare_page.markdown,
        "/items": item_page.show,
        "/items/{id:file}": item_page.show,
        "/search": search_page.show,
        "/aliases": aliases_page.show,
        "/promote": promote_page.choose,
        "/serving": serving_page.show,
        "/serving/{id:file}": analysis_page.show,
        "/runs/{id}": run_page.show,
        "/runs/{id}/promote": promote_page.show,
        "/runs/{id}/restore": restore_page.show,
        "/runs/{id}/items": items_page.show,
        "/runs/{id}/history.json": history_page.points,
        "/runs/{id}/events": events,
        "/runs/{id}/view/{path:file}": file_page.show,
        "/runs/{id}/files/{path:file}": raw_file.show,
    }
    changing: dict[str, FormHandler] = {
        "/aliases/demote": aliases_page.demote,
        "/runs/{id}/promote": promote_page.act,
        "/runs/{id}/restore": restore_page.act,
        "/runs/{id}/undo": restore_page.undo,
    }
    if not write:
        changing = {}

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        loading = warm_up() if warm else None
        yield
        if loading is not None:
            loading.cancel()
        live.close()
        site.freshness.close()
        jobs.close()

    app = Starlette(
        routes=[
            *(Route(path, _endpoint(site, handler), methods=["GET"]) for path, handler in handlers.items()),
            *(Route(path, _form(site, handler), methods=["POST"]) for path, handler in changing.items()),
            Route("/static/{digest}/{name}", _static, methods=["GET"]),
            Route("/vega.js", _vega, methods=["GET"]),
        ],
        exception_handlers={
            CorridaError: _failed(site),
            HTTPException: _not_found(site),
            Exception: _broken(site),
        },
        lifespan=lifespan,
    )
    app.state.live = live
    app.state.pages = pages
    return app


def _title(root: Path) -> str:
    """Return how a store is called: by its folder, or by that of the project where all are called alike."""
    return root.name if root.name != "runs" else root.resolve().parent.name or root.name


def _endpoint(site: Site, handler: Handler) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await run_in_threadpool(handler, site, request)

    return answer


def _form(site: Site, handler: FormHandler) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        form = await read_form(request)
        return await run_in_threadpool(handler, site, request, form)

    return answer


def _failed(site: Site) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status = 404 if isinstance(error, NotFound) else 400 if isinstance(error, BadInput) else 500
        if isinstance(error, BadForm):
            status = error.status
        content = {"status": status, "message": str(error), "no_runs": status == 404 and _is_empty(site)}
        return site.pages.page(request, "error", content, status=status)

    return answer


def _is_empty(site: Site) -> bool:
    try:
        return not site.overviews.get().total
    except CorridaError:  # a store that cannot be read may hold runs
        return False


def _not_found(site: Site) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        message = "there is no such page" if status == 404 else "this page cannot be called in that way"
        page = site.pages.page(request, "error", {"status": status, "message": message}, status=status)
        page.headers.update(getattr(error, "headers", None) or {})
        return page

    return answer


def _broken(site: Site) -> Callable[[Request, Exception], Response]:
    """Return what answers to what nobody foresaw; the traceback goes to the terminal, where the server runs."""

    def answer(request: Request, error: Exception) -> Response:
        message = (
            f"this page could not be made ({type(error).__name__}); the terminal of the server says more"
        )
        return site.pages.page(request, "error", {"status": 500, "message": message}, status=500)

    return answer


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    try:
        content = static_file(name)
    except KeyError:
        raise HTTPException(404) from None
    return _for_ever(request, content, _TYPES.get(name.rpartition(".")[2], "application/octet-stream"))


async def _vega(request: Request) -> Response:
    """Return the JavaScript of the figures; its address carries the version."""
    from corrida.analysis.charts.render import javascript

    script = await run_in_threadpool(javascript)
    return await run_in_threadpool(_for_ever, request, script.encode(), "text/javascript; charset=utf-8")


def _for_ever(request: Request, content: bytes, kind: str) -> Response:
    """Return what stays the same, packed where the browser takes that; packing is safe here, as it holds no secret."""
    headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(_packed(content), media_type=kind, headers={**headers, "content-encoding": "gzip"})
    return Response(content, media_type=kind, headers=headers)


@functools.lru_cache(maxsize=32)
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
