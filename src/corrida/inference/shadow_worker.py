"""The part of a worker that lets a second run score what was processed, in a child of its own that stands back behind all others."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from corrida.errors import CorridaError
from corrida.inference.children import Children
from corrida.inference.models import resolve_model
from corrida.inference.problems import FILE_LOST, MODEL_DAMAGED, NO_MODEL, Failed, Problem, problem_of
from corrida.inference.protocol import Against, Score
from corrida.inference.retry import Retries, wait_before_next
from corrida.inference.shadow import MOST_CLAIMS, Shadow, Shadows
from corrida.inference.shadow_difference import DIFFERENCE, DIFFERENCE_ROWS
from corrida.inference.telemetry import log
from corrida.runs.files import fsync_dir, make_folder, safe_join

if TYPE_CHECKING:
    from corrida.inference.database import Database
    from corrida.inference.jobs import Job
    from corrida.inference.models import Model
    from corrida.inference.service import Service
    from corrida.inference.settings import Runner
    from corrida.inference.spool import Spool

LOOK_SECONDS = 0.5
IDLE_SECONDS = 60.0
FOLDER = "shadow"
_NICE = 19


def plan_shadow(runner: Runner, database: Database, job: Job, model: Model) -> None:
    """Write down which run is the shadow of an analysis that was just claimed; whatever fails, the analysis goes on.

    A shadow that is the very run which answers is none.
    """
    reference = runner.limits.shadow or ""
    found: Model | Problem
    try:
        try:
            found = resolve_model(runner.store, reference)
        except (CorridaError, OSError) as error:
            found = Problem(code=NO_MODEL, message=problem_of(error, hide=(runner.store,)).message)
        if isinstance(found, Problem):
            log("shadow failed", analysis=job.id, shadow=reference, code=found.code, message=found.message)
        elif found.digest == model.digest:
            return
        Shadows(database).plan(job, reference, found)
    except Exception as error:  # noqa: BLE001 - a shadow never fails its analysis
        log("shadow not planned", analysis=job.id, shadow=reference, error=str(error).partition("\n")[0])


class ShadowWorker:
    """A thread that compares, one file after another, while a slot of its worker is free.

    It has one child, with the lowest priority, which ends when there was nothing to do for a minute.
    """

    def __init__(self, runner: Runner, service: Service, main: Children, executor: str) -> None:
        """Prepare; :meth:`start` begins.

        Args:
            runner: places and limits.
            service: jobs, spool and database.
            main: the children of the worker, which come first.
            executor: id of the worker.
        """
        self._runner, self._main, self._executor = runner, main, executor
        self._jobs, self._spool = service.jobs, service.spool
        memory = (runner.limits.memory_mb or 0) * 1024 * 1024
        self._children = Children(1, runner.root, runner.limits.shadow_time_limit, memory, nice=_NICE)
        self._shadows = Shadows(service.database, self._children.closing)
        self._thread = threading.Thread(target=self._keep, name="corrida-shadow", daemon=True)

    def start(self) -> None:
        """Begin to compare."""
        self._thread.start()

    def stop(self) -> None:
        """End at once: what is being scored is done by the next worker that has a shadow."""
        self._children.kill_all()

    def _keep(self) -> None:
        last = time.monotonic()
        while not self._children.closing.wait(LOOK_SECONDS):
            try:
                while self._main.idle() and self._one():
                    last = time.monotonic()
            except Exception as error:  # noqa: BLE001 - it is looked at again; the worker goes on
                log("shadow waits", error=str(error).partition("\n")[0], kind=type(error).__name__)
            if time.monotonic() - last > IDLE_SECONDS:
                self._children.close_idle()

    def _one(self) -> bool:
        """Compare the file that has waited longest, and tell whether there was one."""
        token = uuid.uuid4().hex
        shadow = self._shadows.claim(self._spool.id, self._executor, token)
        if shadow is None:
            return False
        if shadow.status == "settled":  # by a worker that was killed before it moved the files
            self._publish(shadow)
            return True
        try:
            settled = self._score(shadow, self._jobs.get(shadow.analysis))
        except Failed as failure:
            self._not_compared(shadow, failure.problem)
        except (CorridaError, OSError) as error:
            self._not_compared(shadow, problem_of(error, hide=(self._runner.store, self._spool.root)))
        else:
            if settled is not None:
                self._publish(settled)
                return True
        self._spool.drop_work(shadow.analysis, token)
        return True

    def _score(self, shadow: Shadow, job: Job) -> Shadow | None:
        if shadow.claims > MOST_CLAIMS:
            raise Failed(Problem(code="poison", message=f"it was started {MOST_CLAIMS} times without an end"))
        model = resolve_model(self._runner.store, shadow.run_id or "")
        if model.digest != shadow.run_digest:
            raise Failed(
                Problem(code=MODEL_DAMAGED, message=f"the run {model.run_id} is not the one of before")
            )
        file = self._spool.kept_path(job)
        if not file.exists():
            raise Failed(Problem(code=FILE_LOST, message="the file is no longer in the spool"))
        limits = self._runner.limits
        request = Score(
            file=str(file), sha256=job.sha256, work=str(self._spool.work_folder(job.id, shadow.claim or "")),
            stamp={
                "analysis_id": job.id, "status": "shadow",
                "production": {"id": job.run_id, "digest": job.run_digest, "pipeline": job.pipeline, "alias": job.alias},
                "run": {
                    "id": model.run_id, "digest": model.digest, "pipeline": model.pipeline,
                    "reference": shadow.reference,
                },
                "input": {"file": job.file, "size": job.size, "sha256": job.sha256},
            },
            options=msgspec.json.decode(job.options), max_bytes=limits.max_bytes, max_rows=limits.max_rows,
            inline_rows=0,
            against=Against(
                rows=str(self._spool.processed / f"{job.id}.parquet"), sha256=job.result_sha256 or ""
            ),
        )  # fmt: skip
        scored = self._children.score(model, request, lambda _: None)
        rows, differ = scored.report["rows"], scored.report["differ"]
        summary = msgspec.json.encode(scored.report).decode()
        settled = self._shadows.settle(shadow, rows, differ, summary)
        return msgspec.structs.replace(shadow, rows=rows, differ=differ) if settled else None

    def _publish(self, shadow: Shadow) -> None:
        """Show the difference, repeatedly after kills; the JSON file last, as of results."""
        folder = folder_of(self._spool)
        make_folder(folder)
        work = safe_join(self._spool.work, f"{shadow.analysis}.{shadow.claim}")
        for name, target in ((DIFFERENCE_ROWS, ".parquet"), (DIFFERENCE, ".json")):
            with contextlib.suppress(FileNotFoundError):
                os.replace(work / name, safe_join(folder, shadow.analysis + target))  # noqa: PTH105
        fsync_dir(folder)
        if self._shadows.finish(shadow):
            log(
                "compared",
                analysis=shadow.analysis,
                shadow=shadow.run_id,
                rows=shadow.rows,
                differ=shadow.differ,
            )
        self._spool.drop_work(shadow.analysis, shadow.claim or "")

    def _not_compared(self, shadow: Shadow, problem: Problem) -> None:
        limits = self._runner.limits
        policy = Retries(limits.attempts, limits.retry_seconds, limits.retry_most_seconds)
        wait = wait_before_next(problem, shadow.tries + 1, policy, random.random())  # noqa: S311 - jitter
        log(
            "shadow failed", analysis=shadow.analysis, shadow=shadow.run_id, code=problem.code,
            message=problem.message, again_in=None if wait is None else round(wait, 3),
            detail=problem.detail or None,
        )  # fmt: skip
        if wait is None:
            self._shadows.fail(shadow, problem)
        else:
            self._shadows.again(shadow, problem, wait)


def folder_of(spool: Spool) -> Path:
    """Return the folder of the differences."""
    return spool.root / FOLDER
