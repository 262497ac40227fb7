"""Files that people drop into ``pending``: taken once, and whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from corrida.inference.submission import Watcher

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
