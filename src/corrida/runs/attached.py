"""Logging to a run that another process owns: a script under ``corrida exec``."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from corrida.runs import layout
from corrida.runs.files import explained, locked
from corrida.runs.plain import JSON_ERRORS
from corrida.runs.run_log import RunLog


class AttachedRun(RunLog):
    """The run of the enclosing ``corrida exec``; it is started and ended there, and logged to here."""

    _owned = False

    def __init__(self, run_dir: Path) -> None:
        """Attach to the open run at ``run_dir``; final metrics that were logged by others stay.

        Raises:
            RunSealed: the run has ended.
            RunNotFound, DamagedRun: there is no run, or it cannot be read.
        """
        super().__init__(run_dir)
        self._metrics = self._stored_metrics()
        self._refuse_sealed()

    def log_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Log final metrics beside those of other processes; one that was logged before is replaced.

        Args:
            metrics: names to numbers. Leave out what has no value: a missing metric is shown as missing.

        Raises:
            InvalidMetric, RunSealed, StoreError: as for :meth:`RunLog.log`.
        """
        with self._lock:
            self._refuse_sealed()
            # The folder itself is what is locked: a file would lie in the run.
            with explained(f"writing metrics of the run {self.id}"), locked(self.dir, create=False):
                self._metrics = self._stored_metrics()
                super().log_metrics(metrics)

    def _stored_metrics(self) -> dict[str, float | str]:
        try:
            data = (self.dir / layout.METRICS).read_bytes()
            return msgspec.json.decode(data, type=dict[str, float | str])
        except (OSError, *JSON_ERRORS):
            return dict(self._metrics)


_attached: dict[tuple[str, int], AttachedRun] = {}
_attaching = threading.Lock()
os.register_at_fork(
    before=_attaching.acquire, after_in_parent=_attaching.release, after_in_child=_attaching.release
)


def remember(folder: str, run: AttachedRun) -> None:
    """Make ``run`` what :func:`attached_run` returns for ``folder`` in this process."""
    with _attaching:
        _attached[folder, os.getpid()] = run


def attached_run(variable: str) -> AttachedRun | None:
    """Return the run whose folder stands in the environment variable ``variable``, or None.

    Raises:
        RunSealed: that run has ended.
    """
    folder = os.environ.get(variable)
    if not folder or not (Path(folder) / layout.RUN).is_file():
        return None
    with _attaching:
        key = (folder, os.getpid())  # a fork attaches anew
        if key not in _attached:
            _attached[key] = AttachedRun(Path(folder))
        return _attached[key]
