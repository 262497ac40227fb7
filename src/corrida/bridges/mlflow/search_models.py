"""A fitted model of a search as a model of MLflow: ``mlflow.pyfunc.load_model`` gives one that takes tables."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.bridges.mlflow.mapping import MAX_PARAM, param_text

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

    from corrida.pipelines.model_search.fitted import FittedModel

_ROWS = 5


def _load_pyfunc(path: str) -> FittedModel:
    """Return the saved model at ``path``; MLflow calls this function of the module that a model names."""
    from corrida.pipelines.model_search.saving import load_fitted

    return load_fitted(Path(path))


def packed_model(folder: Path, target: Path, table: Any, estimator: Any) -> None:
    """Write a saved model as MLflow has models on disk.

    Called where the search is told of: MLflow warns while it does so, and filters of warnings are those of the process.

    Args:
        folder: of the saved model.
        target: the folder to make.
        table: what it was trained on.
        estimator: the fitted model, for its signature.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            str(target),
            loader_module=__name__,
            data_path=str(folder),
            signature=_signature(table, estimator),
            pip_requirements=_requirements(),
        )


def _signature(table: Any, estimator: Any) -> ModelSignature | None:
    """Return what a model takes and gives, learnt from a few rows; None where that cannot be told."""
    from mlflow.models import infer_signature

    try:
        rows = table.head(_ROWS) if hasattr(table, "head") else table[:_ROWS]
        output = estimator.predict(rows)
        return infer_signature(rows.to_pandas() if hasattr(rows, "to_pandas") else rows, output)
    except Exception:  # noqa: BLE001 - a model without a signature is a model all the same
        return None


def send_model(
    client: MlflowClient, experiment_id: str, run_id: str, name: str, packed: Path, params: Mapping[str, Any]
) -> None:
    """Make a model of MLflow beside the run that fitted it.

    Args:
        client: of the MLflow.
        experiment_id: of the run.
        run_id: of the run.
        name: of the model.
        packed: from :func:`packed_model`.
        params: its best parameters.
    """
    from mlflow.entities import LoggedModelOutput

    texts = {key: param_text(value)[:MAX_PARAM] for key, value in params.items()}
    model = client.create_logged_model(
        experiment_id, name, source_run_id=run_id, params=texts, model_type="corrida"
    )
    client.log_model_artifacts(model.model_id, str(packed))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])


def _requirements() -> list[str]:
    found = []
    for library in (
        "corrida",
        "mlflow",
        "scikit-learn",
        "numpy",
        "polars",
        "skops",
        "xgboost-cpu",
        "lightgbm",
    ):
        try:
            found.append(f"{library}=={importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
