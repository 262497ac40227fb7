"""Training in processes and on Ray gives what training in this process gives, also when a worker or the run is killed."""

from __future__ import annotations

import csv
import os
import signal
import time

import psutil
import pytest

from corrida import Store

SECTORS = ("construction", "government", "utilities")
MODELS = "models=[DynamicOptimizedTheta, AutoETS, LightGBM]"
TRAIN = ("train", "--data", "jobs.csv", "--set", MODELS, "--set", "report=false")
DIFFERENT = {"run.json", "history.jsonl", "timings.csv", "log.txt"}
"""Files that say when something happened."""


@pytest.fixture
def jobs(project):
    from importlib.resources import files

    place = files("vega_datasets") / "_data" / "us-employment.csv"
    rows = list(csv.DictReader(place.read_text(encoding="utf-8").splitlines()))
    with (project / "jobs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["unique_id", "ds", "y"])
        writer.writerows([sector, row["month"], row[sector]] for sector in SECTORS for row in rows)
    return project


def content(run):
    files = {p.relative_to(run.dir).as_posix(): p for p in run.dir.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in DIFFERENT}


def assert_equal(run, other):
    found, wanted = content(run), content(other)
    assert {*found} == {*wanted}
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert run.metrics == other.metrics
    logged, expected = (one.history().drop("logged_at").to_dicts() for one in (run, other))
    assert sorted(map(_known, logged)) == sorted(map(_known, expected))


def _known(row):
    return sorted((name, value) for name, value in row.items() if value is not None)


@pytest.mark.slow
def test_in_processes_the_numbers_are_the_same_to_the_bit(jobs, corrida):
    corrida(*TRAIN, "--run-id", "serial")
    corrida(*TRAIN, "--run-id", "local", "--executor", "local", "--jobs", "2")
    store = Store("runs")
    assert_equal(store.get("local"), store.get("serial"))


@pytest.mark.slow
def test_a_worker_of_ray_that_is_killed_costs_nothing_but_time(jobs, corrida):
    corrida(*TRAIN, "--run-id", "serial")
    process = corrida.start(*TRAIN, "--run-id", "cluster", "--executor", "ray", "--jobs", "2")
    killed = None
    deadline = time.monotonic() + 120
    while killed is None and process.poll() is None and time.monotonic() < deadline:
        killed = next(filter(_kill_at_work, psutil.Process(process.pid).children(recursive=True)), None)
        time.sleep(0.005)
    assert killed is not None
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert err == ""
    assert "the worker died, and another one did it again" in out
    store = Store("runs")
    assert_equal(store.get("cluster"), store.get("serial"))
    assert sorted(p.name for p in jobs.iterdir()) == ["jobs.csv", "runs"]


def _kill_at_work(process):
    try:
        if process.name().startswith("ray::answer"):
            process.send_signal(signal.SIGKILL)
            return True
    except psutil.NoSuchProcess:
        pass
    return False


@pytest.mark.slow
@pytest.mark.parametrize("where", [(), ("--executor", "local", "--jobs", "2")], ids=["serial", "local"])
def test_a_killed_run_is_resumed_from_its_finished_models(jobs, corrida, where):
    corrida(*TRAIN, "--run-id", "whole")
    process = corrida.start(*TRAIN, "--run-id", "killed", *where)
    models = jobs / "runs" / "killed" / "models"
    deadline = time.monotonic() + 120
    while not list(models.glob("*/model.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    store = Store("runs")
    assert store.get("killed").status == "crashed"
    done = {p.parent.name for p in models.glob("*/model.json")}
    assert 0 < len(done) < 4

    said = corrida("run", "--resume", "killed")
    new = store.get("killed-2")
    assert new.resumed_from == "killed"
    assert new.run_file().invocation.executor == (where[1] if where else None)
    assert f"{len(done)} of them taken over from the run before" in said.out
    assert_equal(new, store.get("whole"))
    with (new.dir / "timings.csv").open(encoding="utf-8") as file:
        trained = {row["model"] for row in csv.DictReader(file) if row["fit_seconds"]}
    assert trained == {"SeasonalNaive", "DynamicOptimizedTheta", "AutoETS", "LightGBM"} - done


def test_ctrl_c_says_how_to_go_on(jobs, corrida):
    process = corrida.start(*TRAIN, "--run-id", "stopped", "--store", "kept", start_new_session=True)
    saved = jobs / "kept" / "stopped" / "models" / "SeasonalNaive" / "model.json"
    deadline = time.monotonic() + 60
    while not saved.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err == (
        "corrida: interrupted; stopped keeps what was done; go on with: corrida run --resume stopped --store kept\n"
    )
    run = Store("kept").get("stopped")
    assert run.status == "failed"
    assert run.error.message == "interrupted"
    assert saved.exists()
