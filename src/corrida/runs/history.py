"""Step metrics: one line of JSON a logging call, written before the call returns."""

from __future__ import annotations

import math
import operator
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import msgspec

from corrida.errors import InvalidMetric
from corrida.runs.additions import added_calls
from corrida.runs.files import explained, read_plain, write_all
from corrida.runs.numbers import json_number, metrics_from_file
from corrida.runs.plain import JSON_ERRORS

if TYPE_CHECKING:
    import polars as pl

RESERVED_NAMES = frozenset({"step", "logged_at"})
_MAX_NAME = 250
GREATEST_STEP = 2**63
"""From here on an integer is kept as a floating point number, and is no step."""
LATEST_TIME = 9.2e12
"""Seconds since the epoch that fit a time of microseconds in 64 bits."""


def check_metric_name(name: object) -> str:
    """Return the name of a metric when it is usable.

    Raises:
        InvalidMetric: it is not text, empty, too long, or holds control characters.
    """
    if not isinstance(name, str):
        raise InvalidMetric(f"the name of a metric must be text, not {type(name).__name__}")
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise InvalidMetric(f"{name[:40]!r} cannot name a metric; use 1 to {_MAX_NAME} printable characters")
    return name


def as_number(name: str, value: Any) -> float | int:
    """Return a metric as a Python number; numpy and torch scalars are taken too.

    Raises:
        InvalidMetric: the value is no number.
    """
    kind = type(value)
    if kind is float:
        return value  # type: ignore[no-any-return]
    if value is None or isinstance(value, str | bytes):
        raise InvalidMetric(
            f"the metric {name!r} is {value!r}; log a number, and leave a metric out when it has no value"
        )
    try:
        number = value.item() if hasattr(value, "item") else value
        single = not getattr(value, "ndim", 0)  # an array of one number is an array all the same
        if single and not isinstance(number, str | bytes):
            return int(number) if isinstance(number, int) and abs(number) < GREATEST_STEP else float(number)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        pass
    raise InvalidMetric(
        f"the metric {name!r} is a {kind.__name__}, not a single number; log one number a name"
    )


class HistoryWriter:
    """Appends logging calls to history.jsonl, one system call each, so that a kill loses nothing that returned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._encode = msgspec.json.Encoder().encode
        self._known: set[str] = set()
        self._step = -1

    def log(self, metrics: Mapping[str, SupportsFloat], step: int | None) -> None:
        """Append one call.

        Args:
            metrics: names to numbers; NaN and infinities are kept, as text in the file.
            step: the step; one more than the last when not given.

        Raises:
            InvalidMetric: a name or a value cannot be used; nothing of the call is written.
            StoreError: the file cannot be written; a line that did not fit is taken back.
        """
        if step is None:
            step = self._step + 1
        elif type(step) is not int or abs(step) >= GREATEST_STEP:
            step = _as_step(step)
        known = self._known
        plain = type(metrics) is dict
        if not plain and not isinstance(metrics, Mapping):
            raise InvalidMetric(f"log takes names to numbers, not {type(metrics).__name__}")
        for name, value in metrics.items():
            if name not in known:
                self._admit(name)
            kind = type(value)
            if (kind is not float and (kind is not int or abs(value) >= GREATEST_STEP)) or value - value != 0:  # type: ignore[operator,arg-type]
                plain = False
        if not plain:
            metrics = {n: json_number(as_number(n, v)) for n, v in metrics.items()}  # type: ignore[misc]
        self._append(self._encode({"step": step, "time": time.time(), "metrics": metrics}) + b"\n")
        self._step = step

    def _admit(self, name: object) -> None:
        checked = check_metric_name(name)
        if checked in RESERVED_NAMES:
            raise InvalidMetric(f"a metric cannot be called {checked!r}; pass the step as log(…, step=…)")
        self._known.add(checked)

    def _append(self, line: bytes) -> None:
        if self._fd is None:
            with explained("writing step metrics"):
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        fd = self._fd
        try:
            written = os.write(fd, line)
        except OSError:
            written = 0
        if written != len(line):
            self._finish_append(fd, line, written)

    def _finish_append(self, fd: int, line: bytes, written: int) -> None:
        with explained("writing step metrics"):
            start = os.fstat(fd).st_size - written
            try:
                write_all(fd, line[written:])
            except OSError:
                os.ftruncate(fd, start)
                raise

    def close(self) -> None:
        """Close the file; logging again reopens it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _as_step(step: Any) -> int:
    try:
        whole = int(step) if isinstance(step, float) and step.is_integer() else operator.index(step)
    except TypeError:
        raise InvalidMetric(f"the step is {step!r}; give a whole number") from None
    if abs(whole) >= GREATEST_STEP:
        raise InvalidMetric(f"the step {str(whole)[:20]}… is too large; steps have 64 bits")
    return whole


def write_history(path: Path, calls: Iterable[tuple[int, float, Mapping[str, float]]]) -> None:
    """Write the step metrics of a run that another program made; without a call no file is made.

    Args:
        path: the file, which is not there yet.
        calls: step, seconds since the epoch and metrics of each.
    """
    encode = msgspec.json.Encoder().encode
    file = None
    try:
        for step, when, metrics in calls:
            file = file or path.open("xb")
            numbers = {name: json_number(value) for name, value in metrics.items()}
            file.write(encode({"step": step, "time": when, "metrics": numbers}) + b"\n")
    finally:
        if file is not None:
            file.close()


def read_calls(path: Path) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Yield step, time (seconds since the epoch) and metrics of each logging call, those added after the end last.

    A line that a kill cut off, or that somebody made unreadable, is left out; so is a file that is none.
    """
    yield from _logged_calls(path)
    yield from added_calls(path.parent)


def _logged_calls(path: Path) -> Iterator[tuple[int, float, dict[str, float]]]:
    try:
        data, _ = read_plain(path, sys.maxsize)
    except OSError:
        return
    decode = msgspec.json.Decoder(HistoryLine).decode
    for line in data.split(b"\n"):
        if line:
            try:
                entry = decode(line)
                numbers = metrics_from_file(entry.metrics)
            except JSON_ERRORS:
                continue
            if abs(entry.step) < GREATEST_STEP and abs(entry.time) < LATEST_TIME:
                yield entry.step, entry.time, numbers


def read_history(path: Path) -> pl.DataFrame:
    """Return the step metrics as one row a call.

    Returns:
        A frame with ``step`` (integer), ``logged_at`` (UTC time) and one column of floats a metric, null where a
        call did not log it. A last line that a kill cut off is left out.
    """
    import polars as pl

    steps: list[int] = []
    times: list[float] = []
    values: dict[str, list[float | None]] = {}
    for step, time_, numbers in read_calls(path):
        for logged, value in numbers.items():
            name = f"metric.{logged}" if logged in RESERVED_NAMES else logged  # another tracker may allow it
            column = values.setdefault(name, [])
            column.extend([None] * (len(steps) - len(column)))
            column.append(value)
        steps.append(step)
        times.append(time_)
    count = len(steps)
    frame = {
        "step": pl.Series(steps, dtype=pl.Int64),
        "logged_at": pl.from_epoch(
            pl.Series([math.floor(t * 1e6) for t in times], dtype=pl.Int64), time_unit="us"
        ).dt.replace_time_zone("UTC"),
    }
    for name, column in values.items():
        column.extend([None] * (count - len(column)))
        frame[name] = pl.Series(column, dtype=pl.Float64)
    return pl.DataFrame(frame)


def latest_values(path: Path) -> dict[str, float]:
    """Return for each metric the value of the highest step, and of the latest time where that was logged twice."""
    found: dict[str, tuple[int, float, float]] = {}
    for step, time_, numbers in read_calls(path):
        for name, value in numbers.items():
            if name not in found or (step, time_) >= found[name][:2]:
                found[name] = (step, time_, value)
    return {name: point[2] for name, point in found.items()}


class HistoryLine(msgspec.Struct, gc=False):
    """A line of history.jsonl."""

    step: int
    time: float
    metrics: dict[str, float | str]
