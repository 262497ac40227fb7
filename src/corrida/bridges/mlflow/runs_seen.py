"""Runs as MLflow sees them: from the header of a run folder, open, ended or in the trash, to MLflow's entities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunTag,
)

from corrida.bridges.mlflow import mapping
from corrida.bridges.mlflow.experiments import milliseconds
from corrida.bridges.mlflow.locations import to_mlflow
from corrida.bridges.mlflow.points import Point, latest_of, points_of
from corrida.runs.numbers import metrics_from_file
from corrida.runs.plain import JSON_ERRORS
from corrida.runs.record import flatten
from corrida.runs.run_file import SEALED, MlflowFacts, RunHeader


class Seen(NamedTuple):
    """A run that was found.

    Attributes:
        header: what its run.json and annotations say.
        dir: its folder, perhaps in the trash.
        deleted: whether it lies in the trash.
        experiment: the id of its experiment.
    """

    header: RunHeader
    dir: Path
    deleted: bool
    experiment: str

    @property
    def facts(self) -> MlflowFacts | None:
        """What MLflow said of the run, when it was written through it."""
        return self.header.mlflow

    @property
    def run_id(self) -> str:
        """The id as MLflow says it."""
        return to_mlflow(self.header.id)

    @property
    def status(self) -> str:
        """The status in MLflow's words; one whose process went without a word failed."""
        header, facts = self.header, self.facts
        if header.status == "running":
            return "SCHEDULED" if facts is not None and facts.status == "SCHEDULED" else "RUNNING"
        if header.status in SEALED and facts is not None:
            return facts.status
        return mapping.status_to_mlflow(header.status, header.error)

    @property
    def start_time(self) -> int:
        """Milliseconds since the epoch."""
        if self.facts is not None and self.facts.start_time is not None:
            return self.facts.start_time
        return milliseconds(self.header.created) or 0

    @property
    def end_time(self) -> int | None:
        """Milliseconds since the epoch; None while the run is open."""
        if self.facts is not None and self.facts.end_time is not None:
            return self.facts.end_time
        return milliseconds(self.header.finished)

    @property
    def user_id(self) -> str:
        """The user, where MLflow was told."""
        return (self.facts.user if self.facts else "") or self.header.tags.get(mapping.USER_TAG, "")

    @property
    def run_name(self) -> str:
        """The name; of a run that has none its id."""
        return self.header.tags.get(mapping.NAME_TAG, self.header.id)

    def tags(self) -> dict[str, str]:
        """Return the tags, with what corrida keeps in fields of its own and MLflow in tags."""
        header, found = self.header, dict(self.header.tags)
        if header.parent and mapping.PARENT_TAG not in found:
            found[mapping.PARENT_TAG] = to_mlflow(header.parent)
        if self.facts is None:
            found.setdefault(mapping.NAME_TAG, header.id)
            if header.description and mapping.DESCRIPTION_TAG not in found:
                found[mapping.DESCRIPTION_TAG] = header.description
            found = {**mapping.git_to_tags(header.git), **found}
        return found

    def params(self) -> dict[str, str]:
        """Return the parameters as MLflow keeps them: texts."""
        if self.facts is not None and all(type(v) is str for v in self.header.params.values()):
            return self.header.params
        return {name: mapping.param_text(value) for name, value in flatten(self.header.params).items()}

    def values(self) -> dict[str, float]:
        """Return the final metrics; of an open run the values of this moment."""
        if self.header.status in SEALED:
            return metrics_from_file(self.header.metrics)
        return {key: point.value for key, point in self.points().items()}

    def points(self) -> dict[str, Point]:
        """Return the point of each metric that is its value."""
        header, facts = self.header, self.facts
        if header.status in SEALED:
            end = self.end_time or self.start_time
            latest = facts.latest if facts is not None else {}
            return {
                key: Point(key, value, *latest.get(key, (0, end)))
                for key, value in metrics_from_file(header.metrics).items()
            }
        if facts is not None:
            return latest_of(points_of(self.dir))
        from corrida.runs.reading import record_of

        final = record_of(self.dir, header, {}).metrics
        return {key: Point(key, value, 0, self.start_time) for key, value in final.items()}

    def history(self) -> list[Point]:
        """Return every point; a final metric that has none, or another value, is one more at the end of the run."""
        found = list(points_of(self.dir))
        if self.facts is not None:
            return found
        last = latest_of(found)
        end = self.end_time or self.start_time
        for key, value in metrics_from_file(self.header.metrics).items():
            before = last.get(key)
            if before is None or not _same(before.value, value):
                step = before.step if before else 0
                found.append(Point(key, value, step, max(end, before.timestamp if before else 0)))
        return found

    def manifest(self) -> dict[str, Any]:
        """Return manifest.json; without one, or with one that cannot be read, nothing."""
        import msgspec

        from corrida.runs import layout

        try:
            return msgspec.json.decode((self.dir / layout.MANIFEST).read_bytes(), type=dict[str, Any])
        except (OSError, *JSON_ERRORS):
            return {}

    def datasets(self) -> list[dict[str, Any]]:
        """Return the datasets that the run read, as MLflow describes them, those added after its end too."""
        from corrida.runs.annotations import read_annotations

        try:
            found = mapping.datasets_of(self.manifest())
        except (KeyError, TypeError, AttributeError):
            found = []
        for change in read_annotations(self.dir):
            added = change.get(mapping.DATASETS)
            found += [one for one in added if isinstance(one, dict)] if isinstance(added, list) else []
        return found


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def info_of(seen: Seen, artifact_uri: str) -> RunInfo:
    """Return MLflow's RunInfo of a run."""
    return RunInfo(
        run_id=seen.run_id,
        experiment_id=seen.experiment,
        user_id=seen.user_id,
        status=seen.status,
        start_time=seen.start_time,
        end_time=seen.end_time,
        lifecycle_stage=LifecycleStage.DELETED if seen.deleted else LifecycleStage.ACTIVE,
        artifact_uri=artifact_uri,
        run_name=seen.run_name,
    )


def entity_of(seen: Seen, artifact_uri: str) -> Run:
    """Return a run as MLflow's entity, with its data, inputs and outputs."""
    metrics = [
        Metric(point.key, point.value, point.timestamp, point.step, run_id=seen.run_id)
        for point in seen.points().values()
    ]
    params = [Param(key, value) for key, value in seen.params().items()]
    tags = [RunTag(key, value) for key, value in seen.tags().items()]
    facts = seen.facts or MlflowFacts()
    return Run(
        info_of(seen, artifact_uri),
        RunData(metrics, params, tags),
        RunInputs(
            dataset_inputs=[dataset_input(one) for one in seen.datasets()],
            model_inputs=[LoggedModelInput(model_id) for model_id in facts.model_inputs],
        ),
        RunOutputs([LoggedModelOutput(model_id, step) for model_id, step in facts.model_outputs]),
    )


def dataset_input(facts: Mapping[str, Any]) -> DatasetInput:
    """Return MLflow's entity for a dataset of a manifest."""
    tags = facts.get("tags")
    return DatasetInput(
        dataset=Dataset(
            name=str(facts.get("name", "")),
            digest=str(facts.get("digest", "")),
            source_type=str(facts.get("source_type", "")),
            source=str(facts.get("source", "")),
            schema=facts.get("schema"),
            profile=facts.get("profile"),
        ),
        tags=[InputTag(str(k), str(v)) for k, v in tags.items()] if isinstance(tags, dict) else [],
    )
