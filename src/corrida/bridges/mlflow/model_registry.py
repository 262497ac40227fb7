"""MLflow's model registry over the aliases of a store: a pipeline is a model, its promoted runs are the versions.

Read as it is; ``set_registered_model_alias`` promotes, ``delete_registered_model_alias`` demotes. Versions come about by
promotion alone, in the order of the first promotion of each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlflow.entities.model_registry import ModelVersion, RegisteredModel, RegisteredModelAlias
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils

from corrida.bridges.mlflow.experiments import milliseconds
from corrida.bridges.mlflow.failures import missing, refuse_the_rest, says_it_to_mlflow
from corrida.bridges.mlflow.locations import folder_of, to_mlflow
from corrida.errors import CorridaError
from corrida.runs import alias as aliases
from corrida.runs.reading import read_header
from corrida.runs.store import Store

if TYPE_CHECKING:
    from corrida.runs.run_file import RunHeader

_KEPT = frozenset({"_await_model_version_creation", "_await_model_version_creation_impl"})


class _Promoted(NamedTuple):
    header: RunHeader
    version: str
    created: int
    user: str
    reason: str | None


@says_it_to_mlflow
class AliasRegistry(AbstractStore):
    """The promoted runs of one store, to MLflow."""

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        """Open the store at ``corrida:FOLDER``.

        Raises:
            MlflowException: the address names no folder.
        """
        super().__init__(store_uri, tracking_uri)  # type: ignore[no-untyped-call]
        self._store = Store(folder_of(store_uri))

    # -- reading --------------------------------------------------------------------------------------------

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """Return the pipelines of which runs were promoted."""
        models = [self._model(name, versions) for name, versions in self._promoted().items()]
        found = SearchModelUtils.sort(SearchModelUtils.filter(models, filter_string), order_by)
        return _page(found, page_token, max_results)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Return a pipeline as a registered model."""
        return self._model(name, self._versions(name))

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """Return the run promoted last; corrida has no stages."""
        versions = self._versions(name)
        wanted = {stage.lower() for stage in stages or ()}
        return [self._version(versions[-1])] if not wanted or "none" in wanted else []

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """Return promoted runs."""
        versions = [self._version(one) for promoted in self._promoted().values() for one in promoted]
        found = SearchModelVersionUtils.filter(versions, filter_string)
        return _page(SearchModelVersionUtils.sort(found, order_by), page_token, max_results)

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """Return a promoted run."""
        return self._version(self._get(name, version))

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Return where the files of a promoted run are."""
        return str(self.get_model_version(name, version).source)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the run that carries an alias."""
        for promoted in self._versions(name):
            if alias in self._carried().get(promoted.header.id, ()):
                return self._version(promoted)
        raise missing(f"Registered model alias {alias} not found.")

    # -- promotion ------------------------------------------------------------------------------------------

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Promote a run that was promoted before."""
        self._store.promote(self._get(name, version).header.id, alias, "set as an alias through MLflow")

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Point an alias back to the run that carried it before, or to none."""
        self.get_model_version_by_alias(name, alias)
        self._store.demote(alias, "deleted as an alias through MLflow")

    def _carried(self) -> dict[str, tuple[str, ...]]:
        return aliases.aliases_of(self._store.root)

    def _promoted(self) -> dict[str, list[_Promoted]]:
        found: dict[str, list[_Promoted]] = {}
        seen: set[str] = set()
        for promotion in aliases.history(self._store.root):
            run = promotion.run
            if run is None or run in seen:
                continue
            seen.add(run)
            try:
                header = read_header(self._store.root / run)
            except CorridaError:
                continue
            versions = found.setdefault(header.pipeline, [])
            created = milliseconds(promotion.time) or 0
            versions.append(
                _Promoted(header, str(len(versions) + 1), created, promotion.author, promotion.reason)
            )
        return found

    def _versions(self, name: str) -> list[_Promoted]:
        versions = self._promoted().get(name)
        if not versions:
            raise missing(
                f"Registered Model with name={name} not found; `corrida promote RUN` makes one of its pipeline"
            )
        return versions

    def _get(self, name: str, version: str) -> _Promoted:
        for promoted in self._versions(name):
            if promoted.version == str(version):
                return promoted
        raise missing(f"Model Version (name={name}, version={version}) not found")

    def _model(self, name: str, versions: Sequence[_Promoted]) -> RegisteredModel:
        carried = self._carried()
        return RegisteredModel(
            name=name,
            creation_timestamp=versions[0].created,
            last_updated_timestamp=versions[-1].created,
            description=f"runs of the pipeline {name} that were promoted",
            latest_versions=[self._version(versions[-1])],
            aliases=[
                RegisteredModelAlias(alias, one.version)
                for one in versions
                for alias in carried.get(one.header.id, ())
            ],
        )

    def _version(self, promoted: _Promoted) -> ModelVersion:
        header = promoted.header
        run_id = to_mlflow(header.id)
        return ModelVersion(
            name=header.pipeline,
            version=promoted.version,
            creation_timestamp=promoted.created,
            last_updated_timestamp=promoted.created,
            description=promoted.reason or header.description or "",
            user_id=promoted.user,
            current_stage="None",
            source=f"runs:/{run_id}/",
            run_id=run_id,
            aliases=list(self._carried().get(header.id, ())),
        )


refuse_the_rest(AliasRegistry, AbstractStore, _KEPT)


def _page(found: list[Any], page_token: str | None, max_results: int | None) -> PagedList[Any]:
    page, token = SearchUtils.paginate(found, page_token, max_results or 1000)
    return PagedList(page, token)
