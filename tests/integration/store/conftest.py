"""What the tests of the store share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from corrida.runs.spec import RunSpec
from corrida.runs.store import Store


@pytest.fixture
def store(project) -> Store:
    return Store("runs")


@pytest.fixture
def start(project):
    """Start a run quietly: ``start(run_id="a")``."""

    def starter(root="runs", **options):
        options = {"pipeline": "p", "root": Path.cwd(), "capture": False} | options
        return Store(root).start(RunSpec(**options))

    return starter


@pytest.fixture
def finished(start):
    """Make a finished run: ``finished("a", f1=0.5)``."""

    def maker(run_id, root="runs", configs=(), pipeline="p", params=None, tags=None, **metrics):
        run = start(
            root, run_id=run_id, configs=configs, pipeline=pipeline, params=params or {}, tags=tags or {}
        )
        run.log_metrics(metrics)
        run.finish()
        return run.dir

    return maker


@pytest.fixture
def python(project, tmp_path):
    """Run Python in a child process that sees the same project and cache."""

    def runner(code: str, *arguments: str, background: bool = False, **options):
        script = tmp_path / f"script{len(list(tmp_path.glob('script*')))}.py"
        script.write_text(code)
        command = [sys.executable, str(script), *arguments]
        if background:
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)

    return runner


def read_index(root="runs"):
    content = json.loads((Path(root) / "index.json").read_text())
    assert content.pop("format_version") == 1
    return content


def everything_below(folder) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(d, n), folder) for d, _, names in os.walk(folder) for n in names
    )


FILE_CALLS = (
    "write",
    "replace",
    "rename",
    "fsync",
    "unlink",
    "mkdir",
    "open",
    "ftruncate",
    "rmdir",
    "utime",
    "chmod",
)


def killed_at(n: int, work) -> bool:
    """Do ``work`` in a forked child that kills itself at its n-th call that may change files.

    Returns:
        Whether the work came to its end before that.
    """
    child = os.fork()
    if child == 0:
        count = 0

        def wrap(name):
            real = getattr(os, name)

            def counted(*args, **kwargs):
                nonlocal count
                count += 1
                if count == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            setattr(os, name, counted)

        for name in FILE_CALLS:
            wrap(name)
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - told by the exit code
            traceback.print_exc()
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)
