"""A real MLflow server on a database of its own, and what older versions of MLflow wrote."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MADE = Path(__file__).parents[3] / "data" / "mlflow"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """``mlflow server`` on a SQLite database; may be stopped, and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        if self._process is not None:
            return
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"),
            *(
                "--backend-store-uri",
                f"sqlite:///{self.folder}/server.db",
                "--artifacts-destination",
                f"{self.folder}/kept",
            ),
        ]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # four more processes
            )  # fmt: skip
        until = time.monotonic() + 180
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except OSError:
                assert self._process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.2)
        raise AssertionError((self.folder / "server.log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    """An MLflow server that all tests share: each with an experiment of its own."""
    server = Server(tmp_path_factory.mktemp("mlflow-server"))
    shutil.copyfile(empty_database, server.folder / "server.db")
    yield server
    server.stop()


@pytest.fixture
def mlflow_server(shared_server: Server) -> Server:
    """An MLflow server, which a test may stop and start."""
    shared_server.start()
    return shared_server


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that MLflow has just made; making one takes seconds."""
    import sqlite3

    from corrida.bridges.mlflow.client import open_client

    made, whole = (tmp_path_factory.mktemp("empty") / name for name in ("made.db", "mlflow.db"))
    open_client(f"sqlite:///{made}")
    with sqlite3.connect(made) as there, sqlite3.connect(whole) as copy:
        there.backup(copy)
    there.close()
    copy.close()
    return whole


@pytest.fixture
def database(project: Path, empty_database: Path) -> str:
    """The address of ``mlflow.db`` in the working folder, which is empty."""
    shutil.copyfile(empty_database, project / "mlflow.db")
    return f"sqlite:///{project}/mlflow.db"


@pytest.fixture
def unpacked(tmp_path: Path) -> Any:
    """Unpack what a version of MLflow wrote, into a folder where it was not written."""

    def unpack(name: str) -> Path:
        folder = tmp_path / "moved" / name
        with zipfile.ZipFile(MADE / f"{name}.zip") as archive:
            archive.extractall(folder)
        return folder

    return unpack
