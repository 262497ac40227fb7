"""What the tests of reliability share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .failpoints import Warm


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """A process with everything imported, which forks a child for each task."""
    process = Warm(Path(__file__).with_name("operations.py"))
    yield process
    process.close()


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: it is the calls that are watched here, not the disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def prepared(project: Path, warm: Warm, tmp_path: Path) -> Callable[[str], Callable[[], None]]:
    """Fill the project once, and get what puts it back as it was then.

    The folder of the store stays the same one: undo works only where the restore was made.
    """

    def prepare(how: str) -> Callable[[], None]:
        whole = tmp_path / "whole"
        if how == "nothing":
            whole.mkdir()
        else:
            warm.tell("prepare", how)
            shutil.copytree(project, whole, symlinks=True)

        def reset() -> None:
            entries = list(project.iterdir())
            if how != "nothing":
                entries.remove(project / "runs")
                entries += (project / "runs").iterdir()
            for entry in entries:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            shutil.copytree(whole, project, dirs_exist_ok=True, symlinks=True)
            shutil.rmtree(os.environ["CORRIDA_CACHE_DIR"], ignore_errors=True)

        return reset

    return prepare
