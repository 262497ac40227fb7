"""Restore and undo on real files: byte for byte, all or nothing, also under kills."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading

import pytest

from corrida.errors import AlreadyExists, CorridaError, DamagedRun, Refused, RunNotFound
from corrida.runs import journal
from corrida.runs.store import Store

from .conftest import killed_at

OLD = {"config/a.json": b"old a\r\n", "config/deep/er/b.yaml": b"\xef\xbb\xbfold b", "c.toml": b"old c\xff"}
NEW = {"config/a.json": b"new a", "config/deep/er/b.yaml": b"", "config/extra.json": b"extra"}
PATTERNS = ("config/*.json", "config/deep/er/*.yaml", "*.toml")


def lay(project, contents):
    for name, data in contents.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def files(project):
    return {
        p.relative_to(project).as_posix(): p.read_bytes()
        for p in sorted(project.rglob("*"))
        if p.is_file() and not p.is_relative_to(project / "runs") and ".git" not in p.parts
    }


@pytest.fixture
def two(project, start):
    """Run ``one`` with OLD; the project now has NEW (c.toml is gone, extra.json came)."""
    lay(project, OLD)
    start(run_id="one", configs=list(OLD.items()), config_patterns=PATTERNS).finish()
    (project / "c.toml").unlink()
    lay(project, NEW)
    return project


def save_new(start):
    start(run_id="two", configs=list(NEW.items()), config_patterns=PATTERNS).finish()


def test_unsaved_files_are_refused_and_force_takes_them(two, store):
    plan = store.plan_restore("one", two)
    assert {(f.path, f.state, f.saved_in) for f in plan.files} == {
        ("config/a.json", "changed", None),
        ("config/deep/er/b.yaml", "changed", None),
        ("c.toml", "missing", None),
        ("config/extra.json", "extra", None),
    }
    with pytest.raises(Refused, match=r"config/a\.json"):
        store.restore(plan)
    assert files(two) == NEW
    assert store.restore(plan, force=True)
    assert files(two) == OLD | {"config/extra.json": b"extra"}
    assert store.restore(store.plan_restore("one", two)) is None
    assert set(store.undo()[1]) == set(OLD)
    assert files(two) == NEW
    with pytest.raises(Refused, match="nothing left to undo"):
        store.undo()


def test_what_another_run_keeps_may_be_overwritten(two, store, start):
    save_new(start)
    plan = store.plan_restore("one", two, exact=True)
    assert {f.saved_in for f in plan.files if f.old is not None} == {"run two"}
    store.restore(plan)
    assert files(two) == OLD
    store.undo()
    assert files(two) == NEW


def test_what_is_committed_may_be_overwritten(two, store):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True, capture_output=True
        )

    git("init", "-q")
    git("add", "config")
    git("commit", "-qm", "x")
    store.restore(store.plan_restore("one", two))
    assert files(two)["config/a.json"] == OLD["config/a.json"]


def test_to_another_folder(two, store, tmp_path, monkeypatch):
    store.restore(store.plan_restore("one", two, to=tmp_path / "there"))
    assert files(tmp_path / "there") == OLD
    assert files(two) == NEW
    store.undo()
    assert files(tmp_path / "there") == {}


def test_a_configuration_from_outside_goes_to_another_folder_only(two, store, start, tmp_path):
    start(run_id="out", configs=[("../x/a.json", b"1"), ("a.json", b"2")]).finish()
    with pytest.raises(Refused, match="outside the project"):
        store.plan_restore("out", two)
    store.restore(store.plan_restore("out", two, to=tmp_path / "there"))
    assert sorted(files(tmp_path / "there").values()) == [b"1", b"2"]


def test_a_file_that_changes_between_plan_and_restore(two, store, start):
    save_new(start)
    plan = store.plan_restore("one", two)
    (two / "config" / "a.json").write_bytes(b"edited")
    with pytest.raises(Refused, match="changed in this moment"):
        store.restore(plan)
    assert files(two) == NEW | {"config/a.json": b"edited"}


def test_undo_when_a_file_was_edited_since(two, store, start):
    save_new(start)
    store.restore(store.plan_restore("one", two))
    restored = files(two)
    (two / "c.toml").write_bytes(b"edited")
    with pytest.raises(Refused, match=r"c\.toml"):
        store.undo()
    assert files(two) == restored | {"c.toml": b"edited"}
    (two / "c.toml").unlink()
    (two / "c.toml").mkdir()
    with pytest.raises(Refused, match="folder"):
        store.undo()
    (two / "c.toml").rmdir()
    (two / "c.toml").write_bytes(OLD["c.toml"])
    store.undo()
    assert files(two) == NEW


def test_a_configuration_whose_place_is_taken_by_a_folder_or_a_file(two, store):
    (two / "c.toml").mkdir()
    with pytest.raises(Refused, match="is a folder"):
        store.plan_restore("one", two)
    (two / "c.toml").rmdir()
    shutil.rmtree(two / "config" / "deep")
    (two / "config" / "deep").write_bytes(b"")
    with pytest.raises(Refused, match="needs a folder"):
        store.plan_restore("one", two)


def test_missing_folders_are_made(two, store):
    shutil.rmtree(two / "config")
    store.restore(store.plan_restore("one", two))
    assert files(two) == OLD


def test_a_link_stays_a_link_and_its_file_gets_the_bytes(two, store, start):
    save_new(start)
    (two / "real.json").write_bytes(NEW["config/a.json"])
    (two / "config" / "a.json").unlink()
    (two / "config" / "a.json").symlink_to("../real.json")
    store.restore(store.plan_restore("one", two))
    assert (two / "config" / "a.json").is_symlink()
    assert (two / "real.json").read_bytes() == OLD["config/a.json"]
    store.undo()
    assert (two / "config" / "a.json").is_symlink()
    assert (two / "real.json").read_bytes() == NEW["config/a.json"]


def test_a_link_out_of_the_project_is_refused(two, store, tmp_path):
    (tmp_path / "secret").write_bytes(b"s")
    (two / "config" / "a.json").unlink()
    (two / "config" / "a.json").symlink_to(tmp_path / "secret")
    with pytest.raises(Refused, match="link"):
        store.plan_restore("one", two)
    assert (tmp_path / "secret").read_bytes() == b"s"


def test_rights_of_a_file_stay(two, store, start):
    save_new(start)
    (two / "config" / "a.json").chmod(0o600)
    store.restore(store.plan_restore("one", two))
    assert (two / "config" / "a.json").stat().st_mode & 0o777 == 0o600


def test_a_run_whose_copy_was_altered_is_not_restored(two, store):
    (two / "runs" / "one" / "config" / "a.json").write_bytes(b"x")
    with pytest.raises(DamagedRun, match="altered"):
        store.plan_restore("one", two)
    (two / "runs" / "one" / "config" / "a.json").unlink()
    with pytest.raises(DamagedRun, match="lacks"):
        store.plan_restore("one", two)


def test_undo_of_a_removal_then_of_the_restore_before_it(two, store, start):
    save_new(start)
    store.restore(store.plan_restore("one", two, exact=True))
    start(run_id="kid", parent="one").finish()
    assert store.remove(["one"]) == ["one", "kid"]
    assert store.trashed() == ["kid", "one"]
    with pytest.raises(RunNotFound, match="trash"):
        store.get("one")
    assert sorted(store.undo()[1]) == ["kid", "one"]
    store.undo()
    assert files(two) == NEW


def test_undo_of_a_removal_whose_id_came_again(store, finished, tmp_path):
    folder = finished("a")
    shutil.copytree(folder, tmp_path / "a")
    store.remove(["a"])
    shutil.copytree(tmp_path / "a", folder)
    with pytest.raises(AlreadyExists):
        store.undo()
    with pytest.raises(AlreadyExists, match="trash"):
        store.remove(["a"])
    assert store.get("a").id == "a"


def test_removing_a_run_twice_does_not_remove_its_neighbour(store, finished):
    finished("run_a")
    finished("run_a-2")
    store.remove(["run_a"])
    with pytest.raises(RunNotFound, match="trash"):
        store.remove(["run_a"])
    assert [r.id for r in store.runs()] == ["run_a-2"]


def test_runs_in_use_are_not_removed_by_the_way(store, start, finished):
    finished("parent")
    start(run_id="kid", parent="parent").finish()
    store.promote("kid")
    with pytest.raises(Refused, match="@production"):
        store.remove(["parent"])
    assert store.remove(["parent"], force=True) == ["parent", "kid"]


def test_families_that_go_in_circles(store, start):
    start(run_id="a", parent="b").finish()
    start(run_id="b", parent="a").finish()
    start(run_id="self", parent="self").finish()
    assert sorted(store.remove(["a", "self"])) == ["a", "b", "self"]


@pytest.mark.parametrize("undoing", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_a_kill_at_any_point_leaves_all_old_or_all_new(two, start, undoing, exact):
    save_new(start)
    before = NEW
    after = OLD if exact else OLD | {"config/extra.json": b"extra"}
    if undoing:
        store = Store("runs")
        store.restore(store.plan_restore("one", two, exact=exact))
        before, after = after, before
    shutil.copytree(two, two.parent / "whole")
    outcomes = set()
    for n in range(1, 400):
        shutil.rmtree(two / "config")
        for entry in (
            two / "runs"
        ).iterdir():  # the folder itself stays: undo works only where the restore was
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        (two / "c.toml").unlink(missing_ok=True)
        shutil.copytree(two.parent / "whole", two, dirs_exist_ok=True)

        def work():
            store = Store("runs")
            store.undo() if undoing else store.restore(store.plan_restore("one", two, exact=exact))

        survived = killed_at(n, work)
        store = Store("runs")
        now = files(two)
        assert now in (before, after), n
        outcomes.add(now == after)
        if now == before:
            work()
            assert files(two) == after
        if undoing:
            with pytest.raises(Refused, match="nothing left to undo"):
                store.undo()
        else:
            assert store.undo()[0].kind == "restore"
            assert files(two) == before
        if survived:
            assert n > 30
            assert outcomes == {True, False}
            return
    pytest.fail("the work never came to its end")


@pytest.mark.parametrize("what", ["rm", "promote", "note"])
def test_a_kill_at_any_point_of_other_changes(project, finished, what):
    for name in ("a", "b"):
        finished(name)
    Store("runs").promote("b")
    shutil.copytree(project / "runs", project / "whole")
    for n in range(1, 200):
        shutil.rmtree(project / "runs")
        shutil.copytree(project / "whole", project / "runs")

        def work():
            store = Store("runs")
            if what == "rm":
                store.remove(["a", "b"], force=True)
            elif what == "promote":
                store.promote("a", reason="x" * 1000)
            else:
                store.note("a", "x" * 1000)

        survived = killed_at(n, work)
        store = Store("runs")
        here = {r.id for r in store.runs()}
        assert here | set(store.trashed()) == {"a", "b"}
        if what == "rm":
            while set(store.trashed()):
                store.undo()
            assert {r.id for r in store.runs()} == {"a", "b"}
        assert store.aliases()["production"].run in ({"a", "b"} if what == "promote" else {"b"})
        store.promote("b")
        assert store.get("@production").id == "b"
        assert len(store.get("a").later_notes) <= 1
        store.note("a", "again")
        assert store.get("a").later_notes[-1].text == "again"
        assert all(v.intact for v in store.verify())
        if survived:
            return
    pytest.fail("the work never came to its end")


def test_two_processes_restore_at_once(two, store, start):
    save_new(start)
    third = dict.fromkeys(OLD, b"third")
    start(run_id="three", configs=list(third.items()), config_patterns=PATTERNS).finish()
    for _ in range(10):
        children = []
        for run_id in ("one", "three"):
            child = os.fork()
            if child == 0:
                try:
                    other = Store("runs")
                    other.restore(other.plan_restore(run_id, two), force=True)
                except Refused:
                    pass
                except BaseException:  # noqa: BLE001 - told by the exit code
                    os._exit(1)
                os._exit(0)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
        now = {n: d for n, d in files(two).items() if n in OLD}
        assert now in (OLD, third)


def test_opening_a_store_waits_for_a_restore_that_is_going_on(two, store, start, monkeypatch):
    save_new(start)
    plan = store.plan_restore("one", two)
    prepared, opened = threading.Event(), threading.Event()
    real = journal._prepare

    def slow(*arguments):
        real(*arguments)
        prepared.set()
        assert not opened.wait(0.5)

    monkeypatch.setattr(journal, "_prepare", slow)
    thread = threading.Thread(target=lambda: (prepared.wait(), Store("runs"), opened.set()))
    thread.start()
    store.restore(plan)
    thread.join()
    assert files(two) == OLD | {"config/extra.json": b"extra"}


def test_a_damaged_journal_does_not_close_the_store(two, store, start):
    save_new(start)
    entry = journal.journal_folder(two / "runs") / "20260101-000000000000-restore-abcdef"
    (entry / "old").mkdir(parents=True)
    (entry / "plan.json").write_text("{")
    assert len(Store("runs").runs()) == 2
    store.restore(store.plan_restore("one", two))
    store.undo()
    assert files(two) == NEW


def test_a_store_that_was_moved_between_the_decision_and_its_completion(two, start, tmp_path, monkeypatch):
    save_new(start)
    store = Store("runs")
    plan = store.plan_restore("one", two)
    monkeypatch.setattr(journal, "_carry_out", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.restore(plan)
    monkeypatch.undo()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (two / "runs").rename(tmp_path / "deep" / "er" / "runs")
    moved = Store(tmp_path / "deep" / "er" / "runs")
    assert len(moved.runs()) == 2
    assert list((tmp_path / "deep" / "er").iterdir()) == [moved.root]
    with pytest.raises(CorridaError):
        moved.undo()
