"""Experiments: pipelines, as MLflow sees them. What MLflow says of them is appended to ``.mlflow/experiments.jsonl``.

A pipeline needs no line to be an experiment. Its id is derived from its name, so that it is the same in every copy
of the store and whoever asks first.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.bridges.mlflow.locations import MLFLOW_DIR, make_mlflow_folder
from corrida.errors import AlreadyExists, Refused
from corrida.runs.annotations import author, utc_now
from corrida.runs.claim import ensure_store
from corrida.runs.files import append_line, explained, locked, read_lines

if TYPE_CHECKING:
    from corrida.runs.run_file import RunHeader
    from corrida.runs.store import Store

DEFAULT_ID, DEFAULT_NAME = "0", "Default"
FILE = "experiments.jsonl"


class Experiment(msgspec.Struct, kw_only=True):
    """An experiment: its lines of the log taken together.

    Attributes:
        id, name: as MLflow says them.
        names: every name that it has had; runs keep the one of their time as their pipeline.
        location: where its artifacts go; None for the run folders.
        tags: by name.
        deleted, gone: in the trash; deleted for good.
        created, updated: milliseconds since the epoch.
    """

    id: str
    name: str
    names: list[str] = []
    location: str | None = None
    tags: dict[str, str] = {}
    deleted: bool = False
    gone: bool = False
    created: int = 0
    updated: int = 0


def milliseconds(time: str | None) -> int | None:
    """Return a time of ISO 8601 in milliseconds since the epoch; None where there is none."""
    if not time:
        return None
    try:
        return int(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return None


def id_of(name: str, attempt: int = 0) -> str:
    """Return the id of the experiment called ``name``: 18 digits of its digest, or ``0`` for the default one."""
    if name == DEFAULT_NAME and not attempt:
        return DEFAULT_ID
    salted = name if not attempt else f"{name}\0{attempt}"
    digest = int.from_bytes(hashlib.sha256(salted.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return str(10**17 + digest % (9 * 10**17))


class Experiments:
    """The experiments of one store."""

    def __init__(self, store: Store) -> None:
        """Read those of ``store``."""
        self._store = store
        self._file = store.root / MLFLOW_DIR / FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._told: dict[str, Experiment] = {}

    # -- reading --------------------------------------------------------------------------------------------

    def told(self) -> dict[str, Experiment]:
        """Return the experiments that the log tells of, and the default one, by id; those gone for good too."""
        try:
            state = self._file.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        except OSError:
            seen = (0, 0, 0)
        with self._lock:
            if seen != self._seen:
                self._told, self._seen = self._read(), seen
            return self._told

    def _read(self) -> dict[str, Experiment]:
        found = {DEFAULT_ID: Experiment(id=DEFAULT_ID, name=DEFAULT_NAME, names=[DEFAULT_NAME])}
        for line in read_lines(self._file):
            identity, time = line.get("id"), milliseconds(str(line.get("time", ""))) or 0
            if not isinstance(identity, str):
                continue
            entry = found.get(identity)
            if entry is None:
                if not isinstance(line.get("name"), str):
                    continue
                entry = found[identity] = Experiment(id=identity, name=line["name"], created=time)
            entry.updated = time
            entry.created = entry.created or time
            if isinstance(name := line.get("name"), str):
                entry.name = name
                entry.names = [*dict.fromkeys([*entry.names, name])]
                entry.gone = False
            if isinstance(line.get("location"), str):
                entry.location = line["location"]
            if isinstance(tags := line.get("tags"), dict):
                entry.tags = {k: str(v) for k, v in {**entry.tags, **tags}.items() if v is not None}
            if isinstance(line.get("deleted"), bool):
                entry.deleted = line["deleted"]
            if line.get("gone") is True:
                entry.gone, entry.deleted = True, True
        return found

    def all(self) -> dict[str, Experiment]:
        """Return every experiment, also the pipelines that nobody told MLflow of, by id."""
        told = self.told()
        found = {identity: entry for identity, entry in told.items() if not entry.gone}
        self._store.refresh()
        known = {name for entry in found.values() for name in entry.names}
        for name, (first, last) in self._store.catalog.pipelines().items():
            if name in known:
                continue
            entry = Experiment(id=self._free_id(name, told), name=name, names=[name])
            entry.created, entry.updated = milliseconds(first) or 0, milliseconds(last) or 0
            found[entry.id] = entry
        for identity, entry in found.items():
            # Corrida itself may have written runs of a pipeline whose experiment lies in the trash.
            if entry.deleted and not entry.gone and self.has_runs(entry):
                found[identity] = msgspec.structs.replace(entry, deleted=False)
        return found

    def has_runs(self, entry: Experiment) -> bool:
        """Tell whether the store has runs of an experiment, outside of the trash."""
        return any(self.of(header) == entry.id for header in self.headers([entry]))

    def headers(self, entries: list[Experiment], *more: Any) -> list[RunHeader]:
        """Return the runs that may be of these experiments, by the names that they have had."""
        from corrida.runs.query import Sql

        names = sorted({name for entry in entries for name in entry.names})
        if not names:
            return []
        marks = ", ".join("?" * len(names))
        return self._store.catalog.query(where=[Sql(f"runs.pipeline IN ({marks})", tuple(names)), *more])

    def get(self, identity: str) -> Experiment | None:
        """Return an experiment by its id."""
        entry = self.told().get(identity)
        if entry is not None and not entry.deleted:
            return entry
        return self.all().get(identity)

    def by_name(self, name: str) -> Experiment | None:
        """Return an experiment by its present name."""
        for entry in self.told().values():
            if entry.name == name and not entry.deleted:
                return entry
        return next((entry for entry in self.all().values() if entry.name == name), None)

    def of(self, header: RunHeader, told: dict[str, Experiment] | None = None) -> str:
        """Return the id of the experiment that a run belongs to.

        Args:
            header: the run.
            told: what :meth:`told` gave, for whoever asks of many runs.
        """
        told = self.told() if told is None else told
        if header.mlflow is not None and header.mlflow.experiment in told:
            return header.mlflow.experiment
        return self._of_name(header.pipeline, told)

    def _of_name(self, name: str, told: dict[str, Experiment]) -> str:
        there = [entry for entry in told.values() if not entry.gone and name in entry.names]
        exact = [entry.id for entry in there if entry.name == name]
        return (exact or [entry.id for entry in there] or [self._free_id(name, told)])[0]

    def _free_id(self, name: str, told: dict[str, Experiment]) -> str:
        attempt = 0
        while (taken := told.get(identity := id_of(name, attempt))) is not None and (
            taken.gone or name not in taken.names
        ):
            attempt += 1
        return identity

    # -- writing --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        ensure_store(self._store.root)
        with explained("writing the experiments"):
            make_mlflow_folder(self._store.root)
            with locked(self._file.with_name(".lock")):
                yield

    def _append(self, line: dict[str, Any]) -> None:
        append_line(self._file, {"time": utc_now(), "author": author(), **line})

    def create(self, name: str, location: str | None, tags: dict[str, str]) -> str:
        """Make an experiment and return its id.

        Raises:
            AlreadyExists: the name is taken, perhaps by a deleted one.
        """
        with self._alone():
            self._refuse_taken(name)
            told = self.told()
            attempt = 0
            while (identity := id_of(name, attempt)) in told:
                attempt += 1
            line: dict[str, Any] = {"id": identity, "name": name}
            self._append(
                line | ({"location": location} if location else {}) | ({"tags": tags} if tags else {})
            )
            return identity

    def _refuse_taken(self, name: str) -> None:
        taken = self.by_name(name)
        if taken is None:
            return
        if taken.deleted:
            raise AlreadyExists(
                f"Experiment {name!r} already exists in deleted state. You can restore the experiment, or permanently "
                "delete the experiment (mlflow gc) in order to use this experiment name again."
            )
        raise AlreadyExists(f"Experiment '{name}' already exists.")

    def change(self, entry: Experiment, **told: Any) -> None:
        """Append what was said of an experiment: ``name``, ``tags``, ``deleted`` or ``gone``.

        Raises:
            AlreadyExists: the new name is taken.
            Refused: the default experiment was to be deleted.
        """
        if entry.id == DEFAULT_ID and (told.get("deleted") or told.get("gone")):
            raise Refused("the default experiment cannot be deleted")
        with self._alone():
            if "name" in told and told["name"] != entry.name:
                self._refuse_taken(told["name"])
            if entry.id not in self.told():
                self._append({"id": entry.id, "name": entry.name})
            self._append({"id": entry.id, **told})
