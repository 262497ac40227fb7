"""Runs of MLflow, as versions from 1.30 to 3.1 wrote them, become runs of the store."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from corrida import Store
from corrida.bridges.mlflow.mapping import IMPORT_DIGEST_TAG, RUN_ID_TAG
from corrida.runs.history import read_calls

FOLDERS = ["mlruns-1.30.1", "mlruns-2.9.2", "mlruns-2.22.0", "mlruns-3.1.0"]
DATABASES = ["database-1.30.1", "database-2.22.0"]
IDS = {
    "fast_sample",
    "fast_sample-ridge",
    "fast_sample-lasso",
    "broken",
    "escape_owl",
    "stopped",
    "unfinished",
}


def place_of(folder: Path) -> Path:
    return folder / "mlruns" if folder.name.startswith("mlruns") else folder / "mlflow.db"


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        p.relative_to(folder).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.mark.parametrize("name", FOLDERS + DATABASES)
def test_every_age_is_read_whole(corrida: Any, project: Path, unpacked: Any, name: str) -> None:
    folder = unpacked(name)
    before = everything(folder)
    said = corrida("import", "mlflow", place_of(folder))
    assert "9 runs imported into runs/" in said.out
    assert everything(folder) == before
    store = Store("runs")
    assert {run.id for run in store.runs()} == IDS
    assert set(store.trashed()) == {"mistake", "idea"}
    assert not [v for v in store.verify() if v.problems]

    parent, ridge = store.get("fast_sample"), store.get("fast_sample-ridge")
    assert parent.pipeline == "weather fast"
    assert parent.description == "the first search\nañadido 天气"
    assert parent.params == {"n_iter": 5, "cv": 3}
    assert parent.path("artifacts/tables/cv/report.csv").read_text() == "model,r2\nridge,0.5\n"
    assert ridge.parent == "fast_sample"
    assert "mlflow.parentRunId" not in ridge.tags
    assert ridge.tags["team"] == "search"
    assert ridge.tags["mlflow.user"] == "user"
    assert ridge.params == {
        "best_alpha": 0.1,
        "best_fit_intercept": True,
        "version": "1.10",
        "text": "más ñ 天",
    }
    assert ridge.metrics["val/r2"] == 0.5
    assert ridge.metrics["loss"] == 0.2
    assert math.isnan(ridge.metrics["odd"])
    assert ridge.metrics["ratio"] == math.inf
    losses = [(step, m["loss"]) for step, _, m in read_calls(ridge.dir / "history.jsonl") if "loss" in m]
    assert losses[:5] == [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 0.25), (4, 0.2)]
    assert ridge.status == "finished"
    assert ridge.duration is not None
    assert ridge.duration > 0

    broken, stopped = store.get("broken"), store.get("stopped")
    assert (broken.status, broken.error and broken.error.type) == ("failed", "Failed")
    assert (stopped.status, stopped.error and stopped.error.type) == ("failed", "Killed")
    owl = store.get("escape_owl")
    assert owl.tags["mlflow.runName"] == "../escape: 夜 owl"
    # It never ended, and its last sign of life is years old.
    left = store.get("unfinished")
    assert left.error is not None
    assert left.error.type == "Unfinished"
    assert left.created == "2020-09-13T12:26:40.000000Z"
    assert left.finished == "2020-09-13T12:26:41.000000Z"
    assert [(s, m) for s, _, m in read_calls(left.dir / "history.jsonl")] == [(7, {"loss": 0.25})]


@pytest.mark.parametrize("name", ["mlruns-2.9.2", "database-2.22.0"])
def test_dataset_inputs_are_kept(corrida: Any, project: Path, unpacked: Any, name: str) -> None:
    corrida("import", "mlflow", place_of(unpacked(name)))
    (dataset,) = Store("runs").get("fast_sample-lasso").manifest()["dataset"]["datasets"]
    assert dataset["name"] == "weather"
    assert dataset["tags"] == {"mlflow.data.context": "training"}
    assert json.loads(dataset["profile"])["num_rows"] == 2


def test_logged_models_of_mlflow_3_are_kept(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-3.1.0")
    corrida("import", "mlflow", folder)
    run = Store("runs").get("fast_sample-ridge")
    (model,) = (run.dir / "logged_models").iterdir()
    facts = json.loads((model / "logged_model.json").read_text())
    assert (facts["name"], facts["status"]) == ("model", "READY")
    (there,) = folder.glob("mlruns/*/models/*/artifacts")
    for file in there.iterdir():
        assert (model / "artifacts" / file.name).read_bytes() == file.read_bytes()

    from mlflow import MlflowClient

    client = MlflowClient(f"corrida:///{project}/runs")
    (seen,) = client.search_logged_models([client.get_run(run.id).info.experiment_id])
    assert (seen.model_id, seen.name, str(seen.status)) == (model.name, "model", "READY")
    assert (seen.creation_timestamp, seen.source_run_id) == (facts["creation_timestamp"], run.id)
    values = {metric.key: metric.value for metric in seen.metrics}
    assert (values["loss"], values["val/r2"], values["ratio"]) == (1.0, 0.5, float("inf"))
    assert seen.artifact_location.endswith(f"/{run.id}/logged_models/{model.name}/artifacts")
    shutil.rmtree("runs/.mlflow")  # what is known of it is in the run
    assert client.get_logged_model(model.name).params == facts["params"]


@pytest.mark.parametrize("name", ["mlruns-2.22.0", "database-1.30.1"])
def test_nothing_is_imported_twice(corrida: Any, project: Path, unpacked: Any, name: str) -> None:
    place = place_of(unpacked(name))
    corrida("import", "mlflow", place)
    before = everything(Path("runs"))
    again = corrida("import", "mlflow", place, "--json").json
    assert {run["state"] for run in again["runs"]} == {"there already", "in the trash"}
    after = everything(Path("runs"))
    assert {k: v[0] for k, v in after.items()} == {k: v[0] for k, v in before.items()}


def test_a_dry_run_changes_nothing(corrida: Any, project: Path, unpacked: Any) -> None:
    said = corrida("import", "mlflow", unpacked("mlruns-1.30.1"), "--dry-run")
    assert "would be imported" in said.out
    assert "would go to the trash" in said.out
    assert "nothing was changed" in said.out
    assert not Path("runs").exists()


def test_one_experiment(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-2.9.2")
    said = corrida("import", "mlflow", folder, "--experiment", "old ideas", "--json").json
    assert [run["id"] for run in said["runs"]] == ["idea"]
    wrong = corrida.refuses("import", "mlflow", folder, "--experiment", "weather fas")
    assert "did you mean 'weather fast'?" in wrong


def test_the_first_layout_of_all(corrida: Any, project: Path) -> None:
    """MLflow 0.x: numbers for ids, run_uuid, no step in the metrics, seconds, and no tags for name and source."""
    run = project / "mlruns" / "0" / "0a1b"
    (run / "metrics").mkdir(parents=True)
    (run / "params").mkdir()
    (run / "artifacts").mkdir()
    (project / "mlruns" / "0" / "meta.yaml").write_text(
        "artifact_location: /elsewhere/mlruns/0\nexperiment_id: 0\nname: Default\n"
    )
    (run / "meta.yaml").write_text(
        "artifact_uri: /elsewhere/mlruns/0/0a1b/artifacts\nend_time: 1530000009000\nexperiment_id: 0\n"
        "name: first\nrun_uuid: 0a1b\nsource_name: train.py\nsource_type: 4\nsource_version: abc123\n"
        "start_time: 1530000000000\nstatus: 3\nuser_id: me\ntags: []\n"
    )
    (run / "metrics" / "rmse").write_text("1530000001 0.9\n1530000002 0.8\nnot a line\n")
    (run / "params" / "alpha").write_text("0.5")
    (run / "artifacts" / "plot.txt").write_text("...")
    corrida("import", "mlflow", "mlruns")
    record = Store("runs").get("first")
    assert record.pipeline == "Default"
    assert record.params == {"alpha": 0.5}
    assert record.metrics == {"rmse": 0.8}
    assert record.tags["mlflow.source.name"] == "train.py"
    assert record.tags["mlflow.source.type"] == "LOCAL"
    assert record.tags["mlflow.user"] == "me"
    assert record.git is not None
    assert record.git.commit == "abc123"
    assert record.duration == 9
    assert record.artifacts() == ["artifacts/plot.txt"]
    assert [(s, t) for s, t, _ in read_calls(record.dir / "history.jsonl")] == [
        (0, 1530000001.0),
        (0, 1530000002.0),
    ]
    assert record.warnings == ("1 line of the metric rmse cannot be read and stayed there",)


def test_names_that_repeat_get_numbers(corrida: Any, project: Path, unpacked: Any) -> None:
    corrida("import", "mlflow", unpacked("mlruns-2.9.2"))
    corrida("import", "mlflow", unpacked("mlruns-2.22.0"))
    store = Store("runs")
    assert {run.id for run in store.runs()} == IDS | {
        run_id.replace("fast_sample", "fast_sample-2") if run_id.startswith("fast_sample") else f"{run_id}-2"
        for run_id in IDS
    }
    assert store.get("fast_sample-2-ridge").parent == "fast_sample-2"
    assert set(store.trashed()) == {"mistake", "mistake-2", "idea", "idea-2"}


def test_tags_set_there_later_come_along(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-2.22.0")
    corrida("import", "mlflow", folder)
    store = Store("runs")
    there = store.get("fast_sample-ridge").tags[RUN_ID_TAG]
    (tags,) = folder.glob(f"mlruns/*/{there}/tags")
    (tags / "stage").write_text("production")
    (tags / "team").unlink()
    corrida("tag", "fast_sample-ridge", "mine=1")
    said = corrida("import", "mlflow", folder, "--json").json
    assert said["tagged"] == ["fast_sample-ridge"]
    changed = Store("runs").get("fast_sample-ridge").tags
    assert changed["stage"] == "production"
    assert changed["mine"] == "1"
    assert "team" not in changed
    assert not corrida("import", "mlflow", folder, "--json").json["tagged"]


def test_a_run_that_changed_there_is_said(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-2.22.0")
    corrida("import", "mlflow", folder)
    there = Store("runs").get("fast_sample-ridge").tags[RUN_ID_TAG]
    (metric,) = folder.glob(f"mlruns/*/{there}/metrics/loss")
    with metric.open("a") as file:
        file.write("1795276999999 0.01 9\n")
    said = corrida("import", "mlflow", folder)
    assert "changed there since the import: fast_sample-ridge; a sealed run stays as it is" in said.out
    assert Store("runs").get("fast_sample-ridge").metrics["loss"] == 0.2


def test_a_run_that_still_runs_is_left_out(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-2.22.0")
    (metric,) = [p for p in folder.glob("mlruns/*/*/metrics/loss") if " 0.25 7" in p.read_text()]
    metric.write_text(f"{int(time.time() * 1000)} 0.25 7\n")
    said = corrida("import", "mlflow", folder)
    assert "still running there, so left out: unfinished" in said.out
    assert "unfinished" not in Store("runs")
    corrida("import", "mlflow", folder, "--unfinished")
    assert Store("runs").get("unfinished").status == "failed"


def test_artifacts_that_are_not_there(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("database-2.22.0")
    moved = project / "kept" / "elsewhere"
    shutil.move(folder / "mlruns", moved / "mlruns")
    said = corrida("import", "mlflow", folder, code=1)
    assert "its artifacts cannot be had: their folder mlruns/" in said.out
    assert len(Store("runs")) == 0
    corrida("import", "mlflow", folder, "--artifacts", moved)
    run = Store("runs").get("fast_sample-ridge")
    assert "artifacts/model/model.pkl" in run.artifacts()
    other = corrida("import", "mlflow", folder, "--without-artifacts", "--store", "others", "--json").json
    assert {r["state"] for r in other["runs"]} == {"imported", "imported to the trash"}
    warned = Store("others").get("fast_sample-ridge").warnings
    assert warned
    assert warned[0].startswith("its artifacts stayed there")


def test_what_a_store_cannot_hold_is_said(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-2.22.0")
    (experiment,) = [p.parent for p in folder.glob("mlruns/*/meta.yaml") if "weather fast" in p.read_text()]
    (experiment / "tags").mkdir(exist_ok=True)
    (experiment / "tags" / "owner").write_text("team a")
    (experiment / "traces" / "tr-1").mkdir(parents=True)
    (folder / "mlruns" / "models" / "weather").mkdir(parents=True)
    (folder / "mlruns" / "models" / "weather" / "meta.yaml").write_text("name: weather\n")
    said = corrida("import", "mlflow", folder, "--json").json
    assert said["remarks"] == [
        "1 trace stayed there: a run has none",
        "the model registry stayed there (1 registered model): `corrida promote` gives a run an alias",
        "tags of the experiment weather fast stayed there: owner",
    ]


def test_broken_records_are_said_and_the_others_come(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-2.22.0")
    (broken,) = [p for p in folder.glob("mlruns/*/*/meta.yaml") if "run_name: broken" in p.read_text()]
    broken.write_bytes(b"artifact_uri: [cut o")
    said = corrida("import", "mlflow", folder)
    assert "8 runs imported" in said.out
    assert f"{broken.parent.name}/meta.yaml cannot be read and was left out" in said.out


def test_a_copy_of_an_experiment_hides_nothing(corrida: Any, project: Path, unpacked: Any) -> None:
    """Of two folders that say they are the same experiment, neither is lost; a run that is in both comes once."""
    folder = unpacked("mlruns-3.1.0")
    (original,) = (path.parent for path in folder.glob("mlruns/*/models"))
    backup = original.with_name("zz-backup")
    shutil.copytree(original, backup)
    run_folders = [path for path in backup.iterdir() if (path / "params").is_dir()]
    shutil.rmtree(run_folders[0])
    shutil.copytree(original, folder / "mlruns/zz-older", ignore=lambda *_: [one.name for one in run_folders])
    said = corrida("import", "mlflow", place_of(folder)).out
    assert len(Store("runs")) + len(Store("runs").trashed()) == 9
    assert len({run.tags[RUN_ID_TAG] for run in Store("runs").runs()}) == len(Store("runs"))
    assert "is there twice; the one in zz-backup was left out" in said


def test_a_model_that_is_said_to_lie_elsewhere(corrida: Any, project: Path, unpacked: Any) -> None:
    """Nothing is read or written outside by a name with dots and slashes."""
    folder = unpacked("mlruns-3.1.0")
    (model,) = folder.glob("mlruns/*/models/m-*")
    shutil.copytree(model, folder / "evil")
    (link,) = folder.glob("mlruns/*/*/outputs/*/meta.yaml")
    link.write_text(link.read_text().replace(model.name, "../../../evil"))
    corrida("import", "mlflow", place_of(folder))
    assert [
        path for path in project.rglob("*evil*") if folder not in path.parents and path != folder / "evil"
    ] == []
    run = Store("runs").get("fast_sample-ridge")
    assert not (run.dir / "logged_models").exists()
    assert any("evil" in warning for warning in run.warnings)
    assert not [found for found in Store("runs").verify() if found.problems]


@pytest.mark.slow
def test_a_killed_import_goes_on(corrida: Any, project: Path, unpacked: Any) -> None:
    folder = unpacked("mlruns-2.22.0")
    (experiment,) = [p.parent for p in folder.glob("mlruns/*/meta.yaml") if "weather fast" in p.read_text()]
    (model,) = [p.parent for p in experiment.glob("*/meta.yaml") if "run_name: ridge" in p.read_text()]
    for number in range(60):  # enough to be killed among
        copy = experiment / f"{number:032x}"
        shutil.copytree(model, copy)
        meta = (copy / "meta.yaml").read_text().replace(model.name, copy.name)
        (copy / "meta.yaml").write_text(meta)
    process = corrida.start("import", "mlflow", folder)
    until = time.monotonic() + 60
    while time.monotonic() < until and len(list(Path("runs").glob("fast_sample-*/run.json"))) < 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = len(Store("runs"))
    assert 5 <= there < 67
    assert not [v for v in Store("runs").verify() if v.problems]
    corrida("import", "mlflow", folder)
    store = Store("runs")
    assert len(store) == 67
    assert len({run.tags[RUN_ID_TAG] for run in store.runs()}) == 67
    assert all(run.tags[IMPORT_DIGEST_TAG].startswith("sha256:") for run in store.runs())
    assert not list(Path("runs/.corrida/drafts").glob("*/run"))


def test_bad_places(corrida: Any, project: Path) -> None:
    assert "there is no 'nowhere'" in corrida.refuses("import", "mlflow", "nowhere")
    assert "is a store of corrida already" in corrida.refuses("import", "mlflow", "corrida:runs")
    (project / "empty").mkdir()
    assert "empty is no folder of MLflow" in corrida.refuses("import", "mlflow", "empty")
    (project / "notes.txt").write_text("text")
    assert "notes.txt is no SQLite database" in corrida.refuses("import", "mlflow", "notes.txt")
    with sqlite3.connect(project / "other.db") as other:
        other.execute("CREATE TABLE things (name TEXT)")
    other.close()
    assert "not one of MLflow's tracking" in corrida.refuses("import", "mlflow", "other.db")
    (project / "cut.db").write_bytes(b"SQLite format 3\0" + b"\0" * 50)
    assert "cut.db" in corrida.refuses("import", "mlflow", "cut.db")
    gone = corrida.refuses("import", "mlflow", "http://127.0.0.1:1", code=1)
    assert "nobody answers there" in gone
    assert "the address of MLflow is empty" in corrida.refuses("import", "mlflow", " ")
    assert not Path("runs").exists()


def test_a_database_in_use_is_read_as_it_is(corrida: Any, project: Path, unpacked: Any) -> None:
    database = unpacked("database-2.22.0") / "mlflow.db"
    with sqlite3.connect(database) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE runs SET name = 'not committed'")
        corrida("import", "mlflow", database)
        writer.rollback()
    writer.close()
    assert "fast_sample" in Store("runs")


@pytest.mark.parametrize("width", [80, 140])
def test_what_a_person_sees(corrida: Any, project: Path, unpacked: Any, width: int) -> None:
    shown = corrida.terminal(width, "import", "mlflow", unpacked("mlruns-2.22.0"))
    assert max(map(len, shown.splitlines())) <= width
    for run_id in IDS:
        assert f"  {run_id} " in shown
    (columns,) = [line for line in shown.splitlines() if line.startswith("  run ")]
    assert ("id there" in columns) == (width == 140)
    assert "9 runs imported into runs/" in shown
