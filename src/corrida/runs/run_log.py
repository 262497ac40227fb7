"""What may be logged to an open run; whatever has been written when a call returns survives a kill."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from corrida.errors import AlreadyExists, ArtifactNotFound, InvalidMetric, InvalidName, Refused, RunSealed
from corrida.runs import layout
from corrida.runs.files import append_line, atomic_write, copy_new, create_file, explained, safe_join
from corrida.runs.history import HistoryWriter, as_number, check_metric_name
from corrida.runs.items import ItemsWriter
from corrida.runs.numbers import json_number, metrics_from_file
from corrida.runs.plain import text
from corrida.runs.run_file import read_run_file


class RunLog:
    """The logging calls of a run; may be used from several threads.

    Attributes:
        id: the run id.
        dir: the run folder.
    """

    _owned = True
    """Whether this process ends the run; else another may have ended it in the meantime."""

    def __init__(self, run_dir: Path) -> None:
        """Log to the run at ``run_dir``, which exists and is open."""
        self.id: str = run_dir.name
        self.dir: Path = run_dir
        self._pid = os.getpid()
        self._run_file = os.path.join(run_dir, layout.RUN)  # noqa: PTH118 - looked at in every call
        self._run_file_seen: tuple[int, int, int] | None = None
        self._lock = threading.RLock()
        self._files_lock = threading.RLock()  # a long copy holds up the end of the run, and no other logging
        self._status: Literal["running", "finished", "failed"] = "running"
        self._metrics: dict[str, float | str] = {}
        self._history = HistoryWriter(run_dir / layout.HISTORY)
        self._items = ItemsWriter(run_dir)
        self._appended: set[str] = set()

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
        with self._lock:  # the look at the status too: else a call could come after the seal
            if not self._owned or self._pid != os.getpid():
                self._look_for_end()
            if self._status != "running":
                self._refuse_ended()
            self._history.log(metrics, step)

    def log_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Log final metrics; one that was logged before is replaced.

        Args:
            metrics: names to numbers. Leave out what has no value: a missing metric is shown as missing.

        Raises:
            InvalidMetric, RunSealed, StoreError: as for :meth:`log`.
        """
        if not isinstance(metrics, Mapping):
            raise InvalidMetric(f"log_metrics takes names to numbers, not {type(metrics).__name__}")
        checked = {check_metric_name(n): json_number(as_number(n, v)) for n, v in metrics.items()}
        with self._lock, explained(f"writing metrics of the run {self.id}"):
            self._refuse_sealed()
            merged = self._metrics | checked
            atomic_write(f"{self.dir}/{layout.METRICS}", pretty(merged), durable=False)
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
        with self._lock:
            self._refuse_sealed()
            self._items.log(rows)

    def log_artifact(self, path: str | os.PathLike[str], name: str | None = None) -> Path:
        """Copy a file or a folder into the run.

        Args:
            path: what to copy.
            name: its place in the run folder, with forward slashes; the name of the file when not given.

        Returns:
            The path of the copy.

        Raises:
            ArtifactNotFound: there is no such file or folder.
            InvalidName: the name leaves the run folder or belongs to corrida, or the folder holds the run itself.
            AlreadyExists: the name is taken; nothing is overwritten.
        """
        source = Path(os.path.abspath(path))  # noqa: PTH100 - a link keeps its name
        if not source.is_file() and not source.is_dir():
            raise ArtifactNotFound(
                f"there is no file {os.fspath(path)!r} to keep with the run; check the path"
            )
        if self.dir.resolve().is_relative_to(source.resolve()):
            raise InvalidName(
                f"{os.fspath(path)!r} holds the run itself; name the files, or a folder beside the store"
            )
        with self._files_lock, explained(f"copying {source.name} into the run {self.id}"):
            self._refuse_sealed()
            target = self._new_path(source.name if name is None else name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._exclusively(target):
                copy_new(source, target)
        return target

    def save_bytes(self, name: str, data: bytes) -> Path:
        """Write ``data`` as a file of the run; see :meth:`log_artifact` for the name and the errors."""
        with self._files_lock, explained(f"writing {name} of the run {self.id}"):
            self._refuse_sealed()
            target = self._new_path(name)
            if target.parent != self.dir:
                target.parent.mkdir(parents=True, exist_ok=True)
            with self._exclusively(target):
                create_file(target, data)
        return target

    def append(self, name: str, record: Mapping[str, Any]) -> Path:
        """Append one line of JSON to a file of the run, which the first call makes; a kill does not lose it.

        See :meth:`log_artifact` for the name and the errors.
        """
        with self._files_lock, explained(f"writing {name} of the run {self.id}"):
            self._refuse_sealed()
            if name in self._appended:
                target = safe_join(self.dir, name)
            else:
                target = self._new_path(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                self._appended.add(name)
            append_line(target, record, durable=False)
        return target

    @contextlib.contextmanager
    def _exclusively(self, target: Path) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise AlreadyExists(
                f"the run {self.id} has a file {target.name!r} already, made in this moment; give another name with name=…"
            ) from None

    def _new_path(self, name: str) -> Path:
        target = safe_join(self.dir, name)
        if text(name) != name:
            raise InvalidName(f"the file name {text(name)!r} is not Unicode; give another with name=…")
        place = PurePosixPath(name)
        first = place.parts[0].lower()
        if place.as_posix().lower() in layout.OWN_FILES or first in layout.OWN_FOLDERS or first[0] == ".":
            raise InvalidName(
                f"{name!r} is a name that corrida uses in a run folder; give another with name=…"
            )
        if os.path.lexists(target):
            raise AlreadyExists(
                f"the run {self.id} has a file {name!r} already; give another name with name=…"
            )
        return target

    def _refuse_sealed(self) -> None:
        if not self._owned or self._pid != os.getpid():
            self._look_for_end()
        self._refuse_ended()
        if self._owned and self._pid != os.getpid():
            raise Refused(
                f"the run {self.id} belongs to the process that started it, and this one was forked from it: only "
                "log() works here; hand the rest back to the parent, or start a run of your own"
            )

    def _look_for_end(self) -> None:
        """Learn from run.json whether the process that owns the run has ended it; a look costs one system call."""
        if self._status != "running":
            return
        try:
            found = os.stat(self._run_file)  # noqa: PTH116 - quicker
        except OSError:
            raise RunSealed(f"the run {self.id} is no longer there; start a new one") from None
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._run_file_seen:
            status = read_run_file(self.dir).status
            if status in {"finished", "failed"}:
                self._status = status
            self._run_file_seen = seen

    def _refuse_ended(self) -> None:
        if self._status != "running":
            raise RunSealed(
                f"the run {self.id} is {self._status} and cannot change; start a new one, or add a note"
            )

    @property
    def metrics(self) -> dict[str, float]:
        """The final metrics so far."""
        return metrics_from_file(self._metrics)

    @property
    def status(self) -> str:
        """``running``, ``finished`` or ``failed``."""
        return self._status


def pretty(content: Mapping[str, Any]) -> bytes:
    """Return ``content`` as JSON for people."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
