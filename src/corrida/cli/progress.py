"""Progress of long work on a terminal: how far, how fast, how long still."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
_SHOW_AFTER = 0.4


def terminal_progress(items: Iterable[T], total: int | None, label: str | Callable[[], str]) -> Iterator[T]:
    """Pass items through; work that takes more than a moment gets a bar on standard error."""
    if not sys.stderr.isatty():
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    started = time.monotonic()
    iterator = iter(items)
    done = 0
    for item in iterator:
        yield item
        done += 1
        if time.monotonic() - started > _SHOW_AFTER:
            break
    else:
        return
    yield from _with_bar(iterator, done, total, label)


def _with_bar(
    items: Iterator[T], done: int, total: int | None, label: str | Callable[[], str]
) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from corrida.runs.plain import printable

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )

    def said() -> str:
        return printable((label() if callable(label) else label) or "working")

    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(said(), total=total, completed=done, rate="")
        started = time.monotonic()
        for seen, item in enumerate(items, 1):
            yield item
            rate = seen / max(1e-9, time.monotonic() - started)
            bar.update(
                task, advance=1, description=said(), rate=f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
            )
