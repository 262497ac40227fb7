"""A worker: one process that takes jobs from the queue, with a child for each slot."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from sqlalchemy.exc import DBAPIError

from corrida.errors import DatabaseError
from corrida.inference.billing import BillingGateway, Ledger
from corrida.inference.billing_http import gateway_of
from corrida.inference.children import Children
from corrida.inference.collector import Collector
from corrida.inference.preload import Preloader
from corrida.inference.queue import Executor, engine_config, queue_name, take_over, workflow_id
from corrida.inference.readiness import tell
from corrida.inference.service import Service
from corrida.inference.shadow import Shadows
from corrida.inference.shadow_worker import ShadowWorker
from corrida.inference.telemetry import log
from corrida.inference.watcher import Watcher
from corrida.inference.workflow import Steps, register

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from corrida.inference.settings import Runner

TAKE_OVER_SECONDS = 1.0
LOST_SECONDS = 20.0
SWEEP_SECONDS = 3600.0
GRACE_SECONDS = 20.0
_BILLING_SECONDS = 5.0
_FOREVER = 10**9
_PAUSE_SECONDS = 2.0
_AGAIN = "CORRIDA_WORKER_BEGINS_ANEW"


class Worker:
    """Takes jobs until it is told to stop. One a process: the job engine knows no other way."""

    def __init__(
        self, runner: Runner, *, gateway: BillingGateway | None = None, executor_id: str | None = None
    ) -> None:
        """Open everything; nothing is taken yet.

        Args:
            runner: places and limits.
            gateway: what is told of the charges of the ledger; that of the settings when None.
            executor_id: an id of one's own; a new one when None.

        Raises:
            Refused: a live worker has that id.
            InvalidConfig: the gateway of the settings cannot be used.
        """
        limits = runner.limits
        gateway = gateway or gateway_of(limits)
        self.service = Service(runner)
        self.runner = runner
        self.executor = Executor(self.service.database, self.service.spool, executor_id)
        memory = (limits.memory_mb or 0) * 1024 * 1024
        self.children = Children(limits.slots, runner.root, limits.time_limit, memory)
        self.shadow = (
            ShadowWorker(runner, self.service, self.children, self.executor.id) if limits.shadow else None
        )
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._steps = Steps(
            runner, self.service.jobs, self.service.spool, self.children,
            Ledger(self.service.database, onward=gateway is not None), self.executor.id,
        )  # fmt: skip
        self.collector = None if gateway is None else Collector(self.service.database, gateway)
        register(self._steps)
        self._idle: set[str] = set()

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; a second one, or 20 seconds, ends what still runs.

        What is ended so is not lost: it goes back to the queue, and its try does not count.

        Returns:
            The exit code; it is not returned while a job still runs, the process then ends at once.
        """
        from dbos import DBOS

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        # What the kernel says to who holds a lease on a file that is opened for writing; see foreign_files.being_written.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        service, limits = self.service, self.runner.limits
        taken = take_over(service.queue, service.spool, self.executor.id)
        service.queue.declare(service.spool.id, limits.slots, limits.poll_seconds)
        DBOS(config=engine_config(service.database, self.executor.id, limits.slots))  # type: ignore[arg-type]
        logging.getLogger("dbos").setLevel(logging.ERROR)
        DBOS.listen_queues([queue_name(service.spool.id)])
        DBOS.launch()
        log("started", executor=self.executor.id, slots=limits.slots, pid=os.getpid(), taken_over=len(taken))
        alias = limits.alias
        Preloader(
            self.runner,
            self.children,
            lambda run, why: tell(service.database, self.executor.id, alias, run, why),
        ).start()
        if self.shadow is not None:
            self.shadow.start()
        if self.collector is not None:
            self.collector.start()
        self._attend()
        return self._end()

    def stop(self) -> None:
        """Ask the worker to stop, as SIGTERM does."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stop()

    def _attend(self) -> None:
        """Look after the spool and the other workers, until told to stop."""
        watcher = Watcher(self.runner, self.service.jobs, self.service.spool)
        look = max(self.runner.limits.poll_seconds, 0.1)
        duties: list[tuple[float, Callable[[], None]]] = [
            (look, lambda: _ignore(watcher.look())),
            (TAKE_OVER_SECONDS, self._mind_the_others),
            (LOST_SECONDS, self._find_lost),
            (SWEEP_SECONDS, self._sweep),
        ]
        due = [time.monotonic() + (seconds if seconds > 10 else 0) for seconds, _ in duties]
        while not self._stop.wait(max(0.0, min(due) - time.monotonic())):
            for number, (seconds, duty) in enumerate(duties):
                if time.monotonic() < due[number]:
                    continue
                try:
                    duty()
                except Exception as error:  # noqa: BLE001 - the jobs that run must not end for it
                    log("duty failed", error=str(error).partition("\n")[0], kind=type(error).__name__)
                due[number] = time.monotonic() + seconds

    def _mind_the_others(self) -> None:
        if self.executor.taken_over():
            # Others have our work, and our id is used up: begin anew under another.
            log("taken over", executor=self.executor.id)
            self.children.kill_all()
            if self.shadow is not None:
                self.shadow.stop()
            _begin_anew()
        for workflow in take_over(self.service.queue, self.service.spool, self.executor.id):
            log("took over", analysis=workflow.partition("#")[0], executor=self.executor.id)

    def _find_lost(self) -> None:
        """Put jobs back on the queue that no workflow works at: the engine gave up on one, or lost it."""
        self._find_dropped()
        self.service.queue.bound_delays(self.service.spool.id, self.runner.limits.retry_most_seconds)
        old = time.time() - LOST_SECONDS
        jobs = [job for job in self.service.jobs.unfinished(self.service.spool.id) if job.created < old]
        left = self.service.queue.left([workflow_id(job.id, job.attempt) for job in jobs])
        for job in jobs:
            if workflow_id(job.id, job.attempt) in left and self.service.jobs.requeue(job):
                log("requeued", analysis=job.id)

    def _find_dropped(self) -> None:
        """Put workflows back on the queue that are ours, and that no thread has executed at two looks in a row.

        The engine lets go of one when it cannot write down that a step is done, as on a disk that is full for a moment.
        """
        queue = self.service.queue
        idle = set(queue.executing(self.executor.id)) - self._steps.working
        for workflow in idle & self._idle:
            queue.give_back(workflow, queue_name(self.service.spool.id))
            log("requeued", analysis=workflow.partition("#")[0])
        self._idle = idle - self._idle

    def _sweep(self) -> None:
        live = set()
        for job in self.service.jobs.unfinished(self.service.spool.id):
            live |= {f"{job.id}.{job.claim}", f"{job.id}.{job.winner}", job.staged or ""}
        live |= Shadows(self.service.database).live(self.service.spool.id)
        self.service.spool.sweep(live)

    def _end(self) -> int:
        """Take no more jobs, wait for those that run, and end."""
        from dbos import DBOS

        log("stopping", executor=self.executor.id)
        if self.shadow is not None:
            self.shadow.stop()  # what it leaves undone, the next worker with a shadow does
        done = threading.Event()

        def drain() -> None:
            DBOS.destroy(workflow_completion_timeout_sec=_FOREVER)
            done.set()

        threading.Thread(target=drain, daemon=True).start()
        end = time.monotonic() + GRACE_SECONDS
        while not done.wait(0.1) and not self._hurry.is_set() and time.monotonic() < end:
            pass
        self.children.kill_all()
        if self.collector is not None:
            self.collector.stop(_BILLING_SECONDS)
        log("stopped", executor=self.executor.id, drained=done.is_set())
        self.executor.leave()
        if not done.is_set():
            os._exit(0)  # threads wait for children that are gone; what they did is not written down
        self.children.close()
        self.service.close()
        return 0


def work(runner: Runner) -> int:
    """Be a worker until SIGTERM or SIGINT, and return the exit code.

    Raises:
        CorridaError: it cannot begin. One that begins anew waits for a database that is away.
    """
    again = os.environ.pop(_AGAIN, None) is not None
    try:
        return Worker(runner).run()
    except (DatabaseError, DBAPIError) as error:
        if not again:
            raise
        log("waiting", step="begin", error=str(error).partition("\n")[0], seconds=_PAUSE_SECONDS)
    time.sleep(_PAUSE_SECONDS)
    return _begin_anew()


def _begin_anew() -> NoReturn:
    os.environ[_AGAIN] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _ignore(value: object) -> None:
    del value
