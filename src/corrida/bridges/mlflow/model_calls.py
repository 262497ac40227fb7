"""The calls of the tracking store that concern logged models."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlflow.entities import (
    LoggedModel,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
)
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchLoggedModelsUtils
from mlflow.utils.validation import _validate_logged_model_name

from corrida.bridges.mlflow.failures import failure, missing
from corrida.runs.ids import is_run_id
from corrida.runs.plain import JSON_ERRORS
from corrida.runs.run_file import SEALED

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.bridges.mlflow.experiments import Experiment, Experiments
    from corrida.bridges.mlflow.finding import Finder
    from corrida.bridges.mlflow.logged_models import ModelFacts, ModelShelf
    from corrida.bridges.mlflow.runs_seen import Seen


class ModelCalls:
    """Logged models; a part of the tracking store."""

    _models: ModelShelf
    _experiments: Experiments
    _finder: Finder

    if TYPE_CHECKING:

        def _active_experiment(self, experiment_id: str | None, what: str = "") -> Experiment: ...

        def _find(self, run_id: str) -> Seen: ...

        def _place_uri(self, folder: Path) -> str: ...

    def create_logged_model(
        self,
        experiment_id: str = "0",
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Sequence[LoggedModelTag] | None = None,
        params: Sequence[LoggedModelParameter] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Make a model; its files go into the run that makes it while that is open."""
        _validate_logged_model_name(name)
        entry = self._active_experiment(experiment_id)
        run = None
        if source_run_id:
            with contextlib.suppress(
                MlflowException
            ):  # of another store, perhaps: MLflow does not mind either
                seen = self._find(source_run_id)
                if not seen.deleted and seen.header.status not in SEALED and seen.facts is not None:
                    run = seen.header.id
        facts = self._models.create(
            {
                "experiment": entry.id,
                "name": name or _generate_random_name(),
                "run": run,
                "source_run": source_run_id or None,
                "model_type": model_type,
                "tags": {tag.key: str(tag.value) for tag in tags or ()},
                "params": {param.key: str(param.value) for param in params or ()},
            }
        )
        return self._model_entity(facts)

    def log_logged_model_params(self, model_id: str, params: Sequence[LoggedModelParameter]) -> None:
        """Add parameters of a model."""
        self._model(model_id)
        self._models.tell(model_id, {"params": {param.key: str(param.value) for param in params}})

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        """Set the status of a model."""
        self._model(model_id)
        self._models.tell(model_id, {"status": str(status)}, durable=True)
        return self.get_logged_model(model_id)

    def set_logged_model_tags(self, model_id: str, tags: Sequence[LoggedModelTag]) -> None:
        """Set tags of a model."""
        self._model(model_id)
        self._models.tell(model_id, {"tags": {tag.key: str(tag.value) for tag in tags}})

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag of a model."""
        if key not in self._model(model_id).tags:
            raise missing(f"No tag with key {key!r} found for model with ID {model_id!r}.")
        self._models.tell(model_id, {"tags": {key: None}})

    def get_logged_model(self, model_id: str, allow_deleted: bool = False) -> LoggedModel:
        """Return a model."""
        return self._model_entity(self._model(model_id, deleted=allow_deleted))

    def delete_logged_model(self, model_id: str) -> None:
        """Hide a model; its files stay until ``mlflow gc``, and those of a run as long as the run."""
        self._model(model_id)
        self._models.tell(model_id, {"deleted": True}, durable=True)

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[dict[str, Any]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[dict[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList[LoggedModel]:
        """Return models of experiments."""
        if datasets and not all(one.get("dataset_name") for one in datasets):
            raise failure("`dataset_name` in the `datasets` clause must be specified.")
        wanted = {str(experiment_id) for experiment_id in experiment_ids}
        there = self._experiments.all()
        self._take_over([there[one] for one in wanted if one in there])
        facts = (self._models.get(model_id) for model_id in self._models.ids())
        models = [self._model_entity(one) for one in facts if not one.deleted and one.experiment in wanted]
        found = SearchLoggedModelsUtils.filter_logged_models(
            models, filter_string, list(datasets) if datasets else None
        )
        page, token = SearchLoggedModelsUtils.paginate(
            SearchLoggedModelsUtils.sort(found, order_by),
            page_token,
            max_results or SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT,
        )
        return PagedList(page, token)

    def _get_deleted_logged_models(self, older_than: int = 0) -> list[str]:
        """Return the models that ``mlflow gc`` may delete for good; ``older_than`` is in milliseconds."""
        now = int(time.time() * 1000)
        facts = (self._models.get(model_id) for model_id in self._models.ids())
        return [one.id for one in facts if one.deleted and now - one.updated >= older_than]

    def _hard_delete_logged_model(self, model_id: str) -> None:
        """Delete a model for good; its files in a run that is there stay part of that run."""
        self._models.remove(model_id)

    def _take_over(self, entries: list[Experiment]) -> None:
        """Write down the models of runs that were imported, or copied here, since the last look."""
        known = set(self._models.ids())
        for seen in self._finder.live(entries):
            for model_id, _ in seen.facts.model_outputs if seen.facts is not None else ():
                if model_id not in known and is_run_id(model_id):
                    with contextlib.suppress(
                        OSError, *JSON_ERRORS
                    ):  # without a description, or a store to read only
                        self._models.take_over(model_id, seen.dir, seen.experiment)

    def _model(self, model_id: str, *, deleted: bool = False) -> ModelFacts:
        if not self._models.has(model_id):
            self._take_over(list(self._experiments.all().values()))
        if self._models.has(model_id):
            facts = self._models.get(model_id)
            if deleted or not facts.deleted:
                return facts
        raise missing(f"Logged model with ID '{model_id}' not found.")

    def _model_entity(self, facts: ModelFacts) -> LoggedModel:
        metrics = [
            Metric(
                key=point.key,
                value=point.value,
                timestamp=point.timestamp,
                step=point.step,
                model_id=facts.id,
                dataset_name=point.dataset[0] if point.dataset else None,
                dataset_digest=point.dataset[1] if point.dataset else None,
                run_id=run,
            )
            for point, run in facts.points.values()
        ]
        return LoggedModel(
            experiment_id=facts.experiment,
            model_id=facts.id,
            name=facts.name,
            artifact_location=self._place_uri(self._models.files_of(facts)),
            creation_timestamp=facts.created,
            last_updated_timestamp=facts.updated,
            model_type=facts.model_type,
            source_run_id=facts.source_run,
            status=LoggedModelStatus(facts.status),
            tags=dict(facts.tags),
            params=dict(facts.params),
            metrics=metrics,
        )
