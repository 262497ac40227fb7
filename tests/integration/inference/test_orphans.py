"""What a model starts ends with it, even what has left its session: at the limit, on cancel, and when the worker is killed."""

from __future__ import annotations

import contextlib
import signal
import sys

import psutil
import pytest
from tests.integration.inference.conftest import kill

pytestmark = pytest.mark.slow

# A model that starts a daemon: forked twice, in a session of its own, deaf to what can be ignored.
FAMILY = """
import json
import os
import signal
import time
from pathlib import Path


def daemon(folder):
    Path(folder).mkdir(exist_ok=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            (Path(folder) / str(os.getpid())).touch()
            time.sleep(600)
        os._exit(0)
    os.wait()
    if os.fork() == 0:  # and a child that stays
        (Path(folder) / str(os.getpid())).touch()
        time.sleep(600)
"""


@pytest.fixture
def family(small):
    """A world whose model starts two processes when it is told to."""
    (small.root / "family.py").write_text(FAMILY, encoding="utf-8")
    file = small.root / "distance.py"
    text = file.read_text(encoding="utf-8")
    known = 'elif what == "die":'
    assert known in text
    text = text.replace(
        known,
        f'elif what == "family":\n                __import__("family").daemon(value)\n            {known}',
    )
    file.write_text(text, encoding="utf-8")
    return small


def started_by(world, *, alive=True):
    """The processes that the model has started."""
    place = world.root / "born"

    def all_there():
        names = [path.name for path in place.iterdir()] if place.exists() else []
        return len(names) == 2 and names

    found = []
    for name in world.until(all_there):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(name)))
    assert alive is False or len(found) == 2
    return found


def assert_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=15)
    for process in alive:
        process.kill()
    assert alive == []


def busy(world, then):
    return world.submit("busy", f"1,family:{world.root / 'born'}", f"2,{then}")


def test_of_a_worker_that_is_killed(family):
    busy(family, "sleep:600")
    worker = family.worker("--slots", "1")
    born = started_by(family)
    kill(worker)
    assert_gone(born)
    family.until(lambda: not family.processes(), 15)


def test_of_a_file_that_takes_too_long(family):
    family.settings(time_limit=4)
    busy(family, "native:600")
    worker = family.worker("--slots", "1")
    born = started_by(family)
    assert family.ended("busy") == ["failed"]
    assert family.service.jobs.get("busy").code == "time_limit"
    assert_gone(born)
    assert worker.poll() is None


def test_of_a_process_that_dies_by_itself_which_is_told_as_it_was(family):
    family.settings(attempts=1)
    busy(family, "die")
    family.worker("--slots", "1")
    born = started_by(family, alive=False)  # they may be gone by now
    assert family.ended("busy") == ["failed"]
    job = family.service.jobs.get("busy")
    assert (job.code, "signal 9" in job.message) == ("process_died", True)
    assert_gone(born)


def test_of_a_worker_that_is_told_to_stop(family):
    busy(family, "")
    worker = family.worker("--slots", "1")
    born = started_by(family)
    assert family.ended("busy") == ["processed"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert_gone(born)
    family.until(lambda: not family.processes(), 15)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the kernel of Linux")
def test_of_a_keeper_that_is_killed_itself_the_process_that_scores_ends(family):
    """What it had started cannot be found then; the kernel ends the process that scores."""
    family.submit("busy", "1,sleep:600")
    worker = family.worker("--slots", "1")
    (child,) = family.until(family.children)
    family.until(lambda: family.status("busy") == "running")
    keeper = child.parent()
    assert keeper.pid != worker.pid
    keeper.kill()
    assert_gone([child])
    assert worker.poll() is None
