"""The process that scores: it loads a run once, and can be killed at any moment without harm.

It leads a session of its own, so that a kill of the session takes along what a model may have started, and it dies with its
worker, whatever ends that.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import resource
import signal
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.inference.problems import FILE_CHANGED, Failed, Problem, problem_of
from corrida.inference.protocol import (
    Load,
    Loaded,
    Progress,
    Reply,
    Request,
    Score,
    Scored,
    Trouble,
    read_request,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve requests on the two descriptors that the worker left open, until it closes them."""
    requests, replies, parent, memory, nice = (int(text) for text in sys.argv[1:6])
    die_with(parent)
    os.nice(nice)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to answer
    os.dup2(2, 1)  # what a library prints is no reply
    predictor: Any = None
    while (request := read_request(requests)) is not None:
        predictor = serve(request, predictor, lambda reply: send(replies, reply))


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, and end now if it has ended already."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def serve(request: Request, predictor: Any, answer: Callable[[Reply], None]) -> Any:
    """Answer a request, and return the predictor that is loaded afterwards."""
    began = time.monotonic()
    called: str | None = None
    hide: tuple[Path, ...]
    if isinstance(request, Score):
        hide, called = (Path(request.file),), request.stamp["input"]["file"]
    else:
        hide = (Path(request.folder), Path(request.root))
    try:
        if isinstance(request, Load):
            predictor = None  # the old one goes first: two at once may not fit
            predictor = _load(request)
            answer(Loaded(time.monotonic() - began))
        else:
            answer(_score(predictor, request, answer, began))
    except Failed as failure:
        answer(Trouble(failure.problem))
    except Exception as error:  # noqa: BLE001 - a model may raise anything; the worker decides
        answer(Trouble(problem_of(error, detail=traceback.format_exc(), hide=hide, called=called)))
    return predictor


def _load(request: Load) -> Any:
    from corrida.inference.models import Model
    from corrida.inference.scoring import load_scorer

    model = Model(request.run_id, request.digest, request.pipeline, request.uses, Path(request.folder))
    return load_scorer(model, Path(request.root))


def _score(predictor: Any, request: Score, answer: Callable[[Reply], None], began: float) -> Reply:
    import msgspec

    from corrida.inference.scoring import score_file

    # The digest is computed while the model works; whatever came of an altered file is not used.
    with ThreadPoolExecutor(1) as thread:
        digest = thread.submit(_digest, request.file)
        try:
            report, rows = score_file(predictor, request, lambda count: answer(Progress(count)))
        except Exception:
            if digest.result() != request.sha256:
                return _CHANGED
            raise
        if digest.result() != request.sha256:
            return _CHANGED
    said: Any = report
    if request.against is not None:
        from corrida.inference.shadow_difference import store_difference

        said = store_difference(request, report)
    return Scored(
        rows=report.rows,
        scored=report.scored,
        report=msgspec.to_builtins(said),
        sha256=rows,
        seconds=time.monotonic() - began,
    )


def _digest(file: str) -> str:
    with open(file, "rb") as content:  # noqa: PTH123
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


_CHANGED = Trouble(Problem(code=FILE_CHANGED, message="the file was altered after it was submitted"))


if __name__ == "__main__":
    main()
