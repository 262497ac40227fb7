"""What only a server does: it goes away under load, and takes its locks with it."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest
from tests.integration.inference.conftest import World, fresh_database, kill
from tests.postgres_server import Server

from corrida.inference.queue import Executor, take_over
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project

pytestmark = pytest.mark.slow


@pytest.fixture
def own_server():
    started = Server()
    yield started
    started.stop()


def test_a_restart_of_the_server_under_load_loses_nothing(project: Path, corrida, monkeypatch, own_server):
    world = World(project, fresh_database(own_server, monkeypatch), corrida)
    try:
        worker = world.worker()
        names = [world.submit(f"job{number}", f"{number},") for number in range(24)]
        held = world.held("held")
        world.until(lambda: world.status("job0") == "processed")
        own_server.restart(pause=1.5)
        time.sleep(2)
        own_server.restart()
        world.release("held")
        assert world.ended(*names, held) == ["processed"] * 25
        world.until(lambda: world.charged() == sorted([*names, held]))
        assert world.names("pending") == world.names("failed") == []
        assert worker.poll() is None
        after = world.submit("after", "1,")
        assert world.ended(after) == ["processed"]
    finally:
        world.end()


def test_a_worker_that_lost_its_lock_takes_it_again_unless_others_were_faster(world_on_postgres, server):
    service = world_on_postgres.service
    executor = Executor(service.database, service.spool)

    def cut():
        with psycopg.connect(**server.settings("postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )

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
