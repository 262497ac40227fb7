"""What most pages need, loaded while nobody waits for it."""

from __future__ import annotations

import contextlib
import importlib
import threading

_AFTER = 0.4
_NEEDED = (
    "polars",
    "numpy",
    "corrida.analysis.compare",
    "corrida.analysis.comparison_page",
    "corrida.analysis.statistics.difference",
    "corrida.analysis.item_history",
    "corrida.inference.lineage",
)


def warm_up() -> threading.Timer:
    """Load tables and statistics a moment after the start: the first page comes before them, the next one finds them.

    Returns:
        The timer, to cancel it where the viewer ends sooner.
    """
    timer = threading.Timer(_AFTER, _load)
    timer.daemon = True
    timer.start()
    return timer


def _load() -> None:
    for name in _NEEDED:
        with contextlib.suppress(ImportError):  # a page that needs it says what is missing
            importlib.import_module(name)
