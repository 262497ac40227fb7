"""Several processes that log to one run, and the end of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import polars as pl
import pytest

from corrida.errors import AlreadyExists, RunSealed
from corrida.runs import attached, files
from corrida.runs.attached import AttachedRun, attached_run
from corrida.runs.store import Store


def test_a_sealed_run_takes_nothing_from_attached_processes(project, start, monkeypatch):
    run = start(run_id="a")
    monkeypatch.setenv("RUN_HERE", str(run.dir))
    other = attached_run("RUN_HERE")
    assert attached_run("RUN_HERE") is other
    with monkeypatch.context() as patched:
        patched.setattr(attached, "AttachedRun", None)  # none is built again
        assert attached_run("RUN_HERE") is other
    other.log({"x": 1})
    other.log_metrics({"f1": 1})
    other.log_items([{"item_id": "i"}])
    run.finish()
    (project / "f.txt").write_text("f")
    for call in (
        lambda: other.log({"x": 2}),
        lambda: other.log_metrics({"f1": 2}),
        lambda: other.log_items([{"item_id": "j"}]),
        lambda: other.log_artifact("f.txt"),
        lambda: other.save_bytes("g.txt", b"g"),
        lambda: AttachedRun(run.dir),
    ):
        with pytest.raises(RunSealed):
            call()
    assert Store("runs").verify(["a"])[0].problems == ()


def test_a_forked_child_cannot_change_a_run_that_its_parent_ended(project, start):
    run = start(run_id="a")
    run.log({"x": 1})
    go, ended = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(go, 1)
        code = 1
        try:
            run.log({"x": 2})
        except RunSealed:
            code = 0
        finally:
            os._exit(code)
    run.finish()
    os.write(ended, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert Store("runs").verify(["a"])[0].problems == ()
    assert Store("runs").get("a").history().height == 1


def test_attached_processes_keep_each_others_metrics(project, start):
    run = start(run_id="a")
    others = [AttachedRun(run.dir) for _ in range(4)]

    def work(number):
        for n in range(25):
            others[number].log_metrics({f"m{number}.{n}": n})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(AttachedRun(run.dir).metrics) == 100
    assert sorted(p.name for p in run.dir.iterdir()) == ["metrics.json", "run.json"]
    run.finish()


def test_items_under_one_id_from_two_processes(project, start):
    run = start(run_id="a")
    run.log_items([{"item_id": "1", "score": 0.1}, {"item_id": "2", "score": 0.2}])
    AttachedRun(run.dir)._items.log([{"item_id": "0", "score": 0.0}])
    other = AttachedRun(run.dir)
    other.log_items([{"item_id": "2", "score": 0.9}, {"item_id": "3", "score": 0.3}])
    assert Store("runs").get("a").items()["item_id"].n_unique() == Store("runs").get("a").items().height
    run.finish()
    record = Store("runs").get("a")
    assert sorted(record.items()["item_id"]) == ["0", "1", "2", "3"]
    assert record.items().filter(item_id="2")["score"].to_list() == [0.2]
    assert record.item_counts["count"] == 4
    assert pl.read_parquet(record.dir / "items-duplicates.parquet")["score"].to_list() == [0.9]
    assert any("1 item was logged under an id" in w for w in record.warnings)
    assert Store("runs").verify(["a"])[0].problems == ()
    assert "items-duplicates.parquet" not in record.artifacts()


@pytest.mark.parametrize("links", [True, False])
def test_of_two_processes_one_gets_the_name_of_an_artifact(project, start, monkeypatch, links):
    run = start(run_id="a")
    other = AttachedRun(run.dir)
    if not links:

        def refused(*_):
            raise PermissionError(1, "no links here")

        monkeypatch.setattr(os, "link", refused)
    (project / "f").write_bytes(b"late")
    (project / "folder").mkdir()
    (project / "folder" / "f").write_bytes(b"late")
    real = type(run)._new_path

    def slow(self, name):
        target = real(self, name)
        if self is run:  # the other process is quicker, after our look
            other.save_bytes(f"{name}/first" if name == "folder" else name, b"first")
        return target

    monkeypatch.setattr(type(run), "_new_path", slow)
    for call in (
        lambda: run.save_bytes("x", b"late"),
        lambda: run.log_artifact("f"),
        lambda: run.log_artifact("folder"),
    ):
        with pytest.raises(AlreadyExists):
            call()
    assert (run.dir / "x").read_bytes() == (run.dir / "f").read_bytes() == b"first"
    assert [p.name for p in (run.dir / "folder").iterdir()] == ["first"]
    monkeypatch.undo()
    run.save_bytes("y", b"y")
    assert not list(run.dir.rglob("*.tmp"))
    run.finish()


def test_a_folder_with_a_link_to_itself_is_copied_once(project, start):
    folder = project / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "round").symlink_to(folder)
    (folder / "b.txt").symlink_to(folder / "a.txt")
    with start(run_id="a") as run:
        run.log_artifact("out")
    copied = {p.relative_to(run.dir / "out").as_posix() for p in (run.dir / "out").rglob("*")}
    assert copied == {"a.txt", "b.txt", "sub"}
    assert not (run.dir / "out" / "b.txt").is_symlink()
    assert files.digest_file(Path("out/a.txt")) == files.digest_file(run.dir / "out" / "b.txt")
