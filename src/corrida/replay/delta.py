"""Which of many changes are to blame: delta debugging, for many complaints at once.

Nothing here runs anything. A *test* is told which changes are made (as positions) and answers which complaints
(items that flipped, or a metric that fell) are there then. Every answer is kept and serves all complaints, since
one run of a pipeline judges them all.

Source: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE Transactions on
Software Engineering 28(2), 2002: the algorithm ddmin and 1-minimality.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

G = TypeVar("G", bound=Hashable)
Changes = frozenset[int]


class OutOfRunsError(Exception):
    """A test would take a run more than were allowed."""


@dataclass(frozen=True)
class Group(Generic[G]):
    """Complaints with the same causes.

    Attributes:
        goals: the complaints, in the order given.
        causes: sets of changes, none of which shares a change with another; each brings the complaints about by
            itself, and no part of it does. Usually one.
        minimal: False when the runs ran out first: then the last cause is only known to be enough.
        inseparable: changes of the causes that could not be left out: what is left then cannot be run.
    """

    goals: tuple[G, ...]
    causes: tuple[Changes, ...]
    minimal: bool = True
    inseparable: Changes = frozenset()


class Search(Generic[G]):
    """Finds minimal sets of changes, and remembers what every set that was tried gave.

    Attributes:
        known: for every set of changes that was tried, the complaints that were there; None where it could not
            be run.
    """

    def __init__(self, size: int, test: Callable[[Changes], frozenset[G] | None]) -> None:
        """Search among ``size`` changes.

        Args:
            size: how many changes there are.
            test: what complaints a set of changes brings about; None when it cannot be run. It may raise
                OutOfRunsError.
        """
        self.size = size
        self.known: dict[Changes, frozenset[G] | None] = {}
        self._test = test

    @property
    def everything(self) -> Changes:
        """All changes."""
        return frozenset(range(self.size))

    def outcome(self, changes: Changes) -> frozenset[G] | None:
        """Return which complaints a set of changes brings about, trying it unless it was tried."""
        if changes not in self.known:
            self.known[changes] = self._test(changes)
        return self.known[changes]

    def attribute(self, goals: Sequence[G]) -> list[Group[G]]:
        """Say for every complaint which changes bring it about.

        Args:
            goals: complaints that are there with all changes, and not without any.

        Returns:
            The complaints by their causes, the most complaints first. After each cause the rest of the changes is
            tried without it: a complaint that stays has a second cause, which is searched too.
        """
        causes: dict[G, list[Changes]] = {goal: [] for goal in goals}
        open_: list[G] = []
        waiting = list(goals)
        try:
            while waiting:
                goal = waiting[0]
                rest = self._rest(causes[goal])
                if causes[goal] and not self._shows(rest, goal):
                    waiting.pop(0)
                    continue
                cause = self._cause(rest, goal, [c for found in causes.values() for c in found])
                for other in waiting[1:]:
                    if cause <= self._rest(causes[other]) and self._is_minimal(cause, other):
                        causes[other].append(cause)
                causes[goal].append(cause)
        except OutOfRunsError:
            open_ = [goal for goal in waiting if not causes[goal]]
            for goal in open_:
                causes[goal].append(self._smallest_known(self.everything, goal))
        return self._grouped(causes, {*open_})

    def _cause(self, rest: Changes, goal: G, found: Sequence[Changes]) -> Changes:
        """Return a minimal cause within ``rest``.

        What did others in is held fast first: where two changes interact, one of them is most often to blame for more
        by itself, and its partner alone is found far more quickly than both.
        """
        helper = next((cause for cause in found if cause <= rest), frozenset())
        start = self._smallest_known(rest, goal, around=helper)
        if not helper or not helper < start:
            return self.minimise(self._smallest_known(rest, goal), goal)
        return self.minimise(helper | self.minimise(start - helper, goal, base=helper), goal)

    def minimise(self, changes: Changes, goal: G, *, base: Changes = frozenset()) -> Changes:
        """Return a part of ``changes`` that brings ``goal`` about, while leaving out any one of it does not.

        This is ddmin. Sets that are known already are looked at first, since they cost nothing.

        Args:
            changes: enough for ``goal`` together with ``base``.
            goal: a complaint.
            base: changes that are made throughout; not enough by themselves.
        """
        current, parts = sorted(changes), 2
        while len(current) > 1:
            chunks = [frozenset(chunk) for chunk in _split(current, parts)]
            found = self._first(chunks, goal, base)
            if found is not None:
                current, parts = sorted(found), 2
                continue
            rest = [frozenset(current) - chunk for chunk in chunks] if parts > 2 else []
            found = self._first(rest, goal, base)
            if found is not None:
                current, parts = sorted(found), max(parts - 1, 2)
                continue
            if parts >= len(current):
                break
            parts = min(2 * parts, len(current))
        return frozenset(current)

    def _first(self, candidates: Sequence[Changes], goal: G, base: Changes) -> Changes | None:
        for changes in sorted(candidates, key=lambda c: c | base not in self.known):
            if self._shows(changes | base, goal):
                return changes
        return None

    def _shows(self, changes: Changes, goal: G) -> bool:
        found = self.outcome(changes) if changes else frozenset()
        return found is not None and goal in found

    def _rest(self, causes: Iterable[Changes]) -> Changes:
        return self.everything.difference(*causes)

    def _smallest_known(self, within: Changes, goal: G, around: Changes = frozenset()) -> Changes:
        fitting = [c for c, found in self.known.items() if around <= c <= within and found and goal in found]
        return min(fitting, key=lambda c: (len(c), sorted(c)), default=within)

    def _is_minimal(self, cause: Changes, goal: G) -> bool:
        return self._shows(cause, goal) and not any(self._shows(cause - {change}, goal) for change in cause)

    def _grouped(self, causes: dict[G, list[Changes]], open_: set[G]) -> list[Group[G]]:
        groups: dict[tuple[tuple[Changes, ...], bool], list[G]] = {}
        for goal, found in causes.items():
            groups.setdefault((tuple(sorted(found, key=sorted)), goal not in open_), []).append(goal)
        result = [
            Group(tuple(goals), found, minimal, self._inseparable(found))
            for (found, minimal), goals in groups.items()
        ]
        return sorted(result, key=lambda g: (not g.minimal, -len(g.goals), sum(map(len, g.causes))))

    def _inseparable(self, causes: Iterable[Changes]) -> Changes:
        return frozenset(
            change
            for cause in causes
            for change in cause
            if len(cause) > 1 and self.known.get(cause - {change}, frozenset()) is None
        )


def _split(values: Sequence[int], parts: int) -> Iterator[Sequence[int]]:
    start = 0
    for part in range(parts):
        end = start + (len(values) - start) // (parts - part)
        yield values[start:end]
        start = end


def runs_needed(size: int) -> tuple[int, int]:
    """Return how many tests it takes when one change is to blame, and when two only together are.

    Tried with culprits in several places, the mean of each. The two tests of everything and of nothing count.

    Args:
        size: how many changes there are.
    """
    if size <= 1:
        return 2, 2
    step = max(1, size // 8)
    single = [_count(size, frozenset({place})) for place in range(0, size, step)]
    pairs = [
        _count(size, frozenset({place, (place + gap) % size}))
        for place in range(0, size, 2 * step)
        for gap in {1, size // 2}
    ]
    return round(sum(single) / len(single)), round(sum(pairs) / len(pairs))


def _count(size: int, culprits: Changes) -> int:
    search: Search[str] = Search(size, lambda changes: frozenset({"x"} if culprits <= changes else ()))
    search.outcome(frozenset())
    search.outcome(search.everything)
    search.attribute(["x"])
    return len(search.known)
