"""The model is loaded before the first file comes: once a child, and again when the alias points elsewhere."""

from __future__ import annotations

import os
import signal

import pytest

from corrida.inference.models import resolve_model
from corrida.inference.readiness import loading_trouble

pytestmark = pytest.mark.slow


def events(world, worker, name):
    return [line for line in world.log_of(worker) if line["event"] == name]


def test_the_model_is_loaded_once_a_child_and_before_any_file_comes(small):
    worker = small.worker("--slots", "2")
    small.until(lambda: len(events(small, worker, "loaded")) == 2)
    assert events(small, worker, "claimed") == []
    names = [small.submit(f"n{number}", f"{number},") for number in range(6)]
    assert small.ended(*names) == ["processed"] * 6
    loads = events(small, worker, "loaded")
    assert [(line["run"], line["preload"]) for line in loads] == [("one", True)] * 2
    assert len({line["child"] for line in loads}) == len(small.children()) == 2


def test_an_idle_child_loads_the_run_that_was_promoted(small, corrida):
    worker = small.worker("--slots", "1")
    small.until(lambda: events(small, worker, "loaded"))
    corrida("promote", "two")
    small.until(lambda: [line["run"] for line in events(small, worker, "loaded")] == ["one", "two"])
    small.submit("after", "1,")
    assert small.ended("after") == ["processed"]
    assert small.result("after")["run"]["id"] == "two"
    assert len(events(small, worker, "loaded")) == 2  # the file found it loaded
    assert len(small.children()) == 1


def test_a_child_that_died_while_idle_is_replaced(small):
    worker = small.worker("--slots", "1")
    small.until(lambda: events(small, worker, "loaded"))
    os.kill(small.children()[0].pid, signal.SIGKILL)
    small.until(lambda: len(events(small, worker, "loaded")) == 2)
    assert small.submit("after", "1,")
    assert small.ended("after") == ["processed"]


COUNTED = """
import corrida.inference.children as children, corrida.inference.preload as preload
preload.LOOK_SECONDS = 0.05
real = children.Children.preload

def counted(self, model):
    children.log("tried", run=model.run_id)
    return real(self, model)

children.Children.preload = counted
"""


def told_of(world):
    """What a worker tells others of the run of the alias."""
    service = world.service
    return loading_trouble(
        service.database, service.spool.id, resolve_model(service.runner.store, "@production")
    )


def test_what_cannot_be_loaded_is_said_once_and_the_worker_lives(small, corrida):
    model = next((small.root / "runs" / "one").rglob("mean.json"))
    model.chmod(0o644)
    model.write_text('{"mean": 3.0}')
    worker = small.worker("--slots", "2", script=COUNTED)
    said = small.until(lambda: events(small, worker, "not loaded"))[0]
    assert said["run"] == "one"
    assert "was altered" in said["message"]
    small.until(lambda: "was altered" in (told_of(small) or ""))
    small.submit("tells", "1,")
    assert small.ended("tells") == ["failed"]
    assert len(events(small, worker, "not loaded")) == 1
    assert len(events(small, worker, "tried")) == 1  # not every second anew
    corrida("demote")  # now it points nowhere
    small.until(lambda: len(events(small, worker, "not loaded")) == 2)
    corrida("promote", "two")
    small.until(lambda: events(small, worker, "loaded"))
    small.submit("after", "1,")
    assert small.ended("after") == ["processed"]
    assert len(events(small, worker, "not loaded")) == 2
    assert told_of(small) is None
    assert worker.poll() is None


def test_a_file_of_another_run_does_not_wait_for_a_model_that_does_not_come(small, corrida):
    """Loading hangs in ``two``; a file that is claimed for ``one`` meanwhile takes the slot."""
    small.submit("first", "1,until:/nowhere")
    small.settings(attempts=50, retry_seconds=0.5, retry_most_seconds=0.5)
    source = (small.root / "distance.py").read_text()
    hang = "        if self.mean > 10:\n            time.sleep(600)\n"
    marker = '["mean"]\n'
    assert marker in source
    (small.root / "distance.py").write_text(source.replace(marker, marker + hang, 1))
    worker = small.worker("--slots", "1")
    small.until(lambda: small.service.jobs.get("first").run_id == "one")
    corrida("promote", "two")
    small.until(lambda: small.service.jobs.get("first").tries >= 6)
    assert {line["run"] for line in events(small, worker, "loaded")} == {"one"}
    assert len(small.children()) == 1
