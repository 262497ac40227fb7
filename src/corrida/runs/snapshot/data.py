"""The data manifest: which files a run read, told by digest, rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corrida.errors import InvalidData
from corrida.runs import layout
from corrida.runs.files import digest_file
from corrida.runs.snapshot.configs import relative_name
from corrida.runs.tables import table_facts


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
