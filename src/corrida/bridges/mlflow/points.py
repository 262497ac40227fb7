"""Points of metrics: lines of history.jsonl, and which point is the value of a metric."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from corrida.runs import layout
from corrida.runs.additions import added_points
from corrida.runs.annotations import read_annotations
from corrida.runs.numbers import json_number
from corrida.runs.plain import JSON_ERRORS


class Point(NamedTuple):
    """A value of a metric.

    Attributes:
        key: the metric.
        value: a number, NaN and infinities among them.
        step: a whole number of 64 bits.
        timestamp: milliseconds since the epoch.
        model: the logged model that it is of.
        dataset: name and digest of the data that it was measured on.
    """

    key: str
    value: float
    step: int
    timestamp: int
    model: str | None = None
    dataset: tuple[str, str] | None = None


class _Line(msgspec.Struct):
    step: int
    time: float
    metrics: dict[str, float | str]
    model_id: str | None = None
    dataset: tuple[str, str] | None = None


_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode


def lines_of(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return points as lines of the history: those of one step and time that follow each other share a line."""
    lines: list[dict[str, Any]] = []
    place = None
    for point in points:
        here = (point.step, point.timestamp, point.model, point.dataset)
        if here != place or point.key in lines[-1]["metrics"]:
            line: dict[str, Any] = {"step": point.step, "time": point.timestamp / 1000, "metrics": {}}
            if point.model is not None:
                line["model_id"] = point.model
            if point.dataset is not None:
                line["dataset"] = list(point.dataset)
            lines.append(line)
            place = here
        lines[-1]["metrics"][point.key] = json_number(point.value)
    return lines


def encoded(points: Sequence[Point]) -> bytes:
    """Return points as they are appended to history.jsonl."""
    return b"".join(_encode(line) + b"\n" for line in lines_of(points))


def decoded(data: bytes) -> Iterator[Point]:
    """Yield the points of lines of history.jsonl; lines that cannot be read are left out."""
    for raw in data.split(b"\n"):
        if raw:
            try:
                line = _decode(raw)
                yield from _points(line)
            except JSON_ERRORS:
                continue


def _points(line: _Line) -> list[Point]:
    time = round(line.time * 1000)
    return [
        Point(key, float(value), line.step, time, line.model_id, line.dataset)
        for key, value in line.metrics.items()
    ]


def points_of(run_dir: Path) -> Iterator[Point]:
    """Yield every point of a run in the order logged, then those added after its end."""
    with contextlib.suppress(OSError):
        yield from decoded((run_dir / layout.HISTORY).read_bytes())
    for line in added_points(read_annotations(run_dir)):
        yield from _points(msgspec.convert(line, _Line))


def rank(point: Point) -> tuple[int, int, float]:
    """Return what MLflow takes the latest point by: step, then time, then value; NaN is the least of values."""
    return point.step, point.timestamp, -math.inf if math.isnan(point.value) else point.value


def latest_of(points: Iterable[Point], known: dict[str, Point] | None = None) -> dict[str, Point]:
    """Return the point of each metric that is its value.

    Args:
        points: any number.
        known: what the points before them gave; it is changed.
    """
    found = {} if known is None else known
    for point in points:
        before = found.get(point.key)
        if before is None or rank(point) >= rank(before):
            found[point.key] = point
    return found


class Follower:
    """The value of each metric of an open run; reads what was appended to its history since the last look."""

    def __init__(self, run_dir: Path) -> None:
        """Follow the history of the run at ``run_dir``."""
        self._path = run_dir / layout.HISTORY
        self._offset = 0
        self._found: dict[str, Point] = {}

    def values(self) -> dict[str, Point]:
        """Return the point of each metric that is its value now."""
        try:
            fd = os.open(self._path, os.O_RDONLY)
        except OSError:
            return self._found
        try:
            size = os.fstat(fd).st_size
            if size > self._offset:
                data = os.pread(fd, size - self._offset, self._offset)
                whole = data.rfind(b"\n") + 1
                self._offset += whole
                self._found = latest_of(decoded(data[:whole]), dict(self._found))
        finally:
            os.close(fd)
        return self._found
