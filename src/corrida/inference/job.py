"""An analysis as the database holds it, and what happened to it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Status = Literal["queued", "running", "processed", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("processed", "failed", "cancelled")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """An analysis.

    Attributes:
        id: which is the key of a repeated submission, too.
        spool: id of the folder that holds its file.
        status: ``queued`` and ``running`` go on; the others are final until somebody tries it again by hand.
        alias: whose run is to score.
        file: the name under which it came; never used as a path.
        suffix, size, sha256: of the file.
        staged: the name under which the file waits before it is in ``pending``.
        source: ``submit``, ``api`` or ``drop``.
        client: name of the API key.
        webhook: whom to tell.
        options: of the predictor, as JSON.
        created, started, ended: seconds since the epoch.
        attempt: number of the workflow that may work at it, from 1.
        tries: of scoring it that failed by themselves, since it was submitted or tried again by hand.
        claims: how often work on it was started, kills of workers included.
        claim: token of the last claim.
        executor: that made it.
        cancel: somebody asked to stop it.
        run_id, run_digest, pipeline: what the alias was at the first claim; every later try uses the same.
        outcome, winner: how it ends, and the token of the try whose results count; files move afterwards.
        code, message: why it failed.
        rows, scored: of the file, and of them with a score.
        progress: rows scored so far.
        report: what is to be said of the file as a whole, as JSON.
        result_sha256: digest of the table of results.
        charged: when.
    """

    id: str
    spool: str
    status: Status
    alias: str
    file: str
    suffix: str
    size: int
    sha256: str
    staged: str | None = None
    source: str = "submit"
    client: str | None = None
    webhook: str | None = None
    options: str = "{}"
    created: float
    started: float | None = None
    ended: float | None = None
    attempt: int = 1
    tries: int = 0
    claims: int = 0
    claim: str | None = None
    executor: str | None = None
    cancel: bool = False
    run_id: str | None = None
    run_digest: str | None = None
    pipeline: str | None = None
    outcome: Status | None = None
    winner: str | None = None
    code: str | None = None
    message: str | None = None
    rows: int | None = None
    scored: int | None = None
    progress: int | None = None
    report: str | None = None
    result_sha256: str | None = None
    charged: float | None = None


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a job."""

    time: float
    event: str
    detail: dict[str, Any]
