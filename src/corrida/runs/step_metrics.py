"""Step metrics as columns, read on from where the last look ended: for those who look again and again."""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from corrida.runs import layout
from corrida.runs.additions import added_calls
from corrida.runs.files import open_plain
from corrida.runs.history import GREATEST_STEP, LATEST_TIME, HistoryLine
from corrida.runs.plain import JSON_ERRORS

if TYPE_CHECKING:
    import numpy as np

_PART = 5_000
_READ = 1 << 26  # bytes; no line is longer
_MOST_CALLS = 3_000_000
"""Logging calls that are kept in memory, of all runs together; the run that is looked at is kept whatever it has."""


class Points(NamedTuple):
    """What was logged of one metric, in the order logged: arrays of one length.

    Attributes:
        steps: whole numbers.
        times: seconds since the epoch.
        values: the metric; NaN and infinities as they are.
    """

    steps: np.ndarray
    times: np.ndarray
    values: np.ndarray


_decode = msgspec.json.Decoder(list[HistoryLine]).decode


class _Column:
    __slots__ = ("steps", "times", "values")

    def __init__(self) -> None:
        self.steps, self.times, self.values = array("q"), array("d"), array("d")

    def add(self, step: int, time: float, value: float | str) -> None:
        self.values.append(float(value))
        self.steps.append(step)
        self.times.append(time)


class StepMetrics:
    """The step metrics of one run; only what was appended since is read again."""

    def __init__(self, run_dir: Path) -> None:
        """Begin with nothing; :meth:`look` reads."""
        self._dir = run_dir
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._offset = 0
        self._file: int | None = None
        self._added: tuple[int, int] | None = None
        self.calls = 0

    def look(self) -> None:
        """Read what was appended; a file that was replaced or cut is read anew."""
        with self._lock:
            added = _state(self._dir / layout.ANNOTATIONS)
            try:
                fd, status = open_plain(self._dir / layout.HISTORY)
            except OSError:
                if self._file is not None or added != self._added:
                    self._forget()
            else:
                try:
                    if status.st_ino != self._file or status.st_size < self._offset or added != self._added:
                        self._forget()
                    self._file = status.st_ino
                    while self._take(os.pread(fd, min(_READ, status.st_size - self._offset), self._offset)):
                        pass
                finally:
                    os.close(fd)
            if added != self._added:
                self._added = added
                for step, time, metrics in added_calls(self._dir):
                    self._add(step, time, metrics)

    def _take(self, data: bytes) -> bool:
        """Add the lines that are whole, and tell whether there were any."""
        whole = data.rfind(b"\n") + 1
        lines = [line for line in data[:whole].split(b"\n") if line]
        for start in range(0, len(lines), _PART):
            part = lines[start : start + _PART]
            try:
                calls = _decode(b"[" + b",".join(part) + b"]")
            except JSON_ERRORS:
                calls = [call for line in part for call in _call(line)]
            self._take_part([c for c in calls if abs(c.step) < GREATEST_STEP and abs(c.time) < LATEST_TIME])
        self._offset += whole
        return whole > 0

    def _take_part(self, calls: Sequence[HistoryLine]) -> None:
        """Add calls; those that all log the same metrics a column at a time, which is most often so."""
        names = calls[0].metrics.keys() if calls else set()
        if not all(call.metrics.keys() == names for call in calls):
            for call in calls:
                self._add(call.step, call.time, call.metrics)
            return
        steps, times = array("q", [c.step for c in calls]), array("d", [c.time for c in calls])
        try:
            values = {name: array("d", [float(c.metrics[name]) for c in calls]) for name in names}
        except ValueError:  # one is no number
            for call in calls:
                self._add(call.step, call.time, call.metrics)
            return
        self.calls += len(calls)
        for name, column in values.items():
            own = self._columns.setdefault(name, _Column())
            own.steps.extend(steps)
            own.times.extend(times)
            own.values.extend(column)

    def _add(self, step: int, time: float, metrics: dict[str, float | str] | dict[str, float]) -> None:
        self.calls += 1
        for name, value in metrics.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = _Column()
            with contextlib.suppress(ValueError):  # it is no number
                column.add(step, time, value)

    def names(self) -> list[str]:
        """Return the metrics in the order in which they were first logged."""
        with self._lock:
            return list(self._columns)

    def last(self) -> dict[str, tuple[int, float]]:
        """Return step and value of the last point of each metric."""
        with self._lock:
            return {n: (c.steps[-1], c.values[-1]) for n, c in self._columns.items() if c.values}

    def points(self, name: str) -> Points | None:
        """Return the points of a metric, or None where it was not logged."""
        import numpy as np

        with self._lock:
            column = self._columns.get(name)
            if column is None or not column.values:
                return None
            return Points(np.array(column.steps), np.array(column.times), np.array(column.values))


class KeptStepMetrics:
    """Step metrics of the runs that were looked at last."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: OrderedDict[Path, StepMetrics] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run_dir: Path) -> StepMetrics:
        """Return the step metrics of a run as they are now."""
        with self._lock:
            found = self._kept.pop(run_dir, None) or StepMetrics(run_dir)
            self._kept[run_dir] = found
        found.look()
        with self._lock:
            while len(self._kept) > 1 and sum(one.calls for one in self._kept.values()) > _MOST_CALLS:
                self._kept.popitem(last=False)
        return found


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _call(line: bytes) -> list[HistoryLine]:
    try:
        return _decode(b"[" + line + b"]")
    except JSON_ERRORS:
        return []
