"""What a check says, and what it may look at."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from corrida.doctor.scan import Scan, scan_store

if TYPE_CHECKING:
    from corrida.project import Project

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
_SHOWN = 5


class Finding(msgspec.Struct, frozen=True):
    """One thing to mend, or to know of.

    Attributes:
        severity: ``error``: something does not work or is lost; ``warning``: it may bite; ``note``: good to know.
        where: the file, folder, run or part concerned, as a person calls it.
        what: what is wrong, and what that means.
        next: what to do, a command where there is one.
    """

    severity: Severity
    where: str
    what: str
    next: str = ""


@dataclass(frozen=True)
class Subject:
    """What the checks look at.

    Attributes:
        project: the project, or one without settings where they cannot be read.
        problem: why the settings cannot be read; empty otherwise.
        store_option: the store as it was named on the command line, for the commands that are offered.
        now: the time of the examination, in seconds since the epoch.
    """

    project: Project
    now: float
    problem: str = ""
    store_option: str | None = None

    @property
    def root(self) -> Path:
        """The folder of the store."""
        return self.project.store_folder

    @cached_property
    def scan(self) -> Scan:
        """The runs of the store, read once."""
        return scan_store(self.root, self.now)

    @property
    def shown_root(self) -> str:
        """The store as a person would type it."""
        here = Path.cwd()
        return self.root.relative_to(here).as_posix() if self.root.is_relative_to(here) else str(self.root)

    def command(self, text: str) -> str:
        """Return a corrida command for this store, in quotes as all commands are shown."""
        option = f" --store {shlex.quote(self.store_option)}" if self.store_option else ""
        return f"`corrida {text}{option}`"

    def file(self, name: str) -> str:
        """Return a file of the store as a person would type it in a command."""
        return shlex.quote(f"{self.shown_root}/{name}")


Check = Callable[[Subject], Iterator[Finding]]


def some(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Return the first few names, and how many more there are."""
    listed = list(names)
    rest = len(listed) - shown
    return ", ".join(listed[:shown]) + (f" and {rest} more" if rest > 0 else "")


def plural(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size_text(count: float) -> str:
    """Return a number of bytes as a person reads it, in decimal units."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def seconds_text(seconds: float) -> str:
    """Return a span of time as a person says it."""
    for limit, size, unit in ((120, 1, "second"), (7200, 60, "minute"), (172_800, 3600, "hour")):
        if seconds < limit:
            return plural(round(seconds / size), unit)
    return plural(round(seconds / 86_400), "day")


def sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings with the worst first, otherwise in the order of the checks."""
    return sorted(findings, key=lambda f: SEVERITIES.index(f.severity))
