"""A disk that is really full: nothing half-written stays, nobody gives up, and the work goes on when there is room."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time

import polars as pl
import pytest
from tests.integration.inference.conftest import World, fresh_database
from tests.integration.inference.test_api import client_of, error_of
from tests.integration.inference.test_serve import Served

pytestmark = pytest.mark.slow
FULL = os.environ.get("CORRIDA_CHAOS") == "full"


class Disk:
    """A file system of a few MB."""

    def __init__(self, place):
        self.place = place
        place.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True, check=False
        ).returncode:
            pytest.skip("mounting is not allowed")

    def fill(self, leave=0):
        filler = self.place / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        os.truncate(filler, max(0, filler.stat().st_size - leave))

    def free(self):
        (self.place / "filler").unlink()

    def end(self):
        subprocess.run(["umount", "-l", self.place], check=True)


@pytest.fixture
def disk(project):
    """The disk on which the spool lies."""
    made = Disk(project / "spool")
    yield made
    made.end()


@pytest.fixture(params=["sqlite", "postgresql"] if FULL else ["postgresql"])
def elsewhere(request, project, corrida, monkeypatch, disk):
    """A world whose spool lies on the small disk, and its database does not."""
    if request.param == "postgresql":
        address = fresh_database(request.getfixturevalue("server"), monkeypatch)
    else:
        address = f"sqlite:///{project / 'jobs.db'}"
    world = World(project, address, corrida)
    yield world
    world.end()


@pytest.fixture
def together(project, corrida, disk):
    """A world whose spool and database lie on the small disk."""
    world = World(project, "", corrida)
    yield world
    world.end()


ROWS = 60_000


def wide(world, job_id):
    """Submit a file whose results take more room than itself, and are not begun until :meth:`World.release`."""
    rows = [
        f"1,hold:{world.root / f'{job_id}.go'}",
        *(f"{number * 7919 % 99991}," for number in range(ROWS - 1)),
    ]
    return world.submit(job_id, *rows)


def whole(world, job_id):
    """The results of such a file are those that it should have."""
    rows = pl.read_parquet(world.root / "spool" / "processed" / f"{job_id}.parquet")
    assert rows["x"].to_list() == [1, *(number * 7919 % 99991 for number in range(ROWS - 1))]


def leftovers(world):
    private = world.root / "spool" / ".corrida"
    return [*(private / "incoming").iterdir(), *(private / "work").iterdir()]


def test_no_room_for_results_is_tried_again_until_there_is(elsewhere, disk):
    world = elsewhere
    world.settings(attempts=1000, retry_seconds=0.2, retry_most_seconds=0.5)
    held = wide(world, "held")
    worker = world.worker("--slots", "1")
    world.running(held)
    disk.fill(leave=100_000)
    world.release(held)
    world.until(lambda: world.service.jobs.get(held).tries >= 3)
    job = world.service.jobs.get(held)
    assert (job.outcome, job.code) == (None, "storage"), job
    assert "disk is full" in job.message or "No space left" in job.message
    assert world.names("processed") == world.names("failed") == []
    assert world.names("pending") == ["held.csv"]
    disk.free()
    assert world.ended(held) == ["processed"]
    whole(world, held)
    world.until(lambda: world.charged() == [held])
    assert leftovers(world) == []
    assert worker.poll() is None
    assert world.names("processed") == ["held.csv", "held.json", "held.parquet"]
    claims = world.service.jobs.get(held).claims
    assert claims == world.service.jobs.get(held).tries + 1


def test_a_disk_that_stays_full_ends_in_failed_with_the_file_beside_it(elsewhere, disk):
    world = elsewhere
    held = wide(world, "held")
    worker = world.worker("--slots", "1")
    world.running(held)
    disk.fill()
    world.release(held)
    job = world.until(lambda: (job := world.service.jobs.get(held)).outcome and job)
    assert (job.outcome, job.code, job.tries) == ("failed", "storage", 3)
    disk.free()
    assert world.ended(held) == ["failed"]
    assert world.names("failed") == ["held.csv", "held_error.json"]
    assert leftovers(world) == []
    assert worker.poll() is None
    world.service.jobs.retry(held)
    assert world.ended(held) == ["processed"]
    whole(world, held)


def test_the_database_on_the_full_disk(together, disk):
    world = together
    world.settings(attempts=1000, retry_seconds=0.2, retry_most_seconds=0.5)
    held = wide(world, "held")
    names = [world.submit(f"small{number}", f"{number},") for number in range(6)]
    worker = world.worker("--slots", "1")
    world.running(held)
    disk.fill()
    world.release(held)
    time.sleep(4)
    assert worker.poll() is None
    disk.free()
    assert world.ended(held, *names) == ["processed"] * 7
    whole(world, held)
    world.until(lambda: world.charged() == sorted([held, *names]))
    assert worker.poll() is None
    assert leftovers(world) == []
    with world.service.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


OFTEN = "import corrida.inference.worker as w\nw.LOST_SECONDS = 0.5\n"  # how often it looks for work that was dropped
PAUSE = """
import time
from pathlib import Path
from corrida.inference.{module} import {owner}

real = {owner}.{method}

def pausing(*arguments, **named):
    made = real(*arguments, **named)
    Path("paused").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    return made

{owner}.{method} = pausing
"""


@pytest.mark.parametrize(
    "after", ["jobs Jobs settle", "jobs Jobs finish", "billing Ledger record"][: 3 if FULL else 1]
)
def test_the_engine_cannot_write_down_that_a_step_is_done(together, disk, after):
    """The step was done, and the disk became full before the job engine noted it."""
    world = together
    module, owner, method = after.split()
    world.submit("one", "5,")
    world.submit("two", "6,")
    worker = world.worker(
        "--slots", "1", script=OFTEN + PAUSE.format(module=module, owner=owner, method=method)
    )
    world.until((world.root / "paused").exists)
    disk.fill()
    (world.root / "go").touch()
    time.sleep(1.5)
    disk.free()
    assert world.ended("one", "two") == ["processed"] * 2
    world.until(lambda: world.charged() == ["one", "two"])
    assert worker.poll() is None
    assert leftovers(world) == []


def test_what_is_handed_over_to_a_full_disk_is_refused_and_leaves_nothing(elsewhere, disk, corrida):
    world = elsewhere
    world.service  # noqa: B018 - lays out
    served = Served(world, "--workers", "0")
    try:
        disk.fill(leave=50_000)
        answer = served.http.post("/v1/analyses?id=up", content=b"x,do\n" + b"5,\n" * 100_000)
        assert answer.status_code == 507, answer.text
        assert answer.json()["error"]["code"] == "storage"
        assert "retry-after" in answer.headers
        answer = served.http.post("/v1/analyses", files={"file": ("up.csv", b"x,do\n" + b"5,\n" * 100_000)})
        assert answer.status_code == 507, answer.text
        large = world.file("large.csv", *["5,"] * 100_000)
        assert "copying the file into the spool failed" in (
            said := corrida.refuses("submit", large, "--id", "up", code=1)
        )
        assert "the disk is full" in said
        assert leftovers(world) == world.names("pending") == []
        assert world.service.jobs.list() == []
        disk.free()
        answer = served.http.post("/v1/analyses?id=up", content=b"x,do\n" + b"5,\n" * 100_000)
        assert answer.status_code == 202, answer.text
        worker = world.worker()
        assert world.ended("up") == ["processed"]
        assert worker.poll() is None
    finally:
        served.close()


def test_what_is_handed_over_while_the_database_is_full_is_refused_and_can_be_sent_again(
    project, corrida, monkeypatch
):
    monkeypatch.setattr("corrida.inference.server._PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("corrida.inference.service._PATIENCE_SECONDS", 1.0)
    disk = Disk(project / "small")
    world = World(project, f"sqlite:///{disk.place / 'jobs.db'}", corrida)
    try:
        with client_of(world) as api:
            disk.fill()
            error_of(api.post("/v1/analyses?id=up", content=b"x,do\n5,\n"), 503, "unavailable")
            file = world.file("small.csv")
            said = corrida.refuses("submit", file, "--id", "up", code=1)
            assert "does not do its work: database or disk is full; try again" in said
            disk.free()
            assert api.post("/v1/analyses?id=up", content=b"x,do\n5,\n").status_code == 202
            assert corrida("submit", file, "--id", "up").out == "up  queued already  upload.csv\n"
        world.worker()
        assert world.ended("up") == ["processed"]
        world.until(lambda: world.charged() == ["up"])
    finally:
        world.end()
        disk.end()


def test_a_spool_on_two_disks_is_refused(project, corrida):
    world = World(project, "", corrida)
    (project / "spool").mkdir()
    disk = Disk(project / "spool" / "processed")
    try:
        said = corrida.refuses("submit", world.file("small.csv"), code=1)
        assert "lie on several file systems" in said
        assert world.names("pending") == []
    finally:
        world.end()
        disk.end()
