"""The data manifest: which files and tables a run read, told by digest, rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from corrida.errors import InvalidData
from corrida.runs import layout
from corrida.runs.files import digest_file
from corrida.runs.snapshot.configs import relative_name
from corrida.runs.tables import table_facts


class DataSource(Protocol):
    """Data that is no file and changes, such as a table of a database: a copy of it is kept in the run."""

    @property
    def origin(self) -> str:
        """Where it is, without a password; relative to the project."""

    @property
    def name(self) -> str:
        """The name of the copy, with its suffix."""

    def write(self, target: Path) -> None:
        """Write the copy."""


def data_origin(data: Path | DataSource, root: Path) -> str:
    """Return the place of data as the record of a run names it: relative to the project."""
    return relative_name(data, root) if isinstance(data, Path) else data.origin


def only_files(data: Sequence[Path | DataSource]) -> list[Path]:
    """Return those of ``data`` that are files."""
    return [entry for entry in data if isinstance(entry, Path)]


def keep_sources(
    run_dir: Path, data: Sequence[Path | DataSource], described: Sequence[Mapping[str, Any]]
) -> tuple[list[Path], list[dict[str, Any]]]:
    """Copy the sources among ``data`` into the run folder, under ``data/``.

    Args:
        run_dir: the run folder.
        data: files and sources, in the order given.
        described: the entries of the manifest for the files, in their order.

    Returns:
        A file for each entry of ``data``, and the entries of the manifest; that of a copy has ``file``, its place
        in the run folder.

    Raises:
        CorridaError: a source cannot be read; what it says.
    """
    files, entries, rest = [], [], iter(described)
    for entry in data:
        if isinstance(entry, Path):
            files.append(entry)
            entries.append(dict(next(rest)))
            continue
        target = run_dir / layout.DATA_DIR / entry.name
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{Path(entry.name).stem}-{number}{target.suffix}")
        target.parent.mkdir(exist_ok=True)
        entry.write(target)
        facts = describe_data([target], run_dir)[0]
        files.append(target)
        entries.append({"path": entry.origin, "file": facts.pop("path"), **facts})
    return files, entries


def describe_data(
    files: Sequence[Path], root: Path, roles: Mapping[Path, str] | None = None
) -> list[dict[str, Any]]:
    """Describe data files for the manifest.

    Args:
        files: existing files.
        root: the project folder; paths are noted relative to it.
        roles: what a file is to the pipeline, such as ``index``.

    Returns:
        One mapping a file: ``path``, ``role`` if any, ``size`` in bytes, ``sha256``, and ``rows`` and
        ``columns`` of tables.

    Raises:
        InvalidData: a file cannot be read.
    """
    described = []
    for file in files:
        name = relative_name(file, root)
        try:
            size, sha256 = digest_file(file)
            facts = table_facts(file)
        except OSError as error:
            raise InvalidData(f"{name} cannot be read: {error.strerror}") from None
        entry: dict[str, Any] = {"path": name}
        if roles and file in roles:
            entry["role"] = roles[file]
        entry |= {"size": size, "sha256": sha256}
        if facts:
            entry |= {"rows": facts.rows, "columns": facts.columns}
        described.append(entry)
    return described


def manifest(
    data: Sequence[Mapping[str, Any]], items: int | None, dataset: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of manifest.json: the data files, the number of items, and facts of the dataset."""
    content: dict[str, Any] = {"format_version": layout.FORMAT_VERSION, "data": list(data)}
    if items is not None:
        content["items"] = items
    if dataset:
        content["dataset"] = dict(dataset)
    return content
