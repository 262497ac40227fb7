"""Processes of this machine: how many threads they have, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from corrida.errors import BadInput, MissingExtra
from corrida.pipelines.executors import check_executor, choose_executor, open_executor

from .conftest import FUNCTIONS, alive

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import functions_of_workers as functions
from corrida.pipelines.executors import open_executor

with open_executor("local", 2) as executor:
    for done in executor.run(functions.sleeps, [({folder!r}, i, 60) for i in range(2)]):
        print(done)
"""


def test_workers_have_one_thread(functions):
    with open_executor("local", 1) as executor:
        (done,) = executor.run(functions.threads, [0])
    assert done.result == ("1", "1")


def test_workers_are_kept_between_calls_and_replaced_when_they_died_meanwhile(functions):
    with open_executor("local", 1) as executor:
        carried = functions.Adds("ab")
        first = [done.result[1] for done in executor.run(carried, [1, 2])]
        assert len({*first}) == 1
        os.kill(first[0], signal.SIGKILL)
        deadline = time.monotonic() + 5
        while alive(first[0]) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        (done,) = executor.run(carried, [3])
        assert done.result[0] == 5
        assert done.result[1] != first[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_program(tmp_path, number):
    (tmp_path / "functions_of_workers.py").write_text(FUNCTIONS, encoding="utf-8")
    script = SCRIPT.format(folder=str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("*-pid-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    pids = [int(path.name.rpartition("-")[2]) for path in tmp_path.glob("*-pid-*")]
    assert len(pids) == 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode != 0
    assert out == ""
    if number == signal.SIGINT:
        assert err.count("Traceback") == 1, err
        assert "KeyboardInterrupt" in err
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def test_without_joblib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(MissingExtra, match=r"corrida\[parallel\]"), open_executor("local", 2):
        pass


@pytest.mark.parametrize("name", ["", "dask", "ray:", "ray://", "local://x", "RAY"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(BadInput, match="serial, local, ray"):
        check_executor(name)


def test_a_negative_number_of_jobs_is_refused():
    with pytest.raises(BadInput, match="-1"), open_executor("local", -1):
        pass


@pytest.mark.parametrize(
    ("name", "jobs", "suggested", "chosen"),
    [
        (None, None, 1, ("serial", 1)),
        (None, None, 4, ("local", 4)),
        (None, None, 0, ("local", 0)),
        (None, 1, 4, ("serial", 1)),
        (None, 3, 1, ("local", 3)),
        ("local", None, 1, ("local", 0)),
        ("local", None, 4, ("local", 4)),
        ("local", 1, 4, ("local", 1)),
        ("serial", None, 4, ("serial", 0)),
        ("ray", None, 4, ("ray", 0)),
        ("ray://auto", 8, 4, ("ray://auto", 8)),
    ],
)
def test_what_a_person_says_wins_over_what_a_pipeline_suggests(name, jobs, suggested, chosen):
    assert choose_executor(name, jobs, suggested) == chosen
