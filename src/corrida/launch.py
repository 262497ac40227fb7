"""What every way to start a run shares: its data, its parent, its code, and where it is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corrida.errors import InvalidConfig, InvalidData
from corrida.project import RUN_VARIABLE
from corrida.runs.files import digest_file
from corrida.runs.snapshot.addresses import is_address
from corrida.runs.snapshot.configs import expand_patterns, relative_name
from corrida.runs.writer import RunSpec, RunWriter

if TYPE_CHECKING:
    from corrida.project import Project
    from corrida.runs.snapshot.data import DataSource
    from corrida.runs.store import Store

_MAX_CODE_BYTES = 4 * 1024 * 1024


def begin(store: Store | None, spec: RunSpec) -> RunWriter:
    """Start a run in ``store``; without one in a temporary folder that goes with the run."""
    if store is not None:
        return store.start(spec)
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="corrida-unsaved-"))
    try:
        return RunWriter(folder, spec, keep=False)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def data_sources(project: Project, patterns: Sequence[str | os.PathLike[str]]) -> list[Path | DataSource]:
    """Return the data files and the tables of databases that ``patterns`` name, in their order.

    Raises:
        InvalidData: a pattern matches no file, or an address cannot be read.
        MissingExtra: what it takes to read a database is not installed.
    """
    found: dict[Path | DataSource, None] = {}
    for pattern in patterns:
        if is_address(text := os.fspath(pattern)):
            from corrida.bridges.database import table_source

            found[table_source(text, project.root, project.settings.database.column)] = None
            continue
        try:
            found |= dict.fromkeys(expand_patterns([pattern], project.root, "data file"))
        except InvalidConfig as error:
            raise InvalidData(str(error)) from None
    return list(found)


def enclosing_run(store_folder: Path) -> str | None:
    """Return the id of the run under whose ``corrida exec`` this process works, if it is of this store."""
    folder = os.environ.get(RUN_VARIABLE)
    if not folder or os.path.realpath(Path(folder).parent) != os.path.realpath(store_folder):
        return None
    return Path(folder).name


def code_digests(files: Iterable[str | os.PathLike[str] | None], root: Path) -> dict[str, str]:
    """Return the digests of the source files that a run starts from, by their place in the project.

    Outside of git, or before a file is committed, this is how a comparison knows that the code is another.

    Args:
        files: candidates; what is no file, is larger than 4 MB or is a program in machine code is left out.
        root: the project folder.
    """
    found = {}
    for name in files:
        path = Path(os.path.abspath(root / name)) if name else None  # noqa: PTH100 - keeps symlinks
        if path is not None and path.is_file() and _is_text(path):
            place = relative_name(path, root)
            found[path.name if place.startswith("../../") else place] = digest_file(path).sha256
    return found


def _is_text(path: Path) -> bool:
    if path.stat().st_size > _MAX_CODE_BYTES:
        return False
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)
