"""The runner as its callers see it: the jobs, the spool and the queue of one project, opened together."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from corrida.errors import DatabaseError
from corrida.inference.database import open_database
from corrida.inference.jobs import ENDED, Job, Jobs
from corrida.inference.queue import Queue
from corrida.inference.spool import Spool
from corrida.inference.submission import submit_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corrida.inference.settings import Runner

_PATIENCE_SECONDS = 15.0


class Service:
    """Submits, cancels and looks at jobs; work is done by workers, here or elsewhere.

    Attributes:
        runner: places and limits.
        spool, database, queue, jobs: opened.
    """

    def __init__(self, runner: Runner) -> None:
        """Open all, and lay out what is missing.

        Raises:
            InvalidData, DatabaseError: the database cannot be used.
            StoreError: the spool cannot be written.
            MissingExtra: the engine is not installed.
        """
        self.runner = runner
        self.spool = Spool(runner.spool)
        self.database = open_database(runner.database, runner.root)
        self.queue = Queue(self.database)
        self.jobs = Jobs(self.database, self.queue.enqueue)

    def submit(self, path: Path, *, analysis_id: str | None = None, **more: Any) -> tuple[Job, bool]:
        """Make a job of a file; see :func:`corrida.inference.submission.submit_file`."""
        return submit_file(self.runner, self.jobs, self.spool, path, analysis_id=analysis_id, **more)

    def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`corrida.inference.jobs.Jobs.cancel`. One that waits ends at once."""
        job = self.jobs.cancel(job_id)
        if job.outcome == "cancelled" and job.status not in ENDED:
            self.spool.publish(job)
            self.jobs.finish(job)
        return self.jobs.get(job_id)

    def wait(self, job_id: str, seconds: float) -> Job:
        """Return a job once it has ended, or as it is after ``seconds``."""
        end = time.monotonic() + seconds
        pause = 0.02
        while (job := self.jobs.get(job_id)).status not in ENDED and time.monotonic() < end:
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 1.5, 0.5)
        return job

    def close(self) -> None:
        """Let go of the database."""
        self.queue.close()
        self.database.close()


@contextlib.contextmanager
def opened(runner: Runner) -> Iterator[Service]:
    """Open the service for a block, which waits for the database only so long.

    Raises:
        DatabaseError: it is away, or its disk is full.
    """
    service = Service(runner)
    service.database.patience = _PATIENCE_SECONDS
    try:
        yield service
    except DBAPIError as error:
        said = str(error.orig).strip().partition("\n")[0]
        raise DatabaseError(
            f"the jobs' database {service.database.address.place} does not do its work: {said}; try again"
        ) from None
    finally:
        service.close()
