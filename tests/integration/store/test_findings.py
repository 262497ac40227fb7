"""Runs edited by hand, families in the trash, tables of JSON, and what is shown of a run."""

from __future__ import annotations

import json
import os

import msgspec
import pytest

from corrida.errors import DamagedRun
from corrida.runs import tables
from corrida.runs.record import Runs
from corrida.runs.store import Store
from corrida.runs.tables import table_facts


def test_a_crashed_run_is_no_problem_to_verify(project, start):
    child = os.fork()
    if child == 0:
        start(run_id="a").log({"x": 1})
        os._exit(9)
    os.waitpid(child, 0)
    (project / "runs" / "b").mkdir()  # killed before run.json
    for found in Store("runs").verify(["a", "b"]):
        assert found.intact
        assert [p.finding for p in found.problems] == ["not ended"]


@pytest.mark.parametrize(
    "content",
    ['{"data": 5}', '{"data": ["x"]}', '{"data": [{"path": "x"}]}', "[]", '{"data": [{"path":1,"size":1,"sha256":""}]}', "{"],
)  # fmt: skip
def test_a_manifest_edited_by_hand(project, finished, content):
    (finished("a") / "manifest.json").write_text(content)
    with pytest.raises(DamagedRun, match=r"manifest\.json"):
        Store("runs").get("a").manifest()


def test_a_manifest_as_written_is_read_whole(project, start):
    (project / "d.csv").write_text("a,b\n1,2\n")
    run = start(run_id="a", data=[project / "d.csv"])
    run.describe(dataset={"labels": 3})
    run.finish()
    manifest = Store("runs").get("a").manifest()
    assert manifest["data"][0]["rows"] == 1
    assert manifest["dataset"] == {"labels": 3}


@pytest.mark.parametrize("file", ["c.json", "config", "config/../run.json", "/etc/passwd", "", "config/a\0b"])
def test_a_configuration_outside_of_its_folder(project, start, file):
    run = start(run_id="a", configs=[("../c.json", b"c")])
    run.finish()
    content = json.loads((run.dir / "run.json").read_text())
    content["configs"][0]["file"] = file
    (run.dir / "run.json").write_text(json.dumps(content))
    (run.dir / "c.json").write_bytes(b"c")
    store = Store("runs")
    for to in (None, project / "there"):
        with pytest.raises(DamagedRun, match="config"):
            store.plan_restore("a", project, to=to)


def test_children_come_back_with_their_parent(project, start):
    for name, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", None)):
        start(run_id=name, parent=parent).finish()
    store = Store("runs")
    store.remove(["a", "d"])
    assert store.trashed() == ["a", "b", "c", "d"]
    assert store.bring_back(["a"]) == ["a", "b", "c"]
    assert store.trashed() == ["d"]


def test_facts_of_json_tables(tmp_path, monkeypatch):
    path = tmp_path / "t.json"
    path.write_text('[{"a": 1}, {"a": 2, "b": [1]}]')
    assert table_facts(path) == (2, ["a", "b"])
    monkeypatch.setattr(tables, "_JSON_BYTES", 10)
    assert table_facts(path) is None
    monkeypatch.undo()
    for other in ('{"a": 1}', "[1, 2]", "[{", "[" * 5000, ""):
        path.write_text(other)
        assert table_facts(path) is None
    path.write_text("[]")
    assert table_facts(path) == (0, [])


def test_a_record_is_a_table_of_one_row(project, finished):
    finished("a", f1=0.5, params={"lr": 0.1})
    record = Store("runs").get("a")
    frame = record.to_polars()
    assert frame.height == 1
    assert frame["metrics.f1"].to_list() == [0.5]
    assert record.to_pandas()["params.lr"].tolist() == [0.1]


def test_nothing_of_a_run_steers_the_terminal(project, finished):
    finished("a", f1=0.5)
    bad = "\x1b]0;owned\x07\x1b[2J\x9b31m\nrun b"
    record = msgspec.structs.replace(
        Store("runs").get("a"), pipeline=bad, source=bad, description=bad, metrics={bad: 1.0}
    )
    for shown in (str(record), repr(record), repr(Runs([record]))):
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert "\nrun b" not in shown
