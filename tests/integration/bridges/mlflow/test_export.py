"""Runs sent to MLflow, and back: parameters, metrics, histories, tags and the bytes of every file are the same."""

from __future__ import annotations

import filecmp
import json
import math
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import corrida as library
from corrida import Store

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture
def family(project: Path) -> Store:
    """A run with everything that a run can have, and two children, one of which failed."""
    (project / "data.csv").write_text("a,b\n1,2\n")
    store = Store("runs")
    with library.start_run(
        store=store, run_id="base_1.0", pipeline="weather días", params={"lr": 0.1, "n": 5, "text": "0.10", "deep": {"a": [1, 2]}},
        tags={"team": "búsqueda 天"}, description="the first", notes="a note", data="data.csv", seed=7,
        source="gold", primary_metric="f1",
    ) as run:  # fmt: skip
        for step in range(1100):
            run.log({"loss": 1 / (step + 1), "odd/name": float(step)}, step=step)
        run.log({"ratio": math.inf, "lost": math.nan}, step=3)
        run.log_metrics({"f1": 0.5, "loss": 0.01})
        run.log_items([{"item_id": "1", "correct": True}])
        run.save_bytes("report.md", b"# report\n")
        run.save_bytes("assets/my plot.png", bytes(range(256)))
        with library.start_run(store=store, run_tag="ridge", pipeline="weather días", parent=run.id) as child:
            child.log_metrics({"f1": 0.25})
        failing = library.start_run(store=store, run_tag="lasso", pipeline="weather días", parent=run.id)
        failing.fail(ValueError("no convergence"))
    store.note("base_1.0", "seen by a person")
    store.tag("base_1.0", {"stage": "dev"})
    return store


EXPERIMENTS = {"weather días", "weather fast", "p"}


def client_of(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def all_runs(uri: str) -> dict[str, Any]:
    client = client_of(uri)
    ids = [e.experiment_id for e in client.search_experiments() if e.name in EXPERIMENTS]
    runs = client.search_runs(ids)
    return {run.data.tags["corrida.run_id"]: run for run in runs if "corrida.run_id" in run.data.tags}


def same_folder(a: Path, b: Path) -> bool:
    names = {p.relative_to(a).as_posix() for p in a.rglob("*") if p.is_file()}
    return (
        names == {p.relative_to(b).as_posix() for p in b.rglob("*") if p.is_file()}
        and not filecmp.cmpfiles(a, b, names, shallow=False)[1]
    )


def check_there(uri: str) -> None:
    client, runs = client_of(uri), all_runs(uri)
    assert set(runs) == {"base_1.0", "run_ridge", "run_lasso"}
    base, ridge, lasso = runs["base_1.0"], runs["run_ridge"], runs["run_lasso"]
    record = Store("runs").get("base_1.0")
    assert base.data.params == {"lr": "0.1", "n": "5", "text": "0.10", "deep.a": "[1, 2]"}
    assert base.data.tags["team"] == "búsqueda 天"
    assert base.data.tags["stage"] == "dev"
    note = base.data.tags["mlflow.note.content"]
    assert note.startswith("the first\n\na note\n\nseen by a person (")
    assert base.data.metrics["f1"] == 0.5
    assert base.data.metrics["loss"] == 0.01
    history = client.get_metric_history(base.info.run_id, "odd/name")
    calls = list(library.runs.history.read_calls(record.dir / "history.jsonl"))  # type: ignore[attr-defined]
    wanted = [(s, round(t * 1000), m["odd/name"]) for s, t, m in calls if "odd/name" in m]
    assert sorted((p.step, p.timestamp, p.value) for p in history) == sorted(wanted)
    assert (base.info.status, ridge.info.status, lasso.info.status) == ("FINISHED", "FINISHED", "FAILED")
    assert base.info.run_name == "base_1.0"
    assert base.info.end_time >= base.info.start_time
    assert ridge.data.tags["mlflow.parentRunId"] == lasso.data.tags["mlflow.parentRunId"] == base.info.run_id
    assert lasso.data.tags["corrida.error"] == "ValueError: no convergence"
    (dataset,) = base.inputs.dataset_inputs
    assert dataset.dataset.name == "data.csv"
    assert json.loads(dataset.dataset.profile)["rows"] == 1


@pytest.mark.slow
def test_there_and_back_by_a_database(corrida: Any, project: Path, family: Store) -> None:
    said = corrida("export", "mlflow", "run_ridge", "--to", "sqlite:///mlflow.db")  # its family comes along
    assert "3 runs exported" in said.out
    assert "items.parquet is an artifact there" in said.out
    check_there(f"sqlite:///{project}/mlflow.db")
    corrida("import", "mlflow", "mlflow.db", "--store", "back")
    for run in family.runs():
        assert same_folder(family.root / run.id, project / "back" / run.id)
    assert not [v for v in Store("back").verify() if v.problems]
    assert Store("back").get("base_1.0").tags == family.get("base_1.0").tags


@pytest.mark.slow
def test_there_and_back_by_a_server(corrida: Any, project: Path, family: Store, mlflow_server: Any) -> None:
    corrida("export", "mlflow", "base_1.0", "--to", mlflow_server.uri)
    check_there(mlflow_server.uri)
    client = client_of(mlflow_server.uri)
    client.set_tag(all_runs(mlflow_server.uri)["run_ridge"].info.run_id, "reviewed", "yes")
    corrida("import", "mlflow", mlflow_server.uri, "--experiment", "weather días", "--store", "back")
    for run in family.runs():
        if run.id != "run_ridge":
            assert same_folder(family.root / run.id, project / "back" / run.id)
    assert Store("back").get("run_ridge").tags == {"reviewed": "yes"}
    again = corrida(
        "import", "mlflow", mlflow_server.uri, "--experiment", "weather días", "--store", "back", "--json"
    ).json
    assert {run["state"] for run in again["runs"]} == {"there already"}
    assert again["tagged"] == []


@pytest.mark.slow
def test_a_foreign_run_there_and_back(corrida: Any, project: Path, database: str, unpacked: Any) -> None:
    """MLflow to corrida to MLflow to corrida: the folders are the same, and MLflow shows what it showed."""
    corrida("import", "mlflow", unpacked("mlruns-2.22.0"))
    corrida("export", "mlflow", "--all", "--to", "mlflow.db", "--json")
    runs = all_runs(f"sqlite:///{project}/mlflow.db")
    ridge = runs["fast_sample-ridge"]
    assert ridge.info.run_name == "ridge"
    assert ridge.data.params == {
        "best_alpha": "0.1", "best_fit_intercept": "True", "version": "1.10", "text": "más ñ 天",
    }  # fmt: skip
    assert ridge.data.tags["mlflow.user"] == "user"
    assert runs["stopped"].info.status == "KILLED"
    client = client_of(f"sqlite:///{project}/mlflow.db")
    points = client.get_metric_history(ridge.info.run_id, "loss")
    assert [(p.step, p.value) for p in points] == [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 0.25), (4, 0.2)]
    names = [entry.path for entry in client.list_artifacts(ridge.info.run_id)]
    assert sorted(names) == ["corrida", "model"]
    corrida("import", "mlflow", "mlflow.db", "--store", "back")
    for run in Store("runs").runs():
        assert same_folder(run.dir, project / "back" / run.id)


@pytest.mark.slow
def test_exporting_again_sends_only_what_is_new(
    corrida: Any, project: Path, database: str, family: Store
) -> None:
    corrida("export", "mlflow", "base_1.0", "--to", "mlflow.db")
    family.note("run_ridge", "later")
    family.tag("run_ridge", {"later": "tag"})
    family.tag("base_1.0", {"stage": "prod", "team": "fast"})
    uri = f"sqlite:///{project}/mlflow.db"
    client_of(uri).set_tag(all_runs(uri)["base_1.0"].info.run_id, "team", "theirs")
    again = corrida("export", "mlflow", "base_1.0", "--to", "mlflow.db", "--json").json
    assert {run["state"] for run in again["runs"]} == {"there"}
    uri = f"sqlite:///{project}/mlflow.db"
    assert (
        len(client_of(uri).search_runs([e.experiment_id for e in client_of(uri).search_experiments()])) == 3
    )
    base, ridge = all_runs(uri)["base_1.0"], all_runs(uri)["run_ridge"]
    assert base.data.tags["stage"] == "prod"
    assert base.data.tags["team"] == "theirs"  # what a person set there stays
    assert ridge.data.tags["later"] == "tag"
    assert "later (" in ridge.data.tags["mlflow.note.content"]
    corrida("import", "mlflow", "mlflow.db", "--store", "back")
    assert Store("back").get("run_ridge").tags == {"later": "tag"}
    assert [note.text for note in Store("back").get("run_ridge").later_notes] == ["later"]


@pytest.mark.slow
def test_a_killed_export_is_completed(corrida: Any, project: Path, database: str, family: Store) -> None:
    for number in range(6):
        with library.start_run(
            store=family, run_tag=f"more{number}", pipeline="more", parent="base_1.0"
        ) as run:
            for step in range(40):
                run.log({"loss": float(step)}, step=step)
            run.save_bytes("a.bin", bytes(1000))
    uri = f"sqlite:///{project}/mlflow.db"
    process = corrida.start("export", "mlflow", "base_1.0", "--to", "mlflow.db")
    until = time.monotonic() + 90
    while time.monotonic() < until and len(list(project.glob("mlruns/*/*"))) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    corrida("export", "mlflow", "base_1.0", "--to", "mlflow.db")
    runs = client_of(uri).search_runs(
        [e.experiment_id for e in client_of(uri).search_experiments()], max_results=100
    )
    assert len(runs) == 9
    assert {run.data.tags["corrida.export"] for run in runs} == {"complete"}
    counts = {
        len(client_of(uri).get_metric_history(run.info.run_id, "loss"))
        for run in runs
        if "loss" in run.data.metrics
    }
    assert counts == {40, 1101}
    corrida("import", "mlflow", "mlflow.db", "--store", "back")
    assert len(Store("back")) == 9
    assert all(same_folder(run.dir, project / "back" / run.id) for run in family.runs())


@pytest.mark.slow
def test_an_altered_run_comes_back_as_another(
    corrida: Any, project: Path, database: str, family: Store
) -> None:
    corrida("export", "mlflow", "base_1.0", "--to", "mlflow.db")
    (report,) = project.glob("mlruns/*/*/artifacts/report.md")
    report.write_text("# another report\n")
    said = corrida("import", "mlflow", "mlflow.db", "--store", "back", "--json").json
    states = {run["name"]: run["state"] for run in said["runs"]}
    assert states == {"base_1.0": "imported", "run_ridge": "came back", "run_lasso": "came back"}
    altered = Store("back").get("base_1.0")
    assert altered.path("artifacts/report.md").read_text() == "# another report\n"
    assert not [v for v in Store("back").verify() if v.problems]


@pytest.mark.slow
def test_what_mlflow_does_not_take(corrida: Any, project: Path, database: str) -> None:
    params = {"long": "x" * 7000, "odd name!": 1, "odd name_": 2, "../up": 3}
    with library.start_run(run_id="r", pipeline="p", params=params, tags={"wide": "y" * 9000}) as run:
        run.log_metrics({"a%": 1.0, "b//c": 2.0})
    said = corrida("export", "mlflow", "r", "--to", "mlflow.db", "--json").json["runs"][0]
    assert (
        "the parameter long has 7,000 characters, of which MLflow takes 6,000; run.json has all"
        in said["remarks"]
    )
    assert (
        "the tag wide has 9,000 characters, of which MLflow takes 8,000; run.json has all" in said["remarks"]
    )
    there = all_runs(f"sqlite:///{project}/mlflow.db")["r"]
    assert there.data.params["odd name_"] == "2"
    assert there.data.params["odd name_-2"] == "1"
    assert there.data.params["long"].endswith("(cut: run.json among the artifacts has all of it)")
    assert set(there.data.metrics) == {"a_", "b__c"}
    corrida("import", "mlflow", "mlflow.db", "--store", "back")
    assert Store("back").get("r").params == params


def test_what_cannot_be_exported(corrida: Any, project: Path, family: Store) -> None:
    said = corrida.refuses("export", "mlflow", "--all", "--to", "corrida:other")
    assert "copy the run folders" in said
    refused = corrida.refuses("export", "mlflow", "base_1.0", "--to", "file:///somewhere/mlruns")
    assert "MLflow refuses folders of files" in refused
    assert "sqlite:///mlflow.db" in refused
    assert "corrida:runs" in refused
    assert "MLflow refuses folders" in corrida.refuses("export", "mlflow", "base_1.0", "--to", "mlruns")
    assert "nobody answers there" in corrida.refuses(
        "export", "mlflow", "base_1.0", "--to", "http://127.0.0.1:1", code=1
    )
    assert "there is no run 'nothing'" in corrida.refuses("export", "mlflow", "nothing", "--to", "mlflow.db")
    assert "name runs, or give --all" in corrida.refuses("export", "mlflow", "--to", "mlflow.db")
    with library.start_run(run_id="alive", store=family):
        said = corrida.refuses("export", "mlflow", "alive", "--to", "mlflow.db", code=1)
    assert "the run alive is running; export it when it has ended" in said
    assert not (project / "mlflow.db").exists()


@pytest.mark.slow
def test_a_deleted_experiment(corrida: Any, project: Path, database: str, family: Store) -> None:
    corrida("export", "mlflow", "base_1.0", "--to", "mlflow.db")
    uri = f"sqlite:///{project}/mlflow.db"
    client = client_of(uri)
    client.delete_run(all_runs(uri)["run_lasso"].info.run_id)
    said = corrida("export", "mlflow", "base_1.0", "--to", "mlflow.db")
    assert "what was deleted there stays deleted" in said.out
    with library.start_run(run_id="new", pipeline="weather días", store=family):
        pass
    client.delete_experiment(client.get_experiment_by_name("weather días").experiment_id)
    refused = corrida.refuses("export", "mlflow", "new", "--to", "mlflow.db", code=1)
    assert "the experiment 'weather días' was deleted" in refused
    assert (
        "1 run exported"
        in corrida("export", "mlflow", "new", "--to", "mlflow.db", "--experiment", "other").out
    )
