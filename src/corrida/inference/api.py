"""The HTTP API: files in, analyses and their rows out."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer

from corrida.errors import InvalidName, NotFound
from corrida.inference.api_models import (
    BODY,
    PARQUET,
    ROWS,
    Analyses,
    Analysis,
    AnalysisWithRows,
    Status,
    errors,
)
from corrida.inference.api_server import as_json
from corrida.inference.jobs import ENDED
from corrida.inference.public_errors import Rejected
from corrida.inference.readiness import no_worker
from corrida.inference.results import csv_of, page_of
from corrida.inference.spool import check_id
from corrida.inference.uploads import Uploads
from corrida.inference.views import shown_job, shown_webhooks
from corrida.inference.workflow import results_of

if TYPE_CHECKING:
    from corrida.inference.jobs import Job
    from corrida.inference.keys import Key
    from corrida.inference.service import Service
    from corrida.inference.webhooks import Webhooks

PAGE, MOST_ROWS = 1000, 10_000
CSV = "text/csv; charset=utf-8"


class Api:
    """The calls of the API that concern analyses."""

    def __init__(self, service: Service, webhooks: Webhooks) -> None:
        """Answer for a service.

        Args:
            service: jobs and spool.
            webhooks: checks where they may go.
        """
        self._service, self._webhooks = service, webhooks
        self._uploads = Uploads(service, webhooks)

    def router(self) -> APIRouter:
        """Return the addresses."""
        routes = APIRouter(dependencies=[Depends(HTTPBearer(auto_error=False))])
        routes.add_api_route(
            "/v1/analyses", self.submit, methods=["POST"], status_code=202, response_model=Analysis, openapi_extra=BODY,
            responses={200: {"model": AnalysisWithRows}, **errors(408, 409, 413, 415, 422, 507)},
        )  # fmt: skip
        routes.add_api_route(
            "/v1/analyses", self.list, methods=["GET"], response_model=Analyses, responses=errors(422)
        )
        routes.add_api_route(
            "/v1/analyses/{analysis_id}",
            self.get,
            methods=["GET"],
            response_model=Analysis,
            responses=errors(404, 422),
        )
        routes.add_api_route(
            "/v1/analyses/{analysis_id}", self.cancel, methods=["DELETE"], response_model=Analysis,
            responses=errors(404, 409, 422),
        )  # fmt: skip
        routes.add_api_route(
            "/v1/analyses/{analysis_id}/results", self.results, methods=["GET"], response_class=Response,
            responses={**ROWS, **errors(404, 409, 410, 422)},
        )  # fmt: skip
        return routes

    # -- analyses -------------------------------------------------------------------------------------------

    async def submit(
        self,
        request: Request,
        *,
        wait: Annotated[
            float, Query(ge=0, allow_inf_nan=False, description="seconds to wait for the end")
        ] = 0.0,
        id: Annotated[str | None, Query(description="of the analysis")] = None,  # noqa: A002
        webhook: Annotated[str | None, Query(description="told when it has ended")] = None,
        filename: Annotated[
            str | None, Query(max_length=200, description="of a file that is no form")
        ] = None,
        options: Annotated[
            str | None, Query(max_length=8192, description="of the prediction, a JSON object")
        ] = None,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Hand a file over.

        The same id (or Idempotency-Key) with the same file is the same analysis, however often it is sent; with another
        file it is refused. Answers 202 while the analysis goes on, and 200 with the first rows once it has ended.
        """
        key: Key | None = request.state.key
        client = key.name if key else None
        if id is not None:
            check_id(id)
        if webhook is not None:
            await to_thread.run_sync(self._webhooks.check, webhook)
        job = await self._uploads.take(request, client, id, webhook, filename, idempotency_key, options)
        if job.client != client and not (key is not None and key.sees_all):
            raise Rejected(409, "id_taken", f"the analysis {job.id} exists already; choose another id")
        job = await self._wait(job, min(wait, self._service.runner.limits.wait_most))
        shown = await to_thread.run_sync(self._shown, job)
        headers = {"location": f"/v1/analyses/{job.id}"}
        if job.status not in ENDED:
            return as_json(shown, 202, headers)
        if job.status == "processed" and job.spool == self._service.spool.id:
            shown["results"] = await to_thread.run_sync(self._page, job, 0, PAGE)
        return as_json(shown, 200, headers)

    async def _wait(self, job: Job, seconds: float) -> Job:
        end = time.monotonic() + seconds
        pause = 0.02
        while job.status not in ENDED and time.monotonic() < end:
            await asyncio.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 1.5, 0.5)
            job = await to_thread.run_sync(self._service.jobs.get, job.id)
        return job

    def list(
        self,
        request: Request,
        *,
        status: Annotated[list[Status] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    ) -> Response:
        """List analyses, the newest first; with a key, those that it handed over."""
        key: Key | None = request.state.key
        found = self._service.jobs.list(
            status=status or (),
            client=key.name if key and not key.sees_all else None,
            limit=limit,
            offset=offset,
        )
        return as_json({"analyses": [self._shown(job) for job in found]})

    def get(self, request: Request, analysis_id: str) -> Response:
        """Tell how an analysis is."""
        job = self._job(request, analysis_id)
        shown = self._shown(job)
        if webhooks := shown_webhooks(self._service.database, job):
            shown["webhooks"] = webhooks
        if job.status == "queued" and (note := no_worker(self._service.database, job.spool)):
            shown["note"] = note
        return as_json(shown)

    def cancel(self, request: Request, analysis_id: str) -> Response:
        """Stop an analysis. One that waits ends at once; the one that runs, within a second."""
        job = self._job(request, analysis_id)
        return as_json(self._shown(self._service.cancel(job.id)))

    def results(
        self,
        request: Request,
        analysis_id: str,
        *,
        format: Annotated[Literal["json", "csv", "parquet"] | None, Query()] = None,  # noqa: A002
        offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = PAGE,
    ) -> Response:
        """Return the rows of a processed analysis: pages of JSON, or all of them as CSV or Parquet."""
        job = self._job(request, analysis_id)
        if job.status not in ENDED:
            raise Rejected(
                409, "not_ready", f"the analysis {job.id} is {job.status}; ask again", retry_after=1
            )
        if job.status != "processed":
            raise Rejected(
                409, job.code or job.status, job.message or f"the analysis {job.id} was {job.status}"
            )
        kind = format or _accepted(request.headers.get("accept", ""))
        if kind == "json":
            return as_json(self._page(job, offset, limit))
        path = self._table(job)
        headers = {
            "content-disposition": f'attachment; filename="{job.id}.{kind}"',
            "etag": f'"{job.result_sha256}"',
        }
        if kind == "parquet":
            return FileResponse(path, media_type=PARQUET, headers=headers)
        return StreamingResponse(csv_of(path), media_type=CSV, headers=headers)

    def _job(self, request: Request, analysis_id: str) -> Job:
        """Return an analysis that the caller may see."""
        key: Key | None = request.state.key
        missing = NotFound("there is no analysis of that id")
        try:
            job = self._service.jobs.get(check_id(analysis_id))
        except (InvalidName, NotFound):
            raise missing from None
        if key is not None and not key.sees_all and job.client != key.name:
            raise missing
        return job

    def _shown(self, job: Job) -> dict[str, Any]:
        shown = shown_job(job)
        if job.status == "queued":
            shown["ahead"] = self._service.jobs.ahead_of(job)
        shown["links"] = {"self": f"/v1/analyses/{job.id}"}
        if job.status == "processed":
            shown["links"]["results"] = f"/v1/analyses/{job.id}/results"
        return shown

    def _table(self, job: Job) -> Path:
        if job.spool != self._service.spool.id:
            raise Rejected(
                409,
                "elsewhere",
                f"the results of {job.id} are in the spool of another machine; ask its server",
            )
        path = results_of(self._service.spool, job)
        if not path.is_file():
            raise Rejected(410, "gone", f"the results of {job.id} were removed from the spool")
        return path

    def _page(self, job: Job, offset: int, limit: int) -> dict[str, Any]:
        rows, total = page_of(self._table(job), offset, limit)
        after = offset + len(rows)
        more = after < total and bool(rows)
        return {
            "offset": offset,
            "total": total,
            "rows": rows,
            "next": f"/v1/analyses/{job.id}/results?offset={after}&limit={limit}" if more else None,
        }


def _accepted(header: str) -> Literal["json", "csv", "parquet"]:
    """Return the form that a caller likes best, by the order in which the header Accept names them."""
    for part in header.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind == "text/csv":
            return "csv"
        if kind == PARQUET:
            return "parquet"
        if kind in {"application/json", "*/*"}:
            break
    return "json"
