"""Backups, removal of the old files, kills, full disks, and two at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tarfile

import pytest

from corrida.adopt.backup import write_backup
from corrida.adopt.carry_out import carry_out
from corrida.adopt.plan import plan_adoption
from corrida.errors import StoreError
from corrida.runs.adoption import sweep_drafts
from corrida.runs.store import Store

from ..store.conftest import killed_at  # noqa: TID252 - tests are no package with a name
from .conftest import backups, digests, digests_of_backup, run_ids, state, stored_run, tracked_run, write


def test_backups_are_never_overwritten_and_hold_everything(storage, corrida, project):
    (storage / "an empty folder").mkdir()
    (storage / "run.sh").write_text("#!/bin/sh\n")
    (storage / "run.sh").chmod(0o755)
    plan = plan_adoption(storage, Store("runs"))
    first = write_backup(plan.tree, project)
    content = first.read_bytes()
    second = write_backup(plan.tree, project)
    assert first != second
    assert first.read_bytes() == content
    assert first.stat().st_mode & 0o777 == 0o600
    assert [digests_of_backup(b) for b in (first, second)] == [digests(storage)] * 2
    with tarfile.open(first) as archive:
        archive.extractall(project / "back", filter="data")
    assert state(project / "back" / "old") == state(storage)
    assert os.access(project / "back" / "old" / "run.sh", os.X_OK)
    assert (project / "back/old/index.json").stat().st_mtime == int((storage / "index.json").stat().st_mtime)
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    corrida("adopt", storage, "--backup-to", elsewhere)
    assert len(backups(elsewhere)) == 1
    assert len(backups(project)) == 2


def test_clean_removes_what_was_adopted_and_nothing_else(storage, corrida, project):
    write(storage / "notebook" / "look.ipynb", "{}")
    before = digests(storage)
    said = corrida("adopt", storage, "--clean").out
    assert "13 old files removed from old" in said  # six of each run, and the index
    assert sorted(state(storage)) == ["notebook", "notebook/look.ipynb"]
    assert digests_of_backup(backups(project)[0]) == before
    assert all(v.intact for v in Store("runs").verify())


def test_clean_leaves_the_files_of_runs_that_could_not_be_read(storage, corrida):
    write(storage / "run_seed9999" / "config.json", "{")
    corrida("adopt", storage, "--clean", code=1)
    assert sorted(p.name for p in storage.iterdir()) == ["index.json", "run_seed9999"]
    assert len(digests(storage / "run_seed9999")) == 6


def test_clean_may_come_later(tracking, corrida, project):
    corrida("adopt", tracking)
    corrida("adopt", tracking, "--clean")
    assert state(tracking) == {}
    assert len(backups(tracking.parent)) == 2
    assert len(run_ids()) == 2


def test_clean_removes_nothing_when_a_run_is_not_what_was_adopted(tracking, corrida, project):
    corrida("adopt", tracking)
    copy = project / "runs" / "run_20260113_1550" / "config" / "matching_config.json"
    copy.write_text("{}", encoding="utf-8")
    before = state(tracking)
    assert "is not what was adopted, so the old files stay" in corrida.refuses(
        "adopt", tracking, "--clean", code=1
    )
    assert state(tracking) == before
    corrida("rm", "run_20260113_1550")
    assert "lies in the trash" in corrida.refuses("adopt", tracking, "--clean", code=1)
    assert state(tracking) == before


@pytest.mark.slow
def test_a_kill_at_any_point_leaves_whole_runs_only(project):
    old = project / "old"
    stored_run(old)
    stored_run(old, "run_two", seed=2)
    before = state(old)
    (project / "all").mkdir()
    for n in range(1, 400, 2):
        root = project / "all" / f"{n}"

        def work(root=root):
            store = Store(root)
            carry_out(plan_adoption(old, store), store)

        done = killed_at(n, work)
        assert state(old) == before
        store = Store(root)
        assert {r.status for r in store.runs()} <= {"finished"}
        assert all(v.intact for v in store.verify())
        assert [digests_of_backup(b) == digests(old) for b in backups(project)] == [True] * len(
            backups(project)
        )
        if n % 5 == 0 or done:  # the next one makes the rest, and leaves nothing of the killed one behind
            with contextlib.suppress(FileExistsError):
                carry_out(plan_adoption(old, store), store)
            assert sorted(r.id for r in store.runs()) == ["run_baseline_v1", "run_two"]
            assert not [p for p in (root / ".corrida" / "drafts").iterdir() if p.is_dir()]
            assert not list(project.glob(".*.tmp"))
        for backup in backups(project):
            backup.unlink()
        if done:
            assert n > 60
            return
    pytest.fail("it never came to its end")


def test_drafts_of_the_living_are_left_alone(project):
    stored_run(project / "old")
    store = Store("runs")

    def progress(items, total, label):
        for item in items:
            if label == "adopting":
                assert sweep_drafts(store.root) == 0
            yield item

    carry_out(plan_adoption(project / "old", store), store, progress=progress)
    assert run_ids() == ["run_baseline_v1"]


def test_two_at_once_adopt_each_run_once(project, corrida):
    for number in range(12):
        tracked_run(project / "old", f"run_20260113_15{number:02d}")
    started = [corrida.start("adopt", "old") for _ in range(3)]
    said = [p.communicate(timeout=60) for p in started]
    assert sorted(p.returncode for p in started) == [0, 2, 2], said
    assert run_ids() == sorted(f"run_20260113_15{number:02d}" for number in range(12))
    assert all(v.intact for v in Store("runs").verify())


@pytest.fixture
def small(tmp_path):
    """A disk of 512 KB, where mounting is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting is not allowed")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_no_room_for_the_backup(project, small, corrida):
    stored_run(project / "old")
    write(project / "old" / "run_baseline_v1" / "assets" / "big.bin", os.urandom(600_000))
    before = state(project)
    sentence = corrida.refuses("adopt", "old", "--backup-to", small, code=1)
    assert "writing the backup of old failed" in sentence
    assert "disk is full" in sentence
    assert list(small.iterdir()) == []
    assert state(project) == before


def test_no_room_for_the_runs(project, small, corrida):
    stored_run(project / "old")
    stored_run(project / "old", "run_later", created_at="2025-12-05T00:00:00Z")
    write(project / "old" / "run_later" / "assets" / "big.bin", os.urandom(600_000))
    sentence = corrida.refuses("adopt", "old", "--to", small / "runs", code=1)
    assert "the disk is full" in sentence
    assert "1 of 2 runs were adopted before; the backup is old_backup_" in sentence
    assert run_ids(small / "runs") == ["run_baseline_v1"]
    assert Store(small / "runs").verify()[0].intact
    assert not [p for p in (small / "runs" / ".corrida" / "drafts").iterdir() if p.is_dir()]
    (project / "old" / "run_later" / "assets" / "big.bin").unlink()
    corrida("adopt", "old", "--to", small / "runs")
    assert run_ids(small / "runs") == ["run_baseline_v1", "run_later"]


def test_a_store_that_cannot_be_written(project, small, corrida):
    stored_run(project / "old")
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    try:
        assert "read-only" in corrida.refuses("adopt", "old", "--to", small / "runs", code=1)
        with pytest.raises(StoreError, match="read-only"):
            write_backup(plan_adoption(project / "old", Store("runs")).tree, small)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small], check=True)


@pytest.mark.parametrize("width", [80, 140])
def test_what_a_person_sees(project, corrida, width):
    tracked_run(project / "old", description="Agregué la regla R53 " * 8)
    tracked_run(project / "old", "run_20260113_1625", precision="64%")
    write(project / "old" / "\x1b[31mred.txt", "x")
    for arguments in (["old", "--dry-run"], ["old"]):
        shown = corrida.terminal(width, "adopt", *arguments)
        assert "\x1b" not in shown
        assert "run_20260113_1625" in shown
        assert max(map(len, shown.splitlines())) <= width
    assert "2 runs adopted into runs/" in shown


def test_many_runs_are_counted_rather_than_listed(project, corrida):
    for number in range(40):
        tracked_run(project / "old", f"run_x{number:02d}", precision="64%")
    said = corrida("adopt", "old").out
    assert "… 10 more; --json has all" in said
    assert "… 10 more; each run keeps its warnings" in said
    assert "40 runs adopted" in said
    assert len(run_ids()) == 40


@pytest.mark.slow
@pytest.mark.disk  # in memory it takes no time that would have to be shown
def test_a_long_adoption_shows_how_far_it_is(project, corrida, tmp_path):
    stored_run(project / "old")
    for number in range(1500):
        write(project / "old" / "run_baseline_v1" / "assets" / f"{number}.png", str(number))
    shown = corrida.terminal(100, "adopt", "old", colour=True)
    assert "backing up" in shown or "adopting" in shown
    assert "1 run adopted" in shown
