"""A tracking server, or a database other than SQLite, read through MLflow's client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.bridges.mlflow.client import checked_uri, explained, open_client, patient, shown_uri
from corrida.bridges.mlflow.foreign import ForeignExperiment, ForeignModel, ForeignRun, Head, Source
from corrida.bridges.mlflow.mapping import NAME_TAG, PARENT_TAG, Point, exported_as, finite_or_infinite
from corrida.bridges.mlflow.remote_artifacts import downloaded

if TYPE_CHECKING:
    from mlflow.entities import Run

_PAGE = 1000


class ClientSource(Source):
    """Whatever MLflow's client can read."""

    def __init__(self, uri: str) -> None:
        """Open ``uri``; see :func:`corrida.bridges.mlflow.client.open_client` for what it raises."""
        self._client = open_client(uri)
        self._uri = checked_uri(uri)
        self._runs: dict[str, Run] = {}
        self.label = shown_uri(self._uri)
        self.remarks: list[str] = []

    def experiments(self) -> Sequence[ForeignExperiment]:
        """Return every experiment, deleted ones too."""
        from mlflow.entities import ViewType

        found: list[ForeignExperiment] = []
        token = None
        with explained(f"reading {self.label}"), patient():
            while True:
                page = self._client.search_experiments(ViewType.ALL, max_results=_PAGE, page_token=token)
                found += [
                    ForeignExperiment(
                        str(e.experiment_id), str(e.name), e.lifecycle_stage == "deleted", dict(e.tags)
                    )
                    for e in page
                ]
                token = page.token
                if not token:
                    break
            self._say_what_stays()
        return found

    def _say_what_stays(self) -> None:
        try:
            models = self._client.search_registered_models(max_results=100)
        except Exception:  # noqa: BLE001 - a server without a registry has nothing to say
            return
        if models:
            count = f"{len(models)}{' or more' if models.token else ''}"
            self.remarks.append(
                f"the model registry stayed there ({count} registered model{'s' * (count != '1')}): `corrida promote` "
                "gives a run an alias"
            )

    def heads(self, experiment: ForeignExperiment) -> Iterator[Head]:
        """Yield the runs of an experiment, deleted ones too."""
        from mlflow.entities import ViewType

        token = None
        while True:
            with explained(f"reading the runs of {experiment.name}"), patient():
                page = self._client.search_runs(
                    [experiment.id], run_view_type=ViewType.ALL, max_results=_PAGE, page_token=token,
                    order_by=["attributes.start_time ASC"],
                )  # fmt: skip
            for run in page:
                self._runs[run.info.run_id] = run
                tags = run.data.tags
                yield Head(
                    run_id=run.info.run_id,
                    experiment=experiment,
                    name=tags.get(NAME_TAG) or run.info.run_name or "",
                    parent=tags.get(PARENT_TAG) or None,
                    status=run.info.status,
                    started=run.info.start_time,
                    ended=run.info.end_time,
                    deleted=experiment.deleted or run.info.lifecycle_stage == "deleted",
                    artifact_uri=run.info.artifact_uri or "",
                    exported=exported_as(tags),
                )
            token = page.token
            if not token:
                return

    def load(self, head: Head, *, histories: bool = True) -> ForeignRun:
        """Read all of a run but its artifacts."""
        told = self._runs.get(head.run_id)
        with explained(f"reading the run {head.run_id}"), patient():
            told = told if told is not None else self._client.get_run(head.run_id)
            run = ForeignRun(head=head, params=dict(told.data.params), tags=dict(told.data.tags))
            for name, value in told.data.metrics.items():
                if not histories:
                    run.metrics[name] = [Point(0, 0, finite_or_infinite(value))]
                    continue
                points = self._client.get_metric_history(head.run_id, name)
                run.metrics[name] = [Point(p.step, p.timestamp, finite_or_infinite(p.value)) for p in points]
            run.datasets = _datasets(told)
            if histories:
                run.models = self._models(told, run.remarks)
        return run

    def _models(self, told: Run, remarks: list[str]) -> list[ForeignModel]:
        found = []
        outputs = getattr(told, "outputs", None)
        for output in getattr(outputs, "model_outputs", None) or []:
            try:
                model = self._client.get_logged_model(output.model_id)
            except Exception as error:  # noqa: BLE001 - deleted since, or a server that has none
                remarks.append(
                    f"its model {output.model_id} cannot be read: {' '.join(str(error).split())[:120]}"
                )
                continue
            facts = {
                "model_id": model.model_id,
                "name": model.name,
                "model_type": model.model_type,
                "status": str(model.status),
                "creation_timestamp": model.creation_timestamp,
                "last_updated_timestamp": model.last_updated_timestamp,
                "step": output.step,
                "params": dict(model.params or {}),
                "tags": dict(model.tags or {}),
                "metrics": [
                    {"name": m.key, "value": m.value, "timestamp": m.timestamp, "step": m.step}
                    for m in model.metrics or []
                ],
            }
            found.append(
                ForeignModel(model_id=model.model_id, facts=facts, artifact_uri=model.artifact_location)
            )
        return found

    def folder(self, owner: str, uri: str) -> AbstractContextManager[Path | None]:
        """Give the artifacts at ``uri``, fetched for the time."""
        del owner
        return downloaded(uri, self._uri)


def _datasets(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "name": one.dataset.name,
            "digest": one.dataset.digest,
            "source_type": one.dataset.source_type,
            "source": one.dataset.source,
            "schema": one.dataset.schema,
            "profile": one.dataset.profile,
            "tags": {tag.key: tag.value for tag in one.tags},
        }
        for one in (run.inputs.dataset_inputs if run.inputs else [])
    ]
