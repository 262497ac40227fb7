"""The jobs as they are: every question that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from corrida.errors import NotFound
from corrida.inference.database import Database, analyses, events
from corrida.inference.job import ENDED, Event, Job, Status

if TYPE_CHECKING:
    from sqlalchemy import Connection


class JobQueries:
    """The jobs of one database, for reading."""

    def __init__(self, database: Database) -> None:
        """Read from a database."""
        self.database = database

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFound: there is none of that id.
        """
        with self.database.reading() as connection:
            found = find_job(connection, job_id)
        if found is None:
            raise NotFound(f"there is no analysis {job_id[:120]!r}; `corrida jobs` lists them")
        return found

    def list(
        self,
        *,
        status: Sequence[Status] = (),
        run_id: str | None = None,
        client: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Job]:
        """Return jobs, the newest first."""
        query = sa.select(analyses).order_by(analyses.c.created.desc(), analyses.c.id)
        if status:
            query = query.where(analyses.c.status.in_(list(status)))
        if run_id is not None:
            query = query.where(analyses.c.run_id == run_id)
        if client is not None:
            query = query.where(analyses.c.client == client)
        with self.database.reading() as connection:
            return [_job(row) for row in connection.execute(query.limit(limit).offset(offset)).mappings()]

    def counts(self) -> dict[Status, int]:
        """Return how many jobs there are of each status."""
        query = sa.select(analyses.c.status, sa.func.count()).group_by(analyses.c.status)
        with self.database.reading() as connection:
            found: dict[Any, int] = {row[0]: row[1] for row in connection.execute(query)}
        return {status: found.get(status, 0) for status in ("queued", "running", *ENDED)}

    def oldest_waiting(self) -> float | None:
        """Return when the job that waits longest was created, in seconds since the epoch."""
        query = sa.select(sa.func.min(analyses.c.created)).where(analyses.c.status == "queued")
        with self.database.reading() as connection:
            return connection.execute(query).scalar()

    def ahead_of(self, job: Job) -> int:
        """Return how many jobs of the same spool wait before this one."""
        query = (
            sa.select(sa.func.count())
            .where(analyses.c.spool == job.spool, analyses.c.status == "queued")
            .where(analyses.c.created < job.created)
        )
        with self.database.reading() as connection:
            return connection.execute(query).scalar() or 0

    def events(self, job_id: str) -> Sequence[Event]:
        """Return what happened to a job, oldest first."""
        query = sa.select(events).where(events.c.analysis == job_id).order_by(events.c.seq)
        with self.database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Event(row["time"], row["event"], msgspec.json.decode(row["detail"])) for row in rows]

    def unfinished(self, spool: str) -> Sequence[Job]:
        """Return the jobs of a spool that have not ended, oldest first."""
        query = (
            sa.select(analyses)
            .where(analyses.c.spool == spool, analyses.c.status.in_(["queued", "running"]))
            .order_by(analyses.c.created)
        )
        with self.database.reading() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]


def find_job(connection: Connection, job_id: str) -> Job | None:
    """Return a job as this transaction sees it; None when there is none of that id."""
    row = connection.execute(sa.select(analyses).where(analyses.c.id == job_id)).mappings().first()
    return None if row is None else _job(row)


def _job(row: Any) -> Job:
    return msgspec.convert({str(name): value for name, value in row.items()}, Job)
