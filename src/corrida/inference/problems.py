"""Why an analysis did not succeed: a code and a sentence for everybody, and details for whoever runs the worker."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

import msgspec

from corrida.errors import (
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

if TYPE_CHECKING:
    from pathlib import Path

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN}
_PATH = re.compile(r"(?<![\w.])(?<!:/)(?:/[\w.@ +~-]+){2,}/?")  # what stands after :/ is an address


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


def problem_of(
    error: BaseException, *, detail: str = "", hide: tuple[Path, ...] = (), called: str | None = None
) -> Problem:
    """Say of an error what everybody may know, and whether it is worth another try.

    Args:
        error: what was raised while a model was loaded or a file scored.
        detail: the traceback.
        hide: paths that must not be told; the last part of each is.
        called: what is told in their place: the name under which the file came.
    """
    code, may_pass = _code(error)
    if code == INTERNAL:
        message = "the model raised an error that nobody foresaw; the log of the worker says more"
    elif isinstance(error, MemoryError):
        message = "there is not enough memory to score the file; send it in parts"
    elif isinstance(error, OSError) and not isinstance(error, CorridaError):
        # Its own text holds names of files of ours.
        message = f"a file cannot be read or written: {error.strerror or 'the system refuses it'}"
    else:
        message = public(str(error), hide, called)
    return Problem(code=code, message=message, may_pass=may_pass, detail=detail or repr(error))


# The first that fits; what is not named here may pass.
_KINDS: tuple[tuple[type[BaseException], str, bool], ...] = (
    (PipelineNotFound, "not_installed", False),
    (MissingExtra, "not_installed", False),
    (NotFound, NO_MODEL, False),  # a person must promote a run; then `corrida jobs ID --retry` tries again
    (DamagedRun, MODEL_DAMAGED, False),
    (Refused, MODEL_DAMAGED, False),
    (BadInput, INVALID_FILE, False),
    (EndpointFailed, "service_unavailable", True),
    (PipelineFailed, "model_failed", False),
    (CorridaError, "model_failed", False),
    (MemoryError, "out_of_memory", True),
    (OSError, STORAGE, True),
)


def _code(error: BaseException) -> tuple[str, bool]:
    if isinstance(error, StoreError):
        cause = error.__cause__
        return STORAGE, not isinstance(cause, OSError) or cause.errno in _PASSING
    return next(
        ((code, passes) for kind, code, passes in _KINDS if isinstance(error, kind)), (INTERNAL, True)
    )


def public(text: str, hide: tuple[Path, ...] = (), called: str | None = None) -> str:
    """Return the first line of ``text`` with every path cut down to its last part, or to what it is called."""
    for path in hide:
        for written in (os.fspath(path), os.path.relpath(path)):
            if path.name and written.endswith(path.name):  # not "." or ".."
                text = text.replace(written, called or path.name)
    first = text.strip().splitlines()[0] if text.strip() else ""
    told = _PATH.sub(lambda found: found[0].rstrip("/").rpartition("/")[2], first)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in told)[:500]
