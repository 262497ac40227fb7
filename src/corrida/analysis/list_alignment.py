"""Which element of one list is which element of another.

Elements are matched by their key where they have one (``rules`` by ``id``), else by equal content and then by
similarity. What moved is the least number of elements that explain the new order: those outside the longest
run of elements whose order did not change.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.analysis.config_documents import fingerprint, same_scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_KEYS = ("id", "name", "nombre", "key", "code")

# Above these sizes the exact answer would cost seconds, and the plain one is as good to a reader.
_MAX_CROSSINGS = 300_000
_MAX_COMPARISONS = 15_000
_ALIKE = 0.4


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """How the elements of two lists correspond.

    Attributes:
        key: The key by which objects were matched; empty when they have none.
        scalars: Whether both lists hold words and numbers only.
        pairs: Matched positions (in A, in B), ascending in B.
        removed: Positions in A without a partner, ascending.
        added: Positions in B without a partner, ascending.
        moved: Positions in A of the matched elements whose order changed; as few as explain it.
        renamed: Positions in A of the elements that differ in nothing but their key.
    """

    key: str = ""
    scalars: bool = False
    pairs: list[tuple[int, int]]
    removed: list[int]
    added: list[int]
    moved: list[int]
    renamed: frozenset[int] = frozenset()


def align(a: list[Any], b: list[Any], keys: Sequence[str] = DEFAULT_KEYS) -> Alignment:
    """Match the elements of two lists.

    Args:
        a: The list before.
        b: The list after.
        keys: Names of keys that identify an object, best first.

    Returns:
        The alignment; every position of both lists occurs in it exactly once.
    """
    key = find_key(a, b, keys)
    if key:
        return _align_by_key(a, b, key)
    prints_a, prints_b = [fingerprint(value) for value in a], [fingerprint(value) for value in b]
    scalars = not any(isinstance(value, (dict, list)) for side in (a, b) for value in side)
    if scalars and _reads_as_vector(a, b, prints_a, prints_b):
        pairs = [(index, index) for index in range(len(a))]
    else:
        pairs = _match_equal(prints_a, prints_b)
        if not scalars:
            pairs += _match_alike(a, b, pairs)
    return _finish(len(a), len(b), pairs, scalars=scalars)


def find_key(a: list[Any], b: list[Any], keys: Sequence[str]) -> str:
    """Return the first key that every object of both lists has and that is unique in each; "" if none is.

    A key under which nothing matches (running numbers that were issued anew) gives way to a later one under
    which something does.
    """
    fallback = ""
    if not all(isinstance(value, dict) for side in (a, b) for value in side):
        return ""
    for key in keys:
        values_a, values_b = _key_values(a, key), _key_values(b, key)
        if values_a is None or values_b is None:
            continue
        if not a or not b or not values_a.isdisjoint(values_b):
            return key
        fallback = fallback or key
    return fallback


def longest_increasing(values: Sequence[int]) -> list[int]:
    """Return the positions of one longest strictly increasing subsequence."""
    tails: list[int] = []
    tail_positions: list[int] = []
    previous: list[int] = []
    for position, value in enumerate(values):
        length = bisect_left(tails, value)
        previous.append(tail_positions[length - 1] if length else -1)
        if length == len(tails):
            tails.append(value)
            tail_positions.append(position)
        else:
            tails[length] = value
            tail_positions[length] = position
    found: list[int] = []
    position = tail_positions[-1] if tail_positions else -1
    while position >= 0:
        found.append(position)
        position = previous[position]
    return found[::-1]


def similarity(a: Any, b: Any, depth: int = 2) -> float:
    """Say how alike two values are, from 0 to 1.

    Fields in common count even when their values differ, so that two objects of one shape are always more
    alike than an object and something else.

    Args:
        a: One value.
        b: The other.
        depth: How many levels to look into.
    """
    if isinstance(a, dict) and isinstance(b, dict) and (a or b):
        shared = a.keys() & b.keys()
        points = sum(0.5 + 0.5 * similarity(a[key], b[key], depth - 1) for key in shared)
        return points / (len(a) + len(b) - len(shared))
    if depth > 0 and isinstance(a, list) and isinstance(b, list) and (a or b):
        counts_a, counts_b = Counter(map(fingerprint, a)), Counter(map(fingerprint, b))
        return (counts_a & counts_b).total() / max(len(a), len(b))
    if isinstance(a, (dict, list)) or isinstance(b, (dict, list)):
        return float(type(a) is type(b) and fingerprint(a) == fingerprint(b))
    return float(same_scalar(a, b))


def _key_values(side: list[dict[Any, Any]], key: str) -> set[Any] | None:
    """Return what a key says in every element, or None when it does not tell the elements apart."""
    values, shown = set(), set()
    for element in side:
        value = element.get(key)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return None
        values.add(fingerprint(value))
        # 7 and "7" are two keys, but a reader could not tell them apart.
        shown.add(str(value))
    return values if len(shown) == len(values) == len(side) else None


def _align_by_key(a: list[Any], b: list[Any], key: str) -> Alignment:
    """Match objects by their key; those left that agree in all but the key were renamed."""
    places = {fingerprint(element[key]): index for index, element in enumerate(a)}
    pairs, added = [], []
    for index, element in enumerate(b):
        place = places.pop(fingerprint(element[key]), None)
        if place is None:
            added.append(index)
        else:
            pairs.append((place, index))
    removed = sorted(places.values())
    contents_a = {index: _without(a[index], key) for index in removed}
    contents_b = {index: _without(b[index], key) for index in added}
    renames = match_unique(contents_a, contents_b)
    renamed = frozenset(before for before, _ in renames)
    return _finish(len(a), len(b), pairs + renames, key=key, renamed=renamed)


def match_unique(a: dict[Any, Any], b: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """Pair the names whose content, given as non-empty fingerprints, is the same and occurs once on each side."""
    by_content_a: dict[Any, list[Any]] = defaultdict(list)
    by_content_b: dict[Any, list[Any]] = defaultdict(list)
    for sides, by_content in ((a, by_content_a), (b, by_content_b)):
        for name, content in sides.items():
            by_content[content].append(name)
    return [
        (names[0], by_content_b[content][0])
        for content, names in by_content_a.items()
        if content is not None and len(names) == 1 and len(by_content_b.get(content, ())) == 1
    ]


def _without(element: dict[Any, Any], key: str) -> Any:
    """Return the fingerprint of an object but for its key; None when nothing is left to recognise it by."""
    rest = {name: value for name, value in element.items() if name != key}
    return fingerprint(rest) if rest else None


def _reads_as_vector(a: list[Any], b: list[Any], prints_a: list[Any], prints_b: list[Any]) -> bool:
    """Tell whether two lists of numbers are better read position by position than as sets.

    [0.1, 0.2, 0.7] → [0.1, 0.3, 0.6] is two weights that changed; [10, 20, 30] → [20, 30, 40] is one number
    more and one less.
    """
    if len(a) != len(b) or not all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for side in (a, b) for value in side
    ):
        return False
    left = Counter(prints_a) - Counter(prints_b)
    differing = sum(bool(x != y) for x, y in zip(prints_a, prints_b, strict=True))
    return 0 < differing <= left.total()


def _match_equal(a: list[Any], b: list[Any]) -> list[tuple[int, int]]:
    """Pair equal elements: as many in unchanged order as possible, then those that moved."""
    start, end_a, end_b = 0, len(a), len(b)
    while start < min(end_a, end_b) and a[start] == b[start]:
        start += 1
    while min(end_a, end_b) > start and a[end_a - 1] == b[end_b - 1]:
        end_a -= 1
        end_b -= 1
    pairs = [(index, index) for index in range(start)]
    pairs += zip(range(end_a, len(a)), range(end_b, len(b)), strict=True)

    places: dict[Any, list[int]] = defaultdict(list)
    for index in range(start, end_b):
        places[b[index]].append(index)
    middle = range(start, end_a)
    if sum(len(places.get(a[index], ())) for index in middle) <= _MAX_CROSSINGS:
        # A longest common subsequence is a longest increasing one over all equal pairs, partners descending.
        crossings = [(index, place) for index in middle for place in reversed(places.get(a[index], ()))]
        kept = [crossings[position] for position in longest_increasing([place for _, place in crossings])]
    else:
        kept = []
    pairs += kept
    used_a, used_b = {index for index, _ in kept}, {place for _, place in kept}
    free = {value: iter([place for place in found if place not in used_b]) for value, found in places.items()}
    for index in middle:
        if index not in used_a and a[index] in free:
            place = next(free[a[index]], None)
            if place is not None:
                pairs.append((index, place))
    return pairs


def _match_alike(a: list[Any], b: list[Any], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pair what is left of two lists by similarity, the most alike first and then the nearest."""
    used_a, used_b = {index for index, _ in pairs}, {place for _, place in pairs}
    left_a = [
        index for index, value in enumerate(a) if index not in used_a and isinstance(value, (dict, list))
    ]
    left_b = [
        index for index, value in enumerate(b) if index not in used_b and isinstance(value, (dict, list))
    ]
    if len(left_a) * len(left_b) > _MAX_COMPARISONS:
        candidates = [
            (similarity(a[index], b[place]), index, place)
            for index, place in zip(left_a, left_b, strict=False)
        ]
    else:
        candidates = [(similarity(a[index], b[place]), index, place) for index in left_a for place in left_b]
    candidates.sort(key=lambda entry: (-entry[0], abs(entry[1] - entry[2]), entry[1]))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for score, index, place in candidates:
        if score >= _ALIKE and index not in found and place not in taken:
            found[index] = place
            taken.add(place)
    return list(found.items())


def _finish(
    size_a: int,
    size_b: int,
    pairs: list[tuple[int, int]],
    *,
    key: str = "",
    scalars: bool = False,
    renamed: frozenset[int] = frozenset(),
) -> Alignment:
    """Work out from the pairs what was removed, added and moved."""
    pairs.sort(key=lambda pair: pair[1])
    in_order = set(longest_increasing([index for index, _ in pairs]))
    used_a, used_b = {index for index, _ in pairs}, {place for _, place in pairs}
    return Alignment(
        key=key,
        scalars=scalars,
        pairs=pairs,
        removed=[index for index in range(size_a) if index not in used_a],
        added=[place for place in range(size_b) if place not in used_b],
        moved=[index for position, (index, _) in enumerate(pairs) if position not in in_order],
        renamed=renamed,
    )
