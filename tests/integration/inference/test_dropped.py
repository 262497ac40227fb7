"""Files that people drop into ``pending``: taken once, and whole."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time

import pytest

from corrida.inference import watcher as watching
from corrida.inference.spool import id_for
from corrida.inference.watcher import Watcher

SLOWLY = """
import sys, time
with open("spool/pending/slow.csv", "w") as file:
    file.write("x,do\\n")
    for number in range(6):
        file.write(f"{number},\\n"); file.flush(); time.sleep(0.7)
"""


@pytest.fixture
def watcher(small):
    return Watcher(small.service.runner, small.service.jobs, small.service.spool)


def pending(world, name, text="x,do\n5,\n", *, old=True):
    path = world.root / "spool" / "pending" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if old:
        os.utime(path, (1, 1))
    return path


def test_a_dropped_file_is_taken_once_by_whoever_sees_it_first(small, watcher):
    pending(small, "mine.csv")
    other = Watcher(small.service.runner, small.service.jobs, small.service.spool)
    assert [job.id for job in watcher.look()] == ["mine"]
    assert other.look() == watcher.look() == []
    assert small.service.jobs.get("mine").source == "drop"


def test_a_file_that_was_just_changed_must_have_been_left_alone_and_a_renamed_one_is_taken_at_once(
    small, watcher
):
    path = pending(small, "fresh.csv", old=False)
    assert watcher.look() == []
    time.sleep(0.6)
    assert [job.id for job in watcher.look()] == ["fresh"]
    there = small.root / "elsewhere.csv"
    there.write_text("x,do\n1,\n")
    os.utime(there, (1, 1))
    there.rename(path.with_name("renamed.csv"))
    assert [job.id for job in watcher.look()] == ["renamed"]


def test_names_that_are_no_ids_and_ids_that_are_taken_get_an_id_of_their_own(small, watcher):
    pending(small, "año nuevo (2).CSV")
    pending(small, ".hidden.csv")
    pending(small, "notes.doc")
    pending(small, "empty.csv", "")
    small.submit("taken", "9,")
    (small.root / "spool" / "pending" / "taken.csv").unlink()
    first = {job.id: job for job in watcher.look()}
    (name,) = first
    assert name.startswith("a-o-nuevo-2-")
    assert first[name].file == "año nuevo (2).CSV"
    assert f"{name}.csv" in small.names("pending")
    assert watcher.look() == []


@pytest.mark.slow
def test_a_file_is_not_taken_while_it_is_being_written_and_a_repeated_one_is_the_same_job(small):
    small.service  # noqa: B018 - lays the spool out
    worker = small.worker()
    writer = subprocess.Popen([sys.executable, "-c", SLOWLY], cwd=small.root)
    assert writer.wait(60) == 0
    small.until(lambda: [job for job in small.service.jobs.list() if job.id == "slow"])
    assert small.ended("slow") == ["processed"]
    assert [row["x"] for row in small.result("slow")["rows"]] == [0, 1, 2, 3, 4, 5]
    text = (small.root / "spool" / "processed" / "slow.csv").read_text()
    before = (small.root / "spool" / "processed" / "slow.json").read_bytes()
    pending(small, "slow.csv", text)
    small.until(lambda: any(line["event"] == "repeated" for line in small.log_of(worker)))
    small.until(lambda: small.names("pending") == [])
    assert (small.root / "spool" / "processed" / "slow.json").read_bytes() == before
    pending(small, "slow.csv", "x,do\n77,\n")
    other = small.until(lambda: [job for job in small.service.jobs.list() if job.id.startswith("slow-")])[0]
    assert small.ended(other.id) == ["processed"]
    assert small.result(other.id)["rows"][0]["x"] == 77
    small.until(lambda: small.charged() == sorted(["slow", other.id]))


def test_a_file_that_cannot_be_read_stops_no_other_and_is_tried_again(small, watcher, monkeypatch, capsys):
    real = watching.digest_of
    broken = True

    def digest_of(path, **named):
        if broken and path.name == "b.csv":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, **named)

    monkeypatch.setattr(watching, "digest_of", digest_of)
    for name in ("a.csv", "b.csv", "c.csv"):
        pending(small, name, f"x,do\n{ord(name[0])},\n")
    assert {job.id for job in watcher.look()} == {"a", "c"}
    assert watcher.look() == []
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    left = [line for line in said if line["event"] == "left in pending"]
    assert [(line["file"], line["message"]) for line in left] == [
        ("b.csv", "it cannot be taken: Permission denied")
    ]
    broken = False
    later = time.monotonic() + watching._AGAIN_SECONDS + 1
    monkeypatch.setattr(watching.time, "monotonic", lambda: later)
    assert [job.id for job in watcher.look()] == ["b"]


@pytest.mark.parametrize("killed", ["settle", "publish", "finish"])
def test_a_refusal_that_is_cut_off_is_finished_by_whoever_looks_next(small, watcher, monkeypatch, killed):
    class Killed(BaseException):
        pass

    def die(*arguments):
        raise Killed

    pending(small, "nothing.csv", "")
    where = small.service.spool if killed == "publish" else small.service.jobs
    with monkeypatch.context() as patch:
        patch.setattr(where, killed, die)
        with pytest.raises(Killed):
            watcher.look()
    after = Watcher(small.service.runner, small.service.jobs, small.service.spool)
    after.look()
    job = small.service.jobs.get("nothing")
    if killed == "settle":  # it is a job that nobody works at, which workers find after a while
        assert (job.status, job.outcome) == ("queued", None)
        assert small.names("pending") == ["nothing.csv"]
        assert small.service.queue.left(["nothing#1"]) == {"nothing#1"}
    elif killed == "publish":
        assert (job.status, job.outcome) == ("queued", "failed")
    else:
        assert (job.status, job.outcome) == ("queued", "failed")
        assert small.names("failed") == ["nothing.csv", "nothing_error.json"]


def test_an_id_that_somebody_took_on_purpose_takes_no_file_away(small, watcher, capsys):
    path = pending(small, "año.csv")
    taken = id_for(path.name, small.service.spool and watching.digest_of(path)[1])
    small.submit(taken, "9,")
    assert watcher.look() == watcher.look() == []
    assert path.exists()
    assert "exists with another file" in capsys.readouterr().err
    assert small.service.jobs.get(taken).source == "submit"


def test_a_name_that_no_database_can_hold_goes_by_its_id(small, watcher):
    pending(small, "caf\udce9.csv")
    (job,) = watcher.look()
    assert job.file == job.id + ".csv"
    assert small.names("pending") == [job.file]
    assert watcher.look() == []


@pytest.mark.slow
def test_a_file_that_is_replaced_or_removed_after_it_was_taken_is_not_scored_as_the_first(small, watcher):
    for name in ("replaced", "removed", "linked"):
        pending(small, f"{name}.csv", f"x,do\n{len(name)},\n")
    assert len(watcher.look()) == 3
    pending(small, "replaced.csv", "x,do\n77,\n")
    folder = small.root / "spool" / "pending"
    (folder / "removed.csv").unlink()
    (folder / "linked.csv").unlink()
    secret = small.root / "secret.csv"
    secret.write_text("root:x:0:0\n1\n")
    (folder / "linked.csv").symlink_to(secret)
    small.worker()
    assert small.ended("replaced", "removed", "linked") == ["failed"] * 3
    jobs = {name: small.service.jobs.get(name) for name in ("replaced", "removed", "linked")}
    assert jobs["replaced"].code == jobs["linked"].code == "file_changed"
    assert jobs["removed"].code == "file_lost"
    for name in jobs:
        text = (small.root / "spool" / "failed" / f"{name}_error.json").read_text()
        assert "root" not in text
        assert str(small.root) not in text
    assert small.charged() == []
