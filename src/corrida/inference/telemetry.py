"""The log of a worker: one JSON line an event, with the ids of job and run."""

from __future__ import annotations

import sys
import threading
from typing import Any

import msgspec

from corrida.runs.annotations import utc_now

_lock = threading.Lock()


def log(event: str, **fields: Any) -> None:
    """Write one line to standard error.

    Args:
        event: what happened, such as ``claimed``.
        fields: what belongs to it; empty ones are left out.
    """
    kept = {key: value for key, value in fields.items() if value is not None}
    line = msgspec.json.encode({"time": utc_now(), "event": event, **kept}, enc_hook=str)
    with _lock:
        try:
            sys.stderr.buffer.write(line + b"\n")
            sys.stderr.buffer.flush()
        except (AttributeError, OSError, ValueError):  # nobody listens: the work goes on
            return
