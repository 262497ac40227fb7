"""The only ways in which the jobs change.

Every change is one guarded UPDATE: it names the state that it starts from, and whoever comes second changes nothing. A
try *claims* a job with a token of its own; the first to *settle* it with the token of the last claim decides how it ends, and
only then files move.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from corrida.errors import AlreadyExists, Refused
from corrida.inference.database import Database, analyses, events
from corrida.inference.job import ENDED, Event, Job, Status
from corrida.inference.job_queries import JobQueries, find_job
from corrida.inference.outbox import plan_delivery
from corrida.inference.problems import CANCELLED, Problem

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["ENDED", "MOST_CLAIMS", "Enqueue", "Event", "Job", "Jobs", "Status", "note"]

MOST_CLAIMS = 200
"""A job that was started so often without ever coming to an end takes its workers down with it."""

Enqueue = Callable[["Connection", Job, int, float], None]
"""Puts a try of a job on the queue, within the transaction: connection, job, number of the attempt, seconds to wait."""


class Jobs(JobQueries):
    """The door to the jobs of one database."""

    def __init__(self, database: Database, enqueue: Enqueue) -> None:
        """Use a database, and what puts work on the queue."""
        super().__init__(database)
        self._enqueue = enqueue

    # -- coming in ------------------------------------------------------------------------------------------

    def add(self, job: Job) -> tuple[Job, bool]:
        """Add a job and put it on the queue, in one transaction.

        Returns:
            The job, and whether it is new; a repeated submission of the same content returns the first.

        Raises:
            AlreadyExists: the id is taken by other content.
        """

        def work(connection: Connection) -> tuple[Job, bool]:
            insert = self.database.insert(analyses).values(msgspec.to_builtins(job))
            # Not rowcount, which PostgreSQL's driver does not give for an INSERT.
            added = insert.on_conflict_do_nothing().returning(analyses.c.id)
            if connection.execute(added).first() is not None:
                self._enqueue(connection, job, job.attempt, 0.0)
                note(connection, job.id, "queued", file=job.file, size=job.size, source=job.source)
                return job, True
            found = find_job(connection, job.id)
            assert found is not None  # noqa: S101 - rows are never deleted
            return found, found.staged is not None and found.staged == job.staged

        found, new = self.database.persevere(work)
        if found.sha256 != job.sha256:
            raise AlreadyExists(
                f"the analysis {job.id} exists with another file ({found.file}, {found.size} bytes); choose another id"
            )
        if found.options != job.options:
            raise AlreadyExists(f"the analysis {job.id} exists with other options; choose another id")
        return found, new

    # -- working --------------------------------------------------------------------------------------------

    def claim(self, job_id: str, attempt: int, token: str, executor: str) -> Job | None:
        """Claim a job for one try; None when it is settled, or the attempt is no longer the one that counts."""

        def work(connection: Connection) -> Job | None:
            now = time.time()
            changed = connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job_id, analyses.c.attempt == attempt, analyses.c.outcome.is_(None))
                .values(
                    status="running", claim=token, executor=executor, claims=analyses.c.claims + 1,
                    started=sa.func.coalesce(analyses.c.started, now), progress=0,
                )
            ).rowcount  # fmt: skip
            if changed != 1:
                return None
            note(connection, job_id, "claimed", executor=executor, attempt=attempt)
            return find_job(connection, job_id)

        return self.database.persevere(work)

    def set_model(self, job: Job, run_id: str, run_digest: str, pipeline: str) -> Job | None:
        """Write down which run scores, the first time; None when the claim is no longer ours."""

        def work(connection: Connection) -> Job | None:
            ours = analyses.c.id == job.id, analyses.c.claim == job.claim, analyses.c.outcome.is_(None)
            connection.execute(
                sa.update(analyses)
                .where(*ours, analyses.c.run_id.is_(None))
                .values(run_id=run_id, run_digest=run_digest, pipeline=pipeline)
            )
            found = find_job(connection, job.id)
            return found if found and found.claim == job.claim and found.outcome is None else None

        return self.database.persevere(work)

    def watch(self, job: Job, progress: int | None) -> str | None:
        """Write down how far a try is; return why it must stop: ``cancelled`` or ``superseded``."""
        with self.database.reading() as connection:
            found = find_job(connection, job.id)
        if found is None or found.claim != job.claim or found.outcome is not None:
            return "superseded"
        if found.cancel:
            return "cancelled"
        if progress is not None and progress != found.progress:
            with self.database.transaction() as connection:
                ours = analyses.c.id == job.id, analyses.c.claim == job.claim
                connection.execute(sa.update(analyses).where(*ours).values(progress=progress))
        return None

    def settle(
        self,
        job: Job,
        outcome: Status,
        problem: Problem | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Decide how a job ends; files move afterwards.

        Args:
            job: as claimed; one that nobody claimed yet (a cancelled one) is settled without a token.
            outcome: how it ends.
            problem: why it failed.
            result: ``rows``, ``scored``, ``report`` and ``result_sha256`` of one that succeeded.

        Returns:
            Whether this try is the one that decided.
        """
        token = job.claim or f"none-{job.attempt}"

        def work(connection: Connection) -> bool:
            values: dict[str, Any] = {"outcome": outcome, "winner": token, **(result or {})}
            if problem is not None:
                values |= {"code": problem.code, "message": problem.message}
            mine = analyses.c.claim == job.claim if job.claim else analyses.c.claim.is_(None)
            changed = connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job.id, mine, analyses.c.outcome.is_(None))
                .where(analyses.c.attempt == job.attempt)
                .values(**values)
            ).rowcount
            if changed == 1:
                note(connection, job.id, "settled", outcome=outcome, code=problem.code if problem else None)
                return True
            found = find_job(connection, job.id)
            return found is not None and found.winner == token and found.outcome == outcome

        return self.database.persevere(work)

    def again(self, job: Job, problem: Problem, wait: float) -> bool:
        """Give a job back to the queue for another try, in one transaction.

        Returns:
            Whether the claim was still ours.
        """

        def work(connection: Connection) -> bool:
            changed = connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job.id, analyses.c.claim == job.claim)
                .where(analyses.c.attempt == job.attempt, analyses.c.outcome.is_(None))
                .values(
                    status="queued", attempt=job.attempt + 1, tries=job.tries + 1,
                    code=problem.code, message=problem.message,
                )
            ).rowcount  # fmt: skip
            if changed != 1:
                return False
            self._enqueue(connection, job, job.attempt + 1, wait)
            note(connection, job.id, "again", code=problem.code, message=problem.message, wait=round(wait, 3))
            return True

        return self.database.persevere(work)

    def finish(self, job: Job) -> bool:
        """Say that the files of a settled job are where they belong.

        Returns:
            Whether this call was the first to say so.
        """

        def work(connection: Connection) -> bool:
            changed = connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job.id, analyses.c.winner == job.winner)
                .where(analyses.c.status.in_(["queued", "running"]), analyses.c.outcome == job.outcome)
                .values(status=job.outcome, ended=time.time(), staged=None)
            ).rowcount
            if changed == 1:
                note(connection, job.id, str(job.outcome), run=job.run_id, code=job.code)
                plan_delivery(connection, self.database, job)
            return changed == 1

        return self.database.persevere(work)

    def set_charged(self, job: Job) -> None:
        """Say that a job was charged."""

        def work(connection: Connection) -> None:
            changed = connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job.id, analyses.c.charged.is_(None))
                .values(charged=time.time())
            ).rowcount
            if changed == 1:
                note(connection, job.id, "charged", units=job.scored)

        self.database.persevere(work)

    # -- by hand --------------------------------------------------------------------------------------------

    def cancel(self, job_id: str) -> Job:
        """Ask to stop a job. One that waits is settled at once; of one that runs the worker kills the child.

        Raises:
            NotFound: there is none of that id.
            Refused: it has ended.
        """

        def work(connection: Connection) -> Job | None:
            changed = connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job_id, analyses.c.outcome.is_(None), analyses.c.cancel.is_(False))
                .values(cancel=True)
            ).rowcount
            if changed == 1:
                note(connection, job_id, "cancel_asked")
            return find_job(connection, job_id)

        self.get(job_id)
        found = self.database.persevere(work)
        assert found is not None  # noqa: S101 - it was there, and rows are never deleted
        if found.outcome is not None and found.outcome != CANCELLED:
            raise Refused(f"the analysis {job_id} has ended ({found.outcome}); there is nothing to cancel")
        if found.status == "queued":
            self.settle(found, "cancelled", Problem(code=CANCELLED, message="it was cancelled"))
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Try a job again that failed or was cancelled; the alias is resolved anew.

        Raises:
            NotFound: there is none of that id.
            Refused: it has not failed.
        """

        def work(connection: Connection) -> bool:
            found = find_job(connection, job_id)
            if found is None or found.status not in {"failed", "cancelled"}:
                return False
            connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job_id)
                .values(
                    status="queued", attempt=found.attempt + 1, tries=0, claims=0, claim=None, cancel=False,
                    outcome=None, winner=None, code=None, message=None, ended=None, run_id=None,
                    run_digest=None, pipeline=None, progress=None,
                )
            )  # fmt: skip
            self._enqueue(connection, found, found.attempt + 1, 0.0)
            note(connection, job_id, "retried")
            return True

        job = self.get(job_id)
        if not self.database.persevere(work):
            raise Refused(f"the analysis {job_id} is {job.status}; only one that failed is tried again")
        return self.get(job_id)

    def requeue(self, job: Job) -> bool:
        """Put a job that has not ended on the queue anew, whose workflow the engine has lost.

        Returns:
            Whether it was still at that attempt.
        """

        def work(connection: Connection) -> bool:
            changed = connection.execute(
                sa.update(analyses)
                .where(analyses.c.id == job.id, analyses.c.attempt == job.attempt)
                .where(analyses.c.status.in_(["queued", "running"]))
                .values(attempt=job.attempt + 1)
            ).rowcount
            if changed == 1:
                self._enqueue(connection, job, job.attempt + 1, 0.0)
                note(connection, job.id, "requeued")
            return changed == 1

        return self.database.persevere(work)


def note(connection: Connection, job_id: str, event: str, **detail: Any) -> None:
    """Append an event of a job, within the transaction that makes it true."""
    kept = {key: value for key, value in detail.items() if value is not None}
    text = msgspec.json.encode(kept, enc_hook=str).decode()
    connection.execute(sa.insert(events).values(analysis=job_id, time=time.time(), event=event, detail=text))
