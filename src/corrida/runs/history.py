"""Step metrics: one line of JSON a logging call, written before the call returns."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import msgspec

from corrida.errors import InvalidMetric
from corrida.runs.files import explained, write_all
from corrida.runs.numbers import json_number

if TYPE_CHECKING:
    import polars as pl

RESERVED_NAMES = frozenset({"step", "logged_at"})
_MAX_NAME = 250


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


def as_number(name: str, value: SupportsFloat) -> float | int:
    """Return a metric as a Python number; numpy and torch scalars are taken too.

    Raises:
        InvalidMetric: the value is no number.
    """
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[return-value]
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, str | bytes):
        raise InvalidMetric(
            f"the metric {name!r} is {value!r}; log a number, and leave a metric out when it has no value"
        )
    try:
        number = value.item() if hasattr(value, "item") else float(value)
        return number if type(number) is int else float(number)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InvalidMetric(
            f"the metric {name!r} is a {kind.__name__}, not a single number; log one number a name"
        ) from None


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
        elif type(step) is not int:
            step = _as_step(step)
        known = self._known
        plain = type(metrics) is dict
        for name, value in metrics.items():
            if name not in known:
                self._admit(name)
            kind = type(value)
            if (kind is not float and kind is not int) or value - value != 0:  # type: ignore[operator]
                plain = False
        if not plain:
            metrics = {n: json_number(as_number(n, v)) for n, v in metrics.items()}  # type: ignore[misc]
        line = self._encode({"step": step, "time": time.time(), "metrics": metrics}) + b"\n"
        self._append(line)
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
            try:
                write_all(fd, line[written:])
            except OSError:
                if written:
                    os.ftruncate(fd, os.fstat(fd).st_size - written)
                raise

    def close(self) -> None:
        """Close the file; logging again reopens it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _as_step(step: Any) -> int:
    try:
        whole = step.__index__()
    except AttributeError:
        if isinstance(step, float) and step.is_integer():
            return int(step)
        raise InvalidMetric(f"the step is {step!r}; give a whole number") from None
    return int(whole)


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
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    decode = msgspec.json.Decoder(_Line).decode
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            entry = decode(line)
        except msgspec.DecodeError:
            continue
        for name, value in entry.metrics.items():
            column = values.setdefault(name, [])
            column.extend([None] * (len(steps) - len(column)))
            column.append(float(value))
        steps.append(entry.step)
        times.append(entry.time)
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


class _Line(msgspec.Struct):
    step: int
    time: float
    metrics: dict[str, float | str]
