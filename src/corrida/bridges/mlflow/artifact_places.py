"""Where artifacts are: an address that MLflow wrote when the run was made, and a folder that may have moved since."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from corrida.bridges.mlflow.foreign import Unreachable, local_folder
from corrida.bridges.mlflow.remote_artifacts import downloaded


def local_artifacts(
    uri: str, base: Path, elsewhere: Path | None, *, beside: Path | None = None
) -> AbstractContextManager[Path | None]:
    """Give the folder of the artifacts at ``uri``; None when nobody ever wrote any.

    Args:
        uri: as MLflow wrote it: a path, ``file:``, ``mlflow-artifacts:`` of a server, or an object store.
        base: the folder in which the database or the runs lie; what is relative counts from there.
        elsewhere: a folder into which artifacts were moved.
        beside: where they are when all was moved together.

    Raises:
        Unreachable: they are in a place that is not there, or that only MLflow can read and MLflow is not there.
    """
    if beside is not None and beside.is_dir():
        return local_folder(beside)
    parsed = urlparse(uri)
    scheme = parsed.scheme.lower()
    if scheme not in {"", "file", "mlflow-artifacts"} and len(scheme) > 1:
        return downloaded(uri)
    if scheme == "mlflow-artifacts" and parsed.netloc:
        return downloaded(uri)
    path = PurePosixPath(unquote(parsed.path))
    served = scheme == "mlflow-artifacts"
    for place in _candidates(path, base, elsewhere, served=served, least=2):
        if place.is_dir():
            return local_folder(place)
    # Folders are made with the first artifact; where that of its experiment, or of all, stands, there were none.
    above = _candidates(path.parent.parent, base, elsewhere, served=served, least=2)
    above += _candidates(path.parent.parent.parent, base, elsewhere, served=served, least=1)
    if beside is not None or any(place.is_dir() for place in above):
        return local_folder(None)
    raise Unreachable(f"their folder {_shown(path)} is not there")


def _candidates(
    path: PurePosixPath, base: Path, elsewhere: Path | None, *, served: bool, least: int
) -> list[Path]:
    """Return where the folder may be: where it was, else under its last names (``least`` or more) where it may have moved."""
    found: list[Path] = []
    parts = path.parts[1:] if path.is_absolute() else path.parts
    parts = tuple(part for part in parts if part != "..")
    if path.is_absolute() and not served and len(parts) >= least:
        found.append(Path(path))
    roots = [elsewhere] if elsewhere else []
    roots += [base, base / "mlruns"] if not served else [base / "mlartifacts", base]
    for root in roots:
        found += [
            root.joinpath(*parts[start:]) for start in range(max(0, len(parts) - 6), len(parts) - least + 1)
        ]
    return found


def _shown(path: PurePosixPath) -> str:
    parts = path.parts[-4:]
    return "/".join(part for part in parts if part != "/")
