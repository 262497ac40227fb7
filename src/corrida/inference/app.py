"""The API as an ASGI application: its addresses, what it answers to errors, and webhooks that are sent while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from corrida import __version__
from corrida.errors import CorridaError
from corrida.inference.api import Api
from corrida.inference.api_server import ServerApi, as_json
from corrida.inference.guard import headers_of, log_error
from corrida.inference.public_errors import Rejected, Said, body_of, said_of, said_of_fields, said_of_status

if TYPE_CHECKING:
    from fastapi.responses import Response
    from starlette.types import ASGIApp

    from corrida.inference.metrics import Metrics
    from corrida.inference.service import Service
    from corrida.inference.webhooks import Webhooks


def create_api(
    service: Service, webhooks: Webhooks, metrics: Metrics, working: Callable[[], str] | None = None
) -> ASGIApp:
    """Return the API as an ASGI application; :class:`corrida.inference.guard.Guard` goes before it.

    Webhooks are sent while it runs.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        sending = asyncio.create_task(webhooks.run())
        yield
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending

    # No pages of documentation: they would load scripts of other sites. /openapi.json says all.
    app = FastAPI(
        title="corrida", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        redirect_slashes=False, description="Files scored by the run in production.",
    )  # fmt: skip
    app.include_router(Api(service, webhooks).router())
    app.include_router(ServerApi(service, metrics, working).router())

    @app.exception_handler(CorridaError)
    async def refuse(request: Request, error: CorridaError) -> Response:
        said = said_of(error)
        if said.status >= 500 and not isinstance(error, Rejected):
            log_error(request.state.request_id, said, error)
        return _failed(request, said)

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        return _failed(request, said_of(error))  # the error goes on to the guard, which writes it down

    @app.exception_handler(RequestValidationError)
    async def refuse_parameters(request: Request, error: RequestValidationError) -> Response:
        return _failed(request, said_of_fields(list(error.errors())))

    @app.exception_handler(HTTPException)
    async def refuse_address(request: Request, error: HTTPException) -> Response:
        return _failed(request, said_of_status(error.status_code), dict(error.headers or {}))

    return app


def _failed(request: Request, said: Said, headers: dict[str, str] | None = None) -> Response:
    return as_json(
        body_of(said, request.state.request_id), said.status, {**(headers or {}), **headers_of(said)}
    )
