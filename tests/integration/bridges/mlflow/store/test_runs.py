"""Unchanged MLflow code writes run folders; corrida and MLflow say the same of them."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

import corrida as library
from corrida import Store

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")  # MLflow's own, about its own
    for kind in ("DeprecationWarning", "FutureWarning", "ResourceWarning", "UserWarning")
]


def test_a_nested_run_is_two_run_folders(tracked: Any, project: Path, corrida: Any) -> None:
    tracked.set_experiment("búsqueda 天")
    with tracked.start_run(run_name="Más rápido", description="el primero", tags={"team": "a"}) as outer:
        tracked.log_params({"lr": 0.10, "text": "0.10", "deep/name": "x"})
        for step in range(5):
            tracked.log_metric("loss", 1 / (step + 1), step=step)
        tracked.log_text("hola", "notes/día.txt")
        with tracked.start_run(nested=True, run_name="child") as inner:
            tracked.log_metrics({"nan": math.nan, "high": math.inf, "low": -math.inf})
    assert outer.info.run_id == "run_Mas_rapido"
    store = Store(project / "runs")
    run = store.get(outer.info.run_id)
    assert (run.status, run.pipeline, run.description) == ("finished", "búsqueda 天", "el primero")
    assert run.params == {"lr": "0.1", "text": "0.10", "deep/name": "x"}
    assert run.metrics == {"loss": 0.2}
    assert run.history()["loss"].to_list() == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert run.history()["step"].to_list() == [0, 1, 2, 3, 4]
    assert run.tags["team"] == "a"
    assert run.tags["mlflow.runName"] == "Más rápido"
    assert run.artifacts() == ["artifacts/notes/día.txt"]
    child = store.get(inner.info.run_id)
    assert child.parent == run.id
    assert math.isnan(child.metrics["nan"])
    assert (child.metrics["high"], child.metrics["low"]) == (math.inf, -math.inf)
    assert all(result.intact for result in store.verify())
    assert "run_Mas_rapido (+1)" in corrida("list", "--store", "runs").out
    assert "búsqueda 天" in corrida("show", run.id, "--store", "runs").out

    seen = MlflowClient().get_run(run.id)
    assert seen.info.status == "FINISHED"
    assert seen.info.run_name == "Más rápido"
    assert seen.info.start_time == outer.info.start_time
    assert seen.data.metrics == run.metrics
    assert seen.data.params == run.params
    assert MlflowClient().get_run(child.id).data.tags["mlflow.parentRunId"] == run.id


def test_a_run_of_corrida_is_whole_in_mlflow(tracked: Any, project: Path) -> None:
    (project / "data.csv").write_text("a,b\n1,2\n")
    with library.start_run(
        store="runs", run_id="base_1.0", pipeline="matching", params={"lr": 0.1, "deep": {"n": 5, "on": True}},
        tags={"team": "x"}, description="the first", data="data.csv",
    ) as run:  # fmt: skip
        for step in range(3):
            run.log({"loss": 3.0 - step}, step=step)
        run.log_metrics({"f1": 0.5, "loss": 0.75})
        run.save_bytes("report.md", b"# report")
        with library.start_run(store="runs", pipeline="matching", parent=run.id, run_tag="part"):
            pass
    client = MlflowClient()
    experiment = client.get_experiment_by_name("matching")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "metrics.f1 = 0.5")
    assert [one.info.run_name for one in found] == ["base_1.0"]
    seen = client.get_run(found[0].info.run_id)
    assert seen.data.params == {"lr": "0.1", "deep.n": "5", "deep.on": "True"}
    assert seen.data.metrics == {"f1": 0.5, "loss": 0.75}
    assert [point.value for point in client.get_metric_history(seen.info.run_id, "loss")] == [3, 2, 1, 0.75]
    assert seen.data.tags["team"] == "x"
    assert seen.data.tags["mlflow.note.content"] == "the first"
    assert [one.dataset.name for one in seen.inputs.dataset_inputs] == ["data.csv"]
    assert {"report.md", "run.json", "history.jsonl"} <= {
        one.path for one in client.list_artifacts(seen.info.run_id)
    }
    assert Path(client.download_artifacts(seen.info.run_id, "report.md")).read_text() == "# report"
    children = client.search_runs(
        [experiment.experiment_id], f"tags.mlflow.parentRunId = '{seen.info.run_id}'"
    )
    assert [one.info.run_id for one in children] == ["run_part"]


def test_points_keep_step_time_and_order(tracked: Any) -> None:
    client = MlflowClient()
    run = client.create_run("0")
    given = [(2.0, 1000, 5), (1.0, 999, 5), (1.0, 1000, 5), (7.0, 1, -3), (9.0, 5000, 0), (math.nan, 1000, 5)]
    client.log_batch(run.info.run_id, metrics=[Metric("m", value, when, step) for value, when, step in given])
    client.log_batch(run.info.run_id, metrics=[Metric("step", 1.0, 3, 1), Metric("logged_at", 2.0, 3, 1)])
    for _ in range(2):  # open, then ended
        points = client.get_metric_history(run.info.run_id, "m")
        assert [(p.timestamp, p.step) for p in points] == [(when, step) for _, when, step in given]
        assert client.get_run(run.info.run_id).data.metrics["m"] == 2.0
        client.set_terminated(run.info.run_id)
    frame = Store("runs").get(run.info.run_id).history()
    assert frame["metric.step"].drop_nulls().to_list() == [1.0]


def test_a_parameter_is_written_once(tracked: Any) -> None:
    client = MlflowClient()
    run_id = client.create_run("0").info.run_id
    client.log_param(run_id, "a", "1")
    client.log_param(run_id, "a", "1")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_batch(run_id, params=[Param("b", "2"), Param("a", "3")], metrics=[Metric("m", 1.0, 1, 1)])
    run = client.get_run(run_id)
    assert run.data.params == {"a": "1"}
    assert run.data.metrics == {}


def test_tags_are_set_and_removed_while_open_and_after(tracked: Any) -> None:
    client = MlflowClient()
    run_id = client.create_run("0").info.run_id
    for state in ("open", "ended"):
        client.set_tag(run_id, state, "yes")
        client.set_tag(run_id, "gone", "x")
        client.delete_tag(run_id, "gone")
        with pytest.raises(MlflowException, match="No tag with name: gone") as missing:
            client.delete_tag(run_id, "gone")
        assert missing.value.error_code == "RESOURCE_DOES_NOT_EXIST"
        client.update_run(run_id, name=f"called {state}")
        assert client.get_run(run_id).info.run_name == f"called {state}"
        client.set_terminated(run_id)
    assert {"open": "yes", "ended": "yes"}.items() <= Store("runs").get(run_id).tags.items()
    assert all(result.intact for result in Store("runs").verify())


def test_what_comes_after_the_end_is_added_on_record(tracked: Any, project: Path, corrida: Any) -> None:
    client = MlflowClient()
    with tracked.start_run() as run:
        tracked.log_metric("loss", 0.5, step=1)
        tracked.log_param("a", "1")
        tracked.log_text("first", "file.txt")
    run_id = run.info.run_id
    sealed = (project / "runs" / run_id / "run.json").read_bytes()
    client.log_metric(run_id, "score", 0.9)
    client.log_metric(run_id, "loss", 0.25, step=2)
    client.log_metric(run_id, "loss", 0.75, step=0)
    client.log_param(run_id, "b", "2")
    client.log_text(run_id, "second", "later/file.txt")
    with tracked.start_run(run_id=run_id):
        tracked.log_metric("again", 1.0)
    with pytest.raises(MlflowException, match="is sealed; log the artifact under another name") as refused:
        client.log_text(run_id, "other", "file.txt")
    assert refused.value.get_http_status_code() < 500  # no client repeats it
    client.log_text(run_id, "first", "file.txt")  # the same is no change
    with pytest.raises(MlflowException, match="Changing param"):
        client.log_param(run_id, "a", "2")
    with pytest.raises(MlflowException, match="sealed"):
        get_artifact_repository(run.info.artifact_uri).delete_artifacts("file.txt")

    assert (project / "runs" / run_id / "run.json").read_bytes() == sealed
    seen = client.get_run(run_id)
    assert seen.info.status == "FINISHED"
    assert seen.data.metrics == {"loss": 0.25, "score": 0.9, "again": 1.0}
    assert seen.data.params == {"a": "1", "b": "2"}
    record = Store("runs").get(run_id)
    assert record.metrics == seen.data.metrics
    assert record.params == seen.data.params
    assert record.history()["loss"].drop_nulls().to_list() == [0.5, 0.25, 0.75]
    assert [one.id for one in Store("runs").runs("metrics.score > 0.8")] == [run_id]
    assert corrida("verify", "--store", "runs").code == 0
    (project / "runs" / run_id / "artifacts/later/file.txt").write_text("tampered")
    assert "artifacts/later/file.txt" in corrida("verify", "--store", "runs", code=1).out


def test_what_corrida_measured_is_not_replaced(tracked: Any) -> None:
    with library.start_run(store="runs", pipeline="p", run_id="own") as run:
        run.log_metrics({"f1": 0.5})
    client = MlflowClient()
    with pytest.raises(MlflowException, match="what it measured itself"):
        client.log_metric("own", "f1", 0.99)
    client.log_metric("own", "f2", 0.25)
    assert Store("runs").get("own").metrics == {"f1": 0.5, "f2": 0.25}
    with library.start_run(store="runs", pipeline="p", run_id="open"):
        with pytest.raises(MlflowException, match="being written by corrida itself"):
            client.log_metric("open", "f1", 0.1)
        assert client.get_run("open").info.status == "RUNNING"


def test_deleted_runs_are_in_the_trash(tracked: Any, corrida: Any) -> None:
    client = MlflowClient()
    with tracked.start_run() as run:
        tracked.log_metric("m", 1.0)
    run_id = run.info.run_id
    client.delete_run(run_id)
    assert Store("runs").trashed() == [run_id]
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert tracked.search_runs(output_format="list") == []
    found = client.search_runs(["0"], run_view_type=ViewType.DELETED_ONLY, filter_string="metrics.m = 1")
    assert [one.info.run_id for one in found] == [run_id]
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        client.log_metric(run_id, "m", 2.0)
    client.restore_run(run_id)
    client.log_metric(run_id, "n", 2.0)
    assert client.get_run(run_id).data.metrics == {"m": 1.0, "n": 2.0}
    corrida("promote", run_id, "--store", "runs")
    with pytest.raises(MlflowException, match="@production"):
        client.delete_run(run_id)


def test_experiments_are_pipelines(tracked: Any) -> None:
    client = MlflowClient()
    assert [one.name for one in client.search_experiments()] == ["Default"]
    first = client.create_experiment("first", tags={"a": "1"})
    with pytest.raises(MlflowException, match="already exists") as taken:
        client.create_experiment("first")
    assert taken.value.error_code == "RESOURCE_ALREADY_EXISTS"
    run_id = client.create_run(first).info.run_id
    client.set_terminated(run_id)
    client.rename_experiment(first, "second")
    client.set_experiment_tag(first, "b", "2")
    client.delete_experiment_tag(first, "a")
    later = client.create_run(first).info.run_id
    client.set_terminated(later)
    again = client.create_experiment("first")
    assert again != first
    assert client.search_runs([again]) == []
    assert {one.info.run_id for one in client.search_runs([first])} == {run_id, later}
    assert (Store("runs").get(run_id).pipeline, Store("runs").get(later).pipeline) == ("first", "second")
    assert client.get_experiment(first).tags == {"b": "2"}

    client.delete_experiment(first)
    assert client.get_experiment(first).lifecycle_stage == "deleted"
    assert set(Store("runs").trashed()) == {run_id, later}
    with pytest.raises(MlflowException, match="active"):
        client.create_run(first)
    with pytest.raises(MlflowException, match="deleted state"):
        client.create_experiment("second")
    client.restore_experiment(first)
    assert {one.info.run_id for one in client.search_runs([first])} == {run_id, later}
    with pytest.raises(MlflowException, match="default experiment"):
        client.delete_experiment("0")


def test_an_open_run_is_seen_as_such_and_sealed_with_all_that_was_said(tracked: Any, corrida: Any) -> None:
    client = MlflowClient()
    run_id = client.create_run("0", tags={"t": "1"}).info.run_id
    client.log_batch(run_id, [Metric("m", 1.0, 10, 1)], [Param("p", "x")], [RunTag("u", "2")])
    listed = json.loads(corrida("list", "--store", "runs", "--json").out)
    row = listed["runs"][0] if isinstance(listed, dict) else listed[0]
    assert row["status"] == "running"
    record = Store("runs").get(run_id)
    assert (record.params, record.metrics) == ({"p": "x"}, {"m": 1.0})
    assert (record.tags["t"], record.tags["u"]) == ("1", "2")
    client.set_terminated(run_id, "KILLED", end_time=record.mlflow.start_time + 5000)
    record = Store("runs").get(run_id)
    assert (record.status, record.duration) == ("failed", 5.0)
    assert record.params == {"p": "x"}
    assert not (record.dir / "annotations.jsonl").exists()
    assert client.get_run(run_id).info.status == "KILLED"


def test_ids_and_addresses(tracked: Any, project: Path) -> None:
    client = MlflowClient()
    names = ["a/b c", "天", "..", "x" * 300, "run.v1.2", "天天"]
    made = [client.create_run("0", run_name=name) for name in names]
    assert len({run.info.run_id for run in made}) == len(names)
    assert [client.get_run(run.info.run_id).info.run_name for run in made] == names
    for wrong in ("nope", "../../etc", "a" * 200):
        with pytest.raises(MlflowException) as missing:
            client.get_run(wrong)
        assert missing.value.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
    (project / "notes.txt").write_text("x")
    for wrong in ("corrida:notes.txt", "corrida:notes.txt/runs"):
        with pytest.raises(MlflowException, match=r"leads through the file notes\.txt; give a folder"):
            MlflowClient(wrong).create_run("0")
    with pytest.raises(MlflowException, match="names the machine"):
        MlflowClient("corrida://host/runs").search_experiments()
    assert MlflowClient(f"corrida:///{project}/runs").get_run(made[0].info.run_id).info.run_name == "a/b c"


def test_a_relative_address_is_made_absolute_once(
    tracked: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.set_tracking_uri("corrida:relative")
    with tracked.start_run():
        monkeypatch.chdir(tmp_path)
        tracked.log_metric("m", 1.0)
        tracked.log_text("x", "a.txt")
    assert len(Store(project / "relative").runs()) == 1
    assert not (tmp_path / "relative").exists()


def test_git_merges_what_two_branches_said_of_experiments(tracked: Any, project: Path) -> None:
    tracked.set_experiment("first")
    tracked.create_external_model("alone")
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    logs = [str(path.relative_to(project)) for path in (project / "runs/.mlflow").rglob("*.jsonl")]
    assert len(logs) == 2
    told = subprocess.run(
        ["git", "check-attr", "merge", *logs], cwd=project, check=True, capture_output=True, text=True
    ).stdout
    assert told.count("merge: union") == 2
    known = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=project, check=True, capture_output=True, text=True
    ).stdout
    assert ".mlflow/experiments.jsonl" in known
    assert ".lock" not in known


def test_a_tag_that_is_a_document_is_shown_by_its_beginning(tracked: Any, corrida: Any) -> None:
    with tracked.start_run(run_name="long", tags={"mlflow.log-model.history": "[" + "x" * 3000}):
        pass
    said = corrida("show", "run_long", "--store", "runs").out
    assert "mlflow.log-model.history=[xxx" in said
    assert "x…" in said
    assert "x" * 200 not in said
    assert "x" * 3000 in corrida("show", "run_long", "--store", "runs", "--json").out


def test_the_same_id_in_two_stores(tracked: Any, project: Path) -> None:
    """MLflow remembers where the artifacts of a run are by its id alone, for the whole process."""
    for name in ("one", "two"):
        tracked.set_tracking_uri(f"corrida:{name}")
        with tracked.start_run(run_name="same") as run:
            tracked.log_text(name, "which.txt")
            model = tracked.initialize_logged_model("m")
        assert run.info.run_id == "run_same"
        client = MlflowClient(f"corrida:{name}")
        client.log_text("run_same", name, "late.txt")
        assert Path(client.download_artifacts("run_same", "which.txt")).read_text() == name
        assert model.source_run_id == "run_same"
    for name in ("one", "two"):
        folder = project / name / "run_same/artifacts"
        assert {file.name: file.read_text() for file in folder.iterdir()} == {
            "which.txt": name,
            "late.txt": name,
        }


def test_a_store_may_be_moved(tracked: Any, project: Path) -> None:
    with tracked.start_run() as run:
        tracked.log_text("x", "a.txt")
    (project / "runs").rename(project / "moved")
    client = MlflowClient(f"corrida:{project}/moved")
    assert (
        client.get_run(run.info.run_id).info.artifact_uri
        == f"corrida:{project}/moved/{run.info.run_id}/artifacts"
    )
    assert Path(client.download_artifacts(run.info.run_id, "a.txt")).read_text() == "x"


def test_datasets_are_in_the_manifest(tracked: Any) -> None:
    import pandas as pd

    data = tracked.data.from_pandas(pd.DataFrame({"a": [1, 2]}), name="small", targets="a")
    with tracked.start_run() as run:
        tracked.log_input(data, context="training")
        tracked.log_input(data, context="training")
    seen = MlflowClient().get_run(run.info.run_id)
    assert [(one.dataset.name, one.tags[0].value) for one in seen.inputs.dataset_inputs] == [
        ("small", "training")
    ]
    manifest = Store("runs").get(run.info.run_id).manifest()
    assert manifest["dataset"]["datasets"][0]["name"] == "small"
    assert (
        len(MlflowClient().search_runs(["0"], "dataset.name = 'small' and dataset.context = 'training'")) == 1
    )
    assert MlflowClient().search_runs(["0"], "dataset.name = 'other'") == []
