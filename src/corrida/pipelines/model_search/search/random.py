"""Random search: the defaults where the space holds them, then draws that are different from each other."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from corrida.pipelines.model_search.distributions import all_candidates, space_size
from corrida.pipelines.model_search.search import Problem, Round, Rounds

_TRIES = 100


def random_candidates(problem: Problem) -> dict[int, dict[str, Any]]:
    """Return the candidates by number; all of the space when it holds no more than were asked for.

    The first n of them do not depend on how many there are, unless the space is exhausted.
    """
    drawn = problem.first
    if space_size(problem.space) <= problem.n_iter:
        drawn += [one for one in all_candidates(problem.space) if one not in drawn]
        return dict(enumerate(drawn[: problem.n_iter]))
    rng = np.random.default_rng(problem.random_state)
    seen = {_key(one) for one in drawn}
    for _ in range(problem.n_iter - len(drawn)):
        for _ in range(_TRIES):
            candidate = {name: entry.sample(rng) for name, entry in problem.space.items()}
            if _key(candidate) not in seen:
                break
        else:  # nearly all of a small space was drawn: take what is left in its order
            candidate = next(one for one in all_candidates(problem.space) if _key(one) not in seen)
        seen.add(_key(candidate))
        drawn.append(candidate)
    return dict(itertools.islice(enumerate(drawn), problem.n_iter))


def rounds(problem: Problem) -> Rounds:
    """Ask for all candidates in one round."""
    yield Round(random_candidates(problem))


def _key(candidate: dict[str, Any]) -> str:
    return repr(sorted(candidate.items()))
