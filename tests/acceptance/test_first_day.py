"""The first day of a new user, in an empty folder, with the demo that ships."""

from __future__ import annotations

import json
import shutil

import pytest

pytestmark = pytest.mark.disk  # as people have it

RULES = "config/matching_rules_business.json"


@pytest.fixture
def after_the_demo(project, corrida):
    said = corrida("demo", "matching")
    assert "rules_1.1" in said.out
    assert "rules_1.2" in said.out
    return project


def _add_a_rule(project):
    document = json.loads((project / RULES).read_bytes())
    document["version"] = "1.3"
    document["rules"].append(
        {
            "id": "R53",
            "name": "Service technicians",
            "priority": 1,
            "active": True,
            "condition": {"title_contains_any": ["service technician"]},
            "action": {"code": "5241"},
        }
    )
    (project / RULES).write_text(json.dumps(document, indent=4), encoding="utf-8")


@pytest.mark.slow
def test_edit_run_compare_restore_undo(after_the_demo, corrida):
    project = after_the_demo
    before = (project / RULES).read_bytes()
    _add_a_rule(project)
    edited = (project / RULES).read_bytes()

    # Not run yet: these bytes are saved nowhere, and restore does not destroy them.
    sentence = corrida.refuses("restore", "latest", "--yes", code=1)
    assert RULES in sentence
    assert (project / RULES).read_bytes() == edited

    corrida("run", "jobs", "--description", "service technicians: R53")
    seen = corrida("compare", "--latest").out
    assert "matching_rules_business: 1.2 → 1.3 (+1 rule R53)" in seen
    assert "service technicians: R53" in seen
    precision = next(line for line in seen.splitlines() if line.split()[:1] == ["precision"])
    assert "within noise" in precision  # one item more is right, of 500
    assert "1 fixed" in seen
    assert "service technician" in seen  # the item itself

    shown = corrida("restore", "latest~1", "--yes").out
    assert "R53" in shown
    assert (project / RULES).read_bytes() == before
    corrida("undo")
    assert (project / RULES).read_bytes() == edited


@pytest.mark.slow
def test_runs_removed_by_hand_and_a_store_that_moved(after_the_demo, corrida):
    project = after_the_demo
    shutil.rmtree(project / "runs" / "run_rules_1.1")
    listed = [run["id"] for run in corrida("list", "--json").json]
    assert listed == ["run_rules_1.2"]
    index = json.loads((project / "runs" / "index.json").read_bytes())
    assert [k for k in index if k != "format_version"] == ["run_rules_1.2"]

    corrida("run", "jobs", "--run-id", "again")
    (project / "runs").rename(project / "elsewhere")
    there = ("--store", "elsewhere")
    assert [r["id"] for r in corrida("list", "--json", *there).json] == ["again", "run_rules_1.2"]
    assert corrida("show", "again", "--json", *there).json["status"] == "finished"
    assert corrida("compare", "run_rules_1.2", "again", "--json", *there).json["items"]["same"] == 500
    assert corrida("items", "again", "-n", "1", "--json", *there).json[0]["item_id"] == "T001"
    assert "2 of 2 runs intact" in corrida("verify", *there).out
    (project / RULES).unlink()
    corrida("restore", "latest", "--yes", *there)
    assert (project / RULES).exists()
    corrida("undo", *there)
    assert not (project / RULES).exists()
    assert corrida("list", "--json").json == []  # and the old place is empty, not broken


@pytest.mark.slow
def test_the_demo_never_writes_over_a_folder(project, corrida):
    (project / "mine.txt").write_text("mine", encoding="utf-8")
    (project / "demo-matching").mkdir()
    (project / "demo-matching" / "notes.txt").write_text("mine too", encoding="utf-8")
    assert "not empty" in corrida.refuses("demo")
    assert "is a file" in corrida.refuses("demo", "--to", "mine.txt")
    assert "there is no demo" in corrida.refuses("demo", "nope")
    said = corrida("demo", "--to", "sub/here")
    assert (project / "sub" / "here" / "runs" / "run_rules_1.2").is_dir()
    assert "cd sub/here first" in said.out
    assert not (project / "runs").exists()


@pytest.mark.slow
def test_the_demo_keeps_its_runs_to_itself(project, corrida, monkeypatch, tmp_path):
    monkeypatch.setenv("CORRIDA_DIR", str(tmp_path / "others"))
    corrida("demo")
    assert not (tmp_path / "others").exists()
    assert corrida("list", "--json").json == []  # CORRIDA_DIR counts again


@pytest.mark.slow
def test_the_demo_keeps_its_runs_where_it_is_told(project, corrida):
    (project / "mine.txt").write_text("mine", encoding="utf-8")
    said = corrida("demo", "--to", "sub", "--store", "kept here")
    assert (project / "kept here" / "run_rules_1.2").is_dir()
    assert not (project / "sub" / "runs").exists()
    assert f'--store "{project / "kept here"}"' in said.out
    assert len(corrida("list", "--json", "--store", "kept here").json) == 2
