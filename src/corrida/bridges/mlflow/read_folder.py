"""An ``mlruns`` folder, as every version of MLflow since 0.x wrote it; MLflow itself is not needed.

    <mlruns>/<experiment>/meta.yaml, tags/<name>, datasets/<id>/meta.yaml, models/<id>/…
    <mlruns>/<experiment>/<run>/meta.yaml, params/<name>, metrics/<name>, tags/<name>, inputs/<id>/meta.yaml, artifacts/…
    <mlruns>/.trash/<experiment>/…      deleted experiments

Early versions wrote ``run_uuid`` and numbers for ids, no step into the files of metrics, and no tags for the name and
the source; the folder may lie elsewhere than when its addresses were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from corrida.bridges.mlflow.artifact_places import local_artifacts
from corrida.bridges.mlflow.foreign import ForeignExperiment, ForeignModel, ForeignRun, Head, Source
from corrida.bridges.mlflow.mapping import (
    COMMIT_TAG,
    EXPORT_DIGEST_TAG,
    EXPORT_RUN_TAG,
    NAME_TAG,
    PARENT_TAG,
    SOURCE_NAME_TAG,
    SOURCE_TYPE_TAG,
    USER_TAG,
    Point,
    exported_as,
)
from corrida.runs.documents import Unreadable, read_document
from corrida.runs.ids import is_run_id
from corrida.runs.plain import text

_META = "meta.yaml"
_TRASH = ".trash"
_NO_RUNS = frozenset({"tags", "datasets", "traces", "models", "artifacts"})
_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}
_SOURCE_TYPE = {1: "NOTEBOOK", 2: "JOB", 3: "PROJECT", 4: "LOCAL", 1000: "UNKNOWN"}


def is_mlruns(folder: Path) -> bool:
    """Tell whether a folder has experiments of MLflow's file store."""
    return any(True for place in (folder, folder / _TRASH) for _ in place.glob(f"*/{_META}"))


class FolderSource(Source):
    """An ``mlruns`` folder."""

    def __init__(self, root: Path, artifacts: Path | None = None) -> None:
        """Read the folder at ``root``; ``artifacts`` is where moved artifacts are looked for."""
        self._root, self._elsewhere = root, artifacts
        self._places: dict[str, Path] = {}
        self._run_places: dict[str, Path] = {}
        self._broken: list[str] = []
        self.label = text(root.name)
        self.remarks: list[str] = []

    def experiments(self) -> Sequence[ForeignExperiment]:
        """Return every experiment, those in the trash of MLflow too."""
        found = []
        traces = 0
        for place, in_trash in ((self._root, False), (self._root / _TRASH, True)):
            for folder in _folders(place):
                if folder.name == _TRASH or not (folder / _META).is_file():
                    continue
                meta = _read_meta(folder, self.remarks)
                if meta is None:
                    continue
                number = str(meta.get("experiment_id", folder.name))
                if "run_id" in meta or "model_id" in meta:
                    continue  # a run or a model that somebody put here
                if number in self._places:  # a copy of another experiment
                    number = folder.name
                deleted = in_trash or meta.get("lifecycle_stage") == "deleted"
                name = str(meta.get("name") or f"experiment_{number}")
                self._places[number] = folder
                found.append(ForeignExperiment(number, name, deleted, _texts(folder / "tags")))
                traces += len(_folders(folder / "traces"))
        self._say_what_stays(traces)
        return found

    def _say_what_stays(self, traces: int) -> None:
        if traces:
            self.remarks.append(f"{traces} trace{'s' * (traces > 1)} stayed there: a run has none")
        models = [folder for folder in _folders(self._root / "models") if (folder / _META).is_file()]
        if models:
            self.remarks.append(
                f"the model registry stayed there ({len(models)} registered model{'s' * (len(models) > 1)}): `corrida "
                "promote` gives a run an alias"
            )

    def heads(self, experiment: ForeignExperiment) -> Iterator[Head]:
        """Yield the runs of an experiment, deleted ones too."""
        for folder in _folders(self._places[experiment.id]):
            if folder.name in _NO_RUNS or not (folder / _META).is_file():
                continue
            meta = _read_meta(folder, self.remarks)
            if meta is None:
                continue
            run_id = str(meta.get("run_id") or meta.get("run_uuid") or folder.name)
            if run_id in self._run_places:
                run_id = folder.name  # a file that was copied from another run
            if run_id in self._run_places:
                self.remarks.append(
                    f"the run {text(run_id)} is there twice; the one in {text(folder.parent.name)} was left out"
                )
                continue
            self._run_places[run_id] = folder
            yield Head(
                run_id=run_id,
                experiment=experiment,
                name=_text(folder / "tags" / NAME_TAG) or str(meta.get("run_name") or meta.get("name") or ""),
                parent=_text(folder / "tags" / PARENT_TAG) or None,
                status=_status(meta.get("status", 1)),
                started=_millis(meta.get("start_time")),
                ended=_millis(meta.get("end_time")),
                deleted=experiment.deleted or meta.get("lifecycle_stage") == "deleted",
                artifact_uri=str(meta.get("artifact_uri") or ""),
                exported=exported_as(_texts(folder / "tags", (EXPORT_RUN_TAG, EXPORT_DIGEST_TAG))),
            )

    def load(self, head: Head, *, histories: bool = True) -> ForeignRun:
        """Read all of a run but its artifacts; histories cost nothing here."""
        del histories
        folder = self._run_places[head.run_id]
        run = ForeignRun(head=head, params=_texts(folder / "params"), tags=_texts(folder / "tags"))
        meta = _read_meta(folder, []) or {}
        _add_early_tags(run, meta)
        for name, path in _files(folder / "metrics"):
            points = _points(path, run.remarks, name)
            if points:
                run.metrics[name] = points
        experiment = self._places[head.experiment.id]
        run.datasets = _inputs(folder / "inputs", experiment / "datasets", run.remarks)
        run.models = self._models(folder, experiment, run)
        return run

    def _models(self, folder: Path, experiment: Path, run: ForeignRun) -> list[ForeignModel]:
        found = []
        for output in _folders(folder / "outputs"):
            link = _read_meta(output, run.remarks) or {}
            model_id = str(link.get("destination_id") or output.name)
            place = experiment / "models" / model_id
            if not is_run_id(model_id) or not (place / _META).is_file():
                run.remarks.append(f"its model {model_id} is not there")
                continue
            meta = _read_meta(place, run.remarks) or {}
            facts = {key: value for key, value in meta.items() if key != "artifact_location"}
            facts["status"] = _MODEL_STATUS.get(facts.get("status", 0), str(facts.get("status")))
            facts |= {"step": link.get("step"), "params": _texts(place / "params")}
            facts |= {
                "tags": _texts(place / "tags"),
                "metrics": [
                    {"name": name, "line": line}
                    for name, path in _files(place / "metrics")
                    for line in path.read_text("utf-8", "replace").splitlines()
                ],
            }
            self._run_places[model_id] = place
            found.append(
                ForeignModel(
                    model_id=model_id, facts=facts, artifact_uri=str(meta.get("artifact_location") or "")
                )
            )
        return found

    def folder(self, owner: str, uri: str) -> AbstractContextManager[Path | None]:
        """Give the artifacts of a run or a model: beside its meta.yaml where they are, else where the address says."""
        beside = self._run_places[owner] / "artifacts"
        return local_artifacts(uri, self._root, self._elsewhere, beside=beside)


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(entry for entry in place.iterdir() if entry.is_dir())


def _files(place: Path) -> list[tuple[str, Path]]:
    """Return the files below a folder with their names; a name of MLflow may hold slashes."""
    if not place.is_dir():
        return []
    found = [(text(p.relative_to(place).as_posix()), p) for p in place.rglob("*") if p.is_file()]
    return sorted(found)


def _texts(place: Path, only: Sequence[str] = ()) -> dict[str, str]:
    found = [(name, place / name) for name in only if (place / name).is_file()] if only else _files(place)
    return {name: path.read_bytes().decode("utf-8", "replace") for name, path in found}


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


def _read_meta(folder: Path, remarks: list[str]) -> dict[str, Any] | None:
    place = f"{text(folder.parent.name)}/{text(folder.name)}/{_META}"
    try:
        meta = read_document(_META, (folder / _META).read_bytes())
    except (Unreadable, OSError) as error:
        remarks.append(f"{place} cannot be read and was left out: {error}")
        return None
    if not isinstance(meta, dict):
        remarks.append(f"{place} is empty or cut off and was left out")
        return None
    return meta


def _status(value: Any) -> str:
    if isinstance(value, int):
        return _STATUS.get(value, "RUNNING")
    return value if value in _STATUS.values() else "RUNNING"


def _millis(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 10**14 else None


def _add_early_tags(run: ForeignRun, meta: Mapping[str, Any]) -> None:
    """Add what early versions of MLflow wrote into meta.yaml, and later ones as tags."""
    known = {
        NAME_TAG: run.head.name,
        USER_TAG: meta.get("user_id"),
        SOURCE_NAME_TAG: meta.get("source_name"),
        COMMIT_TAG: meta.get("source_version"),
    }
    if meta.get("source_name"):
        kind = meta.get("source_type")
        known[SOURCE_TYPE_TAG] = _SOURCE_TYPE.get(kind, "") if isinstance(kind, int) else kind
    for name, value in known.items():
        if value and value != "unknown" and name not in run.tags:
            run.tags[name] = str(value)


def _points(path: Path, remarks: list[str], name: str) -> list[Point]:
    """Read the points of a metric: lines of time and value, since MLflow 1.0 the step, since 3.0 perhaps a dataset."""
    found: dict[tuple[int, int, str], Point] = {}
    odd = 0
    for line in path.read_text("utf-8", "replace").splitlines():
        parts = line.split()
        try:
            number = float(parts[1] if len(parts) > 1 else parts[0])
            stamp = int(parts[0]) if len(parts) > 1 else 0
            step = int(parts[2]) if len(parts) > 2 else 0
        except (ValueError, IndexError):
            odd += bool(parts)
            continue
        # The first versions of all wrote seconds.
        point = Point(step, stamp * 1000 if 10**8 < stamp < 10**10 else stamp, number)
        found[point.step, point.timestamp, repr(number)] = point  # 3.1 wrote some twice; databases keep one
    if odd:
        remarks.append(f"{odd} line{'s' * (odd > 1)} of the metric {name} cannot be read and stayed there")
    return list(found.values())


def _inputs(folder: Path, datasets: Path, remarks: list[str]) -> list[dict[str, Any]]:
    found = []
    for entry in _folders(folder):
        link = _read_meta(entry, remarks) or {}
        if link.get("source_type", "DATASET") != "DATASET":
            continue
        place = datasets / str(link.get("source_id") or entry.name)
        if not (place / _META).is_file():
            remarks.append(f"the description of the dataset {place.name} is not there")
            continue
        meta = _read_meta(place, remarks) or {}
        described = {
            key: meta.get(key) for key in ("name", "digest", "source_type", "source", "schema", "profile")
        }
        tags = link.get("tags")
        found.append(
            {
                **described,
                "tags": {str(k): str(v) for k, v in tags.items()} if isinstance(tags, dict) else {},
            }
        )
    return found
