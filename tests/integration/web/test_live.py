"""A run that runs, seen through the server: what it logs arrives, and the end is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.conftest import CommandLine

WRITER = """
import sys, time, corrida
with corrida.start_run(pipeline="train", run_tag="lives", capture=False) as run:
    for step in range(int(sys.argv[1])):
        run.log({"loss": 1 / (step + 1)}, step=step)
        time.sleep(0.1)
    run.log_metrics({"loss": 0.25})
"""


@pytest.fixture
def server(project: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    log = (project / "server.log").open("w")
    process = subprocess.Popen(
        [CommandLine.script, "ui", "--port", "0"], stdout=subprocess.PIPE, stderr=log, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1].rstrip("/")
    for _ in range(200):
        try:
            httpx2.get(address, timeout=5)
            break
        except httpx2.HTTPError:
            time.sleep(0.05)
    yield address, process
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    process.stdout.close()
    log.close()


def _start(steps: int) -> subprocess.Popen[bytes]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(steps)])
    while not Path("runs/run_lives/history.jsonl").exists():
        assert writer.poll() is None
        time.sleep(0.02)
    return writer


def _events(address: str, until: str) -> list[tuple[str, dict[str, object]]]:
    """Listen until an event of a kind came; return what came."""
    found: list[tuple[str, dict[str, object]]] = []
    with httpx2.stream("GET", f"{address}/runs/run_lives/events", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((kind, json.loads(line.removeprefix("data: "))))
                if kind == until:
                    break
    return found


@pytest.mark.slow
def test_what_a_run_logs_arrives_until_it_ends(server: tuple[str, subprocess.Popen[str]]) -> None:
    address, _ = server
    writer = _start(30)
    page = httpx2.get(f"{address}/runs/run_lives").text
    assert 'data-events="/runs/run_lives/events"' in page
    threads = int(_threads(server[1].pid))
    others = [threading.Thread(target=_events, args=(address, "end")) for _ in range(20)]
    for other in others:
        other.start()
    found = _events(address, "end")
    assert _threads(server[1].pid) < threads + 20  # no thread a listener
    for other in others:
        other.join(20)
        assert not other.is_alive()
    writer.wait(20)
    states = [state for kind, state in found if kind == "state"]
    calls = [int(str(state["calls"])) for state in states]
    assert len(states) >= 3
    assert calls == sorted(calls)
    assert calls[-1] == 30
    assert states[0]["status"] == "running"
    assert states[-1]["status"] == "finished"
    assert states[-1]["metrics"] == {"loss": 0.25}
    assert states[-1]["last"] == {"loss": [29, pytest.approx(1 / 30)]}
    assert found[-1][0] == "end"
    assert "data-events" not in httpx2.get(f"{address}/runs/run_lives").text
    assert [kind for kind, _ in _events(address, "end")] == [
        "state",
        "end",
    ]  # who comes late hears the end at once


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


@pytest.mark.slow
def test_a_killed_run_is_told_as_crashed(server: tuple[str, subprocess.Popen[str]]) -> None:
    address, _ = server
    writer = _start(400)
    threading.Timer(1.0, writer.kill).start()
    found = _events(address, "end")
    writer.wait(20)
    assert found[-2][1]["status"] == "crashed"


@pytest.mark.slow
def test_listeners_do_not_keep_the_server(server: tuple[str, subprocess.Popen[str]]) -> None:
    address, process = server
    writer = _start(400)
    heard: list[object] = []

    def listen() -> None:
        try:
            heard.append(_events(address, "never"))
        except httpx2.HTTPError as error:
            heard.append(error)

    listener = threading.Thread(target=listen)
    listener.start()
    _events(address, "state")  # one that went away
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    listener.join(20)
    assert isinstance(heard[0], list)  # the answer was ended, not cut off
    writer.kill()
    writer.wait(20)
    assert "Traceback" not in Path("server.log").read_text()
