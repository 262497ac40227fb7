"""The digests that a run gets when it ends."""

from __future__ import annotations

from pathlib import Path

from corrida.runs import layout
from corrida.runs.files import digest_entry, fsync_dir, fsync_file, walk_files
from corrida.runs.run_file import StoredFile


def seal_files(run_dir: Path) -> dict[str, StoredFile]:
    """Make every file of the run durable, and return its size and digest, sorted by name."""
    found: dict[str, StoredFile] = {}
    folders = set()
    for name, path in walk_files(run_dir).items():
        if name in layout.NOT_SEALED:
            continue
        found[name] = StoredFile(*digest_entry(path))
        if not path.is_symlink():
            fsync_file(path)
        folders.add(path.parent)
    for folder in folders - {run_dir}:
        fsync_dir(folder)
    return found
