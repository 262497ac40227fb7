"""A model search tracked in MLflow: the example of the documentation, a server that goes away, and what is left out."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from corrida import Store
from corrida.bridges.mlflow.search_callback import MLflowCallback
from corrida.bridges.mlflow.tracked_search import run_model_search_with_mlflow
from corrida.errors import BadInput, MissingExtra, TrackingError
from corrida.model_search import ModelSpec, available_specs, run_model_search

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture(scope="module")
def weather() -> dict[str, Any]:
    """Small tables: two columns that matter, one that does not, one of text."""
    random = np.random.default_rng(7)
    table = pd.DataFrame(random.normal(size=(120, 3)), columns=["wind", "rain", "noise"])
    table["sky"] = random.choice(["sun", "fog"], 120)
    y = (
        2 * table["wind"] - table["rain"] + (table["sky"] == "sun") + random.normal(size=120) / 10
    ).to_numpy()
    return {"X_train": table[:80], "y_train": y[:80], "X_test": table[80:], "y_test": y[80:]}


def specs(*names: str) -> list[ModelSpec]:
    catalog = available_specs(include_optional=True)
    return [catalog[name] for name in names]


class Broken:
    """An estimator that cannot be fitted."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}

    def set_params(self, **_: Any) -> Any:
        return self

    def fit(self, *_: Any) -> Any:
        raise ValueError("it never converges")

    def predict(self, x: Any) -> Any:
        raise AssertionError


def tracked(uri: str, experiment: str) -> tuple[Any, Any, dict[str, Any]]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return client, next(r for r in found if "mlflow.parentRunId" not in r.data.tags), {
        r.info.run_name: r for r in found if "mlflow.parentRunId" in r.data.tags
    }  # fmt: skip


@pytest.mark.slow
def test_the_example_as_it_is_written(project: Path, database: str, weather: dict[str, Any]) -> None:
    results, uri = run_model_search_with_mlflow(
        specs=specs("linear_predictive", "ridge", "xgboost"),
        n_iter=3,
        cv=3,
        random_state=77,
        output_dir="models_mlflow",
        experiment_name="weather_training_fast",
        run_name="fast_sample",
        log_models=True,
        tracking_uri="sqlite:///mlflow.db",
        **weather,
    )
    assert uri == f"sqlite:///{project}/mlflow.db"
    assert results.callback_errors == []
    client, parent, children = tracked(uri, "weather_training_fast")
    assert parent.info.run_name == "fast_sample"
    assert parent.info.status == "FINISHED"
    assert parent.data.params["n_iter"] == "3"
    assert parent.data.params["models"] == "linear_predictive,ridge,xgboost"
    assert parent.data.tags["python_version"] == sys.version.split()[0]
    assert {"platform", "sklearn_version", "numpy_version"} <= set(parent.data.tags)
    assert [a.path for a in client.list_artifacts(parent.info.run_id)] == ["training_report.csv"]
    assert set(children) == {"linear_predictive", "ridge", "xgboost"}
    for name, run in children.items():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
        for metric in ("val_r2", "test_r2", "test_mse", "test_mae", "train_duration_sec"):
            assert run.data.metrics[metric] == pytest.approx(results[name].metrics[metric])
        paths = [a.path for a in client.list_artifacts(run.info.run_id)]
        assert "models" in paths
        saved = {Path(a.path).name for a in client.list_artifacts(run.info.run_id, f"models/{name}")}
        assert saved == {p.name for p in Path(results[name].model_path or "").iterdir()}
    assert "ridge_cv_results.csv" in [a.path for a in client.list_artifacts(children["ridge"].info.run_id)]
    assert "best_alpha" in children["ridge"].data.params
    assert len(client.get_metric_history(children["ridge"].info.run_id, "trial_r2")) == 3

    # Each run has its own model, and the model of MLflow predicts as the one of corrida.
    import mlflow.pyfunc

    models = {m.name: m for m in client.search_logged_models([parent.info.experiment_id])}
    assert {name: m.source_run_id for name, m in models.items()} == {
        name: run.info.run_id for name, run in children.items()
    }
    mlflow.set_tracking_uri(uri)
    try:
        for name in ("ridge", "xgboost"):
            loaded = mlflow.pyfunc.load_model(f"models:/{models[name].model_id}")
            np.testing.assert_allclose(loaded.predict(weather["X_test"]), results[name].test_output)
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_the_first_run_has_its_own_model(project: Path, database: str, weather: dict[str, Any]) -> None:
    """The callback is called after the model is saved: neither none, nor that of the model before."""
    seen: dict[str, str] = {}

    def look(spec: Any, estimator: Any, metrics: Any, extras: Any) -> None:
        files = [p for p in Path(extras["model_path"]).iterdir() if p.name != "model.json"]
        seen[spec.name] = "".join(str(p.stat().st_size) for p in files)

    tracker = MLflowCallback("own", tracking_uri="sqlite:///mlflow.db", log_models=False)
    results = run_model_search(
        specs("ridge", "random_forest"), n_iter=1, cv=2, random_state=1, callbacks=[look, tracker], **weather
    )
    client, _, children = tracked(tracker.tracking_uri, "own")
    for name, run in children.items():
        there = client.list_artifacts(run.info.run_id, f"models/{name}")
        sizes = {Path(a.path).name: a.file_size for a in there}
        here = {p.name: p.stat().st_size for p in Path(results[name].model_path or "").iterdir()}
        assert sizes == here
        assert seen[name]


@pytest.mark.slow
def test_a_model_that_fails_is_a_failed_run(project: Path, database: str, weather: dict[str, Any]) -> None:
    broken = ModelSpec("broken", Broken, task="regression", preprocessing="none")
    results, uri = run_model_search_with_mlflow(
        [broken, *specs("ridge")], n_iter=1, cv=2, random_state=1, experiment_name="e", tracking_uri="mlflow.db",
        log_models=False, pickle=True, **weather,
    )  # fmt: skip
    assert [one.name for one in results.failed] == ["broken"]
    _, parent, children = tracked(uri, "e")
    assert parent.info.status == "FINISHED"
    assert children["broken"].info.status == "FAILED"
    assert "it never converges" in children["broken"].data.tags["corrida.error"]
    assert children["ridge"].info.status == "FINISHED"


@pytest.mark.slow
def test_metrics_without_a_finite_value_are_left_out_and_said(
    project: Path, database: str, weather: dict[str, Any]
) -> None:
    tracker = MLflowCallback("odd", tracking_uri="sqlite:///mlflow.db", log_models=False)
    told = tracker.on_model_fitted

    def with_gaps(spec: Any, estimator: Any, metrics: Any, extras: Any) -> None:
        told(spec, estimator, {**metrics, "none": None, "inf": math.inf, "nan": math.nan}, extras)

    tracker.on_model_fitted = with_gaps  # type: ignore[method-assign]
    results = run_model_search(specs("ridge"), n_iter=1, cv=2, random_state=1, callbacks=[tracker], **weather)
    _, _, children = tracked(tracker.tracking_uri, "odd")
    assert not {"none", "inf", "nan"} & set(children["ridge"].data.metrics)
    assert "test_r2" in children["ridge"].data.metrics
    (said,) = results.callback_errors
    assert "metrics that have no finite value were not sent to MLflow (ridge: none, inf, nan)" in str(said)


@pytest.mark.slow
def test_a_server_that_goes_away(
    corrida: Any, project: Path, weather: dict[str, Any], mlflow_server: Any
) -> None:
    """The search goes on at once, the loss is said and recorded, and an export completes what is there."""
    spans: list[float] = []

    def stop(spec: Any, estimator: Any, metrics: Any, extras: Any) -> None:
        if spec.name == "linear_predictive":
            time.sleep(2)  # what was told so far gets there
            mlflow_server.stop()
        spans.append(time.monotonic())

    tracker = MLflowCallback("away", tracking_uri=mlflow_server.uri, log_models=False, wait=3)
    results = run_model_search(
        specs("linear_predictive", "lasso", "ridge"), n_iter=2, cv=2, random_state=1,
        callbacks=[stop, tracker], **weather,
    )  # fmt: skip
    assert spans[-1] - spans[0] < 30
    assert len(results.fitted) == 3
    (said,) = results.callback_errors
    assert "was away (nobody answers there" in str(said)
    assert "messages did not get there" in str(said)
    run = Store("runs").get(str(results.run_id))
    assert run.status == "finished"
    assert any("corrida export mlflow" in warning for warning in run.warnings)

    mlflow_server.start()
    corrida("export", "mlflow", run.id, "--to", mlflow_server.uri, "--experiment", "away")
    client, parent, children = tracked(mlflow_server.uri, "away")
    # What the callback began keeps the name that it gave.
    lost = [c.id for c in Store("runs").runs() if c.id.endswith(("ridge", "lasso"))]
    assert len(children) == 3
    assert "linear_predictive" in children
    assert set(children) <= {"linear_predictive", "lasso", "ridge", *lost}
    assert parent.data.tags["corrida.export"] == "complete"
    best = children["linear_predictive"]
    assert len(client.get_metric_history(best.info.run_id, "test_r2")) == 1
    corrida("import", "mlflow", mlflow_server.uri, "--store", "back")
    assert Store("back").get(run.id).metrics == run.metrics


@pytest.mark.slow
def test_a_server_that_comes_back(project: Path, weather: dict[str, Any], mlflow_server: Any) -> None:
    def restart(spec: Any, estimator: Any, metrics: Any, extras: Any) -> None:
        (mlflow_server.stop if spec.name == "lasso" else mlflow_server.start)()

    tracker = MLflowCallback("back", tracking_uri=mlflow_server.uri, log_models=False, wait=60)
    results = run_model_search(
        specs("lasso", "ridge"), n_iter=2, cv=2, random_state=1, callbacks=[restart, tracker], **weather
    )
    assert results.callback_errors == []
    client, parent, children = tracked(mlflow_server.uri, "back")
    assert parent.info.status == "FINISHED"
    assert set(children) == {"lasso", "ridge"}
    assert len(client.get_metric_history(children["ridge"].info.run_id, "trial_r2")) == 2
    assert children["ridge"].info.status == children["lasso"].info.status == "FINISHED"


def test_what_is_refused_before_the_search_begins(
    project: Path, weather: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        BadInput, match=r"MLflow refuses folders of files such as 'file:.*since 3\.13; give sqlite:///"
    ):
        run_model_search_with_mlflow(specs("ridge"), **weather, tracking_uri=(project / "mlruns").as_uri())
    with pytest.raises(TrackingError, match="nobody answers there"):
        run_model_search_with_mlflow(specs("ridge"), **weather, tracking_uri="http://127.0.0.1:1")
    with pytest.raises(BadInput, match="experiment_name is empty"):
        run_model_search_with_mlflow(specs("ridge"), **weather, experiment_name=" ")
    import importlib.metadata

    real = importlib.metadata.version
    for found, why in (("2.22.0", "too old"), ("4.0.1", "too new")):
        monkeypatch.setattr(
            importlib.metadata, "version", lambda name, found=found: found if name == "mlflow" else real(name)
        )
        with pytest.raises(
            MissingExtra, match=rf"MLflow {found} is {why}: corrida works with MLflow 3\.13 to"
        ):
            MLflowCallback("e")

    def missing(name: str) -> str:
        if name.startswith("mlflow"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(
        MissingExtra, match=r"MLflow is not installed; install it with: pip install 'corrida\[mlflow\]'"
    ):
        MLflowCallback("e")
    assert not Path("runs").exists()
