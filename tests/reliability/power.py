"""What a power cut could lose: which data and which entries of folders nobody has waited for.

A kill cannot show that, since the system goes on. From the calls of an operation it can be told all the same: data
that was written is safe when its file was synced after it, and a name when its folder was synced after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .failpoints import Call

_WRITES = {"write", "pwrite", "writev", "ftruncate", "truncate", "sendfile", "copy_file_range"}


class Disk:
    """A disk that loses, in a power cut, all that was not synced.

    Attributes:
        data: files whose content is not safe.
        names: files and folders whose place is not safe.
        early: files that got their name by a rename before their content was safe.
    """

    def __init__(self, there: Iterable[str] = ()) -> None:
        """Start with the files and folders that are ``there``, all safe."""
        self._there = set(there)
        self.data: set[str] = set()
        self.names: set[str] = set()
        self.early: list[str] = []

    def follow(self, call: Call) -> None:
        """Take notice of a call."""
        if not call.done:
            return
        path = call.path
        if call.name in {"open", "mkdir"} and path not in self._there:
            self._there.add(path)
            self.names.add(path)
        elif call.name in _WRITES:
            self.data.add(path)
        elif call.name in {"fsync", "fdatasync"}:
            self.data.discard(path)
            self.names -= {name for name in self.names if (os.path.dirname(name) or ".") == path}
        elif call.name in {"unlink", "rmdir"}:
            for known in (self._there, self.data, self.names):
                known.discard(path)
        elif call.name in {"rename", "link"}:
            self._give_name(call)

    def _give_name(self, call: Call) -> None:
        path = call.path
        if path in self.data:
            self.early.append(call.to)
        self.data.discard(call.to)
        for known in (self._there, self.data, self.names):
            moved = {n for n in known if n == path or n.startswith(f"{path}/")}
            if call.name == "rename":
                known.difference_update(moved)
            known.update(call.to + n[len(path) :] for n in moved)
        self.names.add(call.to)
        if call.name == "rename" and os.path.dirname(path) != os.path.dirname(call.to):
            self.names.add(path)  # that it is gone from there

    def unsafe(self, below: str) -> set[str]:
        """Return what could be lost of ``below``, itself included."""
        return {n for n in self.data | self.names if n == below or n.startswith(f"{below}/")}
