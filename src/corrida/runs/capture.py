"""log.txt: what the process prints while a run is open goes to the terminal and to the run."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from corrida.runs.files import write_all

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[0-9=>@-Z\\-_])"
)


class LogFile:
    """Appends printed text to log.txt, without colours and without the states of a progress bar that it erased."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._line = ""
        self._lock = threading.Lock()
        self._closed = False
        self.broken: str | None = None

    def write(self, text: str) -> None:
        """Append every line that is complete; a full disk is remembered in ``broken`` and never ends the print."""
        with self._lock:
            if self._closed:  # another thread prints while the run ends, and the file is sealed
                return
            *lines, self._line = (self._line + text).split("\n")
            if "\r" in self._line.rstrip("\r"):
                self._line = _visible(self._line) + "\r" * self._line.endswith("\r")
            if lines:
                self._append("".join(_visible(line) + "\n" for line in lines))

    def _append(self, text: str) -> None:
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            write_all(self._fd, text.encode("utf-8", "replace"))
        except OSError as error:
            self.broken = error.strerror

    def close(self) -> None:
        """Write a last line without an end, and close for good."""
        with self._lock:
            self._closed = True
            if self._line:
                self._append(_visible(self._line) + "\n")
                self._line = ""
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def _visible(line: str) -> str:
    line = line.rstrip("\r")
    return _ESCAPES.sub("", line.rpartition("\r")[2])


class _Tee:
    """Stands in for a stream of the process; everything but writing is the stream's own."""

    def __init__(self, stream: TextIO, log: Callable[[], LogFile | None]) -> None:
        self._stream = stream
        self._log = log

    def write(self, text: str) -> int:
        count = self._stream.write(text)
        if log := self._log():
            log.write(text)
        return count

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Capture:
    """Copies stdout and stderr of the process to the log of whichever run is current, while one is open."""

    def __init__(self, current: Callable[[], LogFile | None]) -> None:
        self._current = current
        self._open = 0
        self._tees: dict[str, _Tee] = {}
        self._handlers: list[tuple[logging.StreamHandler[Any], Any]] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin, or count one more open run."""
        with self._lock:
            self._open += 1
            if self._open > 1:
                return
            originals: dict[int, _Tee] = {}
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if stream is not None:
                    tee = _Tee(stream, self._current)
                    self._tees[name] = tee
                    originals[id(stream)] = tee
                    setattr(sys, name, tee)
            self._redirect_handlers(originals)

    def _redirect_handlers(self, tees: dict[int, _Tee]) -> None:
        """Point log handlers that hold on to the old streams at the new ones."""
        loggers = [logging.root, *logging.Logger.manager.loggerDict.values()]
        for logger in loggers:
            for handler in getattr(logger, "handlers", ()):
                stream = getattr(handler, "stream", None)
                if isinstance(handler, logging.StreamHandler) and id(stream) in tees:
                    self._handlers.append((handler, stream))
                    handler.setStream(tees[id(stream)])

    def stop(self) -> None:
        """Count one run less, and give the streams back after the last."""
        with self._lock:
            self._open -= 1
            if self._open:
                return
            for name, tee in self._tees.items():
                if getattr(sys, name) is tee:  # else somebody replaced it since: theirs stays
                    setattr(sys, name, tee._stream)  # noqa: SLF001 - same module
            for handler, stream in self._handlers:
                if handler.stream in self._tees.values():  # else somebody gave it another since
                    with contextlib.suppress(ValueError):
                        handler.setStream(stream)
            self._tees.clear()
            self._handlers.clear()
