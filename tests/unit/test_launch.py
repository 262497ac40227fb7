"""What a run remembers of how it was asked for, and what it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import corrida
from corrida.launch import code_digests, enclosing_run
from corrida.project import RUN_VARIABLE


def _invocation(run: Path) -> dict:
    return json.loads((run / "run.json").read_bytes())["invocation"]


PIPELINE = """
import random


def draw(data, config, recorder):
    chance = random.Random(data.seed)
    return {"drawn": chance.random(), "ids": 0 if data.item_ids is None else len(data.item_ids)}
"""


def test_a_pipeline_is_told_its_seed_and_the_run_remembers_the_request(project, request):
    call = request.getfixturevalue("corrida")  # the module has the name here
    (project / "mine.py").write_text(PIPELINE, encoding="utf-8")
    (project / "corrida.toml").write_text(
        '[pipelines.p]\nuses = "mine:draw"\nset = {a = 1}\n', encoding="utf-8"
    )
    (project / "rows.csv").write_text("id\nx\n", encoding="utf-8")
    (project / "ids.txt").write_text("x\ny\n", encoding="utf-8")
    words = ("run", "p", "--data", "rows.csv", "--items", "ids.txt", "--set", "b.c=[1]", "--seed")
    drawn = [call(*words, seed, "--json").json["metrics"]["drawn"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    run = next((project / "runs").glob("run_*_seed2"))
    found = _invocation(run)
    assert found["kind"] == "pipeline"
    assert found["uses"] == "mine:draw"
    assert found["overrides"] == {"a": 1, "b.c": [1]}
    assert found["data"] == ["rows.csv"]
    assert found["corrida"] == corrida.__version__
    assert list(found["code"]) == ["mine.py"]
    assert (run / found["items"]).read_text(encoding="utf-8") == "x\ny\n"
    assert "item_ids.txt" in json.loads((run / "run.json").read_bytes())["files"]


def test_an_edited_script_is_said_without_git(project):
    script = "import corrida\nwith corrida.start_run(pipeline='p') as run:\n    run.log_metrics({'m': 1})\n"
    for text in (script, script + "# edited\n"):
        (project / "train.py").write_text(text, encoding="utf-8")
        subprocess.run([sys.executable, "train.py"], check=True)
    comparison = corrida.compare("latest~1", "latest")
    assert [c.text for c in comparison.circumstances if c.kind == "code"] == ["train.py has other content"]
    assert _invocation(corrida.Store("runs").get("latest").dir)["kind"] == "python"


def test_a_command_is_remembered_with_its_script_and_without_absolute_paths(project, request):
    call = request.getfixturevalue("corrida")  # the module has the name here
    (project / "work.py").write_text("print('x')", encoding="utf-8")
    call("exec", "--", sys.executable, str(project / "work.py"))
    found = _invocation(next((project / "runs").glob("run_*")))
    assert found["kind"] == "command"
    assert found["command"][1] == "work.py"
    assert list(found["code"]) == ["work.py"]
    assert str(project) not in json.dumps(found)


def test_code_outside_of_the_project_is_known_by_name(tmp_path):
    far = tmp_path / "a" / "far.py"
    far.parent.mkdir()
    far.write_text("1", encoding="utf-8")
    root = tmp_path / "b" / "c" / "d"
    root.mkdir(parents=True)
    assert list(code_digests([far, None, root / "absent.py"], root)) == ["far.py"]


def test_only_a_run_of_the_same_store_encloses(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path / "runs" / "x"))
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    assert enclosing_run(tmp_path / "runs") == "x"
    assert enclosing_run(tmp_path / "link") == "x"
    assert enclosing_run(tmp_path / "other") is None


def test_a_result_with_an_odd_name_is_not_thrown_away(project):
    @corrida.track
    def work():
        return {"fine": 1, "": 2, "a\nb": 3}

    result = work()
    run = corrida.Store("runs").get(result["run_id"])
    assert run.metrics == {"fine": 1}
    assert result[""] == 2
    assert len(run.warnings) == 2
