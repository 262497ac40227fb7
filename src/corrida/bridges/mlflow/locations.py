"""Addresses of stores and artifacts, and run ids as MLflow can say them. All are worked out anew when they are read."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

from corrida.errors import InvalidReference
from corrida.runs import layout
from corrida.runs.files import atomic_write, make_folder
from corrida.runs.trash import trash_folder

SCHEME = "corrida"
PROXY = "mlflow-artifacts"
_DOT = "-dot-"

MLFLOW_DIR = ".mlflow"
"""The folder of a store for what MLflow has and no run: experiments, and the logs of its models."""


def make_mlflow_folder(root: Path, name: str = "") -> Path:
    """Return ``.mlflow`` of a store, or a folder in it; it is made where it is not there.

    Two branches of a git repository add lines to the same logs, and both are wanted; locks concern no other machine.
    """
    top = root / MLFLOW_DIR
    if not top.is_dir():
        make_folder(top)
        atomic_write(top / ".gitattributes", b"*.jsonl merge=union\n", durable=False)
        atomic_write(top / ".gitignore", b".lock\n", durable=False)
    if name:
        make_folder(top / name)
    return top / name


def folder_of(uri: str) -> Path:
    """Return the absolute folder that ``corrida:FOLDER`` names; without FOLDER the store of the project.

    Raises:
        InvalidReference: it is no such address.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme.lower() != SCHEME or not colon:
        raise InvalidReference(f"{uri!r} is no address of a store; write it as corrida:runs")
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise InvalidReference(
                f"{uri!r} names the machine {host!r}; a store is a folder: corrida:{host}{slash}{path} is relative, "
                f"corrida:///{path} absolute"
            )
        rest = slash + path
    path = unquote(rest)
    if not path:
        from corrida.project import find_project

        return find_project().store_folder
    if path.startswith("//"):
        path = "/" + path.lstrip("/")  # POSIX gives two slashes a meaning of their own
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - keeps the user's symlinks


def uri_of(path: Path) -> str:
    """Return the address of a folder."""
    return f"{SCHEME}:{quote(os.fspath(path))}"


def store_of(folder: Path) -> Path | None:
    """Return the store that ``folder`` lies in or is; None when it lies in none."""
    for place in (folder, *folder.parents):
        if (place / layout.PRIVATE / layout.STORE_FILE).exists() and place.name != layout.PRIVATE:
            return place
    return None


def to_mlflow(run_id: str) -> str:
    """Return a run id as MLflow's grammar allows it: without dots."""
    return run_id.replace(".", _DOT)


def from_mlflow(root: Path, run_id: str) -> str:
    """Return the run id that MLflow means by ``run_id``."""
    if _DOT not in run_id or (root / run_id).exists() or (trash_folder(root) / run_id).exists():
        return run_id
    return run_id.replace(_DOT, ".")
