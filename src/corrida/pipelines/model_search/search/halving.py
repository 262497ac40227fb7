"""Successive halving: many candidates on few rows, the better third of them on three times as many, and so on.

scikit-learn begins with as few rows as leave one candidate for the last round, down to a handful: the order of candidates there
is noise, and the winners need more rows to show what they can. Here the first round has enough rows to tell candidates apart, and
only candidates that were tried on all rows can win.
"""

from __future__ import annotations

import math

from corrida.pipelines.model_search.search import Problem, Round, Rounds
from corrida.pipelines.model_search.search.random import random_candidates

FACTOR = 3
_LEAST, _PER_FEATURE, _PER_CLASS, _MOST_HALVINGS = 200, 10, 50, 2


def first_rows(problem: Problem) -> int:
    """Return the training rows of the first round.

    At least 200, 10 a feature and 50 a class, and a ninth of all: a candidate that wins with that many is rarely bad with all.
    """
    if problem.min_rows is not None:
        return min(problem.min_rows, problem.rows)
    least: int = max(
        _LEAST,
        _PER_FEATURE * problem.features,
        _PER_CLASS * problem.classes,
        -(-problem.rows // FACTOR**_MOST_HALVINGS),
    )
    return min(least, problem.rows)


def rounds(problem: Problem) -> Rounds:
    """Ask for all candidates on few rows, then for the better ones on more, last on all."""
    candidates = random_candidates(problem)
    rows, number = first_rows(problem), 0
    while rows < problem.rows and len(candidates) > 1:
        scores = yield Round(candidates, number, rows)
        # The order of equal scores is that of their numbers, so that it is the same each time.
        order = sorted(candidates, key=lambda one: (-_score(scores.get(one)), one))
        kept = order[: max(1, math.ceil(len(candidates) / FACTOR))]
        candidates = {one: candidates[one] for one in sorted(kept)}
        rows, number = rows * FACTOR, number + 1
    yield Round(candidates, number)


def _score(score: float | None) -> float:
    return -math.inf if score is None else score
