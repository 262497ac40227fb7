"""Detectors in real runs: killed, interrupted, without their endpoint, and two at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ITEMS = 40
CONFIG = """
truth: data/truth.csv
taxonomy: data/taxonomy.csv
matchers: {{use: [fuzzy]}}
bootstrap: {{resamples: 100}}
detectors:
  - kind: endpoint
    url: {url}
    models: {{m: {{input: 1, output: 2}}}}
    strategies:
      plain: prompts/plain.yaml
    key_variable: MY_KEY
    concurrency: 4
    first_wait: 0.01
    attempts: 2
    give_up_after: 3
"""


class Runs:
    """A project whose detector asks the server of the test, run by the real command line."""

    def __init__(self, root: Path, url: str):
        self.root = root
        for name in ("data", "prompts"):
            (root / name).mkdir()
        rows = "".join(f"i{n},{'L1' if n % 2 else ''},answer-{n:03}\n" for n in range(ITEMS))
        (root / "data/truth.csv").write_text("id,labels,answer\n" + rows)
        (root / "data/taxonomy.csv").write_text("id,name\nL1,off by one\nL2,copied list\n")
        (root / "prompts/plain.yaml").write_text("user: 'Look at {{item.answer}}'\n")
        (root / "evaluation.yaml").write_text(CONFIG.format(url=url))
        self.environment = os.environ | {"MY_KEY": "sk-very-secret-1234"}

    def start(self, name):
        script = str(Path(sys.executable).with_name("corrida"))
        command = [script, "run", "evaluation", "--config", "evaluation.yaml", "--run-id", name]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.root, env=self.environment, **pipes)

    def run(self, name, code=0):
        process = self.start(name)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, out + err
        assert "Traceback" not in out + err
        return out, err

    def record(self, name):
        return json.loads((self.root / "runs" / name / "run.json").read_text())

    def facts(self, name):
        manifest = json.loads((self.root / "runs" / name / "manifest.json").read_text())
        return manifest["dataset"]["detector"]["models"]["m"]


@pytest.fixture
def runs(tmp_path, server):
    return Runs(tmp_path, server.url)


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def slow_after(server, replies, count):
    """Let the server answer ``count`` requests, and hold the others until it is let go."""
    go = threading.Event()

    def answer(_body, number):
        if number >= count:
            go.wait(20)
        return replies.found("off by one")

    server.answer = answer
    return go


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on_where_it_was(runs, server, replies, how):
    go = slow_after(server, replies, 15)
    process = runs.start("first")
    wait_for(lambda: len(server.requests) >= 19)
    process.send_signal(how)
    _, err = process.communicate(timeout=20)
    assert process.returncode != 0
    go.set()
    if how == signal.SIGINT:
        assert "15 of 40 questions are answered and kept" in json.dumps(runs.record("first"))
        assert "corrida: interrupted: 15 of 40 questions are answered and kept: run the same again" in err
        assert process.returncode == 130
        assert runs.record("first")["status"] == "failed"
    before = len(server.requests)
    runs.run("second")
    assert len(server.requests) - before == ITEMS - 15
    told = runs.facts("second")
    assert (told["cached"], told["requests"]) == (15, ITEMS - 15)
    runs.run("third")
    assert len(server.requests) - before == ITEMS - 15
    assert runs.facts("third")["cost"] == 0
    second, third = ((runs.root / "runs" / n / "items.parquet").read_bytes() for n in ("second", "third"))
    assert second == third


def test_an_endpoint_that_goes_away_fails_the_run_with_one_sentence(runs, server, replies):
    server.answer = lambda _, number: (
        replies.found("off by one") if number < 10 else replies.Reply(status=503)
    )
    _, err = runs.run("first", code=1)
    (line,) = [line for line in err.splitlines() if line.startswith("corrida: ")]
    assert "503" in line
    assert "10 of 40 questions are answered and kept: run the same again" in line
    assert runs.record("first")["status"] == "failed"
    server.answer = lambda *_: replies.found("off by one")
    before = len(server.requests)
    runs.run("second")
    assert len(server.requests) - before == 30
    everything = b"".join(path.read_bytes() for path in runs.root.rglob("*") if path.is_file())
    assert b"sk-very-secret" not in everything


def test_items_that_were_not_answered_are_not_clean(runs, server, replies):
    server.answer = lambda body, _: (
        replies.chat("hm")
        if "answer-000" in body["messages"][0]["content"]
        else replies.chat('{"detections": []}')
    )
    runs.run("first")
    metrics = json.loads((runs.root / "runs/first/metrics.json").read_text())
    assert "i0,plain,m" in (runs.root / "runs/first/failed.csv").read_text()
    assert "clean_fp_rate" in json.dumps(metrics)
    import polars as pl

    items = pl.read_parquet(runs.root / "runs/first/items.parquet")
    assert items.height == ITEMS - 1
    assert "i0" not in items["item"].to_list()


def test_a_template_without_sense_leaves_no_run(runs, server):
    (runs.root / "prompts/plain.yaml").write_text("user: '{{item.anwser}}'\n")
    _, err = runs.run("first", code=2)
    assert "prompts/plain.yaml" in err or "plain" in err
    assert "did you mean" in err.lower()
    assert not (runs.root / "runs/first").exists()
    assert not server.requests


def test_two_runs_at_once_share_what_they_pay_for(runs, server, replies):
    def answer(*_):
        time.sleep(0.02)
        return replies.found("off by one")

    server.answer = answer
    processes = [runs.start(name) for name in ("one", "two")]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    # Each sees what the other has got; only what both had on the way at once was asked twice.
    assert ITEMS <= len(server.requests) <= 2 * ITEMS
    before = len(server.requests)
    runs.run("three")
    assert len(server.requests) == before
    items = [(runs.root / "runs" / n / "items.parquet").read_bytes() for n in ("one", "two", "three")]
    assert items[0] == items[1] == items[2]


def test_a_strategy_that_gets_no_answer_at_all_does_not_spoil_the_others(runs, server, replies):
    (runs.root / "prompts/other.yaml").write_text("user: 'Hopeless {{item.answer}}'\n")
    config = (runs.root / "evaluation.yaml").read_text()
    (runs.root / "evaluation.yaml").write_text(
        config.replace(
            "plain: prompts/plain.yaml", "plain: prompts/plain.yaml\n      other: prompts/other.yaml"
        )
    )
    server.answer = lambda body, _: (
        replies.chat("hm") if "Hopeless" in body["messages"][0]["content"] else replies.found("off by one")
    )
    runs.run("first")
    metrics = json.loads((runs.root / "runs/first/metrics.json").read_text())
    text = json.dumps(metrics)
    assert '"cell.fuzzy+plain+m.recall": 1' in text
    assert "cell.fuzzy+other+m.f1" not in text  # absent, not 0
    assert len((runs.root / "runs/first/failed.csv").read_text().splitlines()) == ITEMS + 1
