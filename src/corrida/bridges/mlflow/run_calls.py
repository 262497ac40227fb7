"""The calls of the tracking store that concern one run: from its start to its deletion."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from mlflow.entities import (
    DatasetInput,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunInfo,
    RunStatus,
    RunTag,
)
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchUtils
from mlflow.utils.validation import (
    _validate_batch_log_data,
    _validate_batch_log_limits,
    _validate_metric_name,
    _validate_param_keys_unique,
    _validate_tag_name,
)

from corrida.bridges.mlflow import mapping
from corrida.bridges.mlflow.failures import failure, missing
from corrida.bridges.mlflow.late import LateRun
from corrida.bridges.mlflow.live_run import HandleClosed, LiveRun, begin, usable_time
from corrida.bridges.mlflow.locations import from_mlflow, to_mlflow
from corrida.bridges.mlflow.points import Point
from corrida.bridges.mlflow.runs_seen import Seen, entity_of, info_of
from corrida.errors import InvalidName, Refused, RunNotFound, RunSealed
from corrida.runs import alias as aliases
from corrida.runs import layout, trash
from corrida.runs.files import atomic_write
from corrida.runs.ids import id_from_tag, is_run_id
from corrida.runs.run_file import SEALED
from corrida.runs.run_log import pretty
from corrida.runs.snapshot.data import manifest

if TYPE_CHECKING:
    from corrida.bridges.mlflow.experiments import Experiment
    from corrida.bridges.mlflow.finding import Finder
    from corrida.bridges.mlflow.logged_models import ModelShelf
    from corrida.runs.store import Store

_HANDLES = 64
_GREATEST_MS = 9_200_000_000_000_000
_FOLLOWED = frozenset({mapping.DESCRIPTION_TAG, mapping.PARENT_TAG, mapping.COMMIT_TAG, mapping.BRANCH_TAG})
_ENDED = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "failed"}


class RunCalls:
    """Runs; a part of the tracking store."""

    _store: Store
    _finder: Finder
    _models: ModelShelf

    if TYPE_CHECKING:

        def _active_experiment(self, experiment_id: str | None, what: str = "") -> Experiment: ...

        def _artifact_uri(self, seen: Seen) -> str: ...

    def __init__(self) -> None:
        """Start with no run open."""
        self._handles: OrderedDict[str, LiveRun] = OrderedDict()
        self._late: dict[str, LateRun] = {}
        self._handles_lock = threading.RLock()
        self._pid = os.getpid()

    # -- reading --------------------------------------------------------------------------------------------

    def _find(self, run_id: str) -> Seen:
        return self._finder.get(run_id)

    def get_run(self, run_id: str) -> Run:
        """Return a run, also one in the trash."""
        seen = self._find(run_id)
        return entity_of(seen, self._artifact_uri(seen))

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[Metric]:
        """Return the points of a metric in the order logged."""
        _validate_metric_name(metric_key)
        seen = self._find(run_id)
        found = [
            Metric(
                point.key,
                point.value,
                point.timestamp,
                point.step,
                model_id=point.model,
                dataset_name=point.dataset[0] if point.dataset else None,
                dataset_digest=point.dataset[1] if point.dataset else None,
                run_id=seen.run_id,
            )
            for point in seen.history()
            if point.key == metric_key
        ]
        if max_results is None:
            return PagedList(found[SearchUtils.parse_start_offset_from_page_token(page_token) :], None)
        page, token = SearchUtils.paginate(found, page_token, max_results)
        return PagedList(page, token)

    # -- start and end --------------------------------------------------------------------------------------

    def create_run(
        self,
        experiment_id: str,
        user_id: str,
        start_time: int,
        tags: Sequence[RunTag] | None,
        run_name: str | None,
    ) -> Run:
        """Start a run; its id is made of its name."""
        entry = self._active_experiment(experiment_id)
        given = {tag.key: str(tag.value) for tag in tags or ()}
        tagged = given.get(mapping.NAME_TAG)
        if run_name and tagged and run_name != tagged:
            raise failure(
                "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
                f"(run_name='{run_name}', mlflow.runName='{tagged}')."
            )
        name = run_name or tagged or _generate_random_name()
        given[mapping.NAME_TAG] = name
        facts = {"experiment": entry.id, "status": "RUNNING", "start_time": start_time, "user": user_id or ""}
        fields: dict[str, Any] = {
            "pipeline": entry.name,
            "tags": given,
            "mlflow": {key: value for key, value in facts.items() if value not in (None, "")},
        }
        _follow_tags(fields, given, self._store.root)
        created = usable_time(start_time) or datetime.now(UTC)
        live = begin(self._store.root, _id_part(name), fields, created=created)
        with live.alone():
            pass  # so that this process is seen to write it
        self._keep(live)
        return self.get_run(to_mlflow(live.id))

    def update_run_info(
        self, run_id: str, run_status: int | None, end_time: int | None, run_name: str | None
    ) -> RunInfo:
        """Set the status or the name of a run; an end seals it."""
        status = RunStatus.to_string(run_status) if run_status is not None else None
        if run_name:
            self._set_tags(run_id, {mapping.NAME_TAG: run_name})
        if status is not None:
            self._write(
                run_id,
                lambda live: self._set_status(live, status, end_time),
                lambda late: _later_status(late, status, end_time),
            )
        seen = self._find(run_id)
        return info_of(seen, self._artifact_uri(seen))

    def _set_status(self, live: LiveRun, status: str, end_time: int | None) -> None:
        if status not in _ENDED:
            live.change(lambda content: content["mlflow"].update(status=status))
            return
        end = int(time.time() * 1000) if end_time is None else end_time
        fields: dict[str, Any] = {"status": _ENDED[status]}
        error = mapping.status_from_mlflow(status)[1]
        if error is not None:
            fields["error"] = msgspec.to_builtins(error)
        live.finish(
            fields, {"status": status, "end_time": end}, finished=usable_time(end) or datetime.now(UTC)
        )
        self._forget(live.id)

    # -- logging --------------------------------------------------------------------------------------------

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """Log one point of a metric."""
        self.log_batch(run_id, [metric], [], [])

    def log_param(self, run_id: str, param: Param) -> None:
        """Log one parameter."""
        self.log_batch(run_id, [], [param], [])

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """Set a tag."""
        self.log_batch(run_id, [], [], [tag])

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        """Log points of metrics, parameters and tags; where a parameter is refused, nothing is logged."""
        metrics, params, tags = _validate_batch_log_data(metrics, params, tags)
        _validate_batch_log_limits(metrics, params, tags)
        _validate_param_keys_unique(params)
        points = [_point(metric) for metric in metrics]
        texts = {param.key: _text(param.value) for param in params}
        named = {tag.key: _text(tag.value) for tag in tags}

        def log(live: LiveRun) -> None:
            self._tell(live, run_id, texts, named)
            live.log_points(points)

        def add(late: LateRun) -> None:
            change: dict[str, Any] = {}
            if texts:
                there = Seen(late.header(), late.dir, False, "").params()
                _refuse_other_values(run_id, there, texts)
                if new := {key: value for key, value in texts.items() if key not in there}:
                    change["params"] = new
            if named:
                change["tags"] = named
            if change:
                late.add(change)
            late.log_points(points)

        self._write(run_id, log, add)
        by_model = [point for point in points if point.model is not None]
        for point in by_model:
            if point.model is not None and self._models.has(point.model):
                self._models.measure(point.model, [point], run_id)

    def _tell(
        self, live: LiveRun, run_id: str, texts: dict[str, str], named: Mapping[str, str | None]
    ) -> None:
        said: dict[str, Any] = ({"params": texts} if texts else {}) | ({"tags": named} if named else {})
        if not said:
            return
        live.tell(said, lambda params: _refuse_other_values(run_id, params, texts))
        if not _FOLLOWED.isdisjoint(named):
            tags = self._find(run_id).header.tags
            live.change(lambda content: _follow_tags(content, tags, self._store.root))

    def _set_tags(self, run_id: str, tags: Mapping[str, str | None]) -> None:
        self._write(
            run_id,
            lambda live: self._tell(live, run_id, {}, tags),
            lambda late: late.add({"tags": tags}),
        )

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        _validate_tag_name(key)
        seen = self._find(run_id)
        if not seen.deleted and key not in seen.header.tags:
            raise missing(f"No tag with name: {key} in run with id {run_id}")
        self._set_tags(run_id, {key: None})

    def record_logged_model(self, run_id: str, mlflow_model: Any) -> None:
        """Add a model to the history of logged models that MLflow 2 keeps in a tag."""
        tags = self._find(run_id).header.tags
        try:
            history = json.loads(tags.get(mapping.MODEL_HISTORY_TAG, "[]"))
        except ValueError:
            history = []
        told = json.dumps([*history, mlflow_model.get_tags_dict()])
        self._set_tags(run_id, {mapping.MODEL_HISTORY_TAG: told})

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        """Log what a run read: datasets, into the manifest, and models."""
        seen = self._find(run_id)
        known = {(one.get("name"), one.get("digest")) for one in seen.datasets()}
        told = [
            one for one in map(_dataset_facts, datasets or ()) if (one["name"], one["digest"]) not in known
        ]
        used = [model.model_id for model in models or ()]

        def log(live: LiveRun) -> None:
            with live.alone():
                if told:
                    _add_datasets(live.dir, told)
                if used:
                    live.tell({"mlflow": {"model_inputs": used}})

        def add(late: LateRun) -> None:
            change: dict[str, Any] = {mapping.DATASETS: told} if told else {}
            if used:
                change["mlflow"] = {"model_inputs": used}
            if change:
                late.add(change)

        self._write(run_id, log, add)

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        """Log the models that a run made."""
        made = [[model.model_id, int(model.step or 0)] for model in models or ()]
        self._write(
            run_id,
            lambda live: live.tell({"mlflow": {"model_outputs": made}}),
            lambda late: late.add({"mlflow": {"model_outputs": made}}),
        )

    # -- deletion -------------------------------------------------------------------------------------------

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash, alone: its children stay, as in MLflow."""
        seen = self._find(run_id)
        if not seen.deleted:
            self._trash([seen.header.id])

    def _trash(self, run_ids: Sequence[str]) -> None:
        def refuse_needed() -> None:
            carried = aliases.aliases_of(self._store.root)
            for run_id in run_ids:
                if run_id in carried:
                    raise Refused(f"the run {run_id} is @{carried[run_id][0]}; promote another first")

        for run_id in run_ids:
            self._forget(run_id)
        trash.remove(self._store.root, run_ids, check=refuse_needed)

    def restore_run(self, run_id: str) -> None:
        """Bring a run back from the trash."""
        seen = self._find(run_id)
        if seen.deleted:
            trash.bring_back(self._store.root, [seen.header.id])

    def _hard_delete_run(self, run_id: str) -> None:
        """Delete a run in the trash for good; called by ``mlflow gc``."""
        trash.empty(self._store.root, [from_mlflow(self._store.root, run_id)])

    def _get_deleted_runs(self, older_than: int = 0) -> list[str]:
        """Return the runs in the trash for at least ``older_than`` milliseconds; called by ``mlflow gc``."""
        return [to_mlflow(run_id) for run_id in self._finder.deleted_before(older_than)]

    # -- open runs ------------------------------------------------------------------------------------------

    def _write(self, run_id: str, log: Callable[[LiveRun], None], add: Callable[[LateRun], None]) -> None:
        """Do ``log`` while the run is open, ``add`` after its end.

        Raises:
            MlflowException: there is no such run, it is in the trash, or corrida itself is writing it.
        """
        identity = from_mlflow(self._store.root, run_id)
        while identity not in self._late:
            live = self._open(identity, run_id)
            try:
                log(live)
            except RunSealed:
                self._forget(identity)
                break
            except HandleClosed:  # by a thread that opened many others
                continue
            except RunNotFound:
                self._forget(identity)
                self._refuse_gone(run_id)
                raise
            else:
                return
        late = self._late.get(identity)
        if late is None or not (late.dir / layout.RUN).exists():
            self._late.pop(identity, None)
            self._refuse_gone(run_id)
            if len(self._late) > _HANDLES:
                self._late.clear()
            late = self._late[identity] = LateRun(self._store.root / identity)
        add(late)

    def _refuse_gone(self, run_id: str) -> None:
        if self._find(run_id).deleted:
            raise failure(f"The run {run_id} must be in the 'active' state. Current state is deleted.")

    def _open(self, identity: str, run_id: str) -> LiveRun:
        if not is_run_id(identity):
            raise missing(f"Run '{run_id}' not found")
        with self._handles_lock:
            if self._pid != os.getpid():  # locks and descriptors are those of the parent
                self._handles, self._pid, self._late = OrderedDict(), os.getpid(), {}
            live = self._handles.get(identity)
            if live is not None:
                self._handles.move_to_end(identity)
                return live
        folder = self._store.root / identity
        if not (folder / layout.RUN).exists():
            self._refuse_gone(run_id)
        live = LiveRun(folder)
        content = live.state()
        if "mlflow" not in content and content["status"] not in SEALED:
            live.close()
            raise failure(
                f"the run {identity} is being written by corrida itself; MLflow may add to it when it has ended"
            )
        self._keep(live)
        return live

    def _keep(self, live: LiveRun) -> None:
        with self._handles_lock:
            if self._pid != os.getpid():
                self._handles, self._pid, self._late = OrderedDict(), os.getpid(), {}
            self._handles[live.id] = live
            self._late.pop(live.id, None)
            while len(self._handles) > _HANDLES:
                self._handles.popitem(last=False)[1].close()

    def _forget(self, identity: str) -> None:
        with self._handles_lock:
            live = self._handles.pop(identity, None)
        if live is not None and self._pid == os.getpid():
            live.close()


def _id_part(name: str) -> str | None:
    """Return the part of a run's name that its id is made of; None where nothing is left of it."""
    folded = name.replace("/", "_").replace("\\", "_").replace("\0", "_").replace(".", "_")[:80]
    try:
        return id_from_tag(folded.strip("_- ") or folded).removeprefix("run_").strip("_-") or None
    except InvalidName:
        return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _point(metric: Metric) -> Point:
    dataset = (metric.dataset_name, metric.dataset_digest)
    step, timestamp = int(metric.step or 0), int(metric.timestamp or 0)
    if abs(timestamp) >= _GREATEST_MS or abs(step) >= 2**63:
        raise failure(
            f"the metric {metric.key!r} has the step {step} and the time {timestamp}; a step has 64 bits, and a time "
            "is milliseconds since 1970"
        )
    return Point(
        metric.key,
        float(metric.value),
        step,
        timestamp,
        metric.model_id or None,
        (str(dataset[0]), str(dataset[1])) if dataset[0] is not None and dataset[1] is not None else None,
    )


def _refuse_other_values(run_id: str, there: Mapping[str, Any], texts: dict[str, str]) -> None:
    for key, value in texts.items():
        if key in there and there[key] != value:
            raise failure(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{there[key]}' for run ID='{run_id}'. Attempted logging new value '{value}'."
            )


def _follow_tags(content: dict[str, Any], tags: Mapping[str, str], root: Path) -> None:
    """Set the fields of a run that MLflow keeps in tags: description, parent, state of the code."""
    content["description"] = tags.get(mapping.DESCRIPTION_TAG)
    parent = tags.get(mapping.PARENT_TAG)
    identity = from_mlflow(root, parent) if parent else None
    content["parent"] = identity if identity is not None and is_run_id(identity) else None
    git = mapping.git_from_tags(tags)
    content["git"] = msgspec.to_builtins(git) if git is not None else None


def _dataset_facts(given: DatasetInput) -> dict[str, Any]:
    dataset = given.dataset
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
        "tags": {tag.key: tag.value for tag in given.tags or ()},
    }


def _add_datasets(run_dir: Path, told: Sequence[dict[str, Any]]) -> None:
    path = run_dir / layout.MANIFEST
    try:
        before = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]).get("dataset", {})
    except FileNotFoundError:
        before = {}
    datasets = [*before.get(mapping.DATASETS, ()), *told]
    atomic_write(path, pretty(manifest([], None, {**before, mapping.DATASETS: datasets})), durable=False)


def _later_status(late: LateRun, status: str, end_time: int | None) -> None:
    """Note that a client began or ended an ended run again; its status, as corrida has it, stays."""
    if status in _ENDED:
        end = int(time.time() * 1000) if end_time is None else end_time
        late.add({"mlflow": {"status": status, "end_time": end}})
    else:
        late.add({"mlflow": {"reopened": True}})
