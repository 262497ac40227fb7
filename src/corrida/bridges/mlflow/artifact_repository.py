"""Artifacts of runs, as files of the run folders: written while a run is open, added on record after its end.

The address is that of a folder: of the store itself behind a server, which names the run in the path, or of the
artifacts of one run or one model.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.store.artifact.artifact_repo import ArtifactRepository, verify_artifact_path
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking._tracking_service import utils as _tracking

from corrida.bridges.mlflow.failures import failure, missing, says_it_to_mlflow
from corrida.bridges.mlflow.live_run import artifacts_lock
from corrida.bridges.mlflow.locations import MLFLOW_DIR, folder_of, store_of, uri_of
from corrida.bridges.mlflow.mapping import ARTIFACTS, LOGGED_MODELS
from corrida.errors import InvalidName, Refused
from corrida.runs import additions, layout
from corrida.runs.annotations import read_annotations
from corrida.runs.claim import ensure_store
from corrida.runs.files import digest_file
from corrida.runs.run_file import SEALED, read_run_file
from corrida.runs.trash import trash_folder

UPLOADS = "uploads"
"""The folder, in the store's private one, for files on their way into a run."""
STORES: set[Path] = set()
"""The stores that this process has opened."""


@says_it_to_mlflow
class CorridaArtifactRepository(LocalArtifactRepository):
    """The artifacts below one folder of a store."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        """Open the artifacts at an address ``corrida:FOLDER``."""
        folder = folder_of(artifact_uri)
        super().__init__(folder.as_uri(), tracking_uri, registry_uri)
        self.artifact_uri = uri_of(folder)
        self._artifact_dir = os.fspath(folder)
        found = store_of(folder)
        if found is None:  # a server that starts on a folder that is no store yet
            ensure_store(folder)
            found = folder
        self._root = found

    def elsewhere_too(self, run_id: str) -> bool:
        """Tell whether another store that this process has opened has a run of this id."""
        return any((other / run_id).exists() for other in STORES - {self._root})

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Copy one file."""
        fd, staged, destination = self._create_staging_artifact(local_file, artifact_path)
        try:
            with os.fdopen(fd, "wb") as target, open(local_file, "rb") as source:  # noqa: PTH123
                shutil.copyfileobj(source, target, 1 << 20)
            self._publish_staged_artifact(staged, destination)
        except BaseException:
            Path(staged).unlink(missing_ok=True)
            raise

    def _create_staging_artifact(
        self, artifact_file_name: str, artifact_path: str | None = None
    ) -> tuple[int, str, str]:
        """Open a file outside of the run folder: what a kill leaves of it must not lie among the run's files."""
        folder = self._folder_for(artifact_path)
        uploads = self._root / layout.PRIVATE / UPLOADS
        uploads.mkdir(parents=True, exist_ok=True)
        fd, staged = tempfile.mkstemp(dir=uploads)
        return fd, staged, os.path.join(folder, os.path.basename(artifact_file_name))  # noqa: PTH118, PTH119

    def _publish_staged_artifact(
        self,
        temp_file_path: str,
        destination_file_path: str,
        finalize_temp_path: Callable[[str], None] | None = None,  # noqa: ARG002 - the copy has its own time
    ) -> None:
        """Put a file in place if its run allows it."""
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temp_file_path, 0o666 & ~umask)  # noqa: PTH101
        self._place(Path(temp_file_path), Path(destination_file_path))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Copy a folder, file by file."""
        top = Path(local_dir)
        if top.resolve() == Path(self._artifact_dir, artifact_path or "").resolve():
            return
        for parent, _, names in os.walk(top):
            relative = Path(parent).relative_to(top).as_posix()
            place = "/".join(part for part in (artifact_path, relative) if part and part != ".")
            for name in sorted(names):
                self.log_artifact(os.path.join(parent, name), place or None)  # noqa: PTH118

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """Return the place of an artifact: a file where it lies, a folder as a copy.

        MLflow writes into the folder of a model that it loads, and what has ended is sealed. Copies that nobody gave
        a place go when the process ends.
        """
        if dst_path is not None:
            return str(super().download_artifacts(artifact_path, dst_path))  # type: ignore[no-untyped-call]
        place = self._artifact_dir if not artifact_path else self.get_local_path(artifact_path)
        if not os.path.isdir(place):  # noqa: PTH112
            return place
        copy = tempfile.mkdtemp(prefix="corrida-artifacts-")
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        shutil.copytree(place, copy, dirs_exist_ok=True)
        return copy

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete artifacts of an open run; what has ended is sealed, and what is in the trash goes as a whole.

        Raises:
            Refused: the run has ended.
        """
        target = Path(self._artifact_dir, artifact_path or "")
        if target.is_relative_to(trash_folder(self._root)) or not target.exists():
            return
        run_dir, name = self._run_of(target)
        if run_dir is None:
            _remove(target)
            return
        with artifacts_lock(run_dir, exclusive=False):
            if read_run_file(run_dir).status in SEALED:
                raise Refused(f"the run {run_dir.name} has ended, and its files are sealed; {name} stays")
            _remove(target)

    def _folder_for(self, artifact_path: str | None) -> Path:
        """Return the folder for artifacts below ``artifact_path``; it is made when a file is put there.

        Raises:
            InvalidName: artifacts have no place there.
            MlflowException: the path leaves the folder, or there is no such run.
        """
        verify_artifact_path(artifact_path)
        place = Path(os.path.normpath(Path(self._artifact_dir, artifact_path or "")))
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(self._artifact_dir)):
            raise InvalidName(f"{artifact_path!r} leaves the folder; use a path inside it")
        self._run_of(place / "x")
        return place

    def _run_of(self, target: Path) -> tuple[Path | None, str]:
        """Return the run folder that a file belongs to, and its name there; no folder for files of a model without a run.

        Raises:
            InvalidName: artifacts have no place there.
            MlflowException: there is no such run.
        """
        parts = Path(os.path.normpath(target)).relative_to(self._root).parts
        if len(parts) > 2 and parts[0] == MLFLOW_DIR and parts[1] == "models":
            return None, "/".join(parts)
        if len(parts) > 2 and parts[1] in {ARTIFACTS, LOGGED_MODELS} and not parts[0].startswith("."):
            run_dir = self._root / parts[0]
            if not (run_dir / layout.RUN).exists():
                raise missing(f"Run '{parts[0]}' not found")
            return run_dir, "/".join(parts[1:])
        raise InvalidName(
            f"{'/'.join(parts)!r} is no place for artifacts; they go below {ARTIFACTS}/ or {LOGGED_MODELS}/ of a run"
        )

    def _place(self, staged: Path, target: Path) -> None:
        run_dir, name = self._run_of(target)
        if run_dir is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)
            return
        with artifacts_lock(run_dir, exclusive=False):
            if read_run_file(run_dir).status not in SEALED:
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(target)
                return
        _add(run_dir, name, staged, target)


class _Remembered(OrderedDict[str, ArtifactRepository]):
    """The repositories that MLflow remembers for the whole process, by the id of the run alone.

    Ids of corrida are unique in their store: what is logged to ``run_a`` of one store would go to ``run_a`` of another.
    So one that another store of this process has too is looked up anew.
    """

    def get(self, run_id: str, default: Any = None) -> Any:
        found = super().get(run_id, default)
        if isinstance(found, CorridaArtifactRepository) and found.elsewhere_too(run_id):
            found.flush_async_logging()  # type: ignore[no-untyped-call] # what it has still to write
            del self[run_id]
            return default
        return found


# MLflow has no setting for it.
_tracking._artifact_repos_cache = _Remembered(_tracking._artifact_repos_cache)  # noqa: SLF001


def _add(run_dir: Path, name: str, staged: Path, target: Path) -> None:
    """Add a file to an ended run, on record; a file of the run itself stays as it is."""
    lock = additions.hold(run_dir)
    try:
        digest = digest_file(staged, durable=True)
        sealed = read_run_file(run_dir).files.get(name)
        if sealed is not None:
            staged.unlink()
            if (sealed.size, sealed.sha256) == tuple(digest):
                return
            raise failure(
                f"the run {run_dir.name} has ended, and its file {name} is sealed; log the artifact under another name"
            )
        before = additions.added_files(read_annotations(run_dir)).get(name)
        if before == tuple(digest) and target.exists():
            staged.unlink()
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(target)
        additions.add(run_dir, {"files": {name: {"size": digest.size, "sha256": digest.sha256}}})
    finally:
        os.close(lock)


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
