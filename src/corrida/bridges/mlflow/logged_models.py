"""Logged models of MLflow 3: each a log of what was said of it, ``.mlflow/models/<id>.jsonl``, and a folder of files.

The files lie in the run that made the model while that is open, so that they are sealed with it; of a model without
an open run they lie beside its log. The log is appended to after the end of the run too.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from corrida.bridges.mlflow.locations import MLFLOW_DIR, make_mlflow_folder, to_mlflow
from corrida.bridges.mlflow.mapping import LOGGED_MODELS
from corrida.bridges.mlflow.points import Point, rank
from corrida.errors import RunNotFound
from corrida.runs.annotations import author, utc_now
from corrida.runs.claim import ensure_store
from corrida.runs.files import append_line, explained, read_lines
from corrida.runs.ids import is_run_id
from corrida.runs.numbers import NOT_FINITE, json_number
from corrida.runs.trash import trash_folder

_SUFFIX = ".jsonl"
ENTITY_FILE = "logged_model.json"


class ModelFacts(msgspec.Struct, kw_only=True):
    """What was said of a logged model.

    Attributes:
        id, experiment, name: of the model.
        run: the run folder with its files; None when they lie beside the log.
        source_run: the run that made it, as MLflow says its id.
        model_type: as the client gave it.
        status: ``PENDING``, ``READY``, ``FAILED`` or ``UNSPECIFIED``.
        created, updated: milliseconds since the epoch.
        tags, params: by name.
        points: the value of each metric for each dataset, with the run that logged it.
        deleted: whether it lies in the trash.
    """

    id: str
    experiment: str = "0"
    name: str = ""
    run: str | None = None
    source_run: str | None = None
    model_type: str | None = None
    status: str = "PENDING"
    created: int = 0
    updated: int = 0
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    points: dict[tuple[str, tuple[str, str] | None], tuple[Point, str | None]] = {}
    deleted: bool = False


class ModelShelf:
    """The logged models of one store."""

    def __init__(self, root: Path) -> None:
        """Keep the models of the store at ``root``."""
        self._root = root
        self._folder = root / MLFLOW_DIR / "models"
        self._known: dict[str, tuple[tuple[int, int, int], ModelFacts]] = {}

    def create(self, facts: Mapping[str, Any]) -> ModelFacts:
        """Write down a new model and return it.

        Args:
            facts: ``experiment``, ``name``, ``run``, ``source_run``, ``model_type``, ``tags``, ``params``.

        Raises:
            StoreError: the store cannot be written.
        """
        ensure_store(self._root)
        model_id = f"m-{uuid.uuid4().hex}"
        with explained("writing a model"):
            make_mlflow_folder(self._root, "models")
        self.tell(model_id, {**facts, "status": "PENDING"})
        return self.get(model_id)

    def tell(self, model_id: str, said: Mapping[str, Any], *, durable: bool = False) -> None:
        """Append what was said of a model: a field, or ``tags`` of which None removes one."""
        line = {"time": utc_now(), "at": int(time.time() * 1000), "author": author(), **said}
        with explained(f"writing the model {model_id}"):
            append_line(self._folder / f"{model_id}{_SUFFIX}", line, durable=durable)

    def measure(self, model_id: str, points: Iterable[Point], run: str | None) -> None:
        """Append points of metrics that a run logged for a model."""
        for point in points:
            self.tell(
                model_id,
                {
                    "metric": point.key,
                    "value": json_number(point.value),
                    "step": point.step,
                    "timestamp": point.timestamp,
                    "dataset": list(point.dataset) if point.dataset else None,
                    "run": run,
                },
            )

    def take_over(self, model_id: str, run_dir: Path, experiment: str) -> None:
        """Write down a model that came with an imported run, unless the run says nothing of it.

        Args:
            model_id: the id that it had.
            run_dir: the run folder, with ``logged_models/<id>/logged_model.json``.
            experiment: the id of the experiment that the run belongs to.

        Raises:
            OSError: there is no such file, or the store cannot be written.
            ValueError: the file cannot be read.
        """
        path = run_dir / LOGGED_MODELS / model_id / ENTITY_FILE
        facts = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        make_mlflow_folder(self._root, "models")
        made = facts.get("creation_timestamp", facts.get("creation_timestamp_ms"))
        self.tell(
            model_id,
            {
                **{key: facts[key] for key in ("name", "model_type", "status") if isinstance(facts.get(key), str)},
                **{key: facts[key] for key in ("tags", "params") if isinstance(facts.get(key), dict)},
                "created": made, "experiment": experiment, "run": run_dir.name, "source_run": to_mlflow(run_dir.name),
            },
        )  # fmt: skip
        self.measure(model_id, _points_said(facts.get("metrics")), to_mlflow(run_dir.name))

    def ids(self) -> list[str]:
        """Return the ids of all models, those in the trash too."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - names are all we need
        except OSError:
            return []
        return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    def has(self, model_id: str) -> bool:
        """Tell whether there is such a model."""
        return is_run_id(model_id) and (self._folder / f"{model_id}{_SUFFIX}").exists()

    def get(self, model_id: str) -> ModelFacts:
        """Return a model.

        Raises:
            RunNotFound: there is none of this id.
        """
        if not is_run_id(model_id):
            raise RunNotFound(f"Model '{model_id}' not found")
        path = self._folder / f"{model_id}{_SUFFIX}"
        try:
            state = path.stat()
        except OSError:
            raise RunNotFound(f"Model '{model_id}' not found") from None
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        known = self._known.get(model_id)
        if known is None or known[0] != seen:
            known = self._known[model_id] = (seen, _taken_together(model_id, read_lines(path)))
        return known[1]

    def files_of(self, facts: ModelFacts) -> Path:
        """Return the folder with the files of a model, wherever its run is now."""
        if facts.run is None:
            return self._folder / facts.id / "artifacts"
        run_dir = self._root / facts.run
        if not run_dir.is_dir() and (trash_folder(self._root) / facts.run).is_dir():
            run_dir = trash_folder(self._root) / facts.run
        return run_dir / LOGGED_MODELS / facts.id / "artifacts"

    def remove(self, model_id: str) -> None:
        """Delete the log of a model for good, and its files where they are no part of a run."""
        import shutil

        shutil.rmtree(self._folder / model_id, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            (self._folder / f"{model_id}{_SUFFIX}").unlink()
        self._known.pop(model_id, None)


def _taken_together(model_id: str, lines: Iterable[Mapping[str, Any]]) -> ModelFacts:
    facts = ModelFacts(id=model_id)
    for line in lines:
        if isinstance(at := line.get("at"), int):
            made = line.get("created")  # elsewhere, of a model that came with an imported run
            facts.created = facts.created or (made if isinstance(made, int) else at)
            facts.updated = at
        if "metric" in line:
            _measured(facts, line)
            continue
        for name in ("experiment", "name", "run", "source_run", "model_type", "status"):
            if isinstance(line.get(name), str):
                setattr(facts, name, line[name])
        for name in ("tags", "params"):
            if isinstance(told := line.get(name), dict):
                merged = {**getattr(facts, name), **told}
                setattr(facts, name, {k: str(v) for k, v in merged.items() if v is not None})
        if isinstance(line.get("deleted"), bool):
            facts.deleted = line["deleted"]
    return facts


def _points_said(metrics: Any) -> Iterator[Point]:
    """Yield the points that a ``logged_model.json`` tells of, as a folder of MLflow, a database or a server said them."""
    for one in metrics if isinstance(metrics, list) else ():
        if not isinstance(one, dict):
            continue
        found = dict(one)
        if isinstance(
            line := found.pop("line", None), str
        ):  # time, value, step, run, and perhaps name and digest of data
            found |= dict(
                zip(("timestamp", "value", "step", "run", "data", "digest"), line.split(), strict=False)
            )
        stamp = found.get("timestamp", found.get("metric_timestamp_ms", 0))
        name, value, step = (found.get(key, found.get(f"metric_{key}")) for key in ("name", "value", "step"))
        if name is None or value is None:
            continue
        with contextlib.suppress(TypeError, ValueError):
            yield Point(str(name), float(value), int(step or 0), int(stamp or 0))


def _measured(facts: ModelFacts, line: Mapping[str, Any]) -> None:
    value, data, run = line.get("value"), line.get("dataset"), line.get("run")
    if not isinstance(value, float | int) and value not in NOT_FINITE:
        return
    dataset = (str(data[0]), str(data[1])) if isinstance(data, list) and len(data) == 2 else None
    point = Point(
        str(line["metric"]),
        float(value),
        int(line.get("step", 0)),
        int(line.get("timestamp", 0)),
        facts.id,
        dataset,
    )
    before = facts.points.get((point.key, dataset))
    if before is None or rank(point) >= rank(before[0]):
        facts.points[point.key, dataset] = (point, run if isinstance(run, str) else None)
