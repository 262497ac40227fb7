"""Libraries that log to MLflow by themselves, unchanged, into run folders."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.store.model_registry.abstract_store import AbstractStore as AbstractRegistry
from mlflow.store.tracking.abstract_store import AbstractStore

from corrida import Store

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")  # of MLflow and the libraries, about themselves
    for kind in (
        "DeprecationWarning",
        "FutureWarning",
        "ResourceWarning",
        "UserWarning",
        "RuntimeWarning",
        "ImportWarning",
    )
]


@pytest.mark.slow
def test_scikit_learn_with_a_grid_search(tracked: Any, project: Path) -> None:
    from sklearn.datasets import load_iris
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    X, y = load_iris(return_X_y=True, as_frame=True)  # noqa: N806
    tracked.sklearn.autolog()
    try:
        search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3]}, cv=3).fit(
            X, y
        )
        search.score(X, y)  # logged to a run that has ended
    finally:
        tracked.sklearn.autolog(disable=True)
    store = Store(project / "runs")
    runs = store.runs()
    parent = next(run for run in runs if run.parent is None)
    children = [run for run in runs if run.parent == parent.id]
    assert len(children) == 3
    assert {run.status for run in runs} == {"finished"}
    assert parent.metrics["best_cv_score"] == pytest.approx(search.best_score_)
    assert parent.metrics["GridSearchCV_score_X"] == pytest.approx(search.score(X, y))
    assert {run.params["max_depth"] for run in children} == {"1", "2", "3"}
    assert "artifacts/cv_results.csv" in parent.artifacts()
    seen = MlflowClient().get_run(parent.id)
    assert seen.data.metrics == parent.metrics
    assert {one.tags[0].value for one in seen.inputs.dataset_inputs} == {"train"}
    models = tracked.search_logged_models(output_format="list")
    assert {str(model.status) for model in models} == {"READY"}
    assert {model.source_run_id for model in models} == {parent.id}
    best = next(model for model in models if model.name == "best_estimator")
    assert (tracked.sklearn.load_model(best.model_uri).predict(X) == search.predict(X)).all()
    loaded = tracked.pyfunc.load_model(f"runs:/{parent.id}/best_estimator")
    assert (loaded.predict(X) == search.predict(X)).all()
    assert all(result.intact for result in store.verify())


@pytest.mark.slow
def test_evaluate_measures_a_model(tracked: Any) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    X, y = load_iris(return_X_y=True, as_frame=True)  # noqa: N806
    with tracked.start_run() as run:
        info = tracked.sklearn.log_model(LogisticRegression(max_iter=500).fit(X, y), name="iris")
        tracked.models.evaluate(
            info.model_uri, X.assign(label=y), targets="label", model_type="classifier",
            evaluator_config={"log_explainer": False},
        )  # fmt: skip
    seen = MlflowClient().get_run(run.info.run_id)
    assert seen.data.metrics["accuracy_score"] > 0.9
    model = MlflowClient().get_logged_model(info.model_id)
    assert {metric.key for metric in model.metrics} >= {"accuracy_score"}
    assert [one.model_id for one in seen.outputs.model_outputs] == [info.model_id]
    assert all(result.intact for result in Store("runs").verify())


def test_logged_models_live_on(tracked: Any) -> None:
    client = MlflowClient()
    with tracked.start_run() as run:
        model = tracked.initialize_logged_model("m", params={"a": "1"}, tags={"t": "x"})
        tracked.log_metric("acc", 0.5, model_id=model.model_id)
    client.set_logged_model_tags(model.model_id, {"late": "yes"})
    client.delete_logged_model_tag(model.model_id, "t")
    client.log_model_params(model.model_id, {"b": "2"})
    tracked.finalize_logged_model(model.model_id, "READY")
    seen = client.get_logged_model(model.model_id)
    assert (seen.name, seen.params, str(seen.status)) == ("m", {"a": "1", "b": "2"}, "READY")
    assert seen.tags["late"] == "yes"
    assert "t" not in seen.tags
    assert [(m.key, m.value, m.run_id) for m in seen.metrics] == [("acc", 0.5, run.info.run_id)]
    alone = tracked.create_external_model("alone")
    assert alone.source_run_id is None
    found = client.search_logged_models(["0"], filter_string="metrics.acc > 0.4")
    assert [one.model_id for one in found] == [model.model_id]
    client.delete_logged_model(model.model_id)
    with pytest.raises(MlflowException, match="not found"):
        client.get_logged_model(model.model_id)


@pytest.mark.slow
def test_optuna_and_its_callback(tracked: Any) -> None:
    import optuna
    from optuna_integration import MLflowCallback

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    callback = MLflowCallback(tracking_uri=tracked.get_tracking_uri(), metric_name="value")
    study = optuna.create_study(study_name="squares", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=4, callbacks=[callback])
    runs = Store("runs").runs(pipeline="squares")
    assert sorted(run.metrics["value"] for run in runs) == sorted(trial.value for trial in study.trials)
    assert {run.status for run in runs} == {"finished"}


@pytest.mark.slow
def test_the_logger_of_lightning(tracked: Any) -> None:
    from pytorch_lightning.loggers import MLFlowLogger

    logger = MLFlowLogger("training", run_name="net", tracking_uri=tracked.get_tracking_uri())
    logger.log_hyperparams({"lr": 0.1, "layers": [8, 4]})
    for step in range(10):
        logger.log_metrics({"loss": 1 / (step + 1), "epoch": step // 5}, step=step)
    logger.finalize("success")
    run = Store("runs").get(logger.run_id)
    assert (run.pipeline, run.status) == ("training", "finished")
    assert run.params == {"lr": "0.1", "layers": "[8, 4]"}
    assert run.metrics == {"loss": 0.1, "epoch": 1}
    assert run.history()["loss"].len() == 10


def test_the_registry_shows_what_was_promoted(tracked: Any, corrida: Any) -> None:
    for number in (1, 2):
        with tracked.start_run(run_name=f"n{number}"):
            tracked.log_metric("m", number)
        corrida("promote", f"run_n{number}", "--store", "runs")
    client = MlflowClient()
    model = client.get_registered_model("Default")
    assert model.aliases == {"production": "2"}
    assert [one.run_id for one in client.search_model_versions("name = 'Default'")] in (
        ["run_n1", "run_n2"],
        ["run_n2", "run_n1"],
    )
    client.set_registered_model_alias("Default", "production", "1")
    assert client.get_model_version_by_alias("Default", "production").run_id == "run_n1"
    assert "run_n1" in corrida("aliases", "--store", "runs").out
    client.delete_registered_model_alias("Default", "production")
    with pytest.raises(MlflowException) as refused:
        client.create_registered_model("new")
    assert refused.value.error_code == "NOT_IMPLEMENTED"


@pytest.mark.parametrize("kind", ["tracking", "registry"])
def test_nothing_answers_with_a_plain_error(project: Path, kind: str) -> None:
    """A NotImplementedError would make clients of a server repeat their request for minutes."""
    from corrida.bridges.mlflow.entry import model_registry_store, tracking_store

    store: Any = (
        tracking_store("corrida:runs") if kind == "tracking" else model_registry_store("corrida:runs")
    )
    base: Any = AbstractStore if kind == "tracking" else AbstractRegistry
    refused = 0
    for name, method in inspect.getmembers(base, inspect.isfunction):
        own = getattr(type(store), name)
        if name.startswith("__") or own is not method:
            continue
        source = inspect.getsource(method)
        assert "raise NotImplementedError" not in source, name
        refused += 1
    with pytest.raises(MlflowException) as said:
        (store.start_trace if kind == "tracking" else store.create_webhook)(None)
    assert said.value.error_code == "NOT_IMPLEMENTED"
    assert said.value.get_http_status_code() == 501
    assert refused < 40


def test_importing_mlflow_brings_in_no_store() -> None:
    import subprocess
    import sys

    code = (
        "import mlflow, sys; print([m for m in sys.modules if m.startswith('corrida.') "
        "and m not in ('corrida.bridges', 'corrida.bridges.mlflow', 'corrida.bridges.mlflow.entry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
