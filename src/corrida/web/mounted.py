"""The pages beside the API of ``corrida serve``: one server, whose addresses of the API win."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.inference.access import is_loopback
from corrida.inference.keys import Keys
from corrida.web.entrance import Entrance
from corrida.web.guard import Guard
from corrida.web.viewer import create_viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from corrida.inference.service import Service
    from corrida.project import Project

API = ("/v1", "/health", "/ready", "/metrics", "/openapi.json")
"""Addresses of the API, each with all below it."""


class BesideApi:
    """An ASGI application: the API, and pages at every other address."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        """Put both together; the API keeps the lifespan."""
        self._api, self._pages = api, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        own = scope["type"] != "http" or any(
            scope["path"] == place or scope["path"].startswith(f"{place}/") for place in API
        )
        await (self._api if own else self._pages)(scope, receive, send)


def pages_beside(
    project: Project,
) -> Callable[[ASGIApp, Service], tuple[ASGIApp, Callable[[], None]]]:
    """Return what puts the pages of a project beside the API.

    The pages ask for a key wherever the API does: beyond loopback, and where there is one. They change nothing.
    """

    def put(api: ASGIApp, service: Service) -> tuple[ASGIApp, Callable[[], None]]:
        """Return both as one, and what ends the pages that are sent without an end."""
        limits = service.runner.limits
        keys = Keys(service.database)
        viewer = create_viewer(project, runner=lambda: service.runner, warm=False)
        pages: ASGIApp = viewer
        if not is_loopback(limits.host) or limits.hosts or keys.any():
            pages = Entrance(viewer, viewer.state.pages, keys.find)
        guarded = Guard(pages, limits.host, limits.hosts)
        beside = BesideApi(api, guarded)

        async def both(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "lifespan":
                await beside(scope, receive, send)
                return
            async with viewer.router.lifespan_context(viewer):
                await api(scope, receive, send)

        return both, viewer.state.live.close

    return put
