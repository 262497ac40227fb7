"""Long work of this floor tells how far it has come to whoever listens; see :func:`telling`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
Watch = Callable[[Iterable[Any], int | None, str], Iterable[Any]]
"""Passes items through and shows how many have passed; gets their number and what is being done."""

_watch: ContextVar[Watch | None] = ContextVar("corrida_watch", default=None)


@contextlib.contextmanager
def telling(watch: Watch) -> Iterator[None]:
    """Have ``watch`` told of long work within the block."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def watched(items: Iterable[T], total: int, label: str) -> Iterable[T]:
    """Return ``items`` as they are, or passing by the one who listens."""
    watch = _watch.get()
    return items if watch is None else watch(items, total, label)
