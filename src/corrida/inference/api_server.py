"""What the API says of the server itself: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from fastapi.security import HTTPBearer

from corrida import __version__
from corrida.inference.api_models import Health, Readiness, errors
from corrida.inference.guard import encode
from corrida.inference.metrics import CONTENT_TYPE
from corrida.inference.problems import public
from corrida.inference.public_errors import said_of
from corrida.inference.readiness import ModelCheck, loading_trouble, no_worker

if TYPE_CHECKING:
    from corrida.inference.metrics import Metrics
    from corrida.inference.service import Service


class ServerApi:
    """The calls of the API that concern the server."""

    def __init__(self, service: Service, metrics: Metrics, working: Callable[[], str] | None = None) -> None:
        """Answer for a service.

        Args:
            service: jobs and spool.
            metrics: what /metrics says.
            working: tells how the worker of this server is, ``ok`` or a sentence; None where it has none.
        """
        self._service, self._metrics, self._working = service, metrics, working
        self._model = ModelCheck(service.runner.store, service.runner.limits.alias)

    def router(self) -> APIRouter:
        """Return the addresses."""
        routes = APIRouter()
        routes.add_api_route(
            "/metrics", self.metrics, methods=["GET"], response_class=Response, responses=errors(),
            dependencies=[Depends(HTTPBearer(auto_error=False))],
        )  # fmt: skip
        routes.add_api_route(
            "/health", self.health, methods=["GET"], response_model=Health, responses=errors()
        )
        routes.add_api_route(
            "/ready", self.ready, methods=["GET"], response_model=Readiness,
            responses=errors() | {503: {"model": Readiness}},
        )  # fmt: skip
        return routes

    async def health(self) -> Response:
        """Answer as long as the server lives."""
        return as_json({"status": "ok", "version": __version__})

    def ready(self) -> Response:
        """Tell whether files can be taken and scored; 503 when not."""
        service = self._service
        known = service.database, service.spool.id
        checks = {
            "database": _checked(service.jobs.counts),
            "spool": "ok" if os.access(service.spool.incoming, os.W_OK | os.X_OK) else "it cannot be written",
            "model": _checked(lambda: loading_trouble(*known, self._model.model())),
            "worker": _checked(lambda: no_worker(*known)),
        }
        if self._working is not None and (said := self._working()) != "ok" and checks["worker"] != "ok":
            checks["worker"] = said
        ready = all(said == "ok" for said in checks.values())
        return as_json({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    def metrics(self) -> Response:
        """Return the metrics, for Prometheus."""
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer in JSON."""
    return Response(encode(value), status, headers, "application/json")


def _checked(look: Callable[[], object]) -> str:
    """Return what a look says in words, ``ok`` where it says nothing of that kind."""
    try:
        if isinstance(said := look(), str):
            return said
    except Exception as error:  # noqa: BLE001 - that is the answer
        return public(str(said_of(error).sentence))
    return "ok"
