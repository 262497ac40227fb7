"""Where contestants run: their Python, their environment, their folders; and how they are called and timed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.harness.contestants import CONTESTANTS
from bench.harness.environments import environment_python

ROOT = Path(__file__).parents[2]
CALL = ROOT / "bench" / "contestants" / "call.py"
TIME_LIMIT = 1800.0

QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "true",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
"""No contestant asks the network, or reports home."""


class ContestantFailed(Exception):
    """A contestant did not do its work; the message is what it said."""


class Place:
    """The folders of the measurements, and the calls into contestants.

    Processes run in a folder outside of any git repository, so that nobody pays for asking git.

    Attributes:
        folder: holds environments, filled stores and scratch; on the file system that is measured.
        tiny: do everything once and small, as the tests do.
    """

    def __init__(self, folder: Path, *, tiny: bool = False) -> None:
        self.folder = folder.absolute()
        self.tiny = tiny
        self._outside = Path(tempfile.mkdtemp(prefix="bench-"))
        self._fresh = self.folder / "fresh" / str(os.getpid())
        self._number = 0

    def close(self) -> None:
        """Remove what does not stay."""
        shutil.rmtree(self._outside, ignore_errors=True)
        shutil.rmtree(self._fresh, ignore_errors=True)

    def size(self, count: int, tiny: int = 10) -> int:
        """Return ``count``, or at most ``tiny`` where everything is done small."""
        return min(count, tiny) if self.tiny else count

    def fresh(self, contestant: str) -> Path:
        """Return the path of a folder that does not exist yet; it goes when the measurements end."""
        self._fresh.mkdir(parents=True, exist_ok=True)
        self._number += 1
        return self._fresh / f"{contestant}_{self._number}"

    def kept(self, name: str) -> Path:
        """Return the path of something that is kept for the next time, which may not exist yet."""
        stores = self.folder / ("tiny" if self.tiny else "stores")
        stores.mkdir(parents=True, exist_ok=True)
        return stores / name

    @staticmethod
    def remove(path: Path) -> None:
        """Remove a folder with all that is in it."""
        if path.exists():
            shutil.rmtree(path)

    def python(self, contestant: str) -> Path:
        """Return the Python of a contestant."""
        if not CONTESTANTS[contestant].is_peer:
            return Path(sys.executable)
        return environment_python(self.folder, contestant)

    def environment(self, contestant: str) -> dict[str, str]:
        """Return the environment variables of a contestant's processes."""
        home = self.folder / "home" / contestant
        home.mkdir(parents=True, exist_ok=True)
        python = self.python(contestant)
        variables = {
            "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "COLUMNS": "140",
        }
        if contestant == "corrida" and "PYTHONPATH" in os.environ:
            variables["PYTHONPATH"] = os.environ["PYTHONPATH"]
        return variables | QUIET

    def command(self, contestant: str, verb: str, **options: object) -> list[str]:
        """Return the command line that has a contestant do something."""
        pairs = [f"{name}={value}" for name, value in options.items()]
        return [str(self.python(contestant)), str(CALL), contestant, verb, *pairs]

    def start(
        self, contestant: str, command: Sequence[str], *, cwd: Path | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process of a contestant in a session of its own."""
        return subprocess.Popen(
            command,
            cwd=cwd or self._outside,
            env=self.environment(contestant),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **options,
        )

    def call(
        self, contestant: str, verb: str, *, cwd: Path | None = None, **options: object
    ) -> Mapping[str, Any]:
        """Have a contestant do something, and return what it says came out.

        Raises:
            ContestantFailed: it ended with an error.
        """
        out = self.output(contestant, self.command(contestant, verb, **options), cwd=cwd)
        last = out.strip().rsplit("\n", 1)[-1]
        result = json.loads(last) if last.startswith("{") else {}
        return dict(result)

    def output(self, contestant: str, command: Sequence[str], *, cwd: Path | None = None) -> str:
        """Run a command of a contestant and return what it prints.

        Raises:
            ContestantFailed: it ended with an error.
        """
        process = self.start(contestant, command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=TIME_LIMIT)
        if process.returncode:
            text = err.decode(errors="replace").strip()
            raise ContestantFailed(f"{contestant}: {' '.join(command[1:])}\n{text[-2000:]}")
        return out.decode(errors="replace")

    def timed(
        self,
        contestant: str,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> float:
        """Return the seconds from the start of a process to its end; ``variables`` join those of its environment.

        Raises:
            ContestantFailed: it ended with an error.
        """
        environment = self.environment(contestant) | dict(variables or {})
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd or self._outside,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        code = process.wait(timeout=TIME_LIMIT)
        seconds = time.perf_counter() - started
        if code:
            raise ContestantFailed(f"{contestant}: {' '.join(command[1:])} ended with {code}")
        return seconds
