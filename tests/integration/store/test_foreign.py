"""A store that comes from elsewhere: a copy, or one that somebody prepared."""

from __future__ import annotations

import json
import shutil

import pytest

from corrida.errors import Refused, RunNotFound
from corrida.runs import journal
from corrida.runs.store import Store


def lay_entry(store_folder, name, victim, *, new: bytes | None, log=True):
    """Put a change into the journal by hand, whose target is the folder around the store."""
    before = victim.read_bytes()
    entry = store_folder / ".corrida" / "journal" / name
    for side in ("old", "new"):
        (entry / side).mkdir(parents=True)
    sha = journal._sha
    plan = {"format_version": 1, "target": "..", "run": "a", "kind": "restore"}
    plan["files"] = [{"path": victim.name, "old": sha(before), "new": sha(new)}]
    (entry / "plan.json").write_text(json.dumps(plan))
    (entry / "pending").write_bytes(b"")
    (entry / "old" / "0").write_bytes(before)
    if new is not None:
        (entry / "new" / "0").write_bytes(new)
    if log:
        line = {"id": name, "kind": "restore", "time": "2026-01-01T00:00:00Z", "author": "x", "runs": ["a"]}
        (entry.parent / "log.jsonl").write_text(json.dumps(line) + "\n")
    return entry


@pytest.mark.parametrize("new", [b"evil", None])
@pytest.mark.parametrize("name", ["20260101-000000-restore-abcdef", ".20260101-000000-restore-abcdef"])
def test_a_prepared_journal_writes_and_deletes_nothing_outside(project, finished, new, name):
    finished("a")
    victim = project / "precious.txt"
    victim.write_bytes(b"mine")
    beside = project / f".precious.txt.{name.lstrip('.')}.tmp"
    beside.write_bytes(b"mine too")
    lay_entry(project / "runs", name, victim, new=new)
    store = Store("runs")
    store.runs()
    store.note("a", "a command that writes")
    assert victim.read_bytes() == b"mine"
    assert beside.read_bytes() == b"mine too"
    with pytest.raises(Refused, match=r"nothing left to undo|another copy of the store"):
        store.undo()
    assert victim.read_bytes() == b"mine"


def test_a_carried_out_change_of_a_prepared_journal_is_not_undone(project, finished):
    finished("a")
    victim = project / "precious.txt"
    victim.write_bytes(b"mine")
    entry = lay_entry(project / "runs", "20260101-000000-restore-abcdef", victim, new=b"mine")
    (entry / "old" / "0").write_bytes(b"evil")
    (entry / "done").write_bytes(b"")
    with pytest.raises(Refused, match="another copy of the store"):
        Store("runs").undo()
    assert victim.read_bytes() == b"mine"


def test_a_prepared_log_moves_no_folder_from_outside(project, finished):
    finished("a")
    (project / "elsewhere").mkdir()
    journal_folder = project / "runs" / ".corrida" / "journal"
    journal_folder.mkdir(parents=True)
    line = {"id": "x", "kind": "rm", "time": "", "author": "x", "runs": ["../../../elsewhere"]}
    (journal_folder / "log.jsonl").write_text(json.dumps(line) + "\n")
    store = Store("runs")
    with pytest.raises(Refused):
        store.undo()
    with pytest.raises(RunNotFound):
        store.bring_back(["../../../elsewhere"])
    assert (project / "elsewhere").is_dir()


def test_undo_follows_a_moved_store_and_not_a_copy(project, start):
    (project / "c.json").write_bytes(b"new")
    start(run_id="a", configs=[("c.json", b"old")], config_patterns=["c.json"]).finish()
    store = Store("runs")
    store.restore(store.plan_restore("a", project), force=True)
    assert (project / "c.json").read_bytes() == b"old"
    shutil.copytree(project / "runs", project / "copy", symlinks=True)
    with pytest.raises(Refused, match="made in another copy of the store"):
        Store("copy").undo()
    assert (project / "c.json").read_bytes() == b"old"
    (project / "runs").rename(project / "moved")
    assert Store("moved").undo()[1] == ["c.json"]
    assert (project / "c.json").read_bytes() == b"new"
