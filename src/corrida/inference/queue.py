"""The queue of the job engine: putting work on it, and giving the work of dead executors back to it.

Only the engine's public interface is used; see docs/decisions/0008-inference.md.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from corrida.errors import MissingExtra, Refused
from corrida.inference.database import Database, analyses, connect_arguments, executors, workers
from corrida.inference.locks import ExecutorLock, lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbos import DBOSClient, EnqueueOptions
    from sqlalchemy import Connection

    from corrida.inference.jobs import Job
    from corrida.inference.spool import Spool

APPLICATION = "corrida"
WORKFLOW = "corrida.analyse"
VERSION = "corrida-inference-1"
"""Which jobs a worker takes. Fixed: the engine's own choice, a digest of the code, would leave the jobs of an hour ago to
nobody after an update. Raise it only when the steps of the workflow change, and drain the queue first."""

_BATCH = 200


def queue_name(spool_id: str) -> str:
    """Return the queue of a spool: a job is only taken by workers that see its files."""
    return f"corrida-{spool_id}"


def workflow_id(job_id: str, attempt: int) -> str:
    """Return the id of the workflow that makes an attempt at a job."""
    return job_id if attempt == 1 else f"{job_id}#{attempt}"


class Queue:
    """The queue of one database."""

    def __init__(self, database: Database) -> None:
        """Connect, and lay the engine's tables out where they are missing.

        Raises:
            MissingExtra: the engine is not installed.
        """
        try:
            from dbos import DBOS, DBOSClient
        except ImportError:
            raise MissingExtra("the runner needs DBOS; pip install 'corrida[serve]'") from None
        _quiet()
        self.database = database
        if database.dialect == "postgresql":
            with _alone(database):  # two that start at once would make the schema twice
                DBOS.migrate(database.engine_url)
        else:
            DBOS.migrate(database.engine_url)
        self._client: DBOSClient = DBOSClient(
            system_database_engine=database.engine, application_name=APPLICATION, lazy=True
        )

    def enqueue(self, connection: Connection, job: Job, attempt: int, wait: float) -> None:
        """Put a try of a job on the queue, within the transaction.

        The id of the first is the id of the job: the engine keeps such ids for ever, so a repeated submission is the
        same job.
        """
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": queue_name(job.spool),
            "workflow_id": workflow_id(job.id, attempt),
            "app_version": VERSION,
        }
        if wait > 0:
            options["delay_seconds"] = wait
        self._client.enqueue_in_transaction(connection, options, job.id, attempt)

    def executing(self, executor_id: str) -> list[str]:
        """Return the ids of the workflows that an executor took and did not end."""
        found = self._client.list_workflows(
            executor_id=executor_id, status="PENDING", load_input=False, load_output=False
        )
        return [workflow.workflow_id for workflow in found]

    def executors_at_work(self) -> set[str]:
        """Return the ids of the executors that took a workflow and did not end it, dead ones included."""
        found = self._client.list_workflows(
            name=WORKFLOW, status="PENDING", load_input=False, load_output=False
        )
        return {workflow.executor_id for workflow in found if workflow.executor_id}

    def give_back(self, workflow_id: str, name: str) -> None:
        """Put a workflow that lost its executor back on a queue; nothing else may execute it."""
        self._client.resume_workflow(workflow_id, queue_name=name)

    def bound_delays(self, spool_id: str, most: float) -> None:
        """Let no job of a spool wait longer than ``most`` seconds for its next try.

        The engine waits until a time of the clock, and that of another machine, or of this one before it was set, may have been
        ahead by hours.
        """
        found = self._client.list_workflows(
            name=WORKFLOW,
            status="DELAYED",
            queue_name=queue_name(spool_id),
            load_input=False,
            load_output=False,
        )
        latest = (time.time() + most + 1.0) * 1000
        for workflow in found:
            if (workflow.delay_until_epoch_ms or 0) > latest:
                self._client.set_workflow_delay(workflow.workflow_id, delay_seconds=most)

    def left(self, workflow_ids: Sequence[str]) -> set[str]:
        """Return those of some workflows that the engine is done with, or has never heard of."""
        gone = set(workflow_ids)
        for start in range(0, len(workflow_ids), _BATCH):
            part = list(workflow_ids[start : start + _BATCH])
            found = self._client.list_workflows(workflow_ids=part, load_input=False, load_output=False)
            gone -= {w.workflow_id for w in found if w.status in {"ENQUEUED", "DELAYED", "PENDING"}}
        return gone

    def declare(self, spool_id: str, slots: int, poll_seconds: float) -> None:
        """Say how many jobs of a spool a worker takes at once, and how often it looks."""
        self._client.register_queue(
            queue_name(spool_id), worker_concurrency=slots, polling_interval_sec=poll_seconds
        )

    def close(self) -> None:
        """Let go of the engine; the database stays open."""
        self._client.destroy()


class Executor:
    """The right to take work under an id that nobody else has, now or ever.

    Attributes:
        id: of the executor.
    """

    def __init__(self, database: Database, spool: Spool, executor_id: str | None = None) -> None:
        """Take the lock of an id and write the id down, in this order.

        Args:
            database: of the jobs.
            spool: whose files it works at.
            executor_id: an id of one's own; a new one when None.

        Raises:
            Refused: a live worker has that id.
        """
        self.id = executor_id or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._database = database
        self.lock: ExecutorLock = lock_of(database, spool, self.id)
        if not self.lock.acquire():
            raise Refused(f"a worker with the id {self.id} is at work; each worker has an id of its own")
        values = {"id": self.id, "host": socket.gethostname(), "pid": os.getpid(), "started": time.time()}
        insert = database.insert(executors).values(values).on_conflict_do_nothing()
        says = {"executor": self.id, "spool": spool.id, "time": time.time()}
        says_of = database.insert(workers).values(says).on_conflict_do_nothing()

        def enter(connection: Connection) -> None:
            connection.execute(insert)
            connection.execute(says_of)

        database.persevere(enter)

    def taken_over(self) -> bool:
        """Tell whether others took our work over, since they found our lock free.

        The lock of a server goes with its connection; one that is lost is taken again. Whoever takes our work over holds
        the lock meanwhile and removes our line, so afterwards the line is what tells.

        Raises:
            DBAPIError: the database is away.
        """
        if not self.lock.held():
            self.lock.acquire()
        with self._database.reading() as connection:
            query = sa.select(sa.func.count()).where(executors.c.id == self.id)
            return connection.execute(query).scalar() == 0

    def leave(self) -> None:
        """Give the id back; what it left undone, others take over."""
        self.lock.release()


def take_over(queue: Queue, spool: Spool, own: str | None = None) -> list[str]:
    """Give the work of dead executors back to the queue, and return the ids of the workflows.

    An executor is dead when its lock is free. While its work is given back the lock is held, so that only one does it.

    Args:
        queue: of the jobs.
        spool: the folder of this machine.
        own: id of the executor that asks.
    """
    database = queue.database
    with database.reading() as connection:
        others = connection.execute(sa.select(executors.c.id).where(executors.c.id != (own or ""))).scalars()
        ids = set(others)
    # One that was taken over takes work until it notices: its line is gone then, and its work is there.
    ids |= queue.executors_at_work() - {own or ""}
    given = []
    for executor in ids:
        lock = lock_of(database, spool, executor)
        if not lock.acquire():
            continue
        try:
            for workflow in queue.executing(executor):
                queue.give_back(workflow, _queue_of(database, workflow.partition("#")[0]))
                given.append(workflow)

            def forget(connection: Connection, gone: str = executor) -> None:
                connection.execute(sa.delete(executors).where(executors.c.id == gone))
                connection.execute(sa.delete(workers).where(workers.c.executor == gone))

            database.persevere(forget)
        finally:
            lock.release()
    return given


def _queue_of(database: Database, job_id: str) -> str:
    with database.reading() as connection:
        query = sa.select(analyses.c.spool).where(analyses.c.id == job_id)
        return queue_name(connection.execute(query).scalar_one())


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep other processes from laying out the engine's tables.

    The lock is asked for again and again, not waited for: a statement that waits holds a snapshot, and the engine builds
    indexes concurrently, which waits for every older snapshot. Both would wait for ever.
    """
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(sa.text("SELECT pg_try_advisory_lock(7236216)")).scalar():
            time.sleep(0.05)
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(7236216)"))


def _quiet() -> None:
    """Keep the engine's own log to warnings; ours says what happens to jobs."""
    import logging

    logging.getLogger("dbos").setLevel(logging.WARNING)


def engine_config(database: Database, executor_id: str, slots: int) -> dict[str, Any]:
    """Return the settings under which a worker launches the engine."""
    server = (
        {} if database.address.file is not None else {"connect_args": connect_arguments(database.address)}
    )
    return {
        "db_engine_kwargs": server,
        "name": APPLICATION,
        "system_database_url": database.engine_url,
        "executor_id": executor_id,
        "application_version": VERSION,
        "sys_db_pool_size": slots + 3,
        "log_level": "WARNING",
        "console_log_level": "WARNING",
    }
