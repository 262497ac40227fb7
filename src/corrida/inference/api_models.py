"""The answers of the API as OpenAPI describes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

PARQUET = "application/vnd.apache.parquet"

Status = Literal["queued", "running", "processed", "failed", "cancelled"]


class Problem(BaseModel):
    """Why something did not succeed."""

    code: str = Field(description="for programs")
    message: str = Field(description="one sentence")
    request_id: str | None = Field(None, description="under which the log of the server knows the call")


class ErrorAnswer(BaseModel):
    """The answer to a call that did not succeed."""

    error: Problem


class Webhook(BaseModel):
    """A message to whoever asked for it."""

    status: Literal["waiting", "delivered", "given_up"]
    tries: int
    said: str | None = Field(None, description="what came of the last try")
    next: str | None = Field(None, description="when it is sent again")


class Analysis(BaseModel):
    """A file that was handed over, and what became of it."""

    id: str
    status: Status
    file: str = Field(description="the name under which it was sent")
    size: int
    sha256: str
    source: str = Field(description="api, submit or drop")
    attempt: int = Field(description="tries so far")
    created: str
    started: str | None = None
    ended: str | None = None
    ahead: int | None = Field(None, description="analyses that wait before this one")
    progress: int | None = Field(None, description="rows scored so far")
    cancelling: bool | None = Field(None, description="true once it was asked to stop and has not ended")
    run: str | None = Field(None, description="the run that scores, from the first try on")
    run_digest: str | None = None
    pipeline: str | None = None
    alias: str | None = None
    rows: int | None = None
    scored: int | None = None
    charged: str | None = None
    report: dict[str, Any] | None = Field(None, description="classes, rules, alignment, drift, seconds")
    error: Problem | None = None
    webhooks: list[Webhook] | None = Field(None, description="what became of them; of one analysis only")
    note: str | None = Field(None, description="why it waits, where no worker is there to take it")
    links: dict[str, str]


class Rows(BaseModel):
    """A page of results."""

    offset: int
    total: int
    rows: list[dict[str, Any]]
    next: str | None = Field(None, description="where the next page is")


class AnalysisWithRows(Analysis):
    """An analysis that has ended, with the first page of its results."""

    results: Rows | None = None


class Analyses(BaseModel):
    """Analyses, the newest first."""

    analyses: list[Analysis]


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"]
    version: str


class Readiness(BaseModel):
    """Whether files can be taken and scored; each part is ``ok`` or says what is wrong."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "minLength": 1}},
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "id": {"type": "string"},
                        "webhook": {"type": "string"},
                    },
                }
            },
        },
    }
}
ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Rows,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors that a call may answer with, beside those that all may."""
    common = (400, 401, 403, 421, 429, 500, 503)
    return {status: {"model": ErrorAnswer} for status in (*common, *statuses)}
