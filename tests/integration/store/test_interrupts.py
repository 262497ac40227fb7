"""Ctrl-C at the worst moment: while a run is being ended."""

from __future__ import annotations

import os
import signal

import pytest

from corrida.runs.capture import LogFile
from corrida.runs.store import Store
from corrida.runs.writer import RunWriter


def press(monkeypatch, kind, name):
    """Press Ctrl-C whenever a method is called, before it does its work."""
    original = getattr(kind, name)

    def pressed(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(kind, name, pressed)


def test_pressed_again_while_an_interrupted_run_ends(start, monkeypatch):
    press(monkeypatch, LogFile, "write")
    with pytest.raises(KeyboardInterrupt), start(run_id="a"):
        raise KeyboardInterrupt
    record = Store("runs").get("a")
    assert (record.status, record.error.message) == ("failed", "interrupted")
    assert [one.problems for one in Store("runs").verify()] == [()]


def test_pressed_while_a_finished_run_is_sealed(start, monkeypatch):
    press(monkeypatch, RunWriter, "_note_changed_data")
    with pytest.raises(KeyboardInterrupt), start(run_id="a") as run:
        run.log({"x": 1})
    assert Store("runs").get("a").status == "finished"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_block_that_was_never_left_is_no_finished_run(project, python):
    code = (
        "import corrida\n"
        "def work():\n    with corrida.start_run(pipeline='p', run_id='a') as run:\n        yield run\n"
        "held = work()\nnext(held)\n"
        "import corrida.runs.writer as writer\n"
        "writer.RunWriter.__exit__ = lambda *error: None  # as when Ctrl-C comes before its first line\n"
    )
    assert python(code).returncode == 0
    record = Store("runs").get("a")
    assert record.status == "failed"
    assert "the program ended before the block of the run was left" in record.error.message
