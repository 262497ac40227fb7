"""What MLflow says of a run after its end: appended with time and author; the run stays as it was sealed.

Scores that autologging measures on a fitted model, a note written in the user interface, a run that is started again
by its id: all of it comes after the end. Every reader of corrida shows it with the run, and ``verify`` tells it apart.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.bridges.mlflow.points import Point, latest_of, lines_of, points_of
from corrida.errors import Refused
from corrida.runs import additions, layout
from corrida.runs.annotations import read_annotations
from corrida.runs.numbers import json_number
from corrida.runs.reading import read_header

if TYPE_CHECKING:
    from corrida.runs.run_file import RunHeader


class LateRun:
    """An ended run that is added to."""

    def __init__(self, run_dir: Path) -> None:
        """Add to the run at ``run_dir``."""
        self.dir = run_dir
        self._lock = threading.Lock()
        self._size = -1
        self._values: dict[str, Point] = {}
        self._sealed: set[str] = set()

    def log_points(self, points: Sequence[Point]) -> None:
        """Append points of metrics; those that are the latest become the final values.

        Raises:
            Refused: corrida itself measured a metric of that name, and sealed it.
        """
        if not points:
            return
        with self._lock:
            lock = additions.hold(self.dir)
            try:
                self._look()
                if taken := sorted({point.key for point in points} & self._sealed):
                    raise Refused(
                        f"the run {self.dir.name} has ended, and {', '.join(taken)} is what it measured itself; log "
                        "the metric under another name"
                    )
                before = dict(self._values)
                values = latest_of(points, dict(before))
                new = {key: value for key, value in values.items() if before.get(key) is not value}
                additions.add(
                    self.dir,
                    {
                        "points": lines_of(points),
                        "metrics": {key: json_number(point.value) for key, point in new.items()},
                        "latest": {key: [point.step, point.timestamp] for key, point in new.items()},
                    },
                    durable=False,
                )
                self._values, self._size = values, self._annotations_size()
            finally:
                os.close(lock)

    def _look(self) -> None:
        size = self._annotations_size()
        if size == self._size:
            return
        header = read_header(self.dir)
        self._values = latest_of(points_of(self.dir))
        self._sealed = set() if header.mlflow is not None else _measured_by_corrida(self.dir, header)
        self._size = size

    def _annotations_size(self) -> int:
        try:
            return os.stat(self.dir / layout.ANNOTATIONS).st_size  # noqa: PTH116
        except OSError:
            return 0

    def add(self, change: Mapping[str, Any]) -> None:
        """Append parameters, tags, datasets or what else is said of the run."""
        lock = additions.hold(self.dir)
        try:
            additions.add(self.dir, change)
        finally:
            os.close(lock)

    def header(self) -> RunHeader:
        """Return the run as it is now."""
        return read_header(self.dir)


def _measured_by_corrida(run_dir: Path, header: RunHeader) -> set[str]:
    added = {name for change in read_annotations(run_dir) for name in (change.get("metrics") or {})}
    return set(header.metrics) - added
