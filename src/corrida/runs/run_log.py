"""What may be logged to an open run; whatever has been written when a call returns survives a kill."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from corrida.errors import AlreadyExists, ArtifactNotFound, InvalidName, RunSealed
from corrida.runs import layout
from corrida.runs.files import atomic_write, copy_new, explained, safe_join, write_new
from corrida.runs.history import HistoryWriter, as_number, check_metric_name
from corrida.runs.items import ItemsWriter
from corrida.runs.numbers import json_number, metrics_from_file


class RunLog:
    """The logging calls of a run; may be used from several threads.

    Attributes:
        id: the run id.
        dir: the run folder.
    """

    def __init__(self, run_dir: Path) -> None:
        """Log to the run at ``run_dir``, which exists and is open."""
        self.id: str = run_dir.name
        self.dir: Path = run_dir
        self._lock = threading.RLock()
        self._status: Literal["running", "finished", "failed"] = "running"
        self._metrics: dict[str, float | str] = {}
        self._history = HistoryWriter(run_dir / layout.HISTORY)
        self._items = ItemsWriter(run_dir)

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log step metrics.

        Args:
            metrics: names to numbers (Python, numpy or torch scalars); NaN and infinities are kept as such.
            step: a whole number; one more than the last when not given.

        Raises:
            InvalidMetric: a name or value cannot be used; nothing of the call is kept.
            RunSealed: the run has ended.
            StoreError: the disk is full or refuses.
        """
        if self._status != "running":
            self._refuse_sealed()
        with self._lock:
            self._history.log(metrics, step)

    def log_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Log final metrics; one that was logged before is replaced.

        Args:
            metrics: names to numbers. Leave out what has no value: a missing metric is shown as missing.

        Raises:
            InvalidMetric, RunSealed, StoreError: as for :meth:`log`.
        """
        self._refuse_sealed()
        checked = {check_metric_name(n): json_number(as_number(n, v)) for n, v in metrics.items()}
        with self._lock, explained(f"writing metrics of the run {self.id}"):
            merged = self._metrics | checked
            atomic_write(self.dir / layout.METRICS, pretty(merged), durable=False)
            self._metrics = merged

    def log_items(self, rows: Any) -> None:
        """Log what the run gave for each item; may be called many times.

        Args:
            rows: a polars or pandas frame, or mappings, with ``item_id`` (unique in the run) and, where they
                make sense, ``output``, ``expected``, ``correct`` (boolean), ``score``, ``loss``, and any others.

        Raises:
            InvalidData: no ``item_id``, an empty or a repeated one.
            RunSealed, StoreError: as for :meth:`log`.
        """
        self._refuse_sealed()
        with self._lock:
            self._items.log(rows)

    def log_artifact(self, path: str | os.PathLike[str], name: str | None = None) -> Path:
        """Copy a file or a folder into the run.

        Args:
            path: what to copy.
            name: its place in the run folder, with forward slashes; the name of the file when not given.

        Returns:
            The path of the copy.

        Raises:
            ArtifactNotFound: there is no such file.
            InvalidName: the name leaves the run folder or belongs to corrida.
            AlreadyExists: the name is taken; nothing is overwritten.
        """
        self._refuse_sealed()
        source = Path(path)
        if not source.exists():
            raise ArtifactNotFound(f"there is no file {os.fspath(path)!r} to keep with the run; check the path")
        target = self._new_path(name or source.resolve().name)
        with explained(f"copying {source.name} into the run {self.id}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                try:
                    shutil.copytree(source, target)
                except BaseException:
                    shutil.rmtree(target, ignore_errors=True)
                    raise
            else:
                copy_new(source, target)
        return target

    def save_bytes(self, name: str, data: bytes) -> Path:
        """Write ``data`` as a file of the run; see :meth:`log_artifact` for the name and the errors."""
        self._refuse_sealed()
        target = self._new_path(name)
        with explained(f"writing {name} of the run {self.id}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_new(target, data)
        return target

    def _new_path(self, name: str) -> Path:
        target = safe_join(self.dir, name)
        first = PurePosixPath(name).parts[0]
        if PurePosixPath(name).as_posix() in layout.OWN_FILES or first in layout.OWN_FOLDERS or first[0] == ".":
            raise InvalidName(f"{name!r} is a name that corrida uses in a run folder; give another with name=…")
        if target.exists():
            raise AlreadyExists(f"the run {self.id} has a file {name!r} already; give another name with name=…")
        return target

    def _refuse_sealed(self) -> None:
        if self._status != "running":
            raise RunSealed(f"the run {self.id} is {self._status} and cannot change; start a new one, or add a note")

    @property
    def metrics(self) -> dict[str, float]:
        """The final metrics so far."""
        return metrics_from_file(self._metrics)

    @property
    def status(self) -> str:
        """``running``, ``finished`` or ``failed``."""
        return self._status


def pretty(content: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def plain(value: Any) -> Any:
    """Return ``value`` as dicts, lists and scalars that JSON and YAML hold; what is neither becomes its text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return json_number(float(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return plain(value.item())
    return str(value)
