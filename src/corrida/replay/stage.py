"""A copy of the project in which a command is executed again: the user's own files are not touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from corrida.errors import BadInput
from corrida.runs.files import explained
from corrida.runs.snapshot.configs import expand_optional, relative_name

if TYPE_CHECKING:
    from corrida.project import Project

# Folders that hold no work of the user; they are large, and programs do not overwrite what is in them.
_LINKED = frozenset(
    {".git", ".hg", ".venv", "venv", "env", "node_modules", ".tox", ".nox", ".pixi", ".conda"}
)
_LEFT_OUT = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache"})
_COPIED_AT_MOST = (
    16 * 2**20
)  # bytes of one file; a larger one is linked, and so is what comes after that many:
_COPIED_IN_ALL = 1024 * 2**20
_FILES_AT_MOST = 100_000


class Stage:
    """A temporary copy of a project.

    Attributes:
        root: the copy of the project folder.
        linked: large files that are links to the originals, relative to the project.
    """

    def __init__(self, project: Project, top: Path) -> None:
        """Copy the project to a folder below ``top``."""
        self._project = project
        # Paths such as ../shared/data.csv have their place beside the copy.
        self.root = top / "a" / "b" / "c" / project.root.name
        self.linked: list[str] = []
        self._left = _COPIED_IN_ALL
        self._files = 0
        self._copy_folder(project.root, self.root)

    def _copy_folder(self, source: Path, target: Path) -> None:
        target.mkdir(parents=True)
        for entry in sorted(os.scandir(source), key=lambda e: e.name):
            path, place = Path(entry.path), target / entry.name
            self._files += 1
            if self._files > _FILES_AT_MOST:
                raise BadInput(
                    f"the project folder {self._project.root.name} holds more than {_FILES_AT_MOST:,} files, too many to "
                    "execute a command in a copy of it; put a corrida.toml into the folder of the work itself"
                )
            if entry.name in _LEFT_OUT:
                continue
            if entry.is_symlink() or entry.name in _LINKED or path == self._project.store_folder:
                place.symlink_to(path.resolve() if entry.is_symlink() else path)
                if entry.name not in _LINKED and path != self._project.store_folder:
                    self.linked.append(place.relative_to(self.root).as_posix())
            elif entry.is_dir():
                self._copy_folder(path, place)
            elif entry.is_file():
                self._copy_file(path, place, entry.stat().st_size)

    def _copy_file(self, source: Path, target: Path, size: int) -> None:
        if size > _COPIED_AT_MOST or size > self._left:
            target.symlink_to(source)
            self.linked.append(target.relative_to(self.root).as_posix())
            return
        self._left -= size
        shutil.copy2(source, target)

    def lay(self, place: str, data: bytes | Path) -> None:
        """Put a configuration, or a link to a data file, at its place in the project."""
        target = self._inside(place)
        if target is None:
            return
        self._make_own(target.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if isinstance(data, Path):
            target.symlink_to(data)
        else:
            target.write_bytes(data)

    def take_away(self, patterns: Sequence[str]) -> None:
        """Remove the configurations that globs of the project find, so that only those that are laid are found."""
        for path in expand_optional(patterns, self.root):
            if path.is_relative_to(self.root):
                self._make_own(path.parent)
                path.unlink()

    def _make_own(self, folder: Path) -> None:
        """Make real folders of those on the way to ``folder`` that are links: what is laid there must not be the user's."""
        for part in reversed([folder, *folder.parents]):
            if part.is_relative_to(self.root) and part.is_symlink() and part.is_dir():
                source = part.resolve()
                part.unlink()
                self._copy_folder(source, part)

    def _inside(self, place: str) -> Path | None:
        path = PurePosixPath(place)
        target = Path(os.path.normpath(self.root / path))
        return target if target.is_relative_to(self.root.parents[2]) and not path.is_absolute() else None

    def command(self, command: Sequence[str], folder: Path) -> list[str]:
        """Return a recorded command as it is typed in ``folder`` of the copy.

        What was an absolute path is recorded relative to the project; what was relative stays relative to the
        folder in which the command was typed.
        """
        return [self._argument(part, folder, first=not place) for place, part in enumerate(command)]

    def _argument(self, part: str, folder: Path, *, first: bool) -> str:
        if part.startswith("-") or len(part) > 4096 or "\0" in part:
            return part
        original = self._project.root / folder.relative_to(self.root)
        if first and "/" not in part:
            beside = Path(sys.executable).parent / part
            # A python given by its whole path is recorded by its name: it is the one beside corrida, if any, since
            # another on the path may lack what the script imports.
            elsewhere = shutil.which(part) and not part.startswith("python")
            return part if elsewhere or not beside.exists() else str(beside)
        if "/" not in part and not (self.root / part).exists():
            return part
        if (folder / part).exists():
            return part
        for base in (original, self._project.root):  # beside the project, or recorded from an absolute path
            if not (base / part).exists():
                continue
            inside = self.root / os.path.relpath(base / part, self._project.root)
            return (
                os.path.relpath(inside, folder)
                if inside.exists()
                else str(Path(os.path.normpath(base / part)))
            )
        return part


@contextlib.contextmanager
def staged(
    project: Project,
    configs: Sequence[tuple[str, bytes]],
    patterns: Sequence[str],
    data: Mapping[str, Path],
) -> Iterator[Stage]:
    """Copy a project and lay configurations and data over it; the copy is gone afterwards.

    Args:
        project: what is copied; its store is linked.
        configs: (place, bytes) of every configuration that is to be there.
        patterns: globs of configurations; what else they find in the project is left out of the copy.
        data: data files by their place in the project, where they lie elsewhere.

    Raises:
        BadInput: the store is the project folder itself.
        StoreError: there is no space for the copy.
    """
    if project.store_folder == project.root:
        raise BadInput(
            "the project folder is the store itself, so it cannot be copied; work with --store elsewhere"
        )
    with tempfile.TemporaryDirectory(prefix="corrida-replay-", ignore_cleanup_errors=True) as top:
        with explained("copying the project to a temporary folder"):
            stage = Stage(project, Path(top))
            stage.take_away(patterns)
            if not project.store_folder.is_relative_to(project.root):
                stage.lay(relative_name(project.store_folder, project.root), project.store_folder)
            for place, content in configs:
                stage.lay(place, content)
            for place, path in data.items():
                stage.lay(place, path)
        yield stage
