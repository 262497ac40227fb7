"""MLflow's tracking store for the scheme ``corrida:``: unchanged MLflow code writes and reads run folders."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.utils.uri import append_to_uri_path, resolve_uri_if_local

from corrida.bridges.mlflow.artifact_repository import STORES, UPLOADS
from corrida.bridges.mlflow.experiment_calls import ExperimentCalls
from corrida.bridges.mlflow.experiments import Experiment, Experiments
from corrida.bridges.mlflow.failures import not_implemented, refuse_the_rest, says_it_to_mlflow
from corrida.bridges.mlflow.finding import Finder
from corrida.bridges.mlflow.locations import PROXY, SCHEME, folder_of, to_mlflow, uri_of
from corrida.bridges.mlflow.logged_models import ModelShelf
from corrida.bridges.mlflow.mapping import ARTIFACTS
from corrida.bridges.mlflow.model_calls import ModelCalls
from corrida.bridges.mlflow.run_calls import RunCalls
from corrida.errors import InvalidReference
from corrida.runs import layout
from corrida.runs.store import Store

if TYPE_CHECKING:
    from corrida.bridges.mlflow.runs_seen import Seen

_IMPORTED_TAG = "mlflow_run_id"
_TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
_MLFLOWS_DEFAULT = "./mlruns"
_ABANDONED = 24 * 3600

# What the abstract class does well by calling what is implemented here.
_KEPT = frozenset(
    {
        "search_runs", "log_metric_async", "log_param_async", "set_tag_async", "log_batch_async", "end_async_logging",
        "flush_async_logging", "shut_down_async_logging", "get_metric_history_bulk_interval_from_steps",
        "get_metric_history_bulk_interval", "_evenly_spaced_indices", "set_model_versions_tags",
    }
)  # fmt: skip


@says_it_to_mlflow
class CorridaTrackingStore(RunCalls, ExperimentCalls, ModelCalls, AbstractStore):
    """The runs of one store, to MLflow."""

    def __init__(self, store_uri: str, artifact_uri: str | None = None) -> None:
        """Open the store at ``corrida:FOLDER``.

        Args:
            store_uri: the address; a relative one is made absolute here, once.
            artifact_uri: where artifacts go; into the run folders unless it names a place elsewhere.

        Raises:
            MlflowException: the address names no folder.
        """
        AbstractStore.__init__(self)
        RunCalls.__init__(self)
        folder = folder_of(store_uri)
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir():
            raise InvalidReference(
                f"{store_uri!r} leads through the file {there.name}; give a folder: corrida:runs"
            )
        self._store = Store(folder)
        STORES.add(folder)
        self._experiments = Experiments(self._store)
        self._finder = Finder(self._store, self._experiments)
        self._models = ModelShelf(folder)
        self._missed = {}
        self._elsewhere, self._proxy = _places(artifact_uri)
        if os.environ.get(_TRACKING_VARIABLE) == store_uri:
            os.environ[_TRACKING_VARIABLE] = uri_of(folder)  # a process started from here may run elsewhere
        _sweep_uploads(folder)

    @property
    def root(self) -> Path:
        """The folder of the store."""
        return self._store.root

    def _place_uri(self, folder: Path) -> str:
        """Return the address of a folder of the store, as this process or its clients reach it."""
        if self._proxy is None:
            return uri_of(folder)
        from urllib.parse import quote

        return str(append_to_uri_path(self._proxy, quote(folder.relative_to(self.root).as_posix())))

    def _artifact_uri(self, seen: Seen) -> str:
        through_mlflow = seen.facts is not None or _IMPORTED_TAG in seen.header.tags
        if seen.facts is not None:
            entry = self._experiments.told().get(seen.experiment)
            elsewhere = entry.location if entry is not None else None
            if elsewhere is None and self._elsewhere is not None:
                elsewhere = append_to_uri_path(self._elsewhere, seen.experiment)
            if elsewhere is not None:
                return str(append_to_uri_path(elsewhere, to_mlflow(seen.header.id), ARTIFACTS))
        return self._place_uri(seen.dir / ARTIFACTS if through_mlflow else seen.dir)

    def _experiment_location(self, entry: Experiment) -> str:
        if entry.location is not None:
            return entry.location
        if self._elsewhere is not None:
            return str(append_to_uri_path(self._elsewhere, entry.id))
        return uri_of(self.root) if self._proxy is None else self._proxy

    # -- what corrida has none of: an empty answer is the truth ---------------------------------------------

    def search_traces(self, *_: Any, **__: Any) -> tuple[list[Any], None]:
        """Return no traces: corrida keeps none."""
        return [], None

    def find_completed_sessions(self, *_: Any, **__: Any) -> list[Any]:
        """Return no sessions of traces: corrida keeps none."""
        return []

    def search_datasets(self, *_: Any, **__: Any) -> PagedList[Any]:
        """Return no evaluation datasets: corrida keeps none. Those that runs read are another matter."""
        return PagedList([], None)

    def deprecated_start_trace_v2(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse traces, which corrida does not keep."""
        not_implemented("start_trace")

    def deprecated_end_trace_v2(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse traces, which corrida does not keep."""
        not_implemented("end_trace")

    def list_scorers(self, *_: Any, **__: Any) -> list[Any]:
        """Return no scorers: corrida keeps none."""
        return []

    def list_scorers_across_experiments(self, *_: Any, **__: Any) -> list[Any]:
        """Return no scorers: corrida keeps none."""
        return []


refuse_the_rest(CorridaTrackingStore, AbstractStore, _KEPT)


def _places(artifact_uri: str | None) -> tuple[str | None, str | None]:
    """Return where artifacts go other than into the run folders, and the proxy behind which those are."""
    if artifact_uri in {None, "", _MLFLOWS_DEFAULT}:
        return None, None
    given = str(artifact_uri)
    scheme = given.partition(":")[0].lower()
    if scheme == SCHEME:
        return None, None
    if scheme == PROXY:
        return None, given
    return resolve_uri_if_local(given), None


def _sweep_uploads(root: Path) -> None:
    """Delete files on their way into a run that a kill left behind a day ago."""
    with contextlib.suppress(OSError), os.scandir(root / layout.PRIVATE / UPLOADS) as entries:
        for entry in entries:
            if time.time() - entry.stat().st_mtime > _ABANDONED:
                os.unlink(entry.path)  # noqa: PTH108
