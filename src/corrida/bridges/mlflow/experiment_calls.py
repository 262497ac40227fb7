"""The calls of the tracking store that concern experiments, and the search among runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlflow.entities import Experiment as MlflowExperiment
from mlflow.entities import ExperimentTag, LifecycleStage, Run, ViewType, _DatasetSummary
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT, SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.search_utils import SearchExperimentsUtils, SearchUtils
from mlflow.utils.uri import resolve_uri_if_local
from mlflow.utils.validation import (
    _validate_experiment_artifact_location_length,
    _validate_experiment_id,
    _validate_experiment_name,
    _validate_experiment_tag,
    _validate_tag_name,
)

from corrida.bridges.mlflow.experiments import DEFAULT_ID, Experiment, Experiments
from corrida.bridges.mlflow.failures import failure, missing
from corrida.bridges.mlflow.runs_seen import Seen, entity_of
from corrida.bridges.mlflow.search import Row, ordered, parse_filter
from corrida.errors import AlreadyExists
from corrida.runs import trash

if TYPE_CHECKING:
    from corrida.bridges.mlflow.finding import Finder
    from corrida.runs.store import Store

_MOST_DATASETS = 1000
_MOST_MISSED = 1000


class ExperimentCalls:
    """Experiments and search; a part of the tracking store."""

    _store: Store
    _experiments: Experiments
    _finder: Finder
    _missed: dict[str, int]

    if TYPE_CHECKING:

        def _artifact_uri(self, seen: Seen) -> str: ...

        def _experiment_location(self, entry: Experiment) -> str: ...

        def _trash(self, run_ids: Sequence[str]) -> None: ...

    # -- experiments ----------------------------------------------------------------------------------------

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Sequence[ExperimentTag] | None = None
    ) -> str:
        """Make an experiment and return its id."""
        _validate_experiment_name(name)
        if artifact_location:
            _validate_experiment_artifact_location_length(artifact_location)
        for tag in tags or ():
            _validate_experiment_tag(tag.key, tag.value)
        location = resolve_uri_if_local(artifact_location) if artifact_location else None
        asked = self._missed.pop(name, None)
        try:
            return self._experiments.create(name, location, {tag.key: str(tag.value) for tag in tags or ()})
        except AlreadyExists:
            # Somebody made it after this process was told that there is none. MLflow's set_experiment would go on in
            # the default experiment then, in silence.
            entry = self._experiments.by_name(name)
            if asked is None or entry is None or entry.deleted or entry.created < asked or location or tags:
                raise
            return entry.id

    def get_experiment(self, experiment_id: str | None) -> MlflowExperiment:
        """Return an experiment, also a deleted one."""
        return self._experiment_entity(self._entry(experiment_id))

    def get_experiment_by_name(self, experiment_name: str) -> MlflowExperiment | None:
        """Return an experiment by its name, also a deleted one; None when there is none."""
        now = int(time.time() * 1000)
        entry = self._experiments.by_name(experiment_name)
        if entry is None:
            if len(self._missed) > _MOST_MISSED:
                self._missed.clear()
            self._missed[experiment_name] = now
            return None
        return self._experiment_entity(entry)

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[MlflowExperiment]:
        """Return experiments, the newest first."""
        _check_max_results(max_results)
        stages = LifecycleStage.view_type_to_stages(view_type)
        entities = [self._experiment_entity(entry) for entry in self._experiments.all().values()]
        chosen = [one for one in entities if one.lifecycle_stage in stages]
        found = SearchExperimentsUtils.filter(chosen, filter_string)
        in_order = SearchExperimentsUtils.sort(found, order_by or ["creation_time DESC", "experiment_id ASC"])
        page, token = SearchUtils.paginate(in_order, page_token, max_results)
        return PagedList(page, token)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an experiment another name; runs that have ended keep the one of their time as their pipeline."""
        _validate_experiment_name(new_name)
        self._experiments.change(self._active_experiment(experiment_id), name=new_name)

    def set_experiment_tag(self, experiment_id: str, tag: ExperimentTag) -> None:
        """Set a tag of an experiment."""
        _validate_experiment_tag(tag.key, tag.value)
        entry = self._active_experiment(experiment_id, "set tags")
        self._experiments.change(entry, tags={tag.key: str(tag.value)})

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an experiment."""
        _validate_tag_name(key)
        entry = self._active_experiment(experiment_id, "delete tags")
        if key not in entry.tags:
            raise missing(f"No tag with name: {key} in experiment with id {experiment_id}")
        self._experiments.change(entry, tags={key: None})

    def delete_experiment(self, experiment_id: str) -> None:
        """Move an experiment to the trash, with all its runs or not at all."""
        entry = self._entry(experiment_id)
        if entry.deleted:
            raise missing(f"Could not find experiment with ID {experiment_id}")
        if entry.id == DEFAULT_ID:
            raise failure(
                "Cannot delete the default experiment '0'. This is an internally reserved experiment."
            )
        runs = [seen.header.id for seen in self._finder.live([entry])]
        if runs:
            self._trash(runs)
        self._experiments.change(entry, deleted=True)

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring an experiment back from the trash, with its runs."""
        entry = self._experiments.all().get(str(experiment_id))
        if entry is None or not entry.deleted:
            raise missing(f"Could not find deleted experiment with ID {experiment_id}")
        runs = [seen.header.id for seen in self._finder.deleted([entry])]
        if runs:
            trash.bring_back(self._store.root, runs)
        self._experiments.change(entry, deleted=False)

    def _hard_delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment in the trash for good; called by ``mlflow gc``."""
        entry = self._experiments.all().get(str(experiment_id))
        if entry is None or not entry.deleted:
            raise missing(f"Could not find deleted experiment with ID {experiment_id}")
        runs = [seen.header.id for seen in self._finder.deleted([entry])]
        if runs:
            trash.empty(self._store.root, runs)
        self._experiments.change(entry, gone=True)

    def filter_active_experiment_ids(self, experiment_ids: Sequence[str]) -> list[str]:
        """Return those of the experiments that are not deleted."""
        there = self._experiments.all()
        return [one for one in experiment_ids if one in there and not there[one].deleted]

    def _entry(self, experiment_id: str | None) -> Experiment:
        identity = DEFAULT_ID if experiment_id is None else str(experiment_id)
        _validate_experiment_id(identity)
        entry = self._experiments.get(identity)
        if entry is None:
            raise missing(f"Could not find experiment with ID {identity}")
        return entry

    def _active_experiment(self, experiment_id: str | None, what: str = "") -> Experiment:
        entry = self._entry(experiment_id)
        if entry.deleted:
            raise failure(
                f"The experiment {entry.id} must be in the 'active' state{' to ' + what if what else ''}. Current state "
                "is deleted."
            )
        return entry

    def _experiment_entity(self, entry: Experiment) -> MlflowExperiment:
        return MlflowExperiment(
            experiment_id=entry.id,
            name=entry.name,
            artifact_location=self._experiment_location(entry),
            lifecycle_stage=LifecycleStage.DELETED if entry.deleted else LifecycleStage.ACTIVE,
            tags=[ExperimentTag(key, value) for key, value in entry.tags.items()],
            creation_time=entry.created,
            last_update_time=entry.updated,
        )

    # -- search ---------------------------------------------------------------------------------------------

    def _search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int,
        order_by: Sequence[str] | None,
        page_token: str | None,
    ) -> tuple[list[Run], str | None]:
        _check_max_results(max_results, least=0)
        clauses = parse_filter(filter_string)
        there = self._experiments.all()
        entries = [there[one] for one in map(str, experiment_ids) if one in there]
        stages = LifecycleStage.view_type_to_stages(run_view_type)
        found: list[Seen] = []
        if LifecycleStage.ACTIVE in stages:
            conditions = filter(None, (clause.for_catalog(self._store.root) for clause in clauses))
            found += self._finder.live(entries, *conditions, refresh=False)  # just done for the experiments
        if LifecycleStage.DELETED in stages:
            found += self._finder.deleted(entries)
        rows = [row for row in map(Row, found) if all(clause.fits(row) for clause in clauses)]
        page, token = SearchUtils.paginate(ordered(rows, order_by), page_token, max_results)
        return [entity_of(row.seen, self._artifact_uri(row.seen)) for row in page], token

    def _search_datasets(self, experiment_ids: Sequence[str]) -> list[_DatasetSummary]:
        """Return the datasets that runs of experiments read; called by the server for the run page."""
        there = self._experiments.all()
        entries = [there[one] for one in map(str, experiment_ids) if one in there]
        found: dict[tuple[str, str, str, str | None], _DatasetSummary] = {}
        for seen in self._finder.live(entries):
            for one in seen.datasets():
                tags: dict[str, Any] = one.get("tags") or {}
                key = (seen.experiment, str(one["name"]), str(one["digest"]), tags.get("mlflow.data.context"))
                found.setdefault(key, _DatasetSummary(*key))
            if len(found) >= _MOST_DATASETS:
                break
        return list(found.values())[:_MOST_DATASETS]


def _check_max_results(max_results: Any, *, least: int = 1) -> None:
    if not isinstance(max_results, int) or max_results < least:
        raise failure(
            f"Invalid value {max_results} for parameter 'max_results' supplied. It must be a positive integer"
        )
    if max_results > SEARCH_MAX_RESULTS_THRESHOLD:
        raise failure(
            f"Invalid value {max_results} for parameter 'max_results' supplied. It must be at most "
            f"{SEARCH_MAX_RESULTS_THRESHOLD}"
        )
