"""``run_model_search_with_mlflow``: a model search that is tracked in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corrida.bridges.mlflow.search_callback import MLflowCallback

if TYPE_CHECKING:
    import os

    from corrida.pipelines.model_search.results import SearchResults


def run_model_search_with_mlflow(
    specs: Sequence[Any],
    X_train: Any,  # noqa: N803 - as scikit-learn calls it
    y_train: Any,
    X_test: Any = None,  # noqa: N803
    y_test: Any = None,
    n_iter: int = 20,
    cv: Any = 5,
    random_state: int | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    experiment_name: str = "model_search",
    run_name: str | None = None,
    log_models: bool = True,
    tracking_uri: str | None = None,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> tuple[SearchResults, str]:
    """Search models as :func:`corrida.run_model_search` does, and track the search in MLflow.

    Args:
        specs: the models.
        X_train: features of the training rows.
        y_train: what is right for them.
        X_test: features of rows that no search sees; None for no test.
        y_test: what is right for them.
        n_iter: candidates a model.
        cv: folds.
        random_state: of everything that draws.
        output_dir: gets copies of the models and tables.
        experiment_name: the experiment in MLflow; made where it is missing.
        run_name: of the parent run there; a run for each model is nested in it.
        log_models: also make a model of MLflow of each fitted model, for ``mlflow.pyfunc.load_model``.
        tracking_uri: ``sqlite:///mlflow.db``, ``corrida:runs``, ``http://host:5000`` …; where MLflow tracks already when
            None, else ``mlflow.db`` of the working folder. MLflow refuses ``file:`` since 3.13.
        callbacks: others that are told of the search.
        options: as of :func:`corrida.run_model_search`.

    Returns:
        The results, and the address where they are tracked.

    Raises:
        MissingExtra, BadInput, TrackingError: MLflow cannot be used as asked for; the search was not begun.
    """
    from corrida.model_search import run_model_search

    tracker = MLflowCallback(
        experiment_name, tracking_uri=tracking_uri, run_name=run_name, log_models=log_models
    )
    results = run_model_search(
        specs,
        X_train,
        y_train,
        X_test,
        y_test,
        n_iter=n_iter,
        cv=cv,
        random_state=random_state,
        output_dir=output_dir,
        callbacks=[*callbacks, tracker],
        **options,
    )
    return results, tracker.tracking_uri
