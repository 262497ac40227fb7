"""Whether and when an analysis that failed is tried again: a decision without a clock or a random generator of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from corrida.inference.problems import Problem


class Retries(NamedTuple):
    """The policy.

    Attributes:
        attempts: tries in all.
        first: seconds before the second try.
        most: the longest wait in seconds.
    """

    attempts: int
    first: float
    most: float


def wait_before_next(problem: Problem, tries: int, policy: Retries, draw: float) -> float | None:
    """Return the seconds to wait before the next try, or None when there is none.

    The wait doubles with each try up to a cap, and half of it is drawn at random, so that files which failed together
    do not come back together ("equal jitter"; M. Brooker, "Exponential Backoff And Jitter", 2015).

    Args:
        problem: why the last try failed; one that cannot pass gets no other try.
        tries: how many there were, from 1.
        policy: how many at most, and how far apart.
        draw: a random number from 0 to 1.
    """
    if not problem.may_pass or tries >= policy.attempts:
        return None
    longest = min(policy.most, policy.first * 2.0 ** min(tries - 1, 60))
    return longest / 2 + longest / 2 * draw
