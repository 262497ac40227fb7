"""Files that people drop into ``pending``: taken once each, not while they are being written, and never one for another.

One that cannot be taken stops no other: it is refused into ``failed``, or left where it is, and the log says why once.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import AlreadyExists, InvalidName, NotFound
from corrida.inference.foreign_files import Stated, being_written, digest_of, plain_name, state_of
from corrida.inference.jobs import ENDED, Job, Jobs
from corrida.inference.problems import INVALID_FILE, Problem
from corrida.inference.spool import Spool, check_id, id_for
from corrida.inference.telemetry import log
from corrida.runs.files import fsync_dir, place_new

if TYPE_CHECKING:
    from corrida.inference.settings import Runner

EMPTY_SECONDS = 30.0
"""How long an empty file may wait to be filled."""
_AGAIN_SECONDS = 15.0


class Watcher:
    """Makes jobs of files that people drop into ``pending``, once each, and not while they are being written."""

    def __init__(self, runner: Runner, jobs: Jobs, spool: Spool) -> None:
        self._runner, self._jobs, self._spool = runner, jobs, spool
        self._seen: dict[str, tuple[Stated, float]] = {}
        self._left: dict[str, tuple[Stated, float]] = {}  # and until when nobody looks at it again
        self._said: dict[str, str] = {}

    def look(self) -> list[Job]:
        """Make jobs of the files that are new and complete, and return them."""
        made = []
        there = set()
        for path, why in self._spool.dropped():
            there.add(path.name)
            state = state_of(path)
            if state is None or self._is_left(path.name, state):
                continue
            try:
                job = self._look_at(path, state, why)
            except FileNotFoundError:
                continue  # a worker moved it meanwhile
            except OSError as error:
                self._leave(path, state, f"it cannot be taken: {error.strerror or error}", _AGAIN_SECONDS)
            except (AlreadyExists, UnicodeError) as error:
                self._leave(path, state, str(error))
            else:
                if job is not None:
                    made.append(job)
        tables: tuple[dict[str, Any], ...] = (self._seen, self._left, self._said)
        for table in tables:
            for name in table.keys() - there:
                table.pop(name)
        return made

    def _is_left(self, name: str, state: Stated) -> bool:
        before, until = self._left.get(name, (None, 0.0))
        return before == state and time.monotonic() < until

    def _leave(self, path: Path, state: Stated, why: str = "", seconds: float = math.inf) -> None:
        """Look at a file again when it has changed, or after a while; say once why it stays where it is."""
        self._left[path.name] = (state, time.monotonic() + seconds)
        if why and self._said.get(path.name) != why:
            self._said[path.name] = why
            log("left in pending", file=plain_name(path.name), message=why)

    def _look_at(self, path: Path, state: Stated, why: str) -> Job | None:
        limits = self._runner.limits
        if why:
            if why.startswith("it is") or self._settled(path, state, limits.settle_seconds):
                self._leave(path, state, why)
            return None
        wait = limits.settle_seconds if state.size else max(EMPTY_SECONDS, limits.settle_seconds)
        if not self._settled(path, state, wait):
            return None
        return self._take(path, state)

    def _settled(self, path: Path, state: Stated, wait: float) -> bool:
        """Tell whether nobody writes to a file any more.

        Where the system can say who has it open, a file that was closed is complete. Else, and for writers that close
        and open again, it must have been left alone for a while. One that was renamed into the folder keeps the time of
        its last change, and is taken at once.
        """
        if being_written(path):
            self._seen.pop(path.name, None)
            return False
        if time.time() - state.changed / 1e9 > wait:
            return True
        before, since = self._seen.get(path.name, (None, 0.0))
        if before != state:
            self._seen[path.name] = (state, time.monotonic())
            return wait <= 0
        return time.monotonic() - since >= wait

    def _take(self, path: Path, state: Stated) -> Job | None:
        job_id = self._id_of(path)
        if job_id is not None and self._is_known(job_id, path):
            self._leave(path, state)
            return None
        most = self._runner.limits.max_bytes
        if state.size == 0:
            self._refuse(path, state, job_id, "the file is empty; there is nothing to score")
            return None
        if state.size > most:
            self._refuse(path, state, job_id, f"the file is larger than {most:,} bytes; send it in parts")
            return None
        size, sha256 = digest_of(path, most=most)
        if state_of(path) != state:
            return None  # somebody wrote while we read
        job_id = job_id or id_for(path.name, sha256)
        if not _is_utf8(path.name):
            # No database and no JSON can hold such a name: the file goes by its id from here on.
            try:
                place_new(path, path.with_name(job_id + path.suffix.lower()))
            except FileExistsError:
                return None  # its twin is on the way
            path = path.with_name(job_id + path.suffix.lower())
        return self._add(path, job_id, size, sha256)

    def _id_of(self, path: Path) -> str | None:
        """Return the id that a name is, as far as it is one."""
        try:
            return check_id(path.stem)
        except InvalidName:
            return None

    def _is_known(self, job_id: str, path: Path) -> bool:
        """Tell whether a file of this name is that of a job which goes on."""
        try:
            job = self._jobs.get(job_id)
        except NotFound:
            return False
        return job.status not in ENDED and job.suffix == path.suffix

    def _job(self, path: Path, job_id: str, size: int, sha256: str) -> Job:
        job = Job(
            id=job_id, spool=self._spool.id, status="queued", alias=self._runner.limits.alias,
            file=plain_name(path.name), suffix=path.suffix.lower(), size=size, sha256=sha256, source="drop",
            created=time.time(),
        )  # fmt: skip
        if path.name != job.id + job.suffix and _is_utf8(path.name):
            # Under its own name it would be in nobody's way, but the worker looks for it under the id.
            job = msgspec.structs.replace(job, staged=f"../../pending/{path.name}")
        return job

    def _add(self, path: Path, job_id: str, size: int, sha256: str) -> Job | None:
        try:
            found, new = self._jobs.add(self._job(path, job_id, size, sha256))
        except AlreadyExists:
            other = id_for(path.name, sha256)
            if other == job_id:
                raise
            log(
                "renamed",
                file=plain_name(path.name),
                analysis=other,
                message="the id was taken by another file",
            )
            return self._add(path, other, size, sha256)
        if new:
            log("picked up", analysis=found.id, file=found.file, size=size)
            self._spool.place_input(found)
            return found
        # The same file again: it takes the place of its first copy, which holds the same bytes.
        place = self._spool.kept_path(found) if found.status in ENDED else self._spool.input_path(found)
        os.replace(path, place)  # noqa: PTH105
        log("repeated", analysis=found.id, file=plain_name(path.name), status=found.status)
        return None

    def _refuse(self, path: Path, state: Stated, job_id: str | None, why: str) -> None:
        """Make a job that has failed, without a look into the file: it goes to ``failed``, and everybody can see why."""
        tail = hashlib.sha256(os.fsencode(path.name) + repr(state).encode()).hexdigest()
        sha256 = "" if state.size else f"sha256:{hashlib.sha256().hexdigest()}"
        unqueued = Jobs(self._jobs.database, lambda *_: None)
        ids = [job_id] if job_id else []
        for one in (*ids, id_for(path.name, tail)):
            try:
                found, _ = unqueued.add(self._job(path, one, state.size, sha256))
            except AlreadyExists:
                continue
            break
        else:
            raise AlreadyExists(f"the id of {plain_name(path.name)} is taken by another file")
        # Killed here, the job is found as one that nobody works at; the child that gets it refuses it, too.
        place = self._spool.input_path(found)
        if path != place:
            os.replace(path, place)  # noqa: PTH105
            fsync_dir(place.parent)
        self._jobs.settle(found, "failed", Problem(code=INVALID_FILE, message=why))
        settled = self._jobs.get(found.id)
        self._spool.publish(settled)
        self._jobs.finish(settled)
        log("refused", analysis=found.id, file=found.file, size=state.size, message=why)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
