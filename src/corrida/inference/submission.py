"""How a file becomes a job: by a command, by the API, or dropped into ``pending`` by hand."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import AlreadyExists, InvalidData, InvalidName, NotFound
from corrida.inference.jobs import ENDED, Job, Jobs
from corrida.inference.spool import (
    SUFFIXES,
    Spool,
    Stated,
    being_written,
    check_id,
    digest_of,
    id_for,
    state_of,
)
from corrida.inference.telemetry import log
from corrida.runs.files import explained, fsync_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.inference.settings import Runner


def new_id() -> str:
    """Return an id for an analysis that was given none; ids sort by time."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"


def submit_file(
    runner: Runner,
    jobs: Jobs,
    spool: Spool,
    path: Path,
    *,
    analysis_id: str | None = None,
    source: str = "submit",
    **more: Any,
) -> tuple[Job, bool]:
    """Copy a file into the spool and make a job of it; when this returns, no kill loses it.

    Args:
        runner: its limits.
        jobs: where the job goes.
        spool: where the file goes.
        path: the file, which stays.
        analysis_id: its id; a new one when None.
        source: how it came.
        more: ``client``, ``webhook``, ``options``, ``alias`` of the job.

    Returns:
        The job, and whether it is new.

    Raises:
        NotFound: there is no such file.
        InvalidData: it is empty, too large, or none that can be scored.
        InvalidName: the id is outside the grammar.
        AlreadyExists: the id is taken by another file.
        StoreError: the spool cannot be written.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path.name}; name one to score")
    if path.stat().st_size > runner.limits.max_bytes:
        _too_large(runner)
    staged = spool.stage_path()
    with explained("copying the file into the spool", "choose another with --spool"):
        try:
            shutil.copyfile(path, staged)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        return submit_staged(
            runner, jobs, spool, staged, path.name, analysis_id=analysis_id, source=source, **more
        )


def submit_staged(
    runner: Runner,
    jobs: Jobs,
    spool: Spool,
    staged: Path,
    name: str,
    *,
    analysis_id: str | None = None,
    source: str = "api",
    alias: str | None = None,
    client: str | None = None,
    webhook: str | None = None,
    options: Mapping[str, Any] | None = None,
    digest: tuple[int, str] | None = None,
) -> tuple[Job, bool]:
    """Make a job of a file that was written to :meth:`Spool.stage_path`; see :func:`submit_file`.

    The order makes a kill harmless: the file is durable, then the job and its place on the queue are one commit, then the
    file shows up in ``pending``, which the worker does too where this process was killed in between. ``digest`` is size and
    SHA-256 of the file, where it is known.
    """
    try:
        job = _described(
            Job(
                id=check_id(analysis_id) if analysis_id is not None else new_id(),
                spool=spool.id, status="queued", alias=alias or runner.limits.alias, file=Path(name).name or "file",
                suffix=_suffix(name), size=0, sha256="", staged=staged.name, source=source, client=client,
                webhook=webhook, options=msgspec.json.encode(dict(options or {})).decode(), created=time.time(),
            ),
            staged, digest, runner,
        )  # fmt: skip
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    try:
        found, new = jobs.add(job)
    except AlreadyExists:
        staged.unlink(missing_ok=True)
        raise
    # From here on an interruption must leave the file alone: the job may have been committed.
    if new:
        with contextlib.suppress(OSError):  # the worker does it as well
            spool.place_input(found)
    else:
        staged.unlink(missing_ok=True)
    return found, new


def _described(job: Job, staged: Path, digest: tuple[int, str] | None, runner: Runner) -> Job:
    """Make the staged file durable, and return the job with its size and digest."""
    fd = os.open(staged, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    fsync_dir(staged.parent)
    size, sha256 = digest or digest_of(staged)
    _check_size(size, runner)
    return msgspec.structs.replace(job, size=size, sha256=sha256)


def _suffix(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if suffix in SUFFIXES else ".csv"


def _check_size(size: int, runner: Runner) -> None:
    if size == 0:
        raise InvalidData("the file is empty; there is nothing to score")
    if size > runner.limits.max_bytes:
        _too_large(runner)


def _too_large(runner: Runner) -> None:
    raise InvalidData(f"the file is larger than {runner.limits.max_bytes:,} bytes; send it in parts")


class Watcher:
    """Makes jobs of files that people drop into ``pending``, once each, and not while they are being written."""

    def __init__(self, runner: Runner, jobs: Jobs, spool: Spool) -> None:
        self._runner, self._jobs, self._spool = runner, jobs, spool
        self._seen: dict[str, tuple[Stated, float]] = {}
        self._known: dict[str, Stated] = {}

    def look(self) -> list[Job]:
        """Make jobs of the files that are new and complete, and return them."""
        made = []
        there = set()
        for path in self._spool.dropped():
            there.add(path.name)
            with contextlib.suppress(FileNotFoundError):  # a worker moved it meanwhile
                state = state_of(path)
                if state is None or self._known.get(path.name) == state or not self._settled(path, state):
                    continue
                job = self._take(path, state)
                if job is not None:
                    made.append(job)
        for table in (self._seen, self._known):
            for name in table.keys() - there:
                table.pop(name)
        return made

    def _settled(self, path: Path, state: Stated) -> bool:
        """Tell whether nobody writes to a file any more.

        Where the system can say who has it open, a file that was closed is complete. Else, and for writers that close
        and open again, it must have been left alone for a while. One that was renamed into the folder keeps the time of
        its last change, and is taken at once.
        """
        if state.size == 0 or being_written(path):
            self._seen.pop(path.name, None)
            return False
        wait = self._runner.limits.settle_seconds
        if time.time() - state.changed / 1e9 > wait:
            return True
        before, since = self._seen.get(path.name, (None, 0.0))
        if before != state:
            self._seen[path.name] = (state, time.monotonic())
            return wait <= 0
        return time.monotonic() - since >= wait

    def _take(self, path: Path, state: Stated) -> Job | None:
        name = path.name
        stem, suffix = path.stem, path.suffix.lower()
        try:
            job_id: str | None = check_id(stem)
        except InvalidName:
            job_id = None
        if job_id is not None and suffix == path.suffix and self._is_known(job_id, path):
            self._known[name] = state
            return None
        size, sha256 = digest_of(path)
        if state_of(path) != state:
            return None  # somebody wrote while we read
        if size > self._runner.limits.max_bytes:
            log("refused", file=name, message="the dropped file is larger than max_bytes")
            self._known[name] = state
            return None
        return self._add(path, job_id or id_for(name, sha256), size, sha256)

    def _is_known(self, job_id: str, path: Path) -> bool:
        """Tell whether a file of this name is that of a job which goes on."""
        try:
            job = self._jobs.get(job_id)
        except NotFound:
            return False
        return job.status not in ENDED and job.suffix == path.suffix

    def _add(self, path: Path, job_id: str, size: int, sha256: str) -> Job | None:
        job = Job(
            id=job_id, spool=self._spool.id, status="queued", alias=self._runner.limits.alias, file=path.name,
            suffix=path.suffix.lower(), size=size, sha256=sha256, source="drop", created=time.time(),
        )  # fmt: skip
        if path.name != job.id + job.suffix:
            # Under its own name it would be in nobody's way, but the worker looks for it under the id.
            job = msgspec.structs.replace(job, staged=f"../../pending/{path.name}")
        try:
            found, new = self._jobs.add(job)
        except AlreadyExists:
            other = id_for(path.name, sha256)
            if other == job.id:
                raise
            log("renamed", file=path.name, analysis=other, message="the id was taken by another file")
            return self._add(path, other, size, sha256)
        if new:
            log("picked up", analysis=found.id, file=path.name, size=size)
            self._spool.place_input(found)
            return found
        # The same file again: it takes the place of its first copy, which holds the same bytes.
        folder = {"processed": self._spool.processed}.get(found.status, self._spool.failed)
        place = (folder if found.status in ENDED else self._spool.pending) / (found.id + found.suffix)
        os.replace(path, place)  # noqa: PTH105
        log("repeated", analysis=found.id, file=path.name, status=found.status)
        return None
