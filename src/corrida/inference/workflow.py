"""What happens to an analysis, step by step. A step that a kill interrupts is done again, so each may be done twice.

``infer`` scores in a child, makes the results durable and settles how the job ends; ``publish`` moves the files; ``charge``
charges. After a kill the engine gives the workflow to another worker, which skips the steps that were completed.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy.exc import DBAPIError

from corrida.errors import CorridaError
from corrida.inference.billing import BillingGateway, charge_of
from corrida.inference.jobs import ENDED, MOST_CLAIMS, Job, Jobs
from corrida.inference.models import Model, resolve_model
from corrida.inference.problems import CANCELLED, FILE_LOST, Failed, Problem, problem_of
from corrida.inference.protocol import Score, Scored
from corrida.inference.queue import WORKFLOW, workflow_id
from corrida.inference.report_text import unit_of
from corrida.inference.retry import Retries, wait_before_next
from corrida.inference.shadow_worker import plan_shadow
from corrida.inference.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from corrida.inference.children import Children
    from corrida.inference.settings import Runner
    from corrida.inference.spool import Spool

T = TypeVar("T")
_LONGEST_PAUSE = 30.0
SUPERSEDED = "superseded"


class Steps:
    """The steps of the workflow, for one worker."""

    def __init__(
        self,
        runner: Runner,
        jobs: Jobs,
        spool: Spool,
        children: Children,
        gateway: BillingGateway,
        executor: str,
    ) -> None:
        self._runner, self._jobs, self._spool = runner, jobs, spool
        self._children, self._gateway, self._executor = children, gateway, executor
        self._stopping = children.closing
        self.working: set[str] = set()
        """Ids of the workflows that a thread of this process executes."""

    @contextlib.contextmanager
    def at_work(self, workflow: str) -> Iterator[None]:
        """Tell for the length of a block that a thread executes a workflow."""
        self.working.add(workflow)
        try:
            yield
        finally:
            self.working.discard(workflow)

    # -- infer ----------------------------------------------------------------------------------------------

    def infer(self, job_id: str, attempt: int) -> str:
        """Try once to score a job and decide what becomes of it; return a word for the engine's record."""
        token = uuid.uuid4().hex
        job = self._jobs.claim(job_id, attempt, token, self._executor)
        if job is None:
            return "not ours"
        log("claimed", analysis=job.id, attempt=job.attempt, claim=job.claims, executor=self._executor)
        try:
            _refuse_hopeless(job)
            scored, job = self._score(job, token)
        except Failed as failure:
            problem = failure.problem
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must come to an end
            import traceback

            problem = problem_of(
                error, detail=traceback.format_exc(), hide=(self._runner.store, self._spool.root)
            )
        else:
            result = {
                "rows": scored.rows, "scored": scored.scored, "result_sha256": scored.sha256,
                "report": msgspec.json.encode(scored.report).decode(), "progress": scored.rows,
                "code": None, "message": None,
            }  # fmt: skip
            return "scored" if self._jobs.settle(job, "processed", None, result) else SUPERSEDED
        self._spool.drop_work(job.id, token)
        return self._not_scored(job, problem)

    def _score(self, job: Job, token: str) -> tuple[Scored, Job]:
        model, job = self._model(job)
        file = self._spool.place_input(job)
        if file is None:
            raise Failed(Problem(code=FILE_LOST, message="the file is no longer in the spool", may_pass=True))
        limits = self._runner.limits
        request = Score(
            file=str(file), sha256=job.sha256, work=str(self._spool.work_folder(job.id, token)),
            stamp={
                "analysis_id": job.id, "status": "processed",
                "run": {"id": model.run_id, "digest": model.digest, "alias": job.alias, "pipeline": model.pipeline},
                "input": {"file": job.file, "size": job.size, "sha256": job.sha256},
            },
            options=msgspec.json.decode(job.options), max_bytes=limits.max_bytes, max_rows=limits.max_rows,
            inline_rows=limits.inline_rows,
        )  # fmt: skip
        began = time.monotonic()
        scored = self._children.score(model, request, self._watch(job))
        log(
            "scored", analysis=job.id, run=model.run_id, rows=scored.rows, seconds=round(scored.seconds, 3),
            waited=round(time.monotonic() - began - scored.seconds, 3),
        )  # fmt: skip
        return scored, job

    def _model(self, job: Job) -> tuple[Model, Job]:
        """Return the run that scores this job: the one it had from its first claim on, else that of the alias now."""
        model = resolve_model(self._runner.store, job.run_id or f"@{job.alias}")
        if job.run_id is None and self._runner.limits.shadow is not None:
            plan_shadow(self._runner, self._jobs.database, job, model)
        found = self._jobs.set_model(job, model.run_id, model.digest, model.pipeline)
        if found is None:
            raise Failed(Problem(code=SUPERSEDED, message="another worker has taken it over"))
        return model, found

    def _watch(self, job: Job) -> Callable[[int | None], str | None]:
        def look(progress: int | None) -> str | None:
            try:
                return self._jobs.watch(job, progress)
            except DBAPIError:
                return None  # the database is away; the child goes on meanwhile

        return look

    def _not_scored(self, job: Job, problem: Problem) -> str:
        log(
            "failed", analysis=job.id, run=job.run_id, code=problem.code, message=problem.message,
            may_pass=problem.may_pass, attempt=job.attempt, detail=problem.detail or None,
        )  # fmt: skip
        if problem.code == SUPERSEDED:
            return SUPERSEDED
        if problem.code == CANCELLED:
            self._jobs.settle(job, "cancelled", problem)
            return CANCELLED
        limits = self._runner.limits
        policy = Retries(limits.attempts, limits.retry_seconds, limits.retry_most_seconds)
        wait = wait_before_next(problem, job.tries + 1, policy, random.random())  # noqa: S311 - jitter
        if wait is not None:
            self._jobs.again(job, problem, wait)
            return "again"
        if problem.detail:
            self._spool.note_detail(job.id, problem.detail)
        counted = msgspec.structs.replace(job, tries=job.tries + 1)
        self._jobs.settle(counted, "failed", problem, {"tries": job.tries + 1})
        return "failed"

    # -- publish and charge ---------------------------------------------------------------------------------

    def publish(self, job_id: str) -> str:
        """Move the files of a settled job, then say that it has ended."""

        def work() -> str:
            job = self._jobs.get(job_id)
            if job.outcome is None or job.status in ENDED:
                return job.status
            self._spool.publish(job)
            if self._jobs.finish(job):
                log(
                    job.outcome, analysis=job.id, run=job.run_id, rows=job.rows, code=job.code,
                    seconds=round(time.time() - job.created, 3),
                )  # fmt: skip
            return job.outcome

        return self._until_done("publish", job_id, work)

    def charge(self, job_id: str) -> str:
        """Charge a job that succeeded and was not charged yet."""

        def work() -> str:
            job = self._jobs.get(job_id)
            if job.status != "processed" or job.charged is not None or job.scored is None:
                return "nothing"
            price = self._runner.limits.unit_price
            self._gateway.record(charge_of(job.id, job.scored, price, job.run_id, job.client))
            self._jobs.set_charged(job)
            return "charged"

        return self._until_done("charge", job_id, work)

    def _until_done(self, step: str, job_id: str, work: Callable[[], T]) -> T:
        """Repeat a step that the disk, the database or the gateway lets down: a settled job must come to its end."""
        pause = 0.1
        while True:
            try:
                return work()
            except (OSError, DBAPIError, CorridaError, RuntimeError) as error:
                log("waiting", analysis=job_id, step=step, error=str(error).splitlines()[0], seconds=pause)
                if self._stopping.is_set():
                    threading.Event().wait()  # others take it over
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


_POISON = Problem(
    code="poison",
    message=f"work on it was started {MOST_CLAIMS} times without an end; it may take its workers down with it",
)


def _refuse_hopeless(job: Job) -> None:
    if job.claims > MOST_CLAIMS:
        raise Failed(_POISON)
    if job.cancel:
        raise Failed(Problem(code=CANCELLED, message="it was cancelled"))


def register(steps: Steps) -> Callable[[str, int], str]:
    """Register the workflow with the job engine, before it is launched."""
    from dbos import DBOS

    # Without a limit of the engine's own: claims are counted in the job, where people see them.
    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
    def analyse(job_id: str, attempt: int) -> str:
        with steps.at_work(workflow_id(job_id, attempt)):
            DBOS.run_step({"name": "infer"}, steps.infer, job_id, attempt)
            ended = DBOS.run_step({"name": "publish"}, steps.publish, job_id)
            DBOS.run_step({"name": "charge"}, steps.charge, job_id)
        return ended

    return analyse


def results_of(spool: Spool, job: Job) -> Path:
    """Return where the rows of a processed job are."""
    return spool.processed / f"{job.id}.parquet"


def describe(job: Job) -> dict[str, Any]:
    """Return what a person or a program may know of a job."""
    shown = {
        "id": job.id, "status": job.status, "file": job.file, "size": job.size, "sha256": job.sha256,
        "source": job.source, "created": job.created, "started": job.started, "ended": job.ended,
        "attempt": job.tries + (job.status not in {"queued", "failed"}), "run": job.run_id,
        "run_digest": job.run_digest, "pipeline": job.pipeline, "alias": job.alias, "rows": job.rows,
        "scored": job.scored, "unit": unit_of(job.report), "progress": job.progress, "charged": job.charged,
        "cancelling": (job.cancel and job.status not in ENDED) or None,
        "error": {"code": job.code, "message": job.message} if job.code else None,
    }  # fmt: skip
    return {key: value for key, value in shown.items() if value is not None}
