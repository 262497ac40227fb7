"""Runs sent to an MLflow: families whole, and none of them twice.

Each exported run bears the id of its store, its own id and the digest of its run.json. Whoever exports it again finds it
by them, and completes what a kill or a network cut off.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from corrida.adopt.tree import Progress, plain_progress
from corrida.bridges.mlflow.client import checked_uri, explained, open_client, patient, quiet, shown_uri
from corrida.bridges.mlflow.exported_run import ExportedRun, changed_tags, exported_run
from corrida.bridges.mlflow.mapping import (
    EXPORT_DIGEST_TAG,
    EXPORT_RUN_TAG,
    EXPORT_STATE_TAG,
    EXPORT_STORE_TAG,
    PARENT_TAG,
    Point,
    finite_or_infinite,
)
from corrida.errors import Refused, TrackingError
from corrida.runs import layout

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store

_BATCH = 100
_POINTS = 1000
State = Literal["exported", "completed", "there", "deleted"]


@dataclass(kw_only=True)
class Sent:
    """A run that is in MLflow: its id here, its id there, its experiment, and what was done."""

    run_id: str
    mlflow_id: str
    experiment: str
    state: State
    parent: str | None = None
    remarks: list[str] = field(default_factory=list)


def families(store: Store, references: Sequence[str]) -> list[RunRecord]:
    """Return runs with the runs above and below them, parents first.

    Raises:
        RunNotFound: no such run.
        Refused: one of them still runs, or cannot be read.
    """
    roots: dict[str, RunRecord] = {}
    for reference in references:
        record, seen = store.get(reference), set()
        while record.parent and record.parent in store and record.id not in seen:
            seen.add(record.id)
            record = store.get(record.parent)
        roots[record.id] = record
    found: dict[str, RunRecord] = {}
    waiting = list(roots.values())
    while waiting:
        record = waiting.pop(0)
        if record.id in found:
            continue
        if record.status in {"running", "unreadable"}:
            raise Refused(f"the run {record.id} is {record.status}; export it when it has ended")
        found[record.id] = record
        waiting += sorted(store.runs(filter=f"parent = '{record.id}'"), key=lambda r: r.order)
    return list(found.values())


def export_runs(
    store: Store,
    references: Sequence[str],
    uri: str,
    *,
    experiment: str | None = None,
    progress: Progress[Any] = plain_progress,
) -> list[Sent]:
    """Send runs to an MLflow.

    Args:
        store: where they are.
        references: which; their families come along.
        uri: ``http(s)://…``, ``sqlite:///…``, another database, or ``databricks``.
        experiment: where they go; each to the one that is called like its pipeline when None.
        progress: shows how far it is.

    Returns:
        What was done with each, parents first.

    Raises:
        BadInput: the address is none.
        RunNotFound, Refused: no such run, or it still runs.
        MissingExtra: MLflow is not installed.
        TrackingError: it does not answer, or declines; exporting again goes on where it ended.
    """
    checked_uri(uri)
    records = families(store, references)
    client = open_client(uri)
    exporter = _Exporter(client, shown_uri(checked_uri(uri)), experiment)
    sent: list[Sent] = []
    try:
        for record in progress(records, len(records), "exporting"):
            sent.append(exporter.send(record, {one.run_id: one.mlflow_id for one in sent}))
    except TrackingError as error:
        raise TrackingError(
            f"{error}. {len(sent)} of {len(records)} runs are there; export again to get the others"
        ) from error
    return sent


class _Exporter:
    def __init__(self, client: MlflowClient, label: str, experiment: str | None) -> None:
        self._client, self._label, self._experiment = client, label, experiment
        self._experiments: dict[str, str] = {}

    def send(self, record: RunRecord, parents: Mapping[str, str]) -> Sent:
        run = exported_run(record, experiment=self._experiment)
        above = parents.get(record.parent or "")
        if above is not None:
            run.tags[PARENT_TAG] = above
        with explained(f"exporting the run {record.id} to {self._label}"), quiet(), patient():
            found = self._find(run)
            if found is None:
                experiment_id = self._experiment_id(run.experiment)
                tags = {**run.tags, EXPORT_STATE_TAG: "begun"}
                made = self._client.create_run(experiment_id, start_time=run.started, tags=tags)
                self._fill(made.info.run_id, run, None)
                return self._sent(run, made.info.run_id, "exported", above)
            mlflow_id = found.info.run_id
            if found.info.lifecycle_stage == "deleted":
                return self._sent(run, mlflow_id, "deleted", above)
            if found.data.tags.get(EXPORT_STATE_TAG) == "complete":
                self._refresh(found, run)
                return self._sent(run, mlflow_id, "there", above)
            self._fill(mlflow_id, run, found)
            return self._sent(run, mlflow_id, "completed", above)

    def _sent(self, run: ExportedRun, mlflow_id: str, state: State, parent: str | None) -> Sent:
        return Sent(
            run_id=run.run_id,
            mlflow_id=mlflow_id,
            experiment=run.experiment,
            state=state,
            parent=parent,
            remarks=run.remarks if state in {"exported", "completed"} else [],
        )

    def _find(self, run: ExportedRun) -> Run | None:
        """Return the run that an earlier export made, or the tracking of a search began; the whole one of several."""
        from mlflow.entities import ViewType

        where = " and ".join(
            f"tags.`{name}` = '{run.tags[name]}'" for name in (EXPORT_RUN_TAG, EXPORT_STORE_TAG)
        )
        ids = self._all_experiments()
        found: list[Run] = []
        for start in range(0, len(ids), _BATCH):
            found += self._client.search_runs(
                ids[start : start + _BATCH], filter_string=where, run_view_type=ViewType.ALL, max_results=10
            )
        # One of another digest was another run that had the same id.
        found = [r for r in found if r.data.tags.get(EXPORT_DIGEST_TAG, run.digest) == run.digest]
        found.sort(
            key=lambda r: (
                r.info.lifecycle_stage == "deleted",
                r.data.tags.get(EXPORT_STATE_TAG) != "complete",
            )
        )
        return found[0] if found else None

    def _all_experiments(self) -> list[str]:
        from mlflow.entities import ViewType

        if not self._experiments:
            token = None
            while True:
                page = self._client.search_experiments(ViewType.ALL, max_results=_POINTS, page_token=token)
                self._experiments |= {e.name: e.experiment_id for e in page}
                token = page.token
                if not token:
                    break
        return list(self._experiments.values())

    def _experiment_id(self, name: str) -> str:
        there = self._client.get_experiment_by_name(name)
        if there is not None:
            if there.lifecycle_stage == "deleted":
                raise Refused(
                    f"the experiment {name!r} was deleted in {self._label}; restore it there, or name another with "
                    "--experiment"
                )
            return str(there.experiment_id)
        made = str(self._client.create_experiment(name))
        self._experiments[name] = made
        return made

    def _fill(self, mlflow_id: str, run: ExportedRun, there: Run | None) -> None:
        """Send what is not there yet; that it is complete is said last."""
        from mlflow.entities import Metric, Param, RunTag

        known = dict(there.data.params) if there else {}
        params = [Param(name, value) for name, value in run.params.items() if name not in known]
        for some in _batches(params, _BATCH):
            self._client.log_batch(mlflow_id, params=some)
        points = [
            Metric(name, value, stamp, step)
            for name, (step, stamp, value) in self._missing(mlflow_id, run, there)
        ]
        for batch in _batches(points, _POINTS):
            self._client.log_batch(mlflow_id, metrics=batch)
        if there:
            tags = [RunTag(n, v) for n, v in changed_tags(run, there.data.tags).items()]
            for few in _batches(tags, _BATCH):
                self._client.log_batch(mlflow_id, tags=few)
        self._inputs(mlflow_id, run)
        self._upload(mlflow_id, run, self._sizes(mlflow_id) if there else {})
        self._client.set_terminated(mlflow_id, run.status, run.ended)
        self._client.set_tag(mlflow_id, EXPORT_STATE_TAG, "complete")

    def _missing(self, mlflow_id: str, run: ExportedRun, there: Run | None) -> Iterator[tuple[str, Point]]:
        for name, points in run.points.items():
            known: set[tuple[int, int, str]] = set()
            if there is not None and name in there.data.metrics:
                history = self._client.get_metric_history(mlflow_id, name)
                known = {(p.step, p.timestamp, repr(finite_or_infinite(p.value))) for p in history}
                if len(points) == 1 and repr(points[0].value) in {value for _, _, value in known}:
                    continue  # a final metric, which the tracking of a search sent with a time of its own
            yield from ((name, p) for p in points if (p.step, p.timestamp, repr(p.value)) not in known)

    def _inputs(self, mlflow_id: str, run: ExportedRun) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if run.datasets:
            inputs = [
                DatasetInput(
                    Dataset(
                        name=one["name"], digest=one["digest"], source_type=one.get("source_type") or "local",
                        source=one.get("source") or "{}", schema=one.get("schema"), profile=one.get("profile"),
                    ),
                    [InputTag(name, value) for name, value in (one.get("tags") or {}).items()],
                )
                for one in run.datasets
            ]  # fmt: skip
            self._client.log_inputs(mlflow_id, datasets=inputs)

    def _sizes(self, mlflow_id: str) -> dict[str, int]:
        found: dict[str, int] = {}
        waiting: list[str | None] = [None]
        while waiting:
            for entry in self._client.list_artifacts(mlflow_id, waiting.pop()):
                if entry.is_dir:
                    waiting.append(entry.path)
                else:
                    found[entry.path] = entry.file_size or 0
        return found

    def _upload(self, mlflow_id: str, run: ExportedRun, there: Mapping[str, int]) -> None:
        for place, path in run.artifacts.items():
            if there.get(place) != path.stat().st_size:
                self._client.log_artifact(mlflow_id, str(path), posixpath.dirname(place) or None)

    def _refresh(self, found: Run, run: ExportedRun) -> None:
        """Send tags, notes and files that the run got since it was exported."""
        from mlflow.entities import RunTag

        changed = [RunTag(n, v) for n, v in changed_tags(run, found.data.tags).items()]
        for few in _batches(changed, _BATCH):
            self._client.log_batch(found.info.run_id, tags=few)
        later = {
            place: path
            for place, path in run.artifacts.items()
            if path.name == layout.ANNOTATIONS or f"{layout.PREDICTIONS_DIR}/" in place
        }
        if later:
            sizes = self._sizes(found.info.run_id)
            for place, path in later.items():
                if sizes.get(place) != path.stat().st_size:
                    self._client.log_artifact(found.info.run_id, str(path), posixpath.dirname(place) or None)


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
