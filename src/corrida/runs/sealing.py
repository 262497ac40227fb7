"""The digests that a run gets when it ends."""

from __future__ import annotations

import os

from corrida.runs import layout
from corrida.runs.files import StrPath, digest_file, digest_link, fsync_dir, walk_files
from corrida.runs.run_file import StoredFile


def seal_files(run_dir: StrPath) -> dict[str, StoredFile]:
    """Make every file of the run durable, and return its size and digest, sorted by name."""
    found: dict[str, StoredFile] = {}
    folders = {os.fspath(run_dir)}
    for name, entry in walk_files(run_dir):
        if name in layout.NOT_SEALED:
            continue
        digest = digest_link(entry.path) if entry.is_symlink() else digest_file(entry.path, durable=True)
        found[name] = StoredFile(*digest)
        folder = os.path.dirname(entry.path)  # noqa: PTH120
        while folder not in folders:  # a folder that holds nothing but folders, too
            folders.add(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120
    for folder in folders - {os.fspath(run_dir)}:
        fsync_dir(folder)
    return dict(sorted(found.items()))
