"""The viewer as an ASGI application: its addresses, and what each serves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from corrida.errors import BadInput, CorridaError, NotFound
from corrida.web.freshness import Freshness
from corrida.web.pages import Pages, static_file

if TYPE_CHECKING:
    from starlette.requests import Request

    from corrida.project import Project
    from corrida.runs.store import Store

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
    """

    project: Project
    store: Store
    pages: Pages
    freshness: Freshness
    write: bool


Handler = Callable[[Site, "Request"], Response]
"""Answers a call; runs in a thread, since folders and tables are read."""


def create_viewer(project: Project, *, base: str = "", write: bool = False) -> Starlette:
    """Return the viewer of a project's store; :class:`corrida.web.guard.Guard` goes before it.

    Args:
        project: whose store is shown.
        base: what stands before every path.
        write: whether the pages may promote, demote and restore.
    """
    from corrida.web import runs_page

    store = project.store()
    site = Site(project, store, Pages(store.root.name, base=base, write=write), Freshness(store), write)
    handlers: dict[str, Handler] = {
        "/": runs_page.show,
    }

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        site.freshness.close()

    return Starlette(
        routes=[
            *(Route(path, _endpoint(site, handler), methods=["GET"]) for path, handler in handlers.items()),
            Route("/static/{digest}/{name}", _static, methods=["GET"]),
            Route("/vega.js", _vega, methods=["GET"]),
        ],
        exception_handlers={
            CorridaError: _failed(site),
            HTTPException: _not_found(site),
        },
        lifespan=lifespan,
    )


def _endpoint(site: Site, handler: Handler) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await run_in_threadpool(handler, site, request)

    return answer


def _failed(site: Site) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status = 404 if isinstance(error, NotFound) else 400 if isinstance(error, BadInput) else 500
        return site.pages.page(request, "error", {"status": status, "message": str(error)}, status=status)

    return answer


def _not_found(site: Site) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        message = "there is no such page" if status == 404 else "this page cannot be called in that way"
        return site.pages.page(request, "error", {"status": status, "message": message}, status=status)

    return answer


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    try:
        content = static_file(name)
    except KeyError:
        raise HTTPException(404) from None
    kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    return Response(content, media_type=kind, headers={"cache-control": _FOR_EVER})


async def _vega(request: Request) -> Response:
    """Return the JavaScript of the figures; its address carries the version."""
    del request
    from corrida.analysis.charts.render import javascript

    script = await run_in_threadpool(javascript)
    return Response(script, media_type="text/javascript; charset=utf-8", headers={"cache-control": _FOR_EVER})
