"""What is measured: a case is one kind of work, an entry is one contestant doing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bench.harness.contestants import CONTESTANTS

if TYPE_CHECKING:
    from bench.harness.budgets import Budget
    from bench.harness.place import Place

Sample = Mapping[str, float]
"""What one round gave: ``value`` in the unit of the case, and facts such as ``kept``."""

Unit = Literal["s", "calls/s", "share"]


@dataclass(frozen=True)
class Entry:
    """One contestant in a case.

    Attributes:
        contestant: a name of :data:`bench.harness.contestants.CONTESTANTS`.
        variant: what is special about it, as in ``fsync``; for the reader and for the workload.
        count: how much work a round is (runs, calls); 0 where that makes no sense.
        runs: how many runs its store holds already.
    """

    contestant: str
    variant: str = ""
    count: int = 0
    runs: int = 0

    @property
    def label(self) -> str:
        """Name of the entry, unique in its case."""
        title = CONTESTANTS[self.contestant].title
        return f"{title}, {self.variant}" if self.variant else title

    @property
    def is_peer(self) -> bool:
        """Whether it is another tracker."""
        return CONTESTANTS[self.contestant].is_peer


def _nothing(_place: Place, _entry: Entry) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Case:
    """One kind of work, done by several contestants in turn.

    Attributes:
        name: for ``ONLY=``; a case is chosen by the start of its name.
        title: what is done, for the table.
        entries: who does it; the first is the floor that ratios are taken to.
        measure: does the work once for one entry, and returns what came out.
        prepare: brings about what the work needs (a filled store), once before the rounds; kept for the next time.
        unit: of ``value``; seconds are better when less, calls a second and shares when more.
        budgets: what corrida has to reach.
        rounds: how often each entry is measured unless the caller says otherwise.
        note: how to read the table.
        facts: facts of the samples that get a column, with its header.
        warm_up: whether a round that does not count goes before the first.
        ratios: whether ratios say anything.
    """

    name: str
    title: str
    entries: tuple[Entry, ...]
    measure: Callable[[Place, Entry], Sample]
    prepare: Callable[[Place, Entry], None] = _nothing
    unit: Unit = "s"
    budgets: tuple[Budget, ...] = ()
    rounds: int = 5
    note: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    warm_up: bool = True
    ratios: bool = True
