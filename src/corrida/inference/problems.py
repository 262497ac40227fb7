"""Why an analysis did not succeed: a code and a sentence for everybody, and details for whoever runs the worker."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import msgspec

from corrida.errors import (
    AliasNotFound,
    BadInput,
    CorridaError,
    DamagedRun,
    EndpointFailed,
    MissingExtra,
    NotFound,
    PipelineFailed,
    PipelineNotFound,
    Refused,
    StoreError,
)

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN}
_PATH = re.compile(r"(?<![\w.])(?:/[\w.@ +~-]+){2,}/?")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why an analysis did not succeed.

    Attributes:
        code: for programs, such as ``invalid_file``.
        message: one sentence without a path, a traceback or a name of our code.
        may_pass: it is worth another try.
        detail: traceback or last words of the process; never leaves the machine.
    """

    code: str
    message: str
    may_pass: bool = False
    detail: str = ""


class Failed(Exception):
    """An analysis did not succeed.

    Attributes:
        problem: why.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


TIME_LIMIT = "time_limit"
CANCELLED = "cancelled"
NO_MODEL = "no_model"
MODEL_DAMAGED = "model_damaged"
INVALID_FILE = "invalid_file"
FILE_LOST = "file_lost"
FILE_CHANGED = "file_changed"
PROCESS_DIED = "process_died"
STORAGE = "storage"
INTERNAL = "internal"


def problem_of(error: BaseException, *, detail: str = "", hide: tuple[Path, ...] = ()) -> Problem:
    """Say of an error what everybody may know, and whether it is worth another try.

    Args:
        error: what was raised while a model was loaded or a file scored.
        detail: the traceback.
        hide: paths whose names must not be told; the file name that stays is its last part.
    """
    code, may_pass = _code(error)
    if code == INTERNAL:
        message = "the model raised an error that nobody foresaw; the log of the worker says more"
    else:
        message = public(str(error), hide)
    return Problem(code=code, message=message, may_pass=may_pass, detail=detail or repr(error))


def _code(error: BaseException) -> tuple[str, bool]:  # noqa: PLR0911 - a table
    if isinstance(error, AliasNotFound | NotFound) and not isinstance(error, PipelineNotFound):
        return NO_MODEL, True  # somebody may be about to promote or to copy it
    if isinstance(error, DamagedRun | Refused):
        return MODEL_DAMAGED, False
    if isinstance(error, MissingExtra | PipelineNotFound):
        return "not_installed", False
    if isinstance(error, BadInput):
        return INVALID_FILE, False
    if isinstance(error, EndpointFailed):
        return "service_unavailable", True
    if isinstance(error, PipelineFailed):
        return "model_failed", False
    if isinstance(error, StoreError):
        cause = error.__cause__
        return STORAGE, not isinstance(cause, OSError) or cause.errno in _PASSING
    if isinstance(error, CorridaError):
        return "model_failed", False
    if isinstance(error, MemoryError):
        return "out_of_memory", True
    if isinstance(error, OSError):
        return STORAGE, True
    return INTERNAL, True


def public(text: str, hide: tuple[Path, ...] = ()) -> str:
    """Return the first line of ``text`` with every path cut down to its last part."""
    for path in hide:
        text = text.replace(os.fspath(path), path.name)
    first = text.strip().splitlines()[0] if text.strip() else ""
    return _PATH.sub(lambda found: found[0].rstrip("/").rpartition("/")[2], first)[:500]
