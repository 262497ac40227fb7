"""Finding runs of a store for MLflow: one by its id, or those of experiments, in the trash too."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.bridges.mlflow.experiments import Experiment, Experiments, milliseconds
from corrida.bridges.mlflow.failures import missing
from corrida.bridges.mlflow.locations import from_mlflow
from corrida.bridges.mlflow.runs_seen import Seen
from corrida.errors import CorridaError
from corrida.runs import layout
from corrida.runs.folders import signature
from corrida.runs.ids import is_run_id
from corrida.runs.journal import operations
from corrida.runs.query import Sql
from corrida.runs.reading import read_header
from corrida.runs.run_file import SEALED, RunHeader
from corrida.runs.trash import trash_folder, trashed

if TYPE_CHECKING:
    from corrida.runs.store import Store


class Finder:
    """The runs of one store."""

    def __init__(self, store: Store, experiments: Experiments) -> None:
        """Look in ``store``."""
        self._store, self._root = store, store.root
        self._experiments = experiments
        self._lock = threading.Lock()
        self._trash: dict[str, tuple[str, RunHeader]] = {}

    def get(self, run_id: str) -> Seen:
        """Return a run, also one in the trash.

        Raises:
            MlflowException: there is none of this id.
            DamagedRun, NewerFormat: it cannot be read.
        """
        identity = from_mlflow(self._root, run_id)
        if is_run_id(identity):
            for folder, deleted in ((self._root, False), (trash_folder(self._root), True)):
                if (folder / identity / layout.RUN).exists():
                    header = read_header(folder / identity)
                    return Seen(header, folder / identity, deleted, self._experiments.of(header))
            self._store.refresh()  # one that was killed at its very start
            for header in self._store.catalog.query(where=[Sql("runs.id = ?", (identity,))]):
                return Seen(header, self._root / identity, False, self._experiments.of(header))
        raise missing(f"Run '{run_id}' not found")

    def live(self, entries: list[Experiment], *more: Any, refresh: bool = True) -> list[Seen]:
        """Return the runs of these experiments that are not in the trash.

        Args:
            entries: the experiments.
            more: further conditions for the catalog, which runs that are open meet in any case.
            refresh: bring the catalog up to date first.
        """
        wanted = {entry.id for entry in entries}
        if refresh:
            self._store.refresh()
        told = self._experiments.told()
        found = []
        for header in self._experiments.headers(entries, *more):
            experiment = self._experiments.of(header, told)
            if experiment in wanted:
                found.append(Seen(header, self._root / header.id, False, experiment))
        return found

    def deleted(self, entries: Iterable[Experiment] | None = None) -> list[Seen]:
        """Return the runs in the trash, all or those of these experiments."""
        wanted = None if entries is None else {entry.id for entry in entries}
        found = []
        with self._lock:
            known, self._trash = self._trash, {}
            for run_id in trashed(self._root):
                folder = trash_folder(self._root)
                state = signature(folder, run_id) or ""
                before = known.get(run_id)
                try:
                    header = before[1] if before and before[0] == state else read_header(folder / run_id)
                except CorridaError:
                    continue
                if header.status in SEALED:
                    self._trash[run_id] = (state, header)
                experiment = self._experiments.of(header)
                if wanted is None or experiment in wanted:
                    found.append(Seen(header, folder / run_id, True, experiment))
        return found

    def deleted_before(self, age: int) -> list[str]:
        """Return the runs that have been in the trash for at least ``age`` milliseconds."""
        times: dict[str, int] = {}
        for operation in operations(self._root):
            if operation.kind == "rm":
                times |= dict.fromkeys(operation.runs, milliseconds(operation.time) or 0)
        now = int(time.time() * 1000)
        found = []
        for run_id in trashed(self._root):
            since = times.get(run_id)
            if since is None:
                since = int(os.stat(trash_folder(self._root) / run_id).st_ctime * 1000)  # noqa: PTH116
            if now - since >= age:
                found.append(run_id)
        return found

    def folder(self, run_id: str) -> Path:
        """Return where the folder of a run is, or would be."""
        return self._root / run_id
