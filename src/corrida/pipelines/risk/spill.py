"""Frames by number, in memory while they are few and in a folder when they are many."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_ROWS = 500_000  # in memory, of all buckets together


class Buckets:
    """Collects frames under numbers and gives them back number by number."""

    def __init__(self, folder: Path, name: str, most: int = MOST_ROWS) -> None:
        self._folder, self._name, self._most = folder, name, most
        self._kept: dict[int, list[pl.DataFrame]] = defaultdict(list)
        self._files: dict[int, list[Path]] = defaultdict(list)
        self._rows, self._written = 0, 0

    def add(self, number: int, frame: pl.DataFrame) -> None:
        """Put a frame under a number."""
        if frame.height:
            self._kept[number].append(frame)
            self._rows += frame.height
        if self._rows > self._most:
            self._write()

    def take(self, number: int) -> pl.DataFrame | None:
        """Return what is under a number, in the order in which it came, and forget it; None for nothing."""
        frames = [pl.read_ipc(file) for file in self._files.pop(number, [])]
        kept = self._kept.pop(number, [])
        self._rows -= sum(frame.height for frame in kept)
        frames += kept
        return pl.concat(frames, rechunk=True) if frames else None

    def numbers(self) -> Iterator[int]:
        """Yield the numbers that have something, ascending."""
        yield from sorted({*self._kept, *self._files})

    def _write(self) -> None:
        for number, frames in self._kept.items():
            file = self._folder / f"{self._name}-{number}-{self._written}.arrow"
            pl.concat(frames).write_ipc(file)
            self._files[number].append(file)
        self._written += 1
        self._kept.clear()
        self._rows = 0
