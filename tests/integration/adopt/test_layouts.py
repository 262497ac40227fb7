"""What becomes of each old layout: nothing is lost, and what the old records say is said by the new runs."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from corrida.runs.spec import RunSpec
from corrida.runs.store import Store

from .conftest import (
    CONFIG,
    age,
    backups,
    digests,
    digests_of_backup,
    forecast,
    png,
    run_ids,
    state,
    stored_run,
    tracked_run,
    write,
)


@pytest.fixture(params=["tracking", "storage", "flat", "versioned"])
def old(request):
    return request.getfixturevalue(request.param)


def test_nothing_is_lost(old, corrida, project):
    before, content = digests(old), state(old)
    corrida("adopt", old)
    assert state(old) == content
    (backup,) = backups(old.parent)
    assert digests_of_backup(backup) == before
    lost = before - digests(project / "runs")
    # The index of all runs belongs to none of them: it is in the backup.
    assert sum(lost.values()) == (old / "index.json").exists()
    assert all(v.intact for v in Store("runs").verify())
    assert (
        corrida("verify").out.splitlines()[-1].startswith(f"{len(run_ids())} of {len(run_ids())} runs intact")
    )
    assert {r.status for r in Store("runs").runs()} == {"finished"}
    assert not list((project / "runs" / ".corrida" / "drafts").glob("*/"))


def test_the_dry_run_changes_nothing_and_says_what_would_be(old, corrida, project):
    content = state(project)
    said = corrida("adopt", old, "--dry-run")
    assert state(project) == content
    assert "would be adopted" in said.out
    assert "nothing was changed" in said.out
    planned = corrida("adopt", old, "-n", "--json").json
    assert state(project) == content
    assert planned["backup"] is None
    done = corrida("adopt", old, "--json").json
    assert [r["id"] for r in done["runs"]] == [r["id"] for r in planned["runs"]]
    assert sum(p["files"] for p in done["places"]) == len([c for c in content if (project / c).is_file()])


def test_runs_of_the_tracking_layout(tracking, corrida, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    said = corrida("adopt", tracking)
    assert "tracking layout, pipeline matching" in said.out
    run = Store("runs").get("run_20260113_1550")
    assert (run.pipeline, run.source, run.description) == ("matching", "gold_set_100", "Agregué regla R53")
    assert (run.created, run.finished, run.duration) == ("2026-01-13T15:50:12.250000Z",) * 2 + (None,)
    assert run.metrics == {"total": 100, "correctos": 64, "precision": 0.23, "errores_por_tipo.sector": 7}
    assert "recall" not in run.metrics
    assert run.items()["item_id"].to_list() == [str(i) for i in range(100, 110)]
    assert run.item_counts == {"count": 10}
    assert run.manifest()["items"] == 10
    assert (run.git.commit, run.git.branch) == ("abc1234", "main")
    assert run.tags["adopted_from"] == "runs (tracking layout)"
    assert run.tags["adopted_created_from"] == "timestamp in run_20260113_1550.json"
    copies = {name: (tracking / "run_20260113_1550_config" / name.removeprefix("config/")).read_bytes()
              for name in run.config_files()}  # fmt: skip
    assert run.config_files() == copies
    assert len(copies) == 3
    assert run.artifacts() == ["adopted/run_20260113_1550.json", "adopted/run_20260113_1550_results.json"]
    assert (
        run.path("adopted/run_20260113_1550.json").read_bytes()
        == (tracking / "run_20260113_1550.json").read_bytes()
    )
    later = Store("runs").get("latest")
    assert later.id == "run_20260113_1625"
    assert later.metrics["precision"] == 0.64
    assert "'64%'" in later.warnings[0]
    assert run.environment() == {}
    assert run.argv == ()


def test_adopted_runs_are_compared_by_meaning_and_restored(tracking, corrida, project):
    corrida("adopt", tracking)
    said = corrida("compare", "--latest").out
    assert "matching_rules_business: 1.1 → 1.2 (+1 rule R53)" in said
    assert "precision 0.23 → 0.64 (+0.41, the better way)" in said
    assert "packages and machine are not recorded" in said
    assert "2 other files unchanged" in said
    Store("runs").start(RunSpec(pipeline="matching", root=project, run_id="new", capture=False)).finish()
    between = corrida("compare", "run_20260113_1625", "new").out
    assert "packages and machine are recorded for one of the two runs only" in between
    assert Store("runs").get("latest").id == "new"
    corrida("restore", "run_20260113_1550", "--force")
    copy = tracking / "run_20260113_1550_config" / "matching_rules_business.json"
    assert (project / "config" / "matching_rules_business.json").read_bytes() == copy.read_bytes()
    corrida("list")
    corrida("show", "run_20260113_1550")
    corrida("items", "run_20260113_1550")
    assert (
        corrida("list", "--filter", "metrics.precision > 0.5", "--json").json[0]["id"] == "run_20260113_1625"
    )


@pytest.mark.parametrize("parent", [".", "metrics", "metrics/runs"])
def test_the_tracking_layout_is_found_from_the_folders_above(parent, corrida, tmp_path, monkeypatch):
    old = tmp_path / "elsewhere"
    tracked_run(old / "metrics" / "runs")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    corrida("adopt", old / parent)
    assert run_ids() == ["run_20260113_1550"]
    for other in (".", "metrics", "metrics/runs"):
        assert "was adopted before" in corrida.refuses("adopt", old / other)


def test_a_tracked_run_of_which_parts_are_missing(project, corrida):
    old = project / "old"
    for name in ("a", "b", "c", "d"):
        tracked_run(old, f"run_2026011{ord(name) - 96}_1550", timestamp=None)
    (old / "run_20260111_1550_results.json").unlink()
    (old / "run_20260112_1550.json").unlink()
    shutil.rmtree(old / "run_20260113_1550_config")
    age(old, 1_770_000_000)
    runs = {r["id"]: r for r in corrida("adopt", old, "--json").json["runs"]}
    store = Store("runs")
    assert runs["run_20260111_1550"]["metrics"] == {}
    assert not (store.root / "run_20260111_1550" / "metrics.json").exists()
    assert any(
        "run_20260111_1550_results.json is missing" in w for w in store.get("run_20260111_1550").warnings
    )
    assert store.get("run_20260112_1550").source is None
    assert store.get("run_20260112_1550").metrics["precision"] == 0.23
    bare = store.get("run_20260113_1550")
    assert bare.configs == ()
    assert bare.params == {"config_versions": {"matching_config": "1.0", "matching_rules_business": "1.1"}}
    assert {r["created_from"] for r in runs.values()} == {"the id"}
    assert all(v.intact for v in store.verify())


def test_lists_of_items_that_are_not_as_they_should_be(project, corrida):
    old = project / "old"
    tracked_run(old, "run_20260101_0900", offer_ids=["a", 7, "a", None, "", "ñandú", "寿司"])
    tracked_run(old, "run_20260101_0901", offer_ids=None, ofertas_count=100)
    tracked_run(old, "run_20260101_0902", offer_ids=[])
    corrida("adopt", old)
    store = Store("runs")
    assert store.get("run_20260101_0900").items()["item_id"].to_list() == ["a", "7", "ñandú", "寿司"]
    warnings = " ".join(store.get("run_20260101_0900").warnings)
    assert "2 of the 7 entries in the list of items are no ids" in warnings
    assert "names 4 items, and 1 of them again" in warnings
    assert not store.get("run_20260101_0901").has_items()
    assert store.get("run_20260101_0901").manifest()["items"] == 100
    assert store.get("run_20260101_0902").manifest()["items"] == 0


def test_runs_of_the_storage_layout(storage, corrida):
    said = corrida("adopt", storage)
    assert "storage layout, pipeline evaluation" in said.out
    assert "in the backup only, since part of no run: index.json" in said.out
    run = Store("runs").get("run_baseline_v1")
    assert run.created == "2025-12-04T17:35:00.000000Z"
    assert run.seed == 1764863751
    assert run.notes == "Baseline run with 22.5% seeding, before the questions were worded anew"
    assert run.metrics["by_matcher.semantic_only.avg_f1"] == 0.598
    assert run.metrics["best_overall.f1"] == 0.65
    assert run.metrics["by_topic.loops.f1"] == 0.7
    assert run.primary_metric.name == "best_overall.f1"
    assert run.summary == "best: matcher semantic_only, strategy rubric_only, model gpt-5.1"
    assert run.params["embedding_model"] == "text-embedding-3-large"
    assert run.manifest()["dataset"] | {"seeded_pct": 22.5, "students": 60} == run.manifest()["dataset"]
    assert run.path("report.md").read_bytes() == (storage / "run_baseline_v1" / "report.md").read_bytes()
    assert run.path("assets/topic_heatmap.png").read_bytes() == png(1)
    for name in ("config.json", "manifest.json", "metrics.json"):
        assert run.path(f"adopted/{name}").read_bytes() == (storage / "run_baseline_v1" / name).read_bytes()
    table = corrida("list").out
    assert "best F1" in table.splitlines()[0]
    assert "seeding, before the questions were worded anew" in table  # not cut at 30 characters


def test_the_index_of_the_storage_layout_names_ghosts_and_fills_gaps(storage, corrida, project):
    entries = json.loads((storage / "index.json").read_bytes())["runs"]
    entries.append({"run_id": "run_gone", "best_f1": 0.9})
    bare = storage / "run_bare"
    write(bare / "metrics.json", {})
    write(bare / "notes.txt", "x")
    entries.append(
        {
            "run_id": "run_bare",
            "created_at": "2025-12-06T08:00:00Z",
            "seed": 5,
            "best_f1": 0.4,
            "notes": "n" * 30,
        }
    )
    write(storage / "index.json", {"runs": entries})
    write(storage / "notebook" / "look.ipynb", "{}")
    said = corrida("adopt", storage, "--json").json
    assert any("run_gone, whose folder is not there" in r for r in said["remarks"])
    assert sorted(said["backup_only"]) == ["index.json", "notebook/look.ipynb"]
    assert run_ids() == ["run_bare", "run_baseline_v1", "run_seed9999"]
    run = Store("runs").get("run_bare")
    assert (run.seed, run.metrics, run.created) == (5, {"best_f1": 0.4}, "2025-12-06T08:00:00.000000Z")
    assert "may be cut off" in " ".join(run.warnings)


def test_a_single_folder_of_the_storage_layout(project, corrida):
    stored_run(project / "x", "run_baseline_v1")
    corrida("adopt", "x/run_baseline_v1")
    assert run_ids() == ["run_baseline_v1"]
    assert "was adopted before" in corrida.refuses("adopt", "x")


def test_the_two_records_of_a_stored_run_that_contradict_each_other(project, corrida):
    stored_run(project / "x")
    write(
        project / "x" / "run_baseline_v1" / "metrics.json",
        '{"best_overall": {"f1": 0.7}, "loss": NaN, "p": "12,5 %"}',
    )
    corrida("adopt", "x")
    run = Store("runs").get("run_baseline_v1")
    assert run.metrics["best_overall.f1"] == 0.7
    assert run.metrics["loss"] != run.metrics["loss"]
    assert run.metrics["p"] == 0.125
    assert any("0.65 in config.json and 0.7 in metrics.json" in w for w in run.warnings)


def test_the_flat_forecasting_layout_is_one_run(flat, corrida):
    corrida("adopt", flat, "--run-id", "before_runs", "--pipeline", "sales")
    run = Store("runs").get("before_runs")
    assert run.pipeline == "sales"
    assert run.metrics == {"NBEATS.mae": 1.5, "NBEATS.rmse": 2.5, "NHITS.mae": 2.5}
    assert run.artifacts() == [
        "cv_results_NBEATS.csv", "cv_results_NHITS.csv", "metrics.csv", "models/NBEATS_0.ckpt", "models/NHITS_0.ckpt",
    ]  # fmt: skip
    assert run.created == "2025-10-09T08:53:20.000000Z"
    assert run.finished == "2025-10-09T08:53:24.000000Z"
    assert run.tags["adopted_created_from"] == "the times of its files"
    assert (
        os.stat(run.path("models/NBEATS_0.ckpt")).st_mtime == os.stat(flat / "models/NBEATS_0.ckpt").st_mtime
    )
    assert [b.name.startswith("output_backup_") for b in backups(flat.parent)] == [True]


def test_without_an_id_the_flat_layout_gets_one_of_its_time(flat, corrida):
    corrida("adopt", flat)
    assert run_ids() == ["run_20251009_085320"]


def test_runs_of_the_newer_forecasting_layout(versioned, corrida):
    corrida("adopt", versioned)
    assert run_ids() == ["my_experiment_v1", "run_20241021_130601"]
    run = Store("runs").get("run_20241021_130601")
    assert run.tags["adopted_created_from"] == "the id"
    assert run.created.startswith("2024-10-21T")
    assert run.config_files() == {"config.yaml": CONFIG.encode()}
    assert run.params == {"horizon": 12, "max_steps": 1000, "seed": 7, "models": ["NBEATS", "NHITS"]}
    assert run.seed == 7
    assert "predictions/predictions.csv" in run.artifacts()
    assert "plots/A.png" in run.artifacts()
    assert Store("runs").get("latest").id == "my_experiment_v1"  # of 2025: by time, not by name
    assert "max_steps" in corrida("compare", "run_20241021_130601", "my_experiment_v1").out


def test_flat_results_beside_newer_runs_are_a_run_too(versioned, corrida):
    forecast(versioned, mae=9.0)
    age(versioned, 1_700_000_000)
    corrida("adopt", versioned)
    assert run_ids() == ["my_experiment_v1", "run_20231114_221320", "run_20241021_130601"]
    assert not any(n.startswith("runs/") for n in Store("runs").get("run_20231114_221320").artifacts())


@pytest.mark.parametrize(
    ("table", "metrics"),
    [
        ("metric,NBEATS,NHITS\nmae,1.5,1.4\nrmse,2,\n", {"NBEATS.mae": 1.5, "NHITS.mae": 1.4, "NBEATS.rmse": 2}),
        (",mae\nNBEATS,1.5\n", {"NBEATS.mae": 1.5}),
        ("modelo;mae\nSémola;1,5\n", {"Sémola.mae": 1.5}),
        ("mae,rmse\n1,2\n", {"mae": 1, "rmse": 2}),
        ("unique_id,model,mae\nA,x,1\nA,y,2\n", {}),
        ("model,mae\nx,1\nx,2\n", {}),
        ("model,mae\n", {}),
        ("\x00", {}),
    ],
)  # fmt: skip
def test_shapes_of_metrics_csv(project, corrida, table, metrics):
    forecast(project / "old")
    write(project / "old" / "metrics.csv", table)
    assert corrida("adopt", "old", "--run-id", "a", "--json").json["runs"][0]["metrics"] == metrics
    assert (project / "runs" / "a" / "metrics.csv").read_bytes() == table.encode()


def test_any_folder_as_one_run(project, corrida):
    for name in ("notes/día 1.txt", "run.json", "config/a.json", ".hidden", "adopted/x", "log.txt"):
        write(project / "my results" / name, name)
    said = corrida("adopt", "my results", "--as", "generic")
    assert "every file became an artifact" in said.out
    (run,) = Store("runs").runs()
    assert (run.id, run.pipeline, run.metrics) == ("my_results", "adopted", {})
    assert run.tags["adopted_id"] == "my results"
    assert run.artifacts() == [
        "adopted/adopted/x", "adopted/config/a.json", "adopted/log.txt", "adopted/run.json", "notes/día 1.txt",
    ]  # fmt: skip
    assert (run.dir / "adopted" / ".hidden").exists()
    assert not digests(project / "my results") - digests(run.dir)
    assert Store("runs").verify()[0].intact
