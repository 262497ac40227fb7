"""What every test shares: a cache of its own, and no skipping where everything is installed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pexpect
import pytest

MEMORY = Path("/dev/shm")
ENOUGH = 4 << 30  # bytes; all tests together take a tenth of it


def pytest_configure() -> None:
    """Put the folders of tests in memory where there is some to spare: half of their time is waiting for the disk.

    Every call that waits for a disk is made all the same, and tests with the marker ``disk`` stay on one. With
    ``--basetemp=FOLDER`` all are on the disk of that folder.
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


TOGETHER = (
    "acceptance/test_lessons_002.py",
    "browser",
    "integration/bridges/database",
    "integration/bridges/mlflow",
    "integration/cli/test_forecasting_predict.py",
    "integration/inference/test_bad_input.py",
    "integration/inference/test_machines.py",
    "integration/inference/test_other_pipelines.py",
    "unit/bench/test_workloads.py",
    "unit/pipelines/executors",
    "unit/pipelines/forecasting/test_neural.py",
    "unit/pipelines/model_search",
    "unit/pipelines/risk",
    "unit/test_docs.py",
)
"""Where tests share servers, models or libraries that take seconds to start, train or load: one process runs them all.

They begin first, so none of them is what the other process waits for at the end.
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep those tests together by where they lie: pytest-xdist 3.8 takes no notice of its groups under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            place = nodeid.partition("::")[0]
            return next((one for one in TOGETHER if place.startswith(f"tests/{one}")), nodeid)

    return Together(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CORRIDA_CACHE_DIR", str(folder))
    for name in ("CORRIDA_DIR", "CORRIDA_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.node.get_closest_marker("disk") is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def open_to_all(*folders: Path) -> Iterator[None]:
    """Let every user as far as these folders, as long as the block lasts."""
    ways = {way: way.stat().st_mode for folder in folders for way in (folder, *folder.parents)}
    ways = {way: mode for way, mode in ways.items() if mode & 0o055 != 0o055}
    for way, mode in ways.items():
        way.chmod(mode | 0o055)
    yield
    for way, mode in ways.items():
        way.chmod(mode)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class Said(NamedTuple):
    """What a command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """The command line: called in this process, as a process of its own, or on a terminal."""

    script = str(Path(sys.executable).with_name("corrida"))

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object, code: int = 0) -> Said:
        from corrida.cli.main import run_cli

        self._capsys.readouterr()
        got = run_cli([str(a) for a in arguments])
        out, err = self._capsys.readouterr()
        assert got == code, f"exit code {got}\n{out}\n{err}"
        assert "Traceback" not in out + err
        return Said(got, out, err)

    def refuses(self, *arguments: object, code: int = 2) -> str:
        """Call a command that must fail with one sentence, and return that sentence."""
        said = self(*arguments, code=code)
        lines = said.err.splitlines()
        assert len(lines) == 1, said.err
        assert lines[0].startswith("corrida: "), said.err
        return lines[0].removeprefix("corrida: ")

    def process(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60}
        return subprocess.run([self.script, *map(str, arguments)], check=False, **(settings | options))

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([self.script, *map(str, arguments)], **(settings | options))

    def terminal(self, width: int, *arguments: object, colour: bool = False, code: int = 0) -> str:
        """Run a command on a terminal of ``width`` columns and return what it shows."""
        environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
        environment |= {"TERM": "xterm-256color"} if colour else {"NO_COLOR": "1", "TERM": "dumb"}
        child = pexpect.spawn(
            self.script,
            [str(a) for a in arguments],
            dimensions=(50, width),
            encoding="utf-8",
            timeout=60,
            env=environment,  # type: ignore[arg-type]
        )
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code, child.before
        return str(child.before).replace("\r\n", "\n")


@pytest.fixture
def corrida(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line."""
    return CommandLine(capsys)


TOY = '''
"""A pipeline of the project: words to answers."""

import polars as pl


def answer(data, config, recorder):
    """Answers texts by the first rule whose word they hold."""
    frame = pl.read_csv(data.files[0], infer_schema=False)
    if data.item_ids is not None:
        frame = frame.filter(pl.col("id").is_in(list(data.item_ids)))
    rules = [r for r in config.get("rules", []) if r.get("active", True)]
    rows = []
    for row in recorder.progress(frame.to_dicts(), label="answering"):
        output = next((r["answer"] for r in rules if r["word"] in row["text"]), None)
        rows.append({"item_id": row["id"], "text": row["text"], "output": output,
                     "expected": row["gold"], "correct": output == row["gold"]})
    decided = [r for r in rows if r["output"] is not None]
    metrics = {"loss": sum(not r["correct"] for r in rows) / len(rows), "items": len(rows)}
    if decided:
        metrics["precision"] = sum(r["correct"] for r in decided) / len(decided)
    from corrida import Outcome
    return Outcome(metrics=metrics, items=pl.DataFrame(rows), summary=f"{len(decided)} of {len(rows)} answered")
'''


class Toy:
    """A small project with a pipeline of its own, whose rules a test edits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "config").mkdir()
        (root / "data").mkdir()
        (root / "toy_pipeline.py").write_text(TOY, encoding="utf-8")
        (root / "corrida.toml").write_text(
            '[pipelines.jobs]\nuses = "toy_pipeline:answer"\nconfigs = ["config/*.json"]\n'
            'data = ["data/texts.csv"]\nprimary_metric = "precision"\nsource = "gold_set_4"\n',
            encoding="utf-8",
        )
        self.texts(["1,a cook,C", "2,a baker,B", "3,a waiter,W", "4,head cook,C"])
        self.rules("1.1", [{"id": "R1", "word": "a ", "answer": "C"}], description="the first rules")

    def texts(self, rows: list[str]) -> None:
        (self.root / "data" / "texts.csv").write_text(
            "\n".join(["id,text,gold", *rows]) + "\n", encoding="utf-8"
        )

    def rules(self, version: str, rules: list[dict[str, Any]], **more: Any) -> bytes:
        content = {"version": version, **more, "rules": rules}
        data = json.dumps(content, indent=2).encode() + b"\n"
        (self.root / "config" / "rules.json").write_bytes(data)
        return data


@pytest.fixture
def toy(project: Path) -> Toy:
    """A project with a small pipeline of its own, whose folder is the working folder."""
    return Toy(project)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line(f"{len(skipped)} skipped, and with CI set nothing may be", red=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = 1
