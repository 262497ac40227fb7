"""What MLflow finds by entry points: called with an address ``corrida:…``, and loaded at ``import mlflow``.

So nothing is imported here that MLflow or a run would need; the functions bring in what they build.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corrida.bridges.mlflow.artifact_repository import CorridaArtifactRepository
    from corrida.bridges.mlflow.model_registry import AliasRegistry
    from corrida.bridges.mlflow.tracking_store import CorridaTrackingStore

# Names that MLflow's server and its worker processes hand over to each other.
_BACKEND, _DESTINATION = "_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
_MLFLOWS_DEFAULT = "./mlartifacts"


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> CorridaTrackingStore:
    """Return the tracking store for an address such as ``corrida:runs``.

    Raises:
        MissingExtra: MLflow is older or newer than what corrida works with.
    """
    from corrida.bridges.mlflow.require import require_mlflow

    require_mlflow()
    from corrida.bridges.mlflow.tracking_store import CorridaTrackingStore

    return CorridaTrackingStore(store_uri, artifact_uri)  # type: ignore[abstract] # made whole at import


def model_registry_store(store_uri: str, tracking_uri: str | None = None) -> AliasRegistry:
    """Return the model registry, which shows the aliases of the store."""
    from corrida.bridges.mlflow.model_registry import AliasRegistry

    return AliasRegistry(store_uri, tracking_uri)  # type: ignore[abstract] # made whole at import


def artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> CorridaArtifactRepository:
    """Return access to the artifacts below an address such as ``corrida:/work/runs/run_x/artifacts``."""
    from corrida.bridges.mlflow.artifact_repository import CorridaArtifactRepository

    return CorridaArtifactRepository(artifact_uri, tracking_uri, registry_uri)


def keep_artifacts_in_the_store() -> None:
    """Let a server on a store put artifacts into the run folders, unless it was told of another place.

    Each worker of the server decides by these variables, and before any request; so it happens at import.
    """
    backend = os.environ.get(_BACKEND, "")
    if backend.startswith("corrida:") and os.environ.get(_DESTINATION) in {None, "", _MLFLOWS_DEFAULT}:
        os.environ[_DESTINATION] = backend


keep_artifacts_in_the_store()
