"""A real ``mlflow server`` on a store: remote clients, the endpoints of its pages, two servers at once, gc."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

import corrida as library
from corrida import Store

pytestmark = [
    pytest.mark.slow,
    *(
        pytest.mark.filterwarnings(f"ignore::{kind}")  # MLflow's own, about its own
        for kind in ("DeprecationWarning", "FutureWarning", "ResourceWarning", "UserWarning")
    ),
]


def ask(uri: str, path: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(uri + path, headers={"Content-Type": "application/json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def test_a_remote_client_writes_run_folders(servers: Any, tracked: Any, project: Path) -> None:
    from sklearn.linear_model import LinearRegression

    server = servers[0]
    tracked.set_tracking_uri(server.uri)
    tracked.set_experiment("remote")
    with tracked.start_run(run_name="far") as run:
        tracked.log_param("p", 1)
        for step in range(10):
            tracked.log_metric("m", step, step=step)
        (project / "folder/deep").mkdir(parents=True)
        (project / "folder/deep/día.txt").write_text("hola")
        tracked.log_artifacts("folder", "files")
        model = tracked.sklearn.log_model(LinearRegression().fit([[1], [2]], [1, 2]), name="line")
        with tracked.start_run(nested=True, run_name="near"):
            tracked.log_metric("n", 2.5)
    run_id = run.info.run_id
    client = MlflowClient(server.uri)
    client.log_metric(run_id, "late", 0.5)
    client.log_text(run_id, "later", "files/later.txt")

    store = Store(server.folder / "runs")
    record = store.get(run_id)
    assert (record.status, record.pipeline, record.metrics) == ("finished", "remote", {"m": 9, "late": 0.5})
    assert (record.dir / "artifacts/files/deep/día.txt").read_text() == "hola"
    assert store.get("run_near").parent == run_id
    assert {path.name for path in server.folder.iterdir() if path.is_dir()} == {
        "runs"
    }  # no mlruns, no mlartifacts
    assert float(tracked.sklearn.load_model(model.model_uri).predict([[3]])[0]) == pytest.approx(3)
    assert all(result.intact for result in store.verify())
    assert (record.dir / "logged_models" / model.model_id / "artifacts/MLmodel").exists()
    assert client.get_logged_model(model.model_id).source_run_id == run_id
    assert record.environment() == {}  # nobody knows that of the client
    near = MlflowClient(f"corrida:///{server.folder}/runs").get_run(run_id)
    far = client.get_run(run_id)
    assert near.data.to_dictionary() == far.data.to_dictionary()
    astray = MlflowArtifactsRepository(f"mlflow-artifacts:/{run_id}", server.uri)
    with pytest.raises(Exception, match="no place for artifacts"):
        astray.log_artifact("folder/deep/día.txt")


def test_the_pages_get_their_answers(servers: Any) -> None:
    server = servers[1]
    with library.start_run(
        store=server.folder / "runs", pipeline="own", run_id="first", params={"a": 1}
    ) as run:
        for step in range(5):
            run.log({"loss": 1.0 / (step + 1)}, step=step)
        run.save_bytes("report.md", b"# hello")
    Store(server.folder / "runs").promote("first")
    code, found = ask(server.uri, "/ajax-api/2.0/mlflow/experiments/search", {"max_results": 25})
    assert code == 200
    ids = {one["name"]: one["experiment_id"] for one in found["experiments"]}
    assert {"Default", "own"} <= set(ids)
    code, found = ask(
        server.uri, "/ajax-api/2.0/mlflow/runs/search",
        {"experiment_ids": [ids["own"]], "order_by": ["attributes.start_time DESC"], "max_results": 100},
    )  # fmt: skip
    assert code == 200
    assert found["runs"][0]["info"]["run_id"] == "first"
    run_id = "first"
    for path in (
        f"/ajax-api/2.0/mlflow/runs/get?run_id={run_id}",
        f"/ajax-api/2.0/mlflow/experiments/get?experiment_id={ids['own']}",
        "/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=own",
        f"/ajax-api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key=loss",
        f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run_id}&metric_key=loss",
        f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=loss&max_results=320",
        f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id}",
        "/ajax-api/2.0/mlflow/registered-models/search?max_results=10",
        f"/ajax-api/2.0/mlflow/model-versions/search?filter=run_id%3D%27{run_id}%27",
    ):
        code, found = ask(server.uri, path)
        assert code == 200, (path, found)
    assert [one["run_id"] for one in found["model_versions"]] == ["first"]
    for path, body in (
        ("/ajax-api/2.0/mlflow/logged-models/search", {"experiment_ids": [ids["own"]]}),
        ("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": [ids["own"]]}),
        ("/ajax-api/3.0/mlflow/traces/search", {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": ids["own"]}}]}),
        ("/graphql", {"query": '{ mlflowGetRun(input: {runId: "first"}) { run { info { runId status } data { metrics { key value } } modelVersions { version } } } }'}),
    ):  # fmt: skip
        code, found = ask(server.uri, path, body)
        assert code == 200, (path, found)
    assert found["data"]["mlflowGetRun"]["run"]["info"]["runId"] == "first"
    with urllib.request.urlopen(
        f"{server.uri}/get-artifact?run_id=first&path=report.md", timeout=60
    ) as answer:
        assert answer.read() == b"# hello"
    code, refused = ask(server.uri, "/api/3.0/mlflow/traces", {"trace": {"trace_info": {"trace_id": "tr-1"}}})
    assert code == 501, refused
    assert "not implemented by the tracking store of corrida" in refused["message"]
    code, refused = ask(server.uri, "/api/2.0/mlflow/registered-models/create", {"name": "x"})
    assert (code, refused["error_code"]) == (501, "NOT_IMPLEMENTED")
    code, refused = ask(server.uri, "/ajax-api/2.0/mlflow/runs/get?run_id=nope")
    assert (code, refused["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_two_servers_on_one_store(servers: Any) -> None:
    one, other = (MlflowClient(server.uri) for server in servers)
    experiment = one.create_experiment("shared")
    assert other.get_experiment_by_name("shared").experiment_id == experiment
    run_id = one.create_run(experiment).info.run_id
    for step in range(20):
        (one, other)[step % 2].log_metric(run_id, "m", step, step=step)
        (other, one)[step % 2].log_param(run_id, f"p{step}", step)
    other.log_text(run_id, "x", "a.txt")
    other.set_terminated(run_id)
    one.log_metric(run_id, "late", 1.0)
    for client in (one, other):
        run = client.get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.data.metrics == {"m": 19, "late": 1}
        assert len(run.data.params) == 20
        assert [p.step for p in client.get_metric_history(run_id, "m")] == list(range(20))
    other.delete_run(run_id)
    assert one.get_run(run_id).info.lifecycle_stage == "deleted"
    one.restore_run(run_id)
    assert all(result.intact for result in Store(servers[0].folder / "runs").verify())


def test_what_cannot_be_read_is_said_at_once(servers: Any) -> None:
    """Clients repeat what a server calls an internal error for minutes; that would not mend a run folder."""
    server = servers[0]
    client = MlflowClient(server.uri)
    damaged, newer = (client.create_run("0", run_name=name).info.run_id for name in ("damaged", "newer"))
    for run_id in (damaged, newer):
        client.set_terminated(run_id)
    (server.folder / "runs" / damaged / "run.json").write_text("{")
    path = server.folder / "runs" / newer / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    try:
        for run_id, why in ((damaged, "cannot be read"), (newer, "install a newer corrida")):
            for path_, body in (
                (f"/api/2.0/mlflow/runs/get?run_id={run_id}", None),
                (
                    "/api/2.0/mlflow/runs/log-metric",
                    {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1},
                ),
            ):
                code, refused = ask(server.uri, path_, body)
                assert (code, why in refused["message"]) == (409, True), refused
        assert client.search_runs(["0"]) == []
    finally:
        for run_id in (damaged, newer):
            shutil.rmtree(server.folder / "runs" / run_id)


def test_gc_empties_the_trash(tracked: Any, project: Path) -> None:
    from click.testing import CliRunner
    from mlflow.cli import cli as mlflow_cli

    client = MlflowClient()
    keep, gone = client.create_experiment("keep"), client.create_experiment("gone")
    kept, deleted, buried = (client.create_run(e).info.run_id for e in (keep, keep, gone))
    client.log_text(deleted, "x", "a.txt")
    for run_id in (kept, deleted, buried):
        client.set_terminated(run_id)
    client.delete_run(deleted)
    client.delete_experiment(gone)
    command = ["gc", "--backend-store-uri", f"corrida:{project}/runs"]
    young = CliRunner().invoke(mlflow_cli, [*command, "--older-than", "1d"])
    assert young.exit_code == 0, young.output
    assert sorted(Store("runs").trashed()) == sorted([deleted, buried])
    said = CliRunner().invoke(mlflow_cli, command)
    assert said.exit_code == 0, said.output
    assert Store("runs").trashed() == []
    assert [run.id for run in Store("runs").runs()] == [kept]
    assert [one.name for one in client.search_experiments(view_type=3)] == ["keep", "Default"]
    assert client.create_experiment("gone") != gone
