"""The machine in neutral terms: no names, no paths."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine(folder: Path) -> str:
    """Return cores, system, Python and the file system of ``folder`` as a phrase."""
    return (
        f"{len(os.sched_getaffinity(0))} cores, {platform.system()} on {platform.machine()}, "
        f"Python {platform.python_version()}, {file_system(folder)}"
    )


def file_system(folder: Path, mounts: str | None = None) -> str:
    """Return the type of the file system that ``folder`` is on, as the mount table of Linux says.

    Args:
        folder: an existing folder.
        mounts: the mount table, in place of that of the system.
    """
    if mounts is None:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    place, best, kind = str(folder.resolve()), "", "unknown file system"
    for line in mounts.splitlines():
        _device, point, found, *_ = line.split(" ")
        inside = place == point or place.startswith(f"{point.rstrip('/')}/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind
