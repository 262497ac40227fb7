"""Executors, and a module of functions that their workers can import."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

FUNCTIONS = '''
"""Functions of a module: workers import them."""

import os
import signal
import threading
import time
from pathlib import Path


class NeedsTwo(Exception):
    """Pickles, and cannot be read back."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Adds:
    """A callable that carries data."""

    def __init__(self, data):
        self.data = data

    def __call__(self, task):
        return len(self.data) + task, os.getpid()


def square(number):
    print(f"squaring {number}")
    return number * number


def first_waits(task):
    """The first task waits until the others have ended."""
    folder, number = task
    while number == 0 and len(list(Path(folder).iterdir())) < 3:
        time.sleep(0.01)
    Path(folder, str(number)).touch()
    return number


def same(number):
    return number


def fails(number):
    if number == 1:
        raise ValueError("one is not allowed")
    if number == 2:
        raise NeedsTwo("a", "b")
    if number == 3:
        raise SystemExit(3)
    return number


def lock(number):
    return threading.Lock() if number else None


def sleeps(task):
    folder, number, seconds = task
    Path(folder, f"{number}-pid-{os.getpid()}").touch()
    time.sleep(seconds)
    return number


def dies_once(task):
    """Kill the own process in the middle of the second task, the first time."""
    folder, number = task
    mark = Path(folder, "died")
    if number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number * 10


def dies_always(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads(_):
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("POLARS_MAX_THREADS")
'''


@pytest.fixture(scope="session")
def functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    (folder / "functions_of_workers.py").write_text(FUNCTIONS, encoding="utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield importlib.import_module("functions_of_workers")
    sys.path.remove(str(folder))


def alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except (ProcessLookupError, FileNotFoundError):
        return False
