"""What another MLflow holds, the same whether it is a folder, a database or a server."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from corrida.bridges.mlflow.mapping import Point, latest
from corrida.errors import CorridaError


class ForeignExperiment(NamedTuple):
    """An experiment: its id, its name, whether it was deleted, and its tags."""

    id: str
    name: str
    deleted: bool = False
    tags: Mapping[str, str] = {}


@dataclass(kw_only=True)
class Head:
    """What is known of a run before all of it is read.

    Attributes:
        run_id: as MLflow has it.
        experiment: the one it belongs to.
        name: of the run; empty where it has none.
        parent: the MLflow id of the run above it.
        status: ``FINISHED``, ``FAILED``, ``KILLED``, ``RUNNING`` or ``SCHEDULED``.
        started, ended: milliseconds since the epoch; None where nobody wrote it.
        deleted: whether it, or its experiment, was deleted.
        artifact_uri: where its artifacts are, as it was written when the run was made.
        exported: for a run that corrida exported, its id in the store and the digest of its run.json.
    """

    run_id: str
    experiment: ForeignExperiment
    name: str = ""
    parent: str | None = None
    status: str = "RUNNING"
    started: int | None = None
    ended: int | None = None
    deleted: bool = False
    artifact_uri: str = ""
    exported: tuple[str, str] | None = None


@dataclass(kw_only=True)
class ForeignModel:
    """A model that MLflow 3 keeps beside the runs: its id, what is said of it, and where its files are."""

    model_id: str
    facts: Mapping[str, Any]
    artifact_uri: str


@dataclass(kw_only=True)
class ForeignRun:
    """All of a run.

    Attributes:
        head: who it is.
        params, tags: texts by name.
        metrics: every point by name.
        datasets: its inputs, as MLflow describes datasets.
        models: the models that it made.
        remarks: what could not be read of it.
    """

    head: Head
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[Point]] = field(default_factory=dict)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    models: list[ForeignModel] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def last_sign(self) -> int:
        """Return when it last gave a sign of life, in milliseconds since the epoch."""
        times = [p.timestamp for points in self.metrics.values() for p in points]
        return max([self.head.started or 0, self.head.ended or 0, *times])

    def digest(self) -> str:
        """Return the digest of what it gave: the last value of each metric counts, tags and names do not."""
        content = [
            self.head.run_id,
            self.head.status,
            self.head.started,
            self.head.ended,
            sorted(self.params.items()),
            sorted(
                (name, repr(float(latest(points).value))) for name, points in self.metrics.items() if points
            ),
        ]
        data = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return "sha256:" + hashlib.sha256(data).hexdigest()


class Unreachable(CorridaError):
    """The artifacts of a run are not where they should be, or nobody answers there."""


class Source(Protocol):
    """Another MLflow, to read from; nothing in it is changed.

    Attributes:
        label: how to call it.
        remarks: what it holds and a store of runs cannot.
    """

    label: str
    remarks: list[str]

    def experiments(self) -> Sequence[ForeignExperiment]:
        """Return every experiment, deleted ones too."""
        ...

    def heads(self, experiment: ForeignExperiment) -> Iterator[Head]:
        """Yield the runs of an experiment, deleted ones too."""
        ...

    def load(self, head: Head, *, histories: bool = True) -> ForeignRun:
        """Read all of a run but its artifacts; without histories the last value of each metric will do."""
        ...

    def folder(self, owner: str, uri: str) -> AbstractContextManager[Path | None]:
        """Give the artifacts of a run or a model as a folder of this machine; None when there are none.

        Args:
            owner: the id of the run or the model.
            uri: where they are, as it was written when that was made.

        Raises:
            Unreachable: they cannot be had.
        """
        ...


@contextmanager
def local_folder(path: Path | None) -> Iterator[Path | None]:
    """Give a folder that is there already."""
    yield path


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """Return every file below a folder with its relative name, sorted; links are not followed."""
    found: list[tuple[str, Path]] = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                found.append((path.relative_to(folder).as_posix(), path))
    return found
