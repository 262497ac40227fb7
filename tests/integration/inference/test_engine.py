"""The contract of the job engine, with real workers that are killed: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest
import sqlalchemy as sa
from tests.integration.inference.conftest import kill, on_sqlite

from corrida.errors import AlreadyExists, Refused
from corrida.inference.database import executors
from corrida.inference.queue import VERSION, Executor

pytestmark = pytest.mark.slow

# Each point at which a worker may be killed: what it is about to do, or has just done.
POINTS = {
    "infer, before the child": ("corrida.inference.children:Children.score", "before"),
    "infer, results durable": ("corrida.inference.jobs:Jobs.settle", "before"),
    "infer, settled": ("corrida.inference.jobs:Jobs.settle", "after"),
    "publish, before the move": ("corrida.inference.spool:Spool.publish", "before"),
    "move, results shown": ("corrida.inference.spool:Spool.move_input", "before"),
    "move, file moved": ("corrida.inference.spool:Spool.move_input", "after"),
    "publish, ended": ("corrida.inference.jobs:Jobs.finish", "after"),
    "charge, before": ("corrida.inference.billing:Ledger.record", "before"),
    "charge, in the ledger": ("corrida.inference.billing:Ledger.record", "after"),
}

DOOM = """
import importlib, os, signal
place, when = {place!r}, {when!r}
module, _, path = place.partition(":")
owner, name = path.split(".")
owner = getattr(importlib.import_module(module), owner)
real = getattr(owner, name)

def doomed(*arguments, **named):
    if when == "after":
        real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, doomed)
"""


def test_a_kill_at_any_point_loses_nothing_and_doubles_nothing(world):
    names = [world.submit(f"job-{number}", f"{number},") for number in range(len(POINTS))]
    for place, when in POINTS.values():
        doomed = world.worker("--slots", "1", script=DOOM.format(place=place, when=when))
        assert doomed.wait(90) == -signal.SIGKILL, world.story()
    world.worker()
    assert world.ended(*names) == ["processed"] * len(names)
    world.until(lambda: len(world.charged()) == len(names))
    assert world.charged() == sorted(names)
    assert world.names("processed") == sorted(
        f"{name}.{suffix}" for name in names for suffix in ("csv", "json", "parquet")
    )
    assert world.names("pending") == world.names("failed") == []
    for number, name in enumerate(names):
        assert world.result(name)["rows"] == [{"x": number, "do": None, "distance": abs(number - 2.0)}]
        endings = [
            e.event for e in world.service.jobs.events(name) if e.event in {"settled", "processed", "charged"}
        ]
        assert endings == ["settled", "processed", "charged"]
        assert world.service.jobs.get(name).tries == 0  # a kill is no fault of the file
    world.until(lambda: len(world.children()) <= 2)


def test_the_work_of_a_killed_worker_is_taken_over_within_seconds_and_its_child_dies_with_it(world):
    world.held("long")
    first = world.worker()
    world.until(lambda: [line for line in world.log_of(first) if line["event"] == "loaded"])
    child = world.children()[0]
    second = world.worker()
    world.started(second)
    kill(first)
    began = time.monotonic()
    world.until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)
    world.until(lambda: any(line["event"] == "claimed" for line in world.log_of(second)), 15)
    assert time.monotonic() - began < 15
    world.release("long")
    assert world.ended("long") == ["processed"]
    assert world.service.jobs.get("long").claims == 2
    world.until(lambda: world.charged() == ["long"])


def test_two_live_workers_never_share_an_id(world):
    service = world.service
    first = Executor(service.database, service.spool, "desk-1")
    with pytest.raises(Refused, match="desk-1 is at work"):
        Executor(service.database, service.spool, "desk-1")
    assert not first.taken_over()
    first.leave()
    Executor(service.database, service.spool, "desk-1").leave()
    others = [Executor(service.database, service.spool) for _ in range(3)]
    assert len({one.id for one in others}) == 3
    for one in others:
        one.leave()


def test_only_the_dead_are_taken_over(world):
    """A live worker that is merely slow keeps its work, however many others ask."""
    world.held("slow")
    first = world.worker("--slots", "1")
    world.running("slow")
    second = world.worker("--slots", "1")
    world.started(second)
    time.sleep(2.5)  # the other one asks every second
    world.release("slow")
    assert world.ended("slow") == ["processed"]
    assert world.service.jobs.get("slow").claims == 1
    assert {line["event"] for line in world.log_of(second)} <= {"started", "loaded"}
    with world.service.database.reading() as connection:
        assert len(connection.execute(sa.select(executors.c.id)).all()) == 2
    assert first.poll() is None


def test_jobs_of_before_an_update_are_taken_by_other_code(world):
    """The engine's own choice of version is a digest of the workflows' code; ours is fixed."""
    other = "from dbos import DBOS\n@DBOS.workflow(name='of tomorrow')\ndef later(): return 1\n"
    world.held("begun-before")
    world.submit("queued-before", "4,")
    old = world.worker("--slots", "1")
    world.running("begun-before")
    kill(old)
    world.release("begun-before")
    world.worker(script=other)
    assert world.ended("queued-before", "begun-before") == ["processed", "processed"]
    from dbos import DBOSClient

    found = world.service.queue._client.list_workflows()
    assert isinstance(world.service.queue._client, DBOSClient)
    assert {workflow.app_version for workflow in found} == {VERSION}


def test_a_child_that_is_stuck_in_native_code_is_killed_at_its_limit_and_the_worker_lives(world):
    world.settings(time_limit=4)
    world.submit("stuck", "1,native:600")
    worker = world.worker("--slots", "1")
    assert world.ended("stuck") == ["failed"]
    job = world.service.jobs.get("stuck")
    assert job.code == "time_limit"
    assert job.tries == 1  # what is stuck once will be stuck again
    assert world.names("failed") == ["stuck.csv", "stuck_error.json"]
    world.submit("next", "4,")
    assert world.ended("next") == ["processed"]
    assert worker.poll() is None
    world.until(lambda: world.charged() == ["next"])
    assert len(world.children()) == 1


@on_sqlite
def test_a_worker_takes_no_more_than_its_slots_and_looks_often(world):
    names = [world.held(f"n{number}") for number in range(4)]
    world.worker("--slots", "2")
    world.until(lambda: sum(world.status(name) == "running" for name in names) == 2)
    time.sleep(1)
    assert sorted(world.status(name) for name in names) == ["queued", "queued", "running", "running"]
    world.release(*names)
    assert world.ended(*names) == ["processed"] * 4
    # With the engine's own interval of one second, a job waits half a second before anybody looks.
    waits = []
    for number in range(6):
        job = world.service.jobs.get(world.submit(f"quick{number}", "1,"))
        world.ended(job.id)
        claimed = next(e for e in world.service.jobs.events(job.id) if e.event == "claimed")
        waits.append(claimed.time - job.created)
    assert sorted(waits)[2] < 0.45, waits
    if world.service.database.dialect == "sqlite":
        with world.service.database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


SUBMIT = """
import sys
from pathlib import Path
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project
service = Service(runner_of(find_project()))
for number in range(12):
    service.submit(Path(f"up{number}.csv"), analysis_id=f"same-{number}")
"""


def test_a_repeated_submission_is_the_same_job_for_ever(world):
    for number in range(12):
        world.file(f"up{number}.csv", f"{number},")
    world.worker()
    submitters = [subprocess.Popen([sys.executable, "-c", SUBMIT], cwd=world.root) for _ in range(4)]
    assert [s.wait(90) for s in submitters] == [0] * 4
    names = [f"same-{number}" for number in range(12)]
    assert world.ended(*names) == ["processed"] * 12
    again, new = world.service.submit(world.file("up3.csv", "3,"), analysis_id="same-3")
    assert not new
    assert again.status == "processed"
    with pytest.raises(AlreadyExists, match="same-3 exists with another file"):
        world.service.submit(world.file("up3.csv", "4,"), analysis_id="same-3")
    world.until(lambda: len(world.charged()) == 12)
    assert world.charged() == sorted(names)
    assert world.names("pending") == []
    assert list((world.root / "spool" / ".corrida" / "incoming").iterdir()) == []


@on_sqlite
def test_what_may_pass_is_tried_again_and_what_cannot_fails_at_once(world):
    marker = world.root / "marker"
    world.submit("passes", f"1,until:{marker}")
    world.submit("never", "1,until:/nowhere")
    world.submit("wrong", "1,raise")
    world.submit("dies", "1,die")
    (world.root / "broken.csv").write_bytes(b"no,columns\n1,2,3\n")
    world.worker()
    world.until(lambda: world.service.jobs.get("passes").tries)
    marker.touch()
    world.ended("passes", "never", "wrong", "dies")
    jobs = {name: world.service.jobs.get(name) for name in ("passes", "never", "wrong", "dies")}
    assert jobs["passes"].status == "processed"
    assert jobs["passes"].message is None
    assert (jobs["never"].status, jobs["never"].code, jobs["never"].tries) == (
        "failed",
        "service_unavailable",
        3,
    )
    assert (jobs["dies"].status, jobs["dies"].code, jobs["dies"].tries) == ("failed", "process_died", 3)
    assert (jobs["wrong"].status, jobs["wrong"].code) == ("failed", "internal")
    error = json.loads((world.root / "spool" / "failed" / "wrong_error.json").read_text())
    assert error["error"]["code"] == "internal"
    assert str(world.root) not in json.dumps(error)
    assert "secret" not in json.dumps(error)
    assert "secret path" in (world.root / "spool" / ".corrida" / "errors" / "wrong.txt").read_text()
    world.until(lambda: world.charged() == ["passes"])
    marker_of_never = world.service.jobs.retry("never")
    assert marker_of_never.status == "queued"
    assert world.ended("never") == ["failed"]
    assert world.service.jobs.get("never").tries == 3


@on_sqlite
def test_cancelling_kills_the_child_and_settles_what_waits(world):
    world.submit("running", "1,native:600")
    world.submit("waiting", "1,")
    worker = world.worker("--slots", "1")
    world.running("running")
    child = world.until(lambda: next(iter(world.children()), None))
    assert world.service.cancel("waiting").status == "cancelled"
    world.service.cancel("running")
    assert world.ended("running", seconds=30) == ["cancelled"]
    world.until(lambda: not child.is_running())
    assert world.names("failed") == ["running.csv", "running_error.json", "waiting.csv", "waiting_error.json"]
    assert world.names("pending") == []
    world.submit("done", "1,")
    world.ended("done")
    with pytest.raises(Refused, match="there is nothing to cancel"):
        world.service.cancel("done")
    assert worker.poll() is None
    world.until(lambda: world.charged() == ["done"])


@on_sqlite
def test_promoting_another_run_while_serving_fails_no_job(world, corrida):
    world.held("before")
    worker = world.worker("--slots", "1")
    world.until(lambda: world.service.jobs.get("before").run_id)
    corrida("promote", "two")
    world.submit("after", "1,")
    world.release("before")
    assert world.ended("before", "after") == ["processed", "processed"]
    assert world.result("before")["run"]["id"] == "one"
    assert world.result("before")["rows"][0]["distance"] == 1.0
    assert world.result("after")["run"]["id"] == "two"
    assert world.result("after")["rows"][0]["distance"] == 19.0
    corrida("demote")
    names = [world.submit(f"back{number}", "1,") for number in range(3)]
    world.ended(*names)
    assert {world.service.jobs.get(name).run_id for name in names} == {"one"}
    loads = [line["run"] for line in world.log_of(worker) if line["event"] == "loaded"]
    assert loads == ["one", "two", "one"]  # once each time, not once a job


@on_sqlite
def test_a_job_that_is_tried_again_keeps_the_run_of_its_first_claim(world, corrida):
    marker = world.root / "marker"
    world.settings(retry_seconds=1.0, retry_most_seconds=1.0)
    world.submit("kept", f"1,until:{marker}")
    world.worker()
    world.until(lambda: world.service.jobs.get("kept").tries)
    corrida("promote", "two")
    marker.touch()
    assert world.ended("kept") == ["processed"]
    assert world.result("kept")["run"]["id"] == "one"


@on_sqlite
def test_a_worker_that_is_told_to_stop_finishes_what_runs_and_in_a_hurry_gives_it_back(world):
    world.held("first")
    world.held("second")
    worker = world.worker("--slots", "1")
    world.running("first")
    worker.send_signal(signal.SIGTERM)
    world.until(lambda: any(line["event"] == "stopping" for line in world.log_of(worker)))
    world.release("first")
    assert worker.wait(60) == 0
    assert world.status("first") == "processed"
    assert world.status("second") == "queued"
    worker = world.worker("--slots", "1")
    world.running("second")
    world.until(world.children)
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    world.until(lambda: not world.children(), 10)
    assert world.status("second") == "running"  # nobody has it now; the next worker takes it over
    world.service.jobs.cancel("second")
    world.worker()
    assert world.ended("second") == ["cancelled"]
    assert world.service.jobs.get("second").tries == 0


STOP = """
import importlib, os, signal
module, _, name = {place!r}.partition(":")
owner = importlib.import_module(module)
real = getattr(owner, name)

def stopped(*arguments, **named):
    os.kill(os.getpid(), signal.SIGTERM)
    return real(*arguments, **named)

setattr(owner, name, stopped)
"""


@pytest.mark.parametrize(
    "place",
    [
        "corrida.project:find_project",
        "corrida.inference.worker:Service",
        "corrida.inference.worker:take_over",
    ],
)
def test_a_worker_that_is_told_to_stop_while_it_starts_ends_in_peace(small, place):
    small.submit("waits", "1,")
    worker = small.worker(script=STOP.format(place=place))
    assert worker.wait(60) == 0, small.story()
    assert "Traceback" not in small.story()
    assert small.status("waits") in {"queued", "running", "processed"}


def test_a_job_whose_workflow_the_engine_lost_is_put_on_the_queue_again(world, monkeypatch):
    world.submit("lost", "1,")
    world.service.queue._client.cancel_workflow("lost")
    worker = world.worker(script="import corrida.inference.worker as w\nw.LOST_SECONDS = 0.5\n")
    assert world.ended("lost") == ["processed"]
    assert any(line["event"] == "requeued" for line in world.log_of(worker))
