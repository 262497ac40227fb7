"""Logging to a run that another process owns: a script under ``corrida exec``."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from corrida.runs import layout
from corrida.runs.run_log import RunLog


class AttachedRun(RunLog):
    """The run of the enclosing ``corrida exec``; it is started and ended there, and logged to here."""

    def __init__(self, run_dir: Path) -> None:
        """Attach to the open run at ``run_dir``; final metrics that were logged by others stay."""
        super().__init__(run_dir)
        with contextlib.suppress(OSError, msgspec.DecodeError):
            stored = (run_dir / layout.METRICS).read_bytes()
            self._metrics = msgspec.json.decode(stored, type=dict[str, float | str])


_attached: dict[str, AttachedRun] = {}


def attached_run(variable: str) -> AttachedRun | None:
    """Return the run whose folder stands in the environment variable ``variable``, or None."""
    folder = os.environ.get(variable)
    if not folder or not (Path(folder) / layout.RUN).is_file():
        return None
    return _attached.setdefault(folder, AttachedRun(Path(folder)))
