"""A script that starts a run of its own, under ``corrida exec``: one run, that of the command."""

from __future__ import annotations

import sys

import pytest

from corrida.runs.store import Store

SCRIPT = """
import sys
import corrida

with corrida.start_run(pipeline="jobs", description="of the script", params={"lr": 0.1}, tags={"k": "v"}, seed=3,
                       configs=["config/*.json"], data=["rows.csv"], primary_metric="loss", direction="min") as run:
    assert corrida.current_run() is run
    run.log({"loss": 2.0})
    run.log_params({"late": 1})
    run.log_items([{"item_id": "a", "correct": True}])
    corrida.current_run().log_items([{"item_id": "b", "correct": False}])
    run.log_metrics({"loss": 1.0})
    run.warn("mind this")
    print("printed")
for word in sys.argv[1:]:
    with corrida.start_run(run_tag=word) as other:
        other.log_metrics({"x": 1})
"""


@pytest.fixture
def script(project):
    (project / "config").mkdir()
    (project / "config" / "a.json").write_text('{"version": "1"}', encoding="utf-8")
    (project / "rows.csv").write_text("id\n1\n", encoding="utf-8")
    (project / "train.py").write_text(SCRIPT, encoding="utf-8")
    return [sys.executable, "train.py"]


def test_the_script_and_the_command_are_one_run(script, corrida):
    corrida("exec", "--tag", "k=mine", "--tag", "own=1", "--set", "lr=0.5", "--", *script)
    (run,) = Store("runs").runs()
    assert (run.pipeline, run.status, run.description, run.seed) == ("jobs", "finished", "of the script", 3)
    assert run.params == {"lr": 0.5, "late": 1}  # what the command says wins
    assert run.tags == {"k": "mine", "own": "1"}
    assert run.metrics == {"loss": 1.0}
    assert run.primary_metric is not None
    assert run.primary_metric.direction == "min"
    assert run.config_files() == {"config/a.json": b'{"version": "1"}'}
    assert [d["path"] for d in run.manifest()["data"]] == ["rows.csv"]
    assert run.items()["item_id"].to_list() == ["a", "b"]
    assert run.history()["loss"].to_list() == [2.0]
    assert "mind this" in run.warnings
    assert "printed" in (run.dir / "log.txt").read_text(encoding="utf-8")
    assert "1 of 1 runs intact" in corrida("verify").out
    assert not [p.name for p in run.dir.iterdir() if p.name.startswith(".")]


def test_the_configuration_can_be_restored_and_compared(script, corrida, project):
    corrida("exec", "--", *script)
    (project / "config" / "a.json").write_text('{"version": "2"}', encoding="utf-8")
    corrida("exec", "--config", "config/*.json", "--", *script)
    assert "1 → 2" in corrida("compare").out
    assert Store("runs").get("latest").config_files().keys() == {"config/a.json"}
    corrida("restore", "latest~1", "--yes")
    assert (project / "config" / "a.json").read_text(encoding="utf-8") == '{"version": "1"}'


def test_a_run_with_a_name_of_its_own_is_a_child(script, corrida):
    corrida("exec", "--run-id", "whole", "--", *script, "part")
    store = Store("runs")
    assert store.get("run_part").parent == "whole"
    assert store.get("run_part").metrics == {"x": 1}
    assert store.get("whole").metrics == {"loss": 1.0}


def test_a_script_that_raises_says_so(corrida, project):
    (project / "bad.py").write_text(
        "import corrida\nwith corrida.start_run(description='d') as run:\n    run.log({'a': 1})\n    1 / 0\n",
        encoding="utf-8",
    )
    assert corrida.process("exec", "--", sys.executable, "bad.py").returncode == 1
    (run,) = Store("runs").runs()
    assert (run.status, run.description) == ("failed", "d")
    assert "ZeroDivisionError" in run.warnings[0]
    assert run.history().height == 1


def test_another_store_is_another_run(corrida, project):
    text = (
        "import corrida\nwith corrida.start_run(store='elsewhere') as run:\n    run.log_metrics({'a': 1})\n"
    )
    (project / "far.py").write_text(text, encoding="utf-8")
    corrida("exec", "--", sys.executable, "far.py")
    assert Store("runs").runs()[0].metrics == {}
    (far,) = Store("elsewhere").runs()
    assert far.parent is None
    assert far.metrics == {"a": 1}
