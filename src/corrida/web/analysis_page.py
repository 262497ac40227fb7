"""The page of an analysis: what became of a file, why, and who was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from corrida.errors import NotFound
from corrida.runs.numbers import duration_text
from corrida.web.serving_page import moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from corrida.inference.billing import Entry
    from corrida.inference.jobs import Event, Job, Jobs
    from corrida.inference.outbox import Delivery
    from corrida.web.viewer import Site

_EVENTS = 500


class Found(NamedTuple):
    """What the jobs' database says of an analysis."""

    job: Job
    ahead: int
    events: Sequence[Event]
    entries: list[Entry]
    postings: list[dict[str, Any]]
    deliveries: list[Delivery]
    shadow: dict[str, Any] | None


def show(site: Site, request: Request) -> Response:
    """Answer ``/serving/ID``."""
    analysis = request.path_params["id"]
    found = site.jobs.ask(lambda jobs: _ask(jobs, analysis))
    if found is None:
        raise NotFound(f"there is no analysis {analysis[:120]!r}; no file was ever handed over")
    job = found.job
    report = _report(job)
    here = job.run_id is not None and (site.store.root / job.run_id).is_dir()
    content: dict[str, Any] = {
        "job": job,
        "run_is_here": here,
        "times": [
            (name, moment(when))
            for name, when in (("came in", job.created), ("began", job.started), ("ended", job.ended))
            if when is not None
        ],
        "took": "" if job.ended is None else duration_text(job.ended - job.created),
        "ahead": found.ahead,
        "sentences": sentences_of(report),
        "report": report,
        "entries": [(entry, moment(entry.time)) for entry in found.entries],
        "postings": found.postings,
        "deliveries": [
            (one, _shown_url(one.url), moment(one.due), moment(one.ended)) for one in found.deliveries
        ],
        "shadow": found.shadow,
        "events": [
            (moment(event.time), _after(event.time - job.created), event.event, _detail(event.detail))
            for event in found.events[-_EVENTS:]
        ],
        "options": msgspec.json.decode(job.options) if job.options else {},
    }
    return site.pages.page(request, "analysis", content, here="serving")


def _ask(jobs: Jobs, analysis: str) -> Found:
    from corrida.inference.billing import Ledger
    from corrida.inference.outbox import Outbox
    from corrida.inference.overview import postings_of, shadow_of

    job = jobs.get(analysis)
    return Found(
        job,
        jobs.ahead_of(job) if job.status == "queued" else 0,
        jobs.events(job.id),
        Ledger(jobs.database).entries([job.id]),
        postings_of(jobs.database, job.id),
        Outbox(jobs.database).of(job.id),
        shadow_of(jobs.database, job.id),
    )


def _report(job: Job) -> dict[str, Any]:
    if job.report is None:
        return {}
    try:
        report = msgspec.json.decode(job.report)
    except msgspec.DecodeError:
        return {}
    return report if isinstance(report, dict) else {}


def sentences_of(report: Mapping[str, Any]) -> list[str]:
    """Return what is to be said of a scored file, as ``corrida jobs`` says it."""
    if not report:
        return []
    from corrida.inference.report_text import sentences

    return sentences(report)


def _shown_url(url: str) -> str:
    """Return whom a webhook goes to, without what may be a secret."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + parts.path
    except ValueError:
        return "an address that cannot be read"


def _after(seconds: float) -> str:
    """Return how long after it came in something happened; clocks of several machines may differ."""
    return (
        f"{'−' if seconds < 0 else '+'}{abs(seconds):.2f} s"
        if abs(seconds) < 60
        else f"+{duration_text(seconds)}"
    )


def _detail(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in detail.items())
