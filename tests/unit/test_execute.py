"""Executing pipelines without the command line."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from corrida.errors import AlreadyExists, InvalidConfig, InvalidData, PipelineFailed
from corrida.execute import RunOptions, read_item_ids, relative_to_project, run_pipeline
from corrida.pipelines.inputs import read_table, shown
from corrida.project import find_project


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "1\n\n  2 \n", {"1", "2"}),
        ("a.txt", "\ufeff1\r\n2\r\n", {"1", "2"}),
        ("a.json", '["1", 2, {"item_id": "3"}, {"id": 4}]', {"1", "2", "3", "4"}),
        ("a.csv", "name,item_id\nx,007\n", {"007"}),
        ("a.csv", "name,id\nx,007\n", {"007"}),
        ("a.csv", "number,name\n007,x\n", {"007"}),
        ("a.jsonl", '{"item_id": "007"}\n', {"007"}),
        ("a.JSON", '[7.0, {"item_id": null, "id": "b"}]', {"7", "b"}),
    ],
)
def test_files_of_item_ids(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert read_item_ids(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.txt", b"", "names no item"),
        ("a.txt", b"\xe9", "UTF-8"),
        ("a.json", b"{", "line 1"),
        ("a.json", b'{"a": 1}', "list"),
        ("a.json", b'["1", {"name": "x"}]', "row 2 has no id"),
        ("a.json", b'["1", null]', "row 2 has no id"),
        ("a.json", b"[1.5]", "row 1 has no id"),
        ("a.csv", b"item_id,name\n1,x\n,y\n", "no id in the column 'item_id' at line 3"),
        ("a.jsonl", b'{"id": "1"}\n{"name": "y"}\n', "no id in the column 'id' at line 2"),
    ],
)
def test_files_that_name_no_items(tmp_path, name, content, part):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidData, match=part):
        read_item_ids(tmp_path / name)
    with pytest.raises(InvalidData, match="cannot be read"):
        read_item_ids(tmp_path / "nope.txt")


@pytest.mark.parametrize(
    "options", [RunOptions(configs=["no.json"]), RunOptions(data=["no.csv"]), RunOptions(items="no.txt")]
)
def test_bad_input_is_noticed_before_any_work(toy, options):
    with pytest.raises((InvalidConfig, InvalidData)):
        run_pipeline(find_project(), "jobs", options)
    assert not any((toy.root / "runs").glob("*/run.json"))


def test_bad_input_that_the_pipeline_notices(toy):
    (toy.root / "notices.py").write_text(
        "from corrida.errors import InvalidData\n"
        "def at_once(): raise InvalidData('no')\n"
        "def later(data, config, recorder):\n    recorder.log({'a': 1})\n    raise InvalidData('late')\n"
        "def attached():\n    import corrida\n    corrida.current_run().log_metrics({'a': 1})\n    raise InvalidData('late')\n",
        encoding="utf-8",
    )
    with pytest.raises(InvalidData):
        run_pipeline(find_project(), "notices:at_once", RunOptions(run_id="none"))
    assert not (toy.root / "runs" / "none").exists()
    for name in ("later", "attached"):
        with pytest.raises(InvalidData):
            run_pipeline(find_project(), f"notices:{name}", RunOptions(run_id=name))
        assert find_project().store().get(name).status == "failed"


def test_a_failing_pipeline_that_is_not_saved_leaves_nothing(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (toy.root / "fails_here.py").write_text("def work(): raise ValueError('no')\n", encoding="utf-8")
    with pytest.raises(PipelineFailed, match=r"ValueError: no$"):
        run_pipeline(find_project(), "fails_here:work", RunOptions(save=False))
    assert [n for n in os.listdir(tmp_path) if n.startswith("corrida")] == []


def test_a_taken_id_is_noticed(toy):
    done = run_pipeline(find_project(), "jobs", RunOptions(run_id="a"))
    assert done.record is not None
    assert done.record.metrics["items"] == 4
    with pytest.raises(AlreadyExists):
        run_pipeline(find_project(), "jobs", RunOptions(run_id="a"))


def test_paths_as_the_project_sees_them(toy, monkeypatch):
    monkeypatch.chdir(toy.root / "data")
    found = find_project()
    assert relative_to_project(found, "texts.csv") == "data/texts.csv"
    assert relative_to_project(found, "../config/*.json") == "config/*.json"
    assert relative_to_project(found, str(toy.root / "config/rules.json")) == "config/rules.json"


def test_item_ids_of_a_parquet_file(tmp_path):
    pl.DataFrame({"item_id": ["007", "8"], "n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    assert read_item_ids(tmp_path / "a.parquet") == {"007", "8"}
    pl.DataFrame({"item_id": ["007", None]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InvalidData, match="row 2"):
        read_item_ids(tmp_path / "b.parquet")


def test_paths_in_messages_say_nothing_of_the_machine(toy, tmp_path, monkeypatch):
    assert shown(toy.root / "data" / "texts.csv") == "data/texts.csv"
    assert shown(Path("data/texts.csv")) == "data/texts.csv"
    monkeypatch.chdir(toy.root / "data")
    assert shown(toy.root / "corrida.toml") == "../corrida.toml"
    assert shown(tmp_path / "x.csv") == "../../x.csv"
    deep = toy.root / "data" / "deep"
    deep.mkdir()
    monkeypatch.chdir(deep)
    assert shown(tmp_path / "x.csv") == "x.csv"
    with pytest.raises(InvalidData) as caught:
        read_table(tmp_path / "nope.csv")
    assert str(tmp_path) not in str(caught.value)
