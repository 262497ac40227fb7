"""What may be said of an analysis to whoever asked for it: no paths, no names of machines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.inference.outbox import Outbox
from corrida.inference.workflow import describe

if TYPE_CHECKING:
    from corrida.inference.database import Database
    from corrida.inference.jobs import Job

_TIMES = ("created", "started", "ended", "charged")


def shown_job(job: Job) -> dict[str, Any]:
    """Return an analysis for the API and for webhooks; times are texts in UTC."""
    found = describe(job)
    for name in _TIMES:
        if name in found:
            found[name] = utc(found[name])
    if job.status == "processed" and job.report is not None:
        found["report"] = msgspec.json.decode(job.report)
    return found


def shown_webhooks(database: Database, job: Job) -> list[dict[str, Any]]:
    """Return what became of the webhooks of an analysis; times are texts in UTC."""
    found = Outbox(database).shown(job.id) if job.webhook else []
    return [one | ({"next": utc(one["next"])} if "next" in one else {}) for one in found]


def utc(seconds: float) -> str:
    """Return a time since the epoch as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
