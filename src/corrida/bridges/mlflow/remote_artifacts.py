"""Artifacts that only MLflow can fetch: of a server, or in an object store."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from corrida.bridges.mlflow.client import patient, reason
from corrida.bridges.mlflow.foreign import Unreachable
from corrida.bridges.mlflow.require import require_mlflow
from corrida.errors import MissingExtra


@contextlib.contextmanager
def downloaded(uri: str, tracking_uri: str | None = None) -> Iterator[Path | None]:
    """Give the artifacts at ``uri`` as a folder that is gone afterwards; None when there are none.

    Args:
        uri: of the folder.
        tracking_uri: of the server that knows it.

    Raises:
        Unreachable: MLflow is not installed, or cannot fetch them.
    """
    try:
        require_mlflow()
    except MissingExtra as error:
        raise Unreachable(f"they lie at {uri.partition(':')[0]}:, and {error}") from None
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with tempfile.TemporaryDirectory(prefix="corrida-artifacts-") as folder:
        try:
            with patient():
                repository = get_artifact_repository(uri, tracking_uri=tracking_uri)
                there = repository.list_artifacts()
                if there:
                    repository.download_artifacts("", folder)
        except Exception as error:  # every kind of storage raises its own
            raise Unreachable(f"they cannot be fetched: {reason(error)}") from error
        yield Path(folder) if there else None
