"""How a file becomes a job that somebody hands over: by a command, or by the API."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import AlreadyExists, InvalidData, NotFound
from corrida.inference.foreign_files import digest_of, plain_name
from corrida.inference.jobs import Job, Jobs
from corrida.inference.options import check_options
from corrida.inference.spool import SUFFIXES, Spool, check_id
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
        InvalidData: it is empty, too large, or cannot be read.
        InvalidName: the id is outside the grammar.
        AlreadyExists: the id is taken by another file.
        StoreError: the spool cannot be written.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {plain_name(path.name)}; name one to score")
    if not os.access(path, os.R_OK):
        raise InvalidData(f"{plain_name(path.name)} cannot be read: you have no rights to it")
    _check_size(path.stat().st_size, runner)
    staged = spool.stage_path()
    with explained("copying the file into the spool", "choose another with --spool"):
        try:
            # What grows while it is copied must not fill the disk.
            digest = digest_of(path, follow=True, copy=staged, most=runner.limits.max_bytes)
            _check_size(digest[0], runner)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        return submit_staged(
            runner,
            jobs,
            spool,
            staged,
            path.name,
            analysis_id=analysis_id,
            source=source,
            digest=digest,
            **more,
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
        check_options(runner, alias or runner.limits.alias, options or {})
        job = _described(
            Job(
                id=check_id(analysis_id) if analysis_id is not None else new_id(),
                spool=spool.id, status="queued", alias=alias or runner.limits.alias, file=plain_name(Path(name).name) or "file",
                suffix=_suffix(name), size=0, sha256="", staged=staged.name, source=source, client=client,
                webhook=webhook, options=msgspec.json.encode(dict(options or {}), order="sorted").decode(), created=time.time(),
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
