"""The search of one model: rounds of candidates on the executor, each kept as it ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corrida.pipelines.model_search.evaluation import Evaluation, FoldScore, FoldTask
from corrida.pipelines.model_search.metrics import DIRECTIONS, better
from corrida.pipelines.model_search.search import Problem, Round, Rounds, halving, tpe
from corrida.pipelines.model_search.search import random as random_search
from corrida.pipelines.model_search.trials import Journal, Trial

if TYPE_CHECKING:
    from corrida.pipelines.executors.contract import Executor
    from corrida.pipelines.model_search.search_settings import SearchSettings

_TASKS_PER_SLOT = 3


@dataclass(frozen=True)
class Ended:
    """How a search ended.

    Attributes:
        trials: those that count, in the order of rounds and numbers.
        stopped: why it ended before its last candidate, or empty.
    """

    trials: list[Trial]
    stopped: str


class CandidateSearch:
    """Tries the candidates of one model."""

    def __init__(
        self,
        evaluation: Evaluation,
        problem: Problem,
        settings: SearchSettings,
        scoring: str,
        executor: Executor,
        journal: Journal,
    ) -> None:
        """Search ``problem`` by the method of the settings."""
        self._evaluation, self._problem, self._settings = evaluation, problem, settings
        self._scoring, self._executor, self._journal = scoring, executor, journal
        self._sign = 1 if DIRECTIONS[scoring] == "max" else -1
        self._trials: dict[tuple[int, int], Trial] = {}
        self._best: float | None = None
        self._started = 0.0
        self._stopped = ""
        self._in_order: list[int] = []  # of patience: numbers that are to come, and the best by number
        self._stale = 0
        self._best_in_order: float | None = None

    def run(self) -> Iterator[Trial]:
        """Yield each trial when it has ended and is kept."""
        self._started = time.monotonic()
        rounds = self._rounds()
        asked: Round | None = next(rounds)
        with contextlib.closing(rounds):
            while asked is not None:
                yield from self._round(asked)
                if self.ended().stopped:
                    yield from self._winner_of(asked)
                    return
                scores = {number: self._score(asked.number, number) for number in asked.candidates}
                try:
                    asked = rounds.send(scores)
                except StopIteration:
                    asked = None

    def _winner_of(self, asked: Round) -> Iterator[Trial]:
        """Try the best of a round that had few rows on all rows: else halving that ran out of time had no winner."""
        if asked.rows is None:
            return
        reached = {number: self._score(asked.number, number) for number in asked.candidates}
        known = {number: score for number, score in reached.items() if score is not None}
        if known:
            best = min(known, key=lambda number: (-known[number], number))
            last = Round({best: asked.candidates[best]}, asked.number + 1)
            for trial in self._tried(last, last.candidates):
                yield self._kept(trial)

    def ended(self) -> Ended:
        """Return what counts."""
        keys = sorted(self._trials)
        return Ended([self._trials[key] for key in keys], self._stopped)

    def _rounds(self) -> Rounds:
        if not self._problem.space or self._settings.method == "none":
            return _defaults_only(self._problem)
        method = {"random": random_search.rounds, "tpe": tpe.rounds, "halving": halving.rounds}
        return method[self._settings.method](self._problem)

    def _score(self, round_number: int, number: int) -> float | None:
        trial = self._trials.get((round_number, number))
        score = None if trial is None else trial.scores.get(self._scoring)
        return None if score is None else self._sign * score

    def _round(self, asked: Round) -> Iterator[Trial]:
        self._in_order = sorted(asked.candidates)
        open_: dict[int, dict[str, Any]] = {}
        for number, params in asked.candidates.items():
            earlier = self._journal.earlier(number, params, asked.number, asked.rows)
            if earlier is None:
                open_[number] = params
            else:
                yield self._kept(earlier)
                if self._is_over(asked):
                    return
        if not open_ or (self._trials and self._is_over(asked)):  # one candidate is always tried
            return
        for trial in self._tried(asked, open_):
            yield self._kept(trial)
            if self._is_over(asked):
                return

    def _kept(self, trial: Trial) -> Trial:
        score = trial.scores.get(self._scoring)
        if trial.error is None and score is None:
            trial.error, trial.folds = f"its {self._scoring} is not a finite number on every fold", []
        if (
            score is not None
            and trial.rows is None
            and (self._best is None or better(score, self._best, self._scoring))
        ):
            self._best = score
        trial.best_so_far = self._best
        self._trials[trial.round, trial.number] = trial
        self._journal.append(trial)
        return trial

    def _tried(self, asked: Round, open_: Mapping[int, dict[str, Any]]) -> Iterator[Trial]:
        """Yield candidates as the last of their folds ends."""
        folds = range(len(self._evaluation.folds))
        # Few candidates for many slots: each fold a task of its own, so that no slot waits for a whole candidate.
        together = self._executor.slots == 1 or len(open_) >= _TASKS_PER_SLOT * self._executor.slots
        parts = [tuple(folds)] if together else [(fold,) for fold in folds]
        tasks = [
            FoldTask(number, params, part, asked.rows) for number, params in open_.items() for part in parts
        ]
        waiting = dict.fromkeys(open_, len(parts))
        scores: dict[int, list[FoldScore]] = {number: [] for number in open_}
        errors: dict[int, str] = {}
        attempts: dict[int, int] = dict.fromkeys(open_, 1)
        with contextlib.closing(_generator(self._executor.run(self._evaluation, tasks))) as ending:
            for done in ending:
                number = tasks[done.index].number
                waiting[number] -= 1
                attempts[number] = max(attempts[number], done.attempts)
                if done.error is not None:
                    errors.setdefault(number, error_text(done.error))
                else:
                    scores[number] += done.result or []
                if waiting[number]:
                    continue
                yield Trial(
                    number=number,
                    params=open_[number],
                    round=asked.number,
                    rows=asked.rows,
                    folds=[] if number in errors else sorted(scores.pop(number), key=lambda one: one.fold),
                    error=errors.get(number),
                    attempts=attempts[number],
                )

    def _is_over(self, asked: Round) -> bool:
        """Tell whether the search is to end, by time or patience."""
        limit, patience = self._settings.max_seconds, self._settings.patience
        if patience is not None and self._settings.method in {"random", "tpe"}:
            self._look_in_order(asked, patience)
        if not self._stopped and limit is not None and time.monotonic() - self._started >= limit:
            tried = {number for round_, number in self._trials if round_ == asked.number}
            to_come = self._settings.method == "tpe" and len(self._trials) < self._problem.n_iter
            if tried != {*asked.candidates} or asked.rows is not None or to_come:
                self._stopped = f"after {limit:g} s"
        return bool(self._stopped)

    def _look_in_order(self, asked: Round, patience: int) -> None:
        """Count candidates without improvement by their number, so that it does not matter which ended first."""
        while self._in_order and (asked.number, self._in_order[0]) in self._trials:
            number = self._in_order.pop(0)
            score = self._trials[asked.number, number].scores.get(self._scoring)
            best = self._best_in_order
            if score is not None and (best is None or better(score, best, self._scoring)):
                self._best_in_order, self._stale = score, 0
            else:
                self._stale += 1
            if self._stale >= patience:
                self._stopped = f"after {patience} candidates without a better one"
                # Others that happened to end earlier would make the result depend on how many ran at once.
                for key in [key for key in self._trials if key > (asked.number, number)]:
                    del self._trials[key]
                return


def _defaults_only(problem: Problem) -> Rounds:
    yield Round({0: problem.defaults})


def planned_trials(problem: Problem, method: str) -> int:
    """Return how many trials a search will have at most."""
    if not problem.space or method == "none":
        return 1
    count = len(random_search.random_candidates(problem))
    if method != "halving":
        return count
    rows, planned = halving.first_rows(problem), count
    while rows < problem.rows and count > 1:
        count = max(1, -(-count // halving.FACTOR))
        planned, rows = planned + count, rows * halving.FACTOR
    return planned


def _generator(iterator: Iterator[Any]) -> Any:
    yield from iterator


def error_text(error: BaseException) -> str:
    """Return the type of an error and the first line that says something."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__
