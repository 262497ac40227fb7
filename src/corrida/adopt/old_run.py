"""What a reader of an old layout says of the runs that it found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.runs import layout

if TYPE_CHECKING:
    from corrida.adopt.times import When
    from corrida.runs.run_file import Column, Git, PrimaryMetric

KEPT_ASIDE = "adopted"
"""The folder of a run for old files whose names corrida uses itself, or that are records of another program."""


@dataclass(kw_only=True)
class OldRun:
    """A run of an old layout.

    Attributes:
        old_id: its id there; None where the layout has no ids.
        base: the folder of its files, relative to the adopted one, with which its digest begins anew.
        files: for each file its place in the new run folder.
        configs: for each configuration file its place in the project.
        when: created and finished, and where that was found.
        source, description, notes, seed, params, metrics, dataset, summary, git: as found.
        resolved: the configuration that ran, as one document.
        item_ids: its items, unique; None when only their number is known, or nothing.
        item_count: their number.
        primary_metric, columns: which metric decides, and what ``corrida list`` shows.
        warnings: what was odd.
    """

    old_id: str | None
    base: str
    when: When
    files: dict[str, str] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    description: str | None = None
    notes: str | None = None
    seed: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    git: Git | None = None
    resolved: Any = None
    item_ids: tuple[str, ...] | None = None
    item_count: int | None = None
    primary_metric: PrimaryMetric | None = None
    columns: tuple[Column, ...] = ()
    warnings: list[str] = field(default_factory=list)

    @property
    def all_files(self) -> list[str]:
        """The old names of everything that goes into the run, sorted."""
        return sorted([*self.files, *self.configs])


class Broken(NamedTuple):
    """A run that cannot be adopted: its old name, and why."""

    name: str
    reason: str


@dataclass(kw_only=True)
class Found:
    """What a layout found in a folder.

    Attributes:
        layout: its name.
        pipeline: under which the runs are listed unless another is named.
        runs: the runs that can be adopted.
        broken: those that cannot.
        remarks: what else a person should know.
        shared: files that describe all runs and belong to none; they are in the backup.
    """

    layout: str
    pipeline: str
    runs: list[OldRun] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)


def places(names: Iterable[str], base: str, aside: Iterable[str] = ()) -> dict[str, str]:
    """Return for each file its place in the run folder: the name that it had below ``base``.

    A file that bears a name which corrida uses in a run folder itself goes to ``adopted/``. Bytes of a name that are not
    Unicode, and backslashes, are written as ``%XX``.

    Args:
        names: files below ``base``.
        base: a folder relative to the adopted one; empty for that itself.
        aside: names that go to ``adopted/`` in any case.
    """
    aside = set(aside)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        own = name[len(base) + 1 :] if base else name
        place = _allowed(own)
        first = place.split("/")[0].lower()
        reserved = layout.OWN_FILES | layout.OWN_FOLDERS | {KEPT_ASIDE}
        if name in aside or first in reserved or first[0] == ".":
            place = f"{KEPT_ASIDE}/{place}"
        number = 1
        free = PurePosixPath(place)
        while free.as_posix() in taken:
            number += 1
            free = PurePosixPath(place).with_name(f"{PurePosixPath(place).stem}-{number}{free.suffix}")
        taken.add(free.as_posix())
        found[name] = free.as_posix()
    return found


def _allowed(name: str) -> str:
    if "\\" not in name and name.isprintable():
        return name
    decoded = os.fsencode(name).decode("utf-8", "surrogateescape")
    return "".join(f"%{ord(c) & 0xFF:02X}" if c == "\\" or 0xDC80 <= ord(c) <= 0xDCFF else c for c in decoded)
