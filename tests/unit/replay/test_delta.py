"""Delta debugging in memory, against an oracle that tries every set of changes."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.replay.delta import OutOfRunsError, Search, runs_needed


class World:
    """Items with planted culprits: an item breaks when one of its sets of changes is made in whole."""

    def __init__(self, size, culprits, needs=()):
        self.size, self.culprits, self.needs = size, culprits, needs
        self.tried = []

    def test(self, changes):
        assert changes not in self.tried, "tried twice"
        self.tried.append(changes)
        if any(dependent in changes and needed not in changes for dependent, needed in self.needs):
            return None
        return frozenset(
            item for item, causes in self.culprits.items() if any(cause <= changes for cause in causes)
        )

    def search(self):
        return Search(self.size, self.test)

    def minimal_sets(self, item):
        """Every set of changes that breaks the item and no part of which does."""
        found = []
        for length in range(1, self.size + 1):
            for changes in map(frozenset, combinations(range(self.size), length)):
                if any(c <= changes for c in self.culprits[item]) and not any(f <= changes for f in found):
                    found.append(changes)
        return found


@st.composite
def worlds(draw):
    size = draw(st.integers(1, 9))
    cause = st.frozensets(st.integers(0, size - 1), min_size=1, max_size=3)
    items = draw(st.integers(1, 8))
    return World(size, {f"i{n}": draw(st.lists(cause, min_size=1, max_size=3)) for n in range(items)})


@given(worlds())
def test_every_item_gets_minimal_causes_that_explain_it(world):
    goals = [*world.culprits]
    search = world.search()
    groups = search.attribute(goals)
    assert sorted(goal for group in groups for goal in group.goals) == sorted(goals)
    for group in groups:
        assert group.minimal
        together = frozenset().union(*group.causes)
        assert len(together) == sum(map(len, group.causes)), "causes share a change"
        for goal in group.goals:
            minimal = world.minimal_sets(goal)
            assert all(cause in minimal for cause in group.causes)
            # Without all of them the item is whole again: nothing is left to blame.
            rest = frozenset(range(world.size)) - together
            assert not any(cause <= rest for cause in world.culprits[goal])


@given(st.integers(2, 300), st.data())
def test_one_culprit_among_many_takes_logarithmically_many_tests(size, data):
    culprit = data.draw(st.integers(0, size - 1))
    world = World(size, {f"i{n}": [frozenset({culprit})] for n in range(20)})
    (group,) = world.search().attribute([*world.culprits])
    assert group.causes == (frozenset({culprit}),)
    assert len(group.goals) == 20
    assert len(world.tried) <= 2 * (size - 1).bit_length() + 2


@given(st.integers(3, 60), st.data())
def test_items_with_different_culprits_share_the_tests(size, data):
    first, second = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    world = World(
        size, {"a": [frozenset({first})], "b": [frozenset({first, second})], "c": [frozenset({first})]}
    )
    groups = world.search().attribute(["b", "a", "c"])
    assert [(g.goals, g.causes) for g in groups] == [
        (("a", "c"), (frozenset({first}),)),
        (("b",), (frozenset({first, second}),)),
    ]


def test_a_second_cause_is_found_by_trying_without_the_first():
    world = World(6, {"x": [frozenset({1}), frozenset({3, 4})]})
    (group,) = world.search().attribute(["x"])
    assert set(group.causes) == {frozenset({1}), frozenset({3, 4})}


@given(worlds(), st.data())
def test_sets_that_cannot_be_run_do_not_mislead(world, data):
    pairs = st.tuples(st.integers(0, world.size - 1), st.integers(0, world.size - 1))
    world.needs = data.draw(st.lists(pairs.filter(lambda p: p[0] > p[1]), max_size=3))
    search = world.search()
    for group in search.attribute([*world.culprits]):
        for goal in group.goals:
            for cause in group.causes:
                assert goal in (search.outcome(cause) or ())
                for change in cause:
                    less = search.known.get(cause - {change}, frozenset())
                    assert less is None or goal not in less
                    assert (change in group.inseparable) == (less is None)


def test_what_cannot_be_left_out_is_said():
    world = World(4, {"x": [frozenset({2})]}, needs=[(2, 1)])
    (group,) = world.search().attribute(["x"])
    assert group.causes == (frozenset({1, 2}),)
    assert group.inseparable == {1}


@given(worlds(), st.integers(0, 12))
def test_when_the_runs_run_out_what_is_known_is_enough(world, allowed):
    def test(changes):
        if len(world.tried) >= allowed:
            raise OutOfRunsError
        return world.test(changes)

    search = Search(world.size, test)
    groups = search.attribute([*world.culprits])
    assert sorted(goal for group in groups for goal in group.goals) == sorted(world.culprits)
    for group in groups:
        for goal in group.goals:
            for cause in group.causes:
                assert any(culprit <= cause for culprit in world.culprits[goal])


def test_the_estimate_grows_slowly_and_names_the_ends():
    assert runs_needed(1) == (2, 2)
    sizes = [2, 8, 32, 128]
    estimates = [runs_needed(size) for size in sizes]
    assert estimates == sorted(estimates)
    assert all(few <= many for few, many in estimates)
    assert estimates[-1][0] <= 20


@pytest.mark.parametrize("size", [1, 2, 5])
def test_all_changes_together_only(size):
    everything = frozenset(range(size))
    world = World(size, {"x": [everything]})
    (group,) = world.search().attribute(["x"])
    assert group.causes == (everything,)
