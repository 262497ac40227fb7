"""How candidates are chosen: each method asks for rounds of candidates and learns what they reached."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corrida.pipelines.model_search.distributions import Space


@dataclass(frozen=True)
class Round:
    """Candidates that may be tried in any order.

    Attributes:
        candidates: parameters by number.
        number: of the round, from 0.
        rows: training rows of each fold; None for all.
    """

    candidates: Mapping[int, dict[str, Any]]
    number: int = 0
    rows: int | None = None


Rounds = Generator[Round, Mapping[int, float | None], None]
"""Yields rounds; is sent the score of each candidate, more being better, None for one that failed."""


@dataclass(frozen=True)
class Problem:
    """What a method needs to know.

    Attributes:
        space: what may vary.
        defaults: what the estimator takes where nothing is said; the first candidate, where the space holds them.
        n_iter: candidates.
        random_state: of what is drawn.
        rows: training rows of the smallest fold.
        features: how many there are.
        classes: how many there are; 0 for regression.
        batch: candidates that TPE is asked for at a time.
        min_rows: of the first round of halving; None to choose.
    """

    space: Space
    defaults: dict[str, Any]
    n_iter: int
    random_state: int
    rows: int = 0
    features: int = 1
    classes: int = 0
    batch: int = 4
    min_rows: int | None = None

    @property
    def first(self) -> list[dict[str, Any]]:
        """The candidates that need not be drawn: the defaults, where the space holds them."""
        inside = all(entry.holds(self.defaults[name]) for name, entry in self.space.items())
        return [self.defaults] if inside else []
