"""A tracking store of run folders, in this process and behind real servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SET_BY_MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")


@pytest.fixture
def tracked(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow, tracking into ``runs`` of the project."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    # MLflow loads each model that it saves in a process of its own, for up to two minutes, to see what it needs.
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT", "1")
    for name in _SET_BY_MLFLOW:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    import mlflow

    mlflow.set_tracking_uri(f"corrida:{project}/runs")
    mlflow.set_registry_uri(None)
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    yield mlflow
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(None)
    for name in _SET_BY_MLFLOW:
        os.environ.pop(name, None)


class Server:
    """A real ``mlflow server``."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"server-{self.port}.log"
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> Server:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return self
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Two servers on the store ``runs`` of one folder, the first with two workers; all tests of a module share them."""
    folder = tmp_path_factory.mktemp("served")
    started = [Server(folder, "--backend-store-uri", "corrida:runs", "--workers", n) for n in ("2", "1")]
    try:
        yield started[0].wait(), started[1].wait()
    finally:
        for server in started:
            server.stop()


def run_script(folder: Path, code: str, **environment: str) -> subprocess.Popen[str]:
    """Start Python on ``code`` in a process of its own."""
    settings = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, env=settings, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
