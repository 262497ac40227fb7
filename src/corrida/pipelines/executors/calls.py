"""How a call travels to a worker and what came of it back: as bytes, so that nothing fails on the way unseen."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SAID_AT_MOST = 1_000_000  # characters
_INLINE = 100_000  # bytes


@dataclass(frozen=True)
class Answer:
    """What came of a call.

    Attributes:
        result: what the function returned.
        error: what it raised.
        out: what it printed.
        err: what it printed on standard error.
    """

    result: Any = None
    error: Exception | None = None
    out: str = ""
    err: str = ""

    def repeat_output(self) -> None:
        """Print here what the call printed there: so it gets into the log of the run."""
        for text, stream in ((self.out, sys.stdout), (self.err, sys.stderr)):
            if text:
                stream.write(text)
                stream.flush()


class WorkerTraceback(Exception):
    """The traceback of a worker, shown as the cause of the error that it belongs to."""

    def __str__(self) -> str:
        """Return the traceback as text."""
        return f"\n{self.args[0]}"


class Function:
    """A function on its way to workers, sent once to each of them: it may carry data.

    Attributes:
        packed: the function as bytes, with the places where its modules are.
        token: by which a worker knows it again.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        """Pack ``function``.

        Raises:
            TypeError: it cannot be sent to another process.
        """
        self._name = getattr(function, "__qualname__", type(function).__qualname__)
        self.packed = pickle.dumps((sys.path, self._sent(function, "function")))
        self.token = os.urandom(8).hex()

    def pack(self, task: Any) -> bytes:
        """Return a task for it as bytes.

        Raises:
            TypeError: it cannot be sent to another process.
        """
        return self._sent(task, "task")

    @contextlib.contextmanager
    def in_file(self) -> Iterator[Path | bytes]:
        """Give the function as bytes, or, when they are many, as a file for workers of this machine to read."""
        if len(self.packed) <= _INLINE:
            yield self.packed
            return
        with tempfile.TemporaryDirectory(prefix="corrida-call-") as folder:
            path = Path(folder, "function")
            path.write_bytes(self.packed)
            yield path

    def _sent(self, value: Any, what: str) -> bytes:
        try:
            return _dumps(value)
        except Exception as error:
            raise TypeError(
                f"the {what} of {self._name} cannot be sent to another process ({error}); "
                "give a function of a module, and tasks of plain values"
            ) from error


_known: dict[str, Any] = {}
"""The last function that this worker was given, by its token."""


def _function(token: str, source: Path | bytes) -> Any:
    if token not in _known:
        _known.clear()
        packed = source if isinstance(source, bytes) else source.read_bytes()
        places, function = pickle.loads(packed)  # noqa: S301 - of this very program
        sys.path += [place for place in places if place not in sys.path and Path(place).is_dir()]
        _known[token] = pickle.loads(function)  # noqa: S301 - likewise
    return _known[token]


def answer(token: str, source: Path | bytes, task: bytes) -> bytes:
    """Make a call; called in the worker. What the function raises is part of what is returned.

    Args:
        token: of the function.
        source: the function as bytes, or the file that holds them.
        task: as bytes.
    """
    out, err = io.StringIO(), io.StringIO()
    result: Any = None
    error: BaseException | None = None
    trace = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            result = _function(token, source)(pickle.loads(task))  # noqa: S301 - of this very program
        except BaseException as raised:  # noqa: BLE001 - sys.exit() in a task must not end the worker
            error, trace = raised, "".join(traceback.format_exception(raised))
    said = [_shortened(stream.getvalue()) for stream in (out, err)]
    if error is None:
        try:
            return _dumps((result, None, "", *said))
        except Exception as refused:  # noqa: BLE001 - whatever pickling raises
            kind = type(result).__name__
            error = TypeError(f"the result ({kind}) cannot be sent between processes: {refused}")
    return _dumps((None, _portable(error), trace, *said))


def read_answer(packed: bytes) -> Answer:
    """Read what :func:`answer` returned."""
    result, error, trace, out, err = pickle.loads(packed)  # noqa: S301 - of a worker of this program
    if error is not None and trace:
        error.__cause__ = WorkerTraceback(trace)
    return Answer(result, error, out, err)


def _portable(error: BaseException) -> Exception:
    """Return an error that survives the way; of one that does not, its type and message."""
    if isinstance(error, Exception):
        with contextlib.suppress(Exception):
            again = pickle.loads(_dumps(error))  # noqa: S301 - written in this line
            if type(again) is type(error):
                return error
    return RuntimeError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _shortened(text: str) -> str:
    return text if len(text) <= _SAID_AT_MOST else f"{text[:_SAID_AT_MOST]}…\n"


def _dumps(value: Any) -> bytes:
    """Pickle a value; functions and classes of a script or notebook by their code, since no worker can import them."""
    try:
        import cloudpickle
    except ImportError:  # joblib before 1.6 carries it along
        from joblib.externals import cloudpickle
    packed: bytes = cloudpickle.dumps(value)
    return packed
