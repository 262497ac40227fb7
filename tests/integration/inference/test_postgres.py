"""What only a server does: it goes away under load, and takes its locks with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2
import psycopg
import pytest
from tests.integration.inference.conftest import World, fresh_database, kill
from tests.integration.inference.test_serve import Served
from tests.postgres_server import Server

from corrida.inference.locks import is_held
from corrida.inference.queue import Executor, take_over
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project

pytestmark = pytest.mark.slow
FULL = os.environ.get("CORRIDA_CHAOS") == "full"


@pytest.fixture
def own_server():
    started = Server()
    yield started
    started.stop()


SUBMIT = """
import sys, time
from pathlib import Path
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project
who, files = sys.argv[1], int(sys.argv[2])
service = Service(runner_of(find_project()))
for number in range(files):
    path = Path(f"up-{who}.csv")
    path.write_text(f"x,do\\n{number},\\n")
    service.submit(path, analysis_id=f"{who}-{number}")
    time.sleep(0.1)
"""


def post_files(address, files, answers):
    """Send files to the API, each until it is taken."""
    with httpx2.Client(base_url=address, timeout=60, trust_env=False) as http:
        for number in range(files):
            while True:
                answer = http.post(f"/v1/analyses?id=api-{number}", content=f"x,do\n{number},\n")
                answers.append(answer.status_code)
                if answer.status_code in {200, 202}:
                    break
                time.sleep(0.2)
            time.sleep(0.1)


def test_restarts_of_the_server_under_load_lose_nothing(project: Path, corrida, monkeypatch, own_server):
    """Stopped in order, killed, and gone for a while, under submitters, the API and two workers."""
    files, gone = (100, 20.0) if FULL else (30, 3.0)
    world = World(project, fresh_database(own_server, monkeypatch), corrida)
    answers: list[int] = []
    try:
        worker = world.worker()
        served = Served(world)
        held = world.held("held")
        world.running("held")
        submitters = [
            subprocess.Popen([sys.executable, "-c", SUBMIT, who, str(files)], cwd=world.root) for who in "ab"
        ]
        client = threading.Thread(target=post_files, args=(served.address, files, answers))
        client.start()
        first = {"a-0", "b-0", "api-0"}
        world.until(lambda: first <= {job.id for job in world.service.jobs.list(limit=500)})
        own_server.restart(how=signal.SIGINT)
        time.sleep(1.5)
        own_server.restart()
        time.sleep(1.5)
        own_server.restart(pause=gone)
        back = time.monotonic()
        assert [submitter.wait(120) for submitter in submitters] == [0, 0]
        client.join(120)
        assert not client.is_alive()
        world.release("held")
        names = [f"{who}-{number}" for who in ("a", "b", "api") for number in range(files)]
        assert world.ended(*names, held) == ["processed"] * (3 * files + 1)
        print(
            f"all ended {time.monotonic() - back:.1f} s after the server was back; answers {Counter(answers)}"
        )
        assert set(answers) <= {200, 202, 503}
        world.until(lambda: len(world.charged()) >= len(names) + 1)
        assert world.charged() == sorted([*names, held])
        assert world.names("pending") == world.names("failed") == []
        for name in names:
            endings = [e.event for e in world.service.jobs.events(name)]
            assert endings.count("settled") == endings.count("processed") == endings.count("charged") == 1
            x = int(name.partition("-")[2])
            assert world.result(name)["rows"] == [{"x": x, "do": None, "distance": abs(x - 2.0)}]
        assert worker.poll() is None
        assert "worker ended" not in served.story()
        served.http.close()
        served.process.stdout.close()
    finally:
        world.end()


def cut_locks(server):
    """End the connections of all workers that hold a lock."""
    with psycopg.connect(**server.settings("postgres"), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )


def test_a_worker_that_lost_its_lock_takes_it_again_unless_others_were_faster(world_on_postgres, server):
    service = world_on_postgres.service
    executor = Executor(service.database, service.spool)
    assert is_held(service.database, executor.id)
    assert not is_held(service.database, f"{executor.id}x")

    def cut():
        cut_locks(server)

    cut()
    assert not executor.lock.held()
    assert not executor.taken_over()
    assert executor.lock.held()
    assert take_over(service.queue, service.spool) == []
    assert not executor.taken_over()
    cut()
    time.sleep(0.2)
    take_over(service.queue, service.spool)  # others find the lock free
    assert executor.taken_over()
    executor.leave()
    assert not is_held(service.database, executor.id)


def test_what_a_worker_takes_before_it_notices_that_it_was_taken_over_is_not_lost(world_on_postgres, server):
    world = world_on_postgres
    world.service  # noqa: B018 - lays out
    late = "import corrida.inference.worker as w\nw.TAKE_OVER_SECONDS = 4.0\n"
    worker = world.worker("--slots", "1", script=late)
    world.started(worker)
    time.sleep(0.5)  # it has looked once
    cut_locks(server)
    take_over(world.service.queue, world.service.spool)  # others find the lock free
    world.held("late")
    world.running("late")
    world.until(lambda: any(line["event"] == "taken over" for line in world.log_of(worker)), 20)
    world.release("late")
    assert world.ended("late", seconds=40) == ["processed"]
    assert world.service.jobs.get("late").claims == 2
    assert worker.poll() is None


def test_two_machines_with_folders_of_their_own_share_a_database(world_on_postgres):
    """Each works at the files that it sees, also when it finds the work of a worker that died on the other."""
    here = world_on_postgres
    there = Service(runner_of(find_project(here.root), spool=str(here.root / "there")))
    file = here.file("up.csv", "7,")
    there.submit(file, analysis_id="of-there")
    go = here.root / "x.go"
    there.submit(here.file("up2.csv", f"1,hold:{go}"), analysis_id="begun-there")
    dead = here.worker("--slots", "2", "--spool", str(here.root / "there"))
    here.until(lambda: here.status("of-there") == "processed" and here.status("begun-there") == "running")
    kill(dead)
    go.touch()
    one = here.worker()
    here.submit("of-here", "1,")
    assert here.ended("of-here") == ["processed"]
    here.until(lambda: any(line["event"] == "started" and line["taken_over"] for line in here.log_of(one)))
    time.sleep(1)
    assert here.status("begun-there") == "running"  # given back, to the queue of those who see its file
    here.worker("--spool", str(here.root / "there"))
    assert here.ended("begun-there") == ["processed"]
    assert (here.root / "there" / "processed" / "begun-there.json").exists()
    assert here.names("processed") == ["of-here.csv", "of-here.json", "of-here.parquet"]
    there.close()


@pytest.fixture
def world_on_postgres(project: Path, corrida, monkeypatch, server):
    made = World(project, fresh_database(server, monkeypatch), corrida)
    yield made
    made.end()
