"""Many processes on one store, and processes that die."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from corrida import Store

from .conftest import run_script

pytestmark = [
    pytest.mark.slow,
    *(
        pytest.mark.filterwarnings(f"ignore::{kind}")  # MLflow's own, about its own
        for kind in ("DeprecationWarning", "FutureWarning", "ResourceWarning", "UserWarning")
    ),
]

# Bringing in MLflow takes seconds of each; so it is done once, before any of them has looked at the store.
FORKS = """
import mlflow, os, pathlib, sys, time

for number in range({count}):
    if os.fork() == 0:
        code = 1
        try:
            exec({work!r})
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range({count})]
assert codes == [0] * {count}, codes
"""


def in_processes(folder: Path, count: int, work: str) -> None:
    """Run ``work`` in as many processes at once, each with its ``number``."""
    process = run_script(folder, FORKS.format(count=count, work=work))
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said


TOGETHER = """
mlflow.set_tracking_uri("corrida:runs")
pathlib.Path(f"ready-{number}").touch()
while len(list(pathlib.Path().glob("ready-*"))) < 8:
    time.sleep(0.01)
mlflow.set_experiment("together")
for turn in range(3):
    with mlflow.start_run(run_name="same") as run:
        mlflow.log_params({f"p{n}": n for n in range(5)})
        for step in range(20):
            mlflow.log_metric("loss", number + step, step=step)
        mlflow.log_text(str(number), "who.txt")
"""


def test_eight_processes_start_together_on_an_empty_store(project: Path) -> None:
    count = 8
    in_processes(project, count, TOGETHER)
    store = Store(project / "runs")
    runs = store.runs(pipeline="together")
    assert len(runs) == count * 3
    assert {run.status for run in runs} == {"finished"}
    assert sorted(run.metrics["loss"] for run in runs) == sorted(
        n + 19 for n in range(count) for _ in range(3)
    )
    assert all(result.intact for result in store.verify())
    client = MlflowClient(f"corrida:///{project}/runs")
    assert len(client.search_experiments()) == 2  # that and the default one


SHARED = """
client = mlflow.MlflowClient("corrida:runs")
for step in range(100):
    client.log_metric("{run}", f"m{{number}}", step, step=step)
    client.log_param("{run}", f"p{{number}}_{{step}}", step)
client.log_text("{run}", "x", f"from-{{number}}.txt")
"""


def test_several_processes_write_one_run(project: Path) -> None:
    client = MlflowClient(f"corrida:///{project}/runs")
    run_id = client.create_run("0").info.run_id
    in_processes(project, 3, SHARED.format(run=run_id))
    client.log_metric(run_id, "own", 1.0)
    client.set_terminated(run_id)
    run = client.get_run(run_id)
    assert run.data.metrics == {"m0": 99, "m1": 99, "m2": 99, "own": 1}
    assert len(run.data.params) == 300
    for number in range(3):
        assert [p.value for p in client.get_metric_history(run_id, f"m{number}")] == list(range(100))
    assert len(client.list_artifacts(run_id)) == 3
    assert all(result.intact for result in Store(project / "runs").verify())


KILLED = """
import mlflow
mlflow.set_tracking_uri("corrida:runs")
with mlflow.start_run(run_name="killed") as run:
    mlflow.log_param("p", "x")
    mlflow.set_tag("t", "y")
    for step in range(10**9):
        mlflow.log_metric("m", step, step=step)
        print(step, flush=True)
"""


def test_what_returned_survives_a_kill_and_the_run_is_said_to_have_crashed(
    project: Path, corrida: Any
) -> None:
    process = run_script(project, KILLED)
    assert process.stdout is not None
    last = 0
    while last < 300:
        last = int(process.stdout.readline())
    client = MlflowClient(f"corrida:///{project}/runs")
    assert client.get_run("run_killed").info.status == "RUNNING"
    os.kill(process.pid, signal.SIGKILL)
    rest = process.communicate()[0].split("\n")
    last = max([last, *(int(line) for line in rest[:-1] if line)])
    seen = client.get_run("run_killed")
    assert seen.info.status == "FAILED"
    assert seen.data.params == {"p": "x"}
    assert seen.data.tags["t"] == "y"
    points = client.get_metric_history("run_killed", "m")
    assert [p.value for p in points][: last + 1] == list(range(last + 1))
    record = Store(project / "runs").get("run_killed")
    assert record.status == "crashed"
    assert record.metrics["m"] == len(points) - 1
    assert record.params == {"p": "x"}
    assert corrida("verify", "--store", "runs").code == 0
    # Somebody takes the run over: it goes on, and ends.
    client.log_metric("run_killed", "m", -1.0, step=10**9)
    assert Store(project / "runs").get("run_killed").status == "running"
    client.set_terminated("run_killed")
    assert Store(project / "runs").get("run_killed").metrics == {"m": -1.0}


def test_a_fork_writes_the_run_of_its_parent(project: Path) -> None:
    client = MlflowClient(f"corrida:///{project}/runs")
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "parent", 1.0)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for step in range(50):
                client.log_metric(run_id, "child", step, step=step)
            code = 0
        finally:
            os._exit(code)
    for step in range(50):
        client.log_metric(run_id, "parent", step, step=step)
    assert os.waitpid(child, 0)[1] == 0
    client.set_terminated(run_id)
    assert client.get_run(run_id).data.metrics == {"parent": 49, "child": 49}
    assert all(result.intact for result in Store(project / "runs").verify())


def test_a_thousand_open_runs_need_no_thousand_descriptors(project: Path) -> None:
    client = MlflowClient(f"corrida:///{project}/runs")
    ids = [client.create_run("0").info.run_id for _ in range(150)]
    for run_id in ids:
        client.log_metric(run_id, "m", 1.0)
    assert len(os.listdir("/proc/self/fd")) < 400
    start = time.monotonic()
    for run_id in ids:
        client.set_terminated(run_id)
    assert time.monotonic() - start < 60
    assert {run.status for run in Store(project / "runs").runs()} == {"finished"}
