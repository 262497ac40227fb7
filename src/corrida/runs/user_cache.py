"""Where what can be computed again is kept: one folder a user and machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of all caches: ``CORRIDA_CACHE_DIR``, else ``corrida`` in the user's cache folder."""
    if own := os.environ.get("CORRIDA_CACHE_DIR"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - also without a home
    return Path(base) / "corrida"
