"""Runs that an earlier corrida wrote, as bytes, are read by this one.

tests/golden/format-1 was written once and must NEVER be written again or edited, also when a test below fails: it
stands for the runs that people have. A later format gets a folder of its own beside it.
"""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from corrida.runs.store import Store

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def golden(project) -> Store:
    shutil.copytree(GOLDEN / "format-1", project / "runs")
    os.utime(project / "runs" / "run_crashed" / "run.json", (1e9, 1e9))  # its last sign of life
    return Store("runs")


def test_the_list(golden):
    assert [(r.id, r.status) for r in golden.runs()] == [
        ("run_crashed", "crashed"),
        ("run_failed", "failed"),
        ("run_full", "finished"),
        ("run_first", "finished"),
    ]
    assert [r.id for r in golden.runs(filter="metrics.f1 > 0.6 and tags.stage = 'gold'")] == ["run_full"]
    assert golden.get("@production").id == "run_full"
    assert golden.get("latest").id == "run_first"  # run_full is a part of it
    assert golden.aliases()["production"].reason == "best so far"
    assert (golden.root / "index.json").read_bytes() == (GOLDEN / "format-1" / "index.json").read_bytes()


def test_every_seal_fits(golden):
    found = {v.run: v for v in golden.verify()}
    assert {k: [p.finding for p in v.problems] for k, v in found.items()} == {
        "run_crashed": ["not ended"],
        "run_failed": [],
        "run_full": [],
        "run_first": [],
    }
    assert found["run_full"].files == 11


def test_all_of_a_finished_run(golden):
    run = golden.get("run_full")
    assert run.metrics == {"f1": 0.625, "loss": -math.inf, "n": 3}
    assert run.params == {"lr": 0.1, "nested": {"deep": [1, None, "x"]}}
    assert run.tags == {"stage": "gold"}
    assert [(n.author, n.text) for n in run.later_notes] == [("ada", "looks good – ä")]
    assert (run.pipeline, run.source, run.seed, run.parent) == ("matching", "gold_set_4", 7, "run_first")
    assert (run.description, run.notes, run.summary) == ("Größe – the “first”", "n\nm", "2 of 3 answered")
    assert (run.primary_metric.name, run.primary_metric.direction) == ("f1", "max")
    assert run.directions == {"loss": "min"}
    assert [(c.header, c.field) for c in run.columns] == [("F1", "metrics.f1")]
    assert run.item_counts == {"count": 3, "correct": 1, "wrong": 1}
    assert run.warnings == ("a warning",)
    assert run.argv == ("corrida", "run", "matching")
    assert (run.git.branch, run.git.dirty, run.git.diff) == ("master", True, "code.diff")
    assert run.config_files() == {
        "config/rules.json": b'{"a": 1}\r\n',
        "conf/b.yaml": b"\xef\xbb\xbfb: 2",
        "../outside.toml": b"c = 3\n",
    }
    assert b"lr: 0.1" in run.path("config.yaml").read_bytes()
    assert b"+two" in run.path("code.diff").read_bytes()
    assert run.path("log.txt").read_text(encoding="utf-8") == "printed: ä\n"
    assert run.artifacts() == ["plots/curve.bin"]
    assert run.path("plots/curve.bin").read_bytes() == bytes(range(256))
    assert run.environment()["packages"]["corrida"] == "0.1.0"
    assert run.run_file().invocation.overrides == {"lr": 0.1}


def test_the_tables_of_a_finished_run(golden):
    run = golden.get("run_full")
    manifest = run.manifest()
    assert [(d["path"], d["size"], d["rows"], d["columns"]) for d in manifest["data"]] == [
        ("data.csv", 16, 2, ["id", "text"]),
        ("t.json", 11, 1, ["x"]),
    ]
    assert (manifest["items"], manifest["dataset"]) == (3, {"labels": {"A": 1}})
    items = run.items()
    assert items["item_id"].to_list() == ["1", "2", "3"]
    assert items["output"].to_list() == ["A", "B", None]
    assert items["correct"].to_list() == [True, False, None]
    assert items.schema["correct"] == pl.Boolean
    history = run.history()
    assert history["step"].to_list() == [0, 5]
    assert history["loss"][0] == 1.5
    assert math.isnan(history["loss"][1])
    assert history["acc"].to_list() == [1.0, math.inf]


def test_a_failed_and_a_crashed_run(golden):
    failed, crashed = golden.get("run_failed"), golden.get("run_crashed")
    assert (failed.error.type, failed.error.message) == ("ValueError", "no such label")
    assert "ValueError: no such label" in failed.path("log.txt").read_text()
    assert crashed.metrics == {"f1": 0.25}
    assert crashed.history()["loss"].to_list() == [0.5]  # the line that was cut off is left out
    assert crashed.items().to_dicts() == [{"correct": True, "item_id": "1"}]
    assert crashed.config_files() == {"config/rules.json": b'{"a": 1}\r\n'}
    assert crashed.path("log.txt").read_text() == "before the end\n"


def test_a_golden_configuration_goes_back_to_the_project(golden, project):
    golden.restore(golden.plan_restore("run_full", project, to=project / "there"))
    assert (project / "there" / "config" / "rules.json").read_bytes() == b'{"a": 1}\r\n'
