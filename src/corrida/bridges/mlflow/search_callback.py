"""A model search tracked in MLflow: a parent run, and a nested run for each model."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida import __version__
from corrida.bridges.mlflow.client import checked_uri, explained, open_client, patient, quiet, shown_uri
from corrida.bridges.mlflow.exported_run import store_id
from corrida.bridges.mlflow.mapping import (
    EXPORT_RUN_TAG,
    EXPORT_STATE_TAG,
    EXPORT_STORE_TAG,
    MAX_PARAM,
    NAME_TAG,
    PARENT_TAG,
    SOURCE_TYPE_TAG,
    param_text,
)
from corrida.bridges.mlflow.outbox import Outbox
from corrida.bridges.mlflow.search_models import packed_model, send_model
from corrida.errors import BadInput, Refused, TrackingError
from corrida.runs.ids import child_id

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TRACKED = "corrida.tracked"
_LIBRARIES = (
    "scikit-learn",
    "numpy",
    "pandas",
    "polars",
    "scipy",
    "xgboost-cpu",
    "xgboost",
    "lightgbm",
    "optuna",
)
_LAST_WAIT = 30.0
"""Seconds that the end of a search waits for a server that is away."""


class MLflowCallback:
    """Tracks a search in MLflow; give it to ``run_model_search(callbacks=[…])``.

    Everything is sent by a thread of its own, so that the search never waits. While the server is away the search goes
    on, and what could not be sent is sent when it is back, at the latest at the end of the search; what is lost then is
    said, and recorded with the run. ``corrida export mlflow RUN`` completes it later.

    Attributes:
        tracking_uri: where it tracks.
        run_id: of the parent run in MLflow, once it is there.
    """

    def __init__(
        self,
        experiment_name: str = "model_search",
        *,
        tracking_uri: str | None = None,
        run_name: str | None = None,
        log_models: bool = True,
        wait: float = _LAST_WAIT,
    ) -> None:
        """Open MLflow and the experiment, which is made where it is missing.

        Args:
            experiment_name: the experiment.
            tracking_uri: ``sqlite:///mlflow.db``, ``corrida:runs``, ``http://host:5000`` …; where MLflow tracks already
                when None, else ``mlflow.db`` of the working folder.
            run_name: of the parent run; that of corrida's run when None.
            log_models: also make a model of MLflow of each fitted model.
            wait: seconds that the end of the search waits for a server that is away.

        Raises:
            MissingExtra: MLflow is not installed, or of a version that corrida does not know.
            BadInput: the address or the name is none.
            Refused: the experiment was deleted there.
            TrackingError: nobody answers there.
        """
        if not str(experiment_name).strip():
            raise BadInput("experiment_name is empty; name the experiment")
        self.tracking_uri = checked_uri(tracking_uri if tracking_uri is not None else default_uri())
        self.run_id: str | None = None
        self._client: MlflowClient = open_client(self.tracking_uri)
        self._experiment = self._experiment_id(experiment_name)
        self._run_name, self._log_models, self._wait = run_name, log_models, wait
        self._patience: Any = None
        self._outbox: Outbox | None = None
        self._ids: dict[str, str] = {}
        self._left_out: dict[str, list[str]] = {}
        self._search: Any = None
        self._copies: Path | None = None

    def _experiment_id(self, name: str) -> str:
        with explained(f"opening the experiment {name!r}"), quiet(), patient():
            there = self._client.get_experiment_by_name(name)
            if there is None:
                return str(self._client.create_experiment(name))
        if there.lifecycle_stage == "deleted":
            raise Refused(
                f"the experiment {name!r} was deleted in {shown_uri(self.tracking_uri)}; restore it there, or name another"
            )
        return str(there.experiment_id)

    # -- what the search tells ------------------------------------------------------------------------------

    def on_search_start(self, search: Any) -> None:
        """Make the parent run, with how the search is done and where."""
        self._search = search
        self._copies = Path(tempfile.mkdtemp(prefix="corrida-mlflow-"))
        self._patience = patient(retries=0, timeout=10)
        self._patience.__enter__()
        self._outbox = Outbox()
        settings = search.settings
        names = ("method", "n_iter", "cv", "random_state", "max_seconds", "patience")
        params = {name: getattr(settings, name, None) for name in names}
        params |= {"scoring": search.scoring, "models": ",".join(spec.name for spec in search.specs)}
        params |= _shape(search.data)
        name = self._run_name or search.run_id or "model_search"
        self._make_run("", name, _context() | self._origin(search.run_id))
        self._params("", params)

    def on_trial(self, spec: Any, trial: Any) -> None:
        """Log the scores of a candidate as a step of its model."""
        self._child(spec)
        metrics = {f"trial_{name}": value for name, value in trial.scores.items()}
        if trial.best_so_far is not None:
            metrics["best_so_far"] = trial.best_so_far
        self._metrics(spec.name, metrics, step=trial.number)

    def on_model_fitted(
        self, spec: Any, estimator: Any, metrics: Mapping[str, Any], extras: Mapping[str, Any]
    ) -> None:
        """Log the best parameters, the metrics, the tables and the saved model."""
        name = spec.name
        self._child(spec)
        self._tags(name, self._origin(extras.get("run_id")))
        best = extras.get("best_params") or {}
        self._params(name, {f"best_{key}": value for key, value in best.items()})
        durations = {key: extras.get(key) for key in ("train_duration_sec", "refit_sec")}
        self._metrics(name, {**durations, **metrics})
        self._tables(name, extras.get("tables") or {})
        saved = extras.get("model_path")
        if saved is not None:
            self._put(
                name, f"the model {name}", lambda run_id: self._upload(run_id, Path(saved), f"models/{name}")
            )
            if self._log_models and self._copies is not None:
                packed = self._copies / f"{name}.model"
                packed_model(Path(saved), packed, self._search.data.X_train, estimator)
                what = f"the model {name} as one of MLflow"
                self._put(
                    name,
                    what,
                    lambda run_id: send_model(self._client, self._experiment, run_id, name, packed, best),
                )
        self._end(name, "FINISHED")

    def on_model_failed(self, spec: Any, error: Exception, extras: Mapping[str, Any]) -> None:
        """End the run of a model as failed, with the reason."""
        self._child(spec)
        tags = {"corrida.error": f"{type(error).__name__}: {error}"[:MAX_PARAM]}
        self._tags(spec.name, tags | self._origin(extras.get("run_id")))
        self._tables(spec.name, extras.get("tables") or {})
        self._end(spec.name, "FAILED")

    def on_search_end(self, results: Any) -> None:
        """Log the report and the best model, and wait for what is not sent yet.

        Raises:
            TrackingError: something could not be sent, or was left out; said with the run.
        """
        if self._outbox is None:
            return
        try:
            if results.fitted:
                best = results.best
                self._tags("", {"best_model": best.name})
                self._metrics("", {**best.metrics, **results.metrics})
            self._tables("", {"training_report.csv": results.report()})
            self._end("", "FINISHED" if results.fitted else "FAILED")
            lost = self._outbox.finish(self._wait)
        finally:
            self._patience.__exit__(None, None, None)
            if self._copies is not None:
                shutil.rmtree(self._copies, ignore_errors=True)
        kept = getattr(self._search, "folder", None) is not None
        self._say_what_is_lost(lost, results.run_id if kept else None)

    def _say_what_is_lost(self, lost: list[str], run_id: str | None) -> None:
        assert self._outbox is not None  # noqa: S101 - for the type checker
        said = []
        if lost:
            again = (
                f"; `corrida export mlflow {run_id} --to {shown_uri(self.tracking_uri)}` completes it"
                if run_id
                else ""
            )
            said.append(
                f"MLflow at {shown_uri(self.tracking_uri)} was away ({self._outbox.away or 'too slow'}), and "
                f"{_counted(len(lost), 'message')} did not get there ({_some(lost)}){again}"
            )
        if self._outbox.declined:
            said.append(f"MLflow declined {_some(self._outbox.declined)}")
        if self._left_out:
            those = [f"{name or 'the search'}: {', '.join(names)}" for name, names in self._left_out.items()]
            said.append(f"metrics that have no finite value were not sent to MLflow ({'; '.join(those)})")
        if said:
            raise TrackingError("; ".join(said))

    # -- messages -------------------------------------------------------------------------------------------

    def _origin(self, run_id: str | None) -> dict[str, str]:
        """Return the tags by which an export finds what is here already."""
        folder = getattr(self._search, "folder", None)
        if run_id is None or folder is None:
            return {}
        tags = {EXPORT_RUN_TAG: run_id, EXPORT_STATE_TAG: "tracked"}
        return tags | ({EXPORT_STORE_TAG: found} if (found := store_id(Path(folder).parent)) else {})

    def _child(self, spec: Any) -> None:
        if spec.name not in self._ids:
            self._ids[spec.name] = ""
            # The id that the child run gets unless it is taken; what is told later corrects it.
            run_id = child_id(self._search.run_id, spec.name) if self._search.run_id else None
            tags = {"task": str(getattr(spec, "task", ""))}
            self._make_run(spec.name, spec.name, tags | self._origin(run_id))

    def _make_run(self, key: str, name: str, tags: Mapping[str, str]) -> None:
        """Make a run once, also when the answer to the first try was lost."""
        mark, started = uuid.uuid4().hex, int(time.time() * 1000)
        tried = threading.Event()
        self._ids[key] = ""

        def make() -> None:
            found = None
            if tried.is_set():
                runs = self._client.search_runs(
                    [self._experiment], f"tags.`{_TRACKED}` = '{mark}'", max_results=1
                )
                found = runs[0] if runs else None
            tried.set()
            if found is None:
                above = {PARENT_TAG: self._ids[""]} if key else {}
                marked = {NAME_TAG: name, SOURCE_TYPE_TAG: "LOCAL", _TRACKED: mark, **tags, **above}
                found = self._client.create_run(self._experiment, started, marked)
            self._ids[key] = found.info.run_id
            if not key:
                self.run_id = found.info.run_id

        self._send(f"the run {name}", make)

    def _send(self, what: str, send: Callable[[], None]) -> None:
        if self._outbox is not None:
            self._outbox.put(what, send)

    def _put(self, key: str, what: str, send: Callable[[str], object]) -> None:
        def sending() -> None:
            if self._ids.get(key):  # else its run could not be made, which was said
                send(self._ids[key])

        self._send(what, sending)

    def _tags(self, key: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        if tags:
            given = [RunTag(name, value) for name, value in tags.items()]
            self._put(
                key,
                f"tags of {key or 'the search'}",
                lambda run_id: self._client.log_batch(run_id, tags=given),
            )

    def _params(self, key: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        given = [
            Param(name, param_text(value)[:MAX_PARAM]) for name, value in params.items() if value is not None
        ]
        if given:
            what = f"parameters of {key or 'the search'}"
            self._put(key, what, lambda run_id: self._client.log_batch(run_id, params=given))

    def _metrics(self, key: str, metrics: Mapping[str, Any], step: int = 0) -> None:
        from mlflow.entities import Metric

        now, given = int(time.time() * 1000), []
        for name, value in metrics.items():
            if isinstance(value, int | float) and math.isfinite(value):
                given.append(Metric(name, float(value), now, step))
            elif name not in (left := self._left_out.setdefault(key, [])):
                left.append(name)
        if not self._left_out.get(key, [""]):
            del self._left_out[key]
        if given:
            what = f"metrics of {key or 'the search'}"
            self._put(key, what, lambda run_id: self._client.log_batch(run_id, metrics=given))

    def _tables(self, key: str, tables: Mapping[str, Any]) -> None:
        for file, frame in tables.items():
            path = (self._copies or Path()) / (key or "search") / Path(file).name
            path.parent.mkdir(exist_ok=True)
            frame.write_csv(path)
            self._put(key, str(file), lambda run_id, path=path: self._client.log_artifact(run_id, str(path)))  # type: ignore[misc]

    def _upload(self, run_id: str, folder: Path, place: str) -> None:
        self._client.log_artifacts(run_id, str(folder), place)

    def _end(self, key: str, status: str) -> None:
        now = int(time.time() * 1000)
        what = f"the end of {key or 'the search'}"
        self._put(key, what, lambda run_id: self._client.set_terminated(run_id, status, now))


def default_uri() -> str:
    """Return where MLflow tracks: as the environment or the program says, else mlflow.db of the working folder."""
    import os
    import sys

    if os.environ.get("MLFLOW_TRACKING_URI"):
        return os.environ["MLFLOW_TRACKING_URI"]
    tracking = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if tracking is not None and getattr(tracking, "_tracking_uri", None):
        return str(tracking._tracking_uri)  # noqa: SLF001 - there is no other way to ask whether it was set
    return f"sqlite:///{Path('mlflow.db').absolute()}"


def _context() -> dict[str, str]:
    """Return what the search runs on."""
    found = {"python_version": platform.python_version(), "platform": platform.platform()}
    found["corrida_version"] = __version__
    for library in _LIBRARIES:
        try:
            name = "sklearn" if library == "scikit-learn" else library.replace("-", "_")
            found[f"{name}_version"] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _shape(data: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"target": getattr(data, "target", None), "task": getattr(data, "task", None)}
    for name, table in (("train", getattr(data, "X_train", None)), ("test", getattr(data, "X_test", None))):
        shape = getattr(table, "shape", None)
        if shape:
            found[f"{name}_rows"] = shape[0]
            found["features"] = shape[1] if len(shape) > 1 else 1
    return found


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return "; ".join(names[:3]) + more
