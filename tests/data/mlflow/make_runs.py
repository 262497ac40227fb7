"""Makes the runs of ``mlruns-*.zip`` and ``database-*.zip``; executed by old versions of MLflow, as train.py in an empty folder.

    python train.py file:///srv/experiments/mlruns
    python train.py sqlite:///mlflow.db

The environments had MLflow 1.30.1, 2.9.2, 2.22.0 and 3.1.0, and scikit-learn. LOGNAME was ``user``.
"""

import math
import sys
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient
from sklearn.linear_model import Ridge


def search(version):
    mlflow.set_experiment("weather fast")
    Path("report.csv").write_text("model,r2\nridge,0.5\n", encoding="utf-8")
    with mlflow.start_run(run_name="fast_sample"):
        mlflow.set_tag("mlflow.note.content", "the first search\nañadido 天气")
        mlflow.log_params({"n_iter": 5, "cv": 3})
        mlflow.log_artifact("report.csv")
        mlflow.log_artifact("report.csv", "tables/cv")
        for name, alpha in (("ridge", 0.1), ("lasso", 1.0)):
            with mlflow.start_run(run_name=name, nested=True):
                model(name, alpha, version)


def model(name, alpha, version):
    mlflow.log_params(
        {"best_alpha": alpha, "best_fit_intercept": True, "version": "1.10", "text": "más ñ 天"}
    )
    for step in range(5):
        mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
    mlflow.log_metric("val/r2", 0.5)
    mlflow.log_metric("odd", float("nan"))
    mlflow.log_metric("ratio", math.inf)
    mlflow.set_tags({"stage": "dev", "team": "search"})
    if name == "ridge":
        fitted = Ridge(alpha=alpha).fit(np.arange(6.0).reshape(-1, 1), np.arange(6.0))
        place = {"name": "model"} if version >= (3, 0) else {"artifact_path": "model"}
        mlflow.sklearn.log_model(fitted, pip_requirements=["scikit-learn"], **place)
    if version >= (2, 4):
        table = pd.DataFrame({"x": [1.0, 2.0]})
        mlflow.log_input(mlflow.data.from_pandas(table, name="weather"), context="training")


def others():
    client = MlflowClient()
    try:
        with mlflow.start_run(run_name="broken"):
            mlflow.log_metric("loss", 3)
            raise ValueError("no convergence")  # noqa: TRY301
    except ValueError:
        pass
    with mlflow.start_run(run_name="mistake") as gone:
        mlflow.log_metric("loss", 9)
    client.delete_run(gone.info.run_id)
    with mlflow.start_run(run_name="../escape: 夜 owl"):
        mlflow.log_param("a", "b")
    experiment = mlflow.get_experiment_by_name("weather fast").experiment_id
    run = client.create_run(experiment, start_time=1600000000000, tags={"mlflow.runName": "unfinished"})
    client.log_metric(run.info.run_id, "loss", 0.25, timestamp=1600000001000, step=7)
    killed = client.create_run(experiment, tags={"mlflow.runName": "stopped"})
    client.set_terminated(killed.info.run_id, "KILLED")
    old = client.create_experiment("old ideas")
    idea = client.create_run(old, tags={"mlflow.runName": "idea"})
    client.log_metric(idea.info.run_id, "f1", 0.5)
    client.set_terminated(idea.info.run_id)
    client.delete_experiment(old)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    mlflow.set_tracking_uri(sys.argv[1])
    search(tuple(map(int, mlflow.__version__.split(".")[:2])))
    others()
