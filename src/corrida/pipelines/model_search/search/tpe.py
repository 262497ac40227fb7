"""Tree-structured Parzen estimators, by Optuna: draws where good candidates were, in batches of a fixed size.

A batch is asked for as a whole and told in the order of its numbers, whichever ended first. So what is drawn depends on the seed
and the scores alone, not on how many tasks run at once.
"""

from __future__ import annotations

import warnings
from typing import Any

from corrida.errors import MissingExtra
from corrida.pipelines.model_search.distributions import Choice, all_candidates, space_size
from corrida.pipelines.model_search.search import Problem, Round, Rounds


def rounds(problem: Problem) -> Rounds:
    """Ask for a batch, learn, and ask for the next.

    Raises:
        MissingExtra: Optuna is not installed.
    """
    if space_size(problem.space) <= problem.n_iter:  # small enough to try all of it
        first = problem.first
        others = [one for one in all_candidates(problem.space) if one not in first]
        yield Round(dict(enumerate([*first, *others][: problem.n_iter])))
        return
    optuna = _optuna()
    study = _study(optuna, problem)
    number = batch = 0
    if problem.first:
        scores = yield Round({0: problem.defaults})
        _tell_defaults(study, problem, scores[0])
        number = batch = 1
    while number < problem.n_iter:
        size = min(problem.batch, problem.n_iter - number)
        asked = [study.ask() for _ in range(size)]
        candidates = {
            number + place: {name: entry.suggest(trial, name) for name, entry in problem.space.items()}
            for place, trial in enumerate(asked)
        }
        scores = yield Round(candidates, batch)
        for place, trial in enumerate(asked):
            score = scores.get(number + place)
            if score is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, score)
        number, batch = number + size, batch + 1


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtra(
            "the search by TPE needs optuna; install it with: pip install 'corrida[search]'"
        ) from None
    return optuna


def _study(optuna: Any, problem: Problem) -> Any:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=problem.random_state,
            n_startup_trials=max(problem.batch, problem.n_iter // 4),
            constant_liar=True,  # those of the same batch are kept apart
        )
        return optuna.create_study(direction="maximize", sampler=sampler)


def _tell_defaults(study: Any, problem: Problem, score: float | None) -> None:
    """Let TPE learn from the defaults."""
    if score is None:
        return
    places = {
        name: entry.values.index(problem.defaults[name])
        if isinstance(entry, Choice)
        else problem.defaults[name]
        for name, entry in problem.space.items()
    }
    study.enqueue_trial(places)
    trial = study.ask()
    for name, entry in problem.space.items():
        entry.suggest(trial, name)
    study.tell(trial, score)
