"""What is added to a run after its end."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import corrida
from corrida import Store
from corrida.runs import additions
from corrida.runs.history import read_calls
from corrida.runs.run_file import MlflowFacts, read_run_file


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    with corrida.start_run(store=tmp_path / "runs", pipeline="p", run_id="r", params={"a": 1}) as run:
        run.log({"loss": 0.5}, step=1)
        run.log_metrics({"f1": 0.25})
    return tmp_path / "runs" / "r"


def add(run_dir: Path, change: dict[str, Any]) -> None:
    import os

    lock = additions.hold(run_dir)
    try:
        additions.add(run_dir, change)
    finally:
        os.close(lock)


def test_every_reader_shows_what_was_added(ended: Path) -> None:
    sealed = (ended / "run.json").read_bytes()
    point = {"step": 2, "time": 1.5, "metrics": {"score": math.nan, "loss": 0.25}}
    add(ended, {"points": [point], "metrics": {"score": math.nan}, "params": {"b": "2"}, "tags": {"t": "x"}})
    store = Store(ended.parent)
    for record in (store.get("r"), store.runs()[0]):
        assert record.params == {"a": 1, "b": "2"}
        assert record.metrics["f1"] == 0.25
        assert math.isnan(record.metrics["score"])
        assert record.tags == {"t": "x"}
        assert record.status == "finished"
    assert [(step, time) for step, time, _ in read_calls(ended / "history.jsonl")][1] == (2, 1.5)
    assert store.get("r").history()["loss"].to_list() == [0.5, 0.25]
    assert (ended / "run.json").read_bytes() == sealed
    assert store.verify()[0].intact


def test_the_catalog_notices_an_addition(ended: Path) -> None:
    store = Store(ended.parent)
    assert store.runs("metrics.score > 0.5") == []
    add(ended, {"metrics": {"score": 0.75}})
    assert [run.id for run in store.runs("metrics.score > 0.5")] == ["r"]


def test_added_files_are_held_to_their_digests(ended: Path) -> None:
    (ended / "late.txt").write_text("x")
    assert [p.finding for p in Store(ended.parent).verify()[0].problems] == ["added"]
    digest = corrida.runs.files.digest_file(ended / "late.txt")
    add(ended, {"files": {"late.txt": {"size": digest.size, "sha256": digest.sha256}}})
    assert Store(ended.parent).verify()[0].intact
    (ended / "late.txt").write_text("y")
    assert [p.finding for p in Store(ended.parent).verify()[0].problems] == ["altered"]
    (ended / "late.txt").unlink()
    assert [p.finding for p in Store(ended.parent).verify()[0].problems] == ["missing"]


@pytest.mark.parametrize(
    "line",
    [
        {"points": 1, "metrics": [], "params": "x", "files": {"../x": {"size": 1, "sha256": "y"}, "/y": 1}},
        {
            "points": [{"step": "a"}, {"step": 1, "time": 1, "metrics": {"m": "text"}}, 7],
            "latest": {"m": [1]},
        },
        {"metrics": {"m": "text", "n": None}, "mlflow": {"model_outputs": [1], "status": 2}},
    ],
)
def test_lines_written_by_hand_do_no_harm(ended: Path, line: dict[str, Any]) -> None:
    with (ended / "annotations.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    store = Store(ended.parent)
    assert store.get("r").metrics == {"f1": 0.25}
    assert store.runs()[0].metrics == {"f1": 0.25}
    assert len(list(read_calls(ended / "history.jsonl"))) == 1
    assert store.verify()[0].intact


def test_facts_of_mlflow_grow(ended: Path) -> None:
    import msgspec

    facts = MlflowFacts(experiment="0", latest={"m": (1, 2)}, model_outputs=(("m-1", 0),))
    content = msgspec.structs.replace(read_run_file(ended), mlflow=facts)
    changes = [
        {
            "latest": {"n": [3, 4]},
            "mlflow": {"model_inputs": ["m-0"], "model_outputs": [["m-1", 0], ["m-2", 1]]},
        },
        {"mlflow": {"status": "FINISHED", "end_time": 5}},
    ]
    grown = additions.with_additions(content, changes)["mlflow"]
    assert grown.latest == {"m": (1, 2), "n": (3, 4)}
    assert (grown.model_inputs, grown.model_outputs) == (("m-0",), (("m-1", 0), ("m-2", 1)))
    assert (grown.status, grown.end_time) == ("FINISHED", 5)
