"""What the evaluation workloads are given: labels, detections in free words, and what matchers made of others.

All of it is made up and follows from a seed, without anything of corrida.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_STEMS = (
    "loop array index value return call type print branch test count order name scope copy list string number "
    "assign compare sort search add remove start end read write check pass update store point match parse split "
    "join round cast guard catch raise nest yield shift swap merge load"
)
_ENDINGS = ("", "s", "ed", "er", "ing")
_BETWEEN = "the a of is in to and that not as with when it for by before after only always never"
_SMALL = _BETWEEN.split()
_WORDS = [stem + ending for stem in _STEMS.split() for ending in _ENDINGS]

MATCHERS = ("fuzzy", "semantic", "hybrid")
STRATEGIES = ("baseline", "rubric_only", "worked_example", "second_look")
MODELS = ("model_a", "model_b")
PAIRS = tuple((strategy, model) for strategy in STRATEGIES for model in MODELS)
THRESHOLD = 0.5
CLUSTER = 4
"""Items of one student."""
LABELS = 50


def labels(count: int) -> list[tuple[str, str]]:
    """Return distinct names of 3 to 8 words with descriptions of 12 to 25; ASCII letters and spaces only."""
    draw = random.Random(1)  # noqa: S311 - no secret
    found: dict[str, str] = {}
    while len(found) < count:
        found.setdefault(_text(draw, 3, 8), _text(draw, 12, 25))
    return list(found.items())


def detections(count: int, known: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[int]]:
    """Return distinct names and descriptions in words near those of a label each, and which label that is."""
    draw = random.Random(2)  # noqa: S311 - no secret
    found: dict[tuple[str, str], int] = {}
    while len(found) < count:
        meant = draw.randrange(len(known))
        said = tuple(_reworded(draw, text) for text in known[meant])
        found.setdefault(said, meant)
    return list(found), list(found.values())


def _text(draw: random.Random, least: int, most: int) -> str:
    length = draw.randint(least, most)
    return " ".join(
        draw.choice(_SMALL if draw.random() < 0.4 else _WORDS) for _ in range(length)
    ).capitalize()


def _reworded(draw: random.Random, text: str) -> str:
    """Replace about a quarter of the words, drop some, and add some."""
    words = []
    for word in text.lower().split():
        chance = draw.random()
        if chance < 0.9:
            words.append(word if chance < 0.65 else draw.choice(_WORDS))
        if draw.random() < 0.1:
            words.append(draw.choice(_SMALL))
    return " ".join(words or [draw.choice(_WORDS)]).capitalize()


@dataclass(frozen=True)
class Graded:
    """Items with true labels, detections of them by 8 pairs of strategy and model, and what 3 matchers made of them.

    Attributes:
        true: the labels of each item, ascending; none for a clean one.
        item, pair: of each detection, as positions.
        name: of each detection; distinct for distinct numbers.
        matched: by matcher, the label and the score of each detection; below THRESHOLD there is none.
    """

    true: list[tuple[int, ...]]
    item: np.ndarray
    pair: np.ndarray
    name: list[str]
    matched: dict[str, tuple[np.ndarray, np.ndarray]]


def graded(items: int) -> Graded:
    """Return a grid of 3 matchers × 4 strategies × 2 models over some items, four of each student.

    About 3 in 10 items have a label, some two. Students differ in how often, and items in how hard they are to read, so
    that the cells go together as those of one dataset do.
    """
    import numpy as np

    draw = np.random.default_rng(3)
    weak = np.repeat(draw.beta(2, 4.5, -(-items // CLUSTER)), CLUSTER)[:items]
    planted = (draw.random(items) < weak).astype(int) + (draw.random(items) < weak / 6)
    true = [tuple(sorted(draw.choice(LABELS, size=size, replace=False).tolist())) for size in planted]
    hard, tempting = draw.random(items), draw.random(items)
    rows: list[tuple[int, int, int, int]] = []
    for pair in range(len(PAIRS)):
        hit, idle = 0.9 - 0.04 * pair, 0.08 + 0.02 * pair
        seen = hard + draw.normal(0, 0.2, items) < hit
        remarked = tempting + draw.normal(0, 0.1, items) < idle
        for item in range(items):
            said = [label for label in true[item] if seen[item]]
            if remarked[item]:
                said.append(int(draw.integers(LABELS)))
            rows += [(item, pair, label, len(rows) + place) for place, label in enumerate(said)]
    item, pair, meant, number = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    clear = draw.normal(0.7, 0.12, item.size)
    matched = {}
    for place, matcher in enumerate(MATCHERS):
        score = np.clip(clear + draw.normal(0.02 * place, 0.08, item.size), 0, 1).astype(np.float32)
        wrong = draw.random(item.size) < 0.15 - 0.04 * place
        matched[matcher] = np.where(wrong, (meant + 1) % LABELS, meant), score
    return Graded(true, item, pair, [f"finding {one}" for one in number], matched)
