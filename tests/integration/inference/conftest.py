"""A small project with models to serve, workers as real processes, and the two databases of jobs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from tests.postgres_server import PASSWORD, Server

from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project

WAIT = 90.0  # seconds; the machine of the tests may be busy with other things

PIPELINE = '''
"""A pipeline of the project: how far a number is from the mean of training."""

import ctypes
import json
import os
import time
from pathlib import Path

import polars as pl

from corrida.errors import EndpointFailed
from corrida.pipelines.contract import Config, Outcome, Prediction


class Distance:
    """Distances; what stands in the column ``do`` happens on the way, as models do worse things by themselves."""

    def __init__(self, models):
        self.mean = json.loads((models / "mean" / "mean.json").read_text())["mean"]

    def predict(self, data=None, **options):
        frame = pl.read_csv(data.files[0])
        for word in frame["do"].drop_nulls().to_list() if "do" in frame.columns else []:
            what, _, value = str(word).partition(":")
            if what == "sleep":
                time.sleep(float(value))
            elif what == "hold":
                while not Path(value).exists():
                    time.sleep(0.02)
            elif what == "native":
                ctypes.PyDLL(None).sleep(int(value))  # holds the interpreter lock
            elif what == "raise":
                raise ValueError(f"secret path {Path(__file__)}")
            elif what == "die":
                os.kill(os.getpid(), 9)
            elif what == "until" and not Path(value).exists():
                raise EndpointFailed("the service does not answer")
        return Prediction(frame.with_columns(distance=(pl.col("x") - self.mean).abs()))


class Pipeline:
    name = "distance"
    description = "Distances from a mean."
    columns = ()
    primary_metric = "mean"
    directions = {"mean": "min"}

    def configure(self, files, overrides):
        return dict(overrides)

    def data_files(self, config):
        return {}

    def run(self, data, config, recorder):
        mean = pl.read_csv(data.files[0])["x"].mean()
        recorder.save_model(
            "mean", lambda folder: (folder / "mean.json").write_text(json.dumps({"mean": mean})), format="json"
        )
        return Outcome(metrics={"mean": mean})

    def load(self, models, *, trust=False):
        return Distance(models)


pipeline = Pipeline()
'''


class World:
    """A project with two runs, ``one`` (in production) and ``two``, and a spool."""

    def __init__(self, root: Path, address: str, corrida: Any) -> None:
        self.root, self.address, self._corrida = root, address, corrida
        self._service: Service | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self._logs: dict[int, Path] = {}
        (root / "distance.py").write_text(PIPELINE, encoding="utf-8")
        self.settings()
        for name, values in (("one", "1\n3\n"), ("two", "10\n30\n")):
            (root / "train.csv").write_text("x\n" + values, encoding="utf-8")
            corrida("run", "distance", "--data", "train.csv", "--run-id", name)
        corrida("promote", "one")

    def settings(self, **serve: Any) -> None:
        serve = {
            "retry_seconds": 0.05,
            "retry_most_seconds": 0.2,
            "attempts": 3,
            "settle_seconds": 0.5,
        } | serve
        lines = [f"{key} = {json.dumps(value)}" for key, value in serve.items()]
        if self.address:
            lines.append(f'database = "{self.address}"')
        (self.root / "corrida.toml").write_text(
            '[pipelines.distance]\nuses = "distance:pipeline"\n[serve]\n' + "\n".join(lines) + "\n",
            encoding="utf-8",
        )
        self._close()

    @property
    def service(self) -> Service:
        if self._service is None:
            self._service = Service(runner_of(find_project(self.root)))
        return self._service

    def file(self, name: str, *rows: str) -> Path:
        """Write a file whose rows are ``x,do``."""
        path = self.root / name
        path.write_text("x,do\n" + "\n".join(rows or ("5,",)) + "\n", encoding="utf-8")
        return path

    def submit(self, job_id: str, *rows: str) -> str:
        path = self.file(f"{job_id}.up.csv", *rows)
        self.service.submit(path, analysis_id=job_id)
        return job_id

    def worker(
        self, *arguments: str, script: str | None = None, within: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a worker.

        Args:
            arguments: of the command.
            script: Python that runs before it, to bring about what rarely happens.
            within: a command that starts it elsewhere, as on another machine.
        """
        code = (script or "") + "\nfrom corrida.cli.main import main\nmain()"
        log = self.root / f"worker{len(self.workers)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*within, sys.executable, "-c", code, "worker", *arguments], cwd=self.root, stdout=out, stderr=out,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.workers.append(process)
        self._logs[process.pid] = log
        return process

    def log_of(self, process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
        text = self._logs[process.pid].read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def until(self, check: Callable[[], Any], seconds: float = WAIT) -> Any:
        end = time.monotonic() + seconds
        while not (found := check()):
            assert time.monotonic() < end, self.story()
            time.sleep(0.05)
        return found

    def status(self, job_id: str) -> str:
        return self.service.jobs.get(job_id).status

    def ended(self, *ids: str, seconds: float = WAIT) -> list[str]:
        jobs = [self.service.jobs.get(name) for name in ids]
        self.until(
            lambda: all(self.status(name) in {"processed", "failed", "cancelled"} for name in ids), seconds
        )
        del jobs
        return [self.status(name) for name in ids]

    def held(self, job_id: str) -> str:
        """Submit a job that is being scored until :meth:`release`."""
        return self.submit(job_id, f"1,hold:{self.root / f'{job_id}.go'}")

    def release(self, *ids: str) -> None:
        for job_id in ids:
            (self.root / f"{job_id}.go").touch()

    def running(self, job_id: str) -> None:
        """Wait until a job is with its child."""
        self.until(lambda: self.status(job_id) == "running")

    def started(self, worker: subprocess.Popen[bytes]) -> None:
        def said() -> bool:
            assert worker.poll() is None, self.story()
            return any(line["event"] == "started" for line in self.log_of(worker))

        self.until(said)

    def story(self) -> str:
        """What every worker said, for a failed assertion."""
        return "\n".join(path.read_text(encoding="utf-8")[-3000:] for path in self._logs.values())

    def charged(self) -> list[str]:
        from corrida.inference.billing import Ledger

        return sorted(entry.analysis for entry in Ledger(self.service.database).entries())

    def result(self, job_id: str) -> Any:
        return json.loads((self.root / "spool" / "processed" / f"{job_id}.json").read_text(encoding="utf-8"))

    def names(self, folder: str) -> list[str]:
        return sorted(p.name for p in (self.root / "spool" / folder).iterdir())

    def children(self) -> list[psutil.Process]:
        """Return the processes that score for this project, whoever their parent is."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if "corrida.inference.child" in process.cmdline() and process.cwd() == str(self.root):
                    found.append(process)
        return found

    def processes(self) -> list[psutil.Process]:
        """Return every process that works in this project, but for the test itself."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and process.cwd() == str(self.root):
                    found.append(process)
        return found

    def end(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._close()

    def _close(self) -> None:
        if self._service is not None:
            self._service.close()
        self._service = None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes machines of their own where none can be made: it would test something else."""
    needing = [item for item in items if item.get_closest_marker("namespaces")]
    if needing and not _namespaces_allowed():
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]


def _namespaces_allowed() -> bool:
    command = (
        "unshare --net --pid --uts --mount --fork --mount-proc ip link add here type veth peer name there"
    )
    try:
        return subprocess.run(command.split(), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.stop()


_made = 0


def fresh_database(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a database of the test's own and return its address."""
    global _made  # noqa: PLW0603
    _made += 1
    name = f"jobs{os.getpid()}_{_made}"
    with psycopg.connect(**server.settings("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    return f"postgresql://owner:${{DB_PASSWORD}}@127.0.0.1:{server.port}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def world(
    request: pytest.FixtureRequest, project: Path, corrida: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """The contract of the runner: every test of it holds on both databases."""
    address = ""
    if request.param == "postgresql":
        address = fresh_database(request.getfixturevalue("server"), monkeypatch)
    made = World(project, address, corrida)
    yield made
    made.end()


on_sqlite = pytest.mark.parametrize("world", ["sqlite"], indirect=True)
"""For a test of the contract in which the database has no part; a worker takes seconds to start."""


@pytest.fixture
def small(project: Path, corrida: Any) -> Iterator[World]:
    """The world on SQLite, for what has nothing to do with the database."""
    made = World(project, "", corrida)
    yield made
    made.end()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
