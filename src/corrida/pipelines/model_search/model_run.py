"""One model of a search from its spec to the saved estimator."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from corrida.errors import InvalidConfig
from corrida.pipelines.model_search.candidates import CandidateSearch, error_text, planned_trials
from corrida.pipelines.model_search.evaluation import Evaluation
from corrida.pipelines.model_search.fitted import FittedModel
from corrida.pipelines.model_search.item_rows import items_table
from corrida.pipelines.model_search.preprocessing import MODEL, settled, with_preprocessing
from corrida.pipelines.model_search.results import (
    ModelResult,
    best_trial,
    cv_results_table,
    fold_scores_table,
    params_table,
)
from corrida.pipelines.model_search.search import Problem
from corrida.pipelines.model_search.trials import Journal, search_key
from corrida.pipelines.threads import one_thread

if TYPE_CHECKING:
    from corrida.pipelines.contract import ChildRecorder
    from corrida.pipelines.executors.contract import Executor
    from corrida.pipelines.model_search.search_data import PreparedData
    from corrida.pipelines.model_search.search_settings import SearchSettings
    from corrida.pipelines.model_search.specs import ModelSpec
    from corrida.pipelines.model_search.trials import Trial

_WARNINGS_AT_MOST = 3
_NUMBER = re.compile(r"[-+]?\d[\d.,]*(e[-+]?\d+)?")


class ModelRun:
    """Searches, refits and tests one model.

    Attributes:
        result: what became of it so far.
    """

    def __init__(
        self, spec: ModelSpec, prepared: PreparedData, settings: SearchSettings, scoring: str
    ) -> None:
        """Build the model and check it.

        Raises:
            InvalidConfig: it cannot be built or cloned, or lacks a parameter of its space.
        """
        self.spec, self.prepared, self.settings, self.scoring = spec, prepared, settings, scoring
        self.result = ModelResult(spec.name, spec)
        model = _built(spec, settings.random_state)
        self.defaults = _defaults(model, spec)
        self._raw = spec.preprocessing == "none"
        if self._raw or prepared.features is None:
            self.estimator = model
        else:
            self.estimator, self.result.preparation = with_preprocessing(
                model, spec, prepared.features, prepared.matrix
            )
        self.evaluation = Evaluation(
            estimator=self.estimator,
            prefix="" if self.estimator is model else f"{MODEL}__",
            table=prepared.given.X_train if self._raw else prepared.matrix,
            y=prepared.y,
            folds=prepared.folds,
            task=prepared.given.task,
            labels=prepared.labels,
            labels_as_given=self._raw,
            random_state=settings.random_state,
        )
        self.problem = Problem(
            space=spec.distributions,
            defaults=self.defaults,
            n_iter=settings.n_iter,
            random_state=settings.random_state,
            rows=min(len(train) for train, _ in prepared.folds),
            features=max(1, prepared.matrix.shape[1]),
            classes=len(prepared.labels or ()),
            batch=settings.batch,
            min_rows=settings.min_rows,
        )

    @property
    def planned(self) -> int:
        """How many trials there will be at most."""
        return planned_trials(self.problem, self.settings.method)

    @property
    def searches(self) -> bool:
        """Whether there is something to search, rather than to cross-validate only."""
        return bool(self.spec.space) and self.settings.method != "none"

    def search(self, recorder: ChildRecorder, executor: Executor) -> Iterator[Trial]:
        """Yield each candidate when it has ended and is kept.

        Raises:
            ValueError: every candidate failed.
        """
        key = search_key(
            self.prepared,
            self.spec.name,
            self.spec.preprocessing,
            sorted(self.spec.space.items()),
            type(self.estimator).__name__,
            sorted(_shown_params(self.estimator).items()),
            self.settings.method,
            self.settings.n_iter if self.settings.method == "halving" else None,
            self.settings.batch,
            self.settings.min_rows,
            self.settings.random_state,
        )
        journal = Journal(recorder, key)
        search = CandidateSearch(
            self.evaluation, self.problem, self.settings, self.scoring, executor, journal
        )
        started = time.perf_counter()
        try:
            yield from search.run()
        finally:
            self.result.train_duration_sec = time.perf_counter() - started
            ended = search.ended()
            self.result.trials, self.result.stopped = ended.trials, ended.stopped
        self._say(recorder)
        best = best_trial(ended.trials, self.scoring)
        if best is None:
            failed = [trial for trial in ended.trials if trial.error]
            raise ValueError(
                f"every candidate failed; the first: {failed[0].error}"
                if failed
                else f"no candidate was tried on all rows ({ended.stopped}); give it more time"
            )
        self._keep(best, recorder)

    def _keep(self, best: Trial, recorder: ChildRecorder) -> None:
        """Take over what the best candidate reached, and save the tables."""
        result = self.result
        result.best_params = dict(best.params)
        result.metrics = {f"val_{name}": value for name, value in best.scores.items()}
        result.metrics[f"val_{self.scoring}_std"] = best.spreads[self.scoring]
        result.fold_scores = fold_scores_table(best)
        name = self.spec.name
        if self.searches:
            result.cv_results = cv_results_table(result.trials, self.scoring, len(self.prepared.folds))
            result.tables[f"{name}_cv_results.csv"] = result.cv_results
        else:
            result.tables[f"{name}_cv_scores.csv"] = result.fold_scores
            shown = best.params or _shown_params(self.estimator)
            result.tables[f"{name}_search_params.csv"] = params_table(shown)
        for file, table in result.tables.items():
            recorder.save_table(file, table)

    def refit(self) -> FittedModel:
        """Fit the best candidate on all training rows; timed apart from the search."""
        from sklearn.base import clone

        estimator = clone(self.estimator).set_params(
            **{self.evaluation.prefix + name: value for name, value in self.result.best_params.items()}
        )
        import warnings

        started = time.perf_counter()
        with warnings.catch_warnings(), one_thread():
            warnings.simplefilter("ignore")  # the folds have said it
            self._classes = self.evaluation.fit(estimator)
        self.result.refit_sec = time.perf_counter() - started
        data = self.prepared.given
        self.result.estimator = FittedModel(
            estimator,
            task=data.task,
            target=data.target,
            features=None if self._raw else self.prepared.features,
            labels=None if self._raw else self.prepared.labels,
        )
        return self.result.estimator

    def test(self) -> None:
        """Predict the test rows, and add what came of it to the result."""
        data, result, y_test = self.prepared.given, self.result, self.prepared.y_test
        result.metrics |= {
            "train_duration_sec": result.train_duration_sec,
            "refit_sec": result.refit_sec or 0.0,
        }
        if y_test is None or result.estimator is None:
            return
        started = time.perf_counter()
        with one_thread():
            table = result.estimator.inner_table(data.X_test)
            output, probabilities = self.evaluation.predict(result.estimator.estimator, table, self._classes)
        result.metrics["predict_sec"] = time.perf_counter() - started
        if data.task == "regression" and not np.isfinite(output).all():
            raise ValueError("a prediction of a test row is not finite")
        found = self.evaluation.metrics(y_test, output, probabilities)
        result.metrics |= {f"test_{name}": value for name, value in found.items()}
        result.test_proba = probabilities
        result.items = items_table(self.prepared, self.scoring, output, probabilities)
        result.test_output = result.items["output"].to_numpy() if data.task == "classification" else output
        losses = result.items["loss"].drop_nulls()
        result.metrics["test_loss"] = float(losses.to_numpy().mean())

    def _say(self, recorder: ChildRecorder) -> None:
        """Tell what the libraries warned of, and which candidates failed."""
        trials, name = self.result.trials, self.spec.name
        # The same warning with other numbers in it is the same warning.
        kinds: dict[str, tuple[str, set[tuple[int, int]]]] = {}
        for trial in trials:
            for text in dict.fromkeys(said for one in trial.folds for said in one.warnings):
                _, where = kinds.setdefault(_NUMBER.sub("#", text), (text, set()))
                where.add((trial.round, trial.number))
        for text, where in list(kinds.values())[:_WARNINGS_AT_MOST]:
            recorder.warn(f"{name}: {text} ({_of(len(where), trials)})")
        if len(kinds) > _WARNINGS_AT_MOST:
            recorder.warn(
                f"{name}: {len(kinds) - _WARNINGS_AT_MOST} more kinds of warnings; trials.jsonl has them"
            )
        failed = [trial for trial in trials if trial.error]
        if failed and len(failed) < len(trials):
            recorder.warn(f"{name}: {_of(len(failed), trials)} failed; the first: {failed[0].error}")
        again = sum(trial.attempts > 1 for trial in trials)
        if again:
            recorder.warn(f"{name}: the worker of {_of(again, trials)} died, and they were tried again")


def _of(count: int, trials: list[Trial]) -> str:
    return f"{count} of {len(trials)} candidate{'s' if len(trials) > 1 else ''}"


def _built(spec: ModelSpec, random_state: int) -> Any:
    from sklearn.base import clone

    try:
        model = spec.build()
    except Exception as error:
        raise InvalidConfig(f"the model {spec.name} cannot be built: {error_text(error)}") from error
    for method in ("fit", "predict", "get_params", "set_params"):
        if not callable(getattr(model, method, None)):
            raise InvalidConfig(
                f"the model {spec.name}: build returned a {type(model).__name__}, which has no method {method}(); "
                "it must have the interface of a scikit-learn estimator"
            )
    try:
        clone(model)
        return settled(clone(model), random_state)
    except Exception as error:
        raise InvalidConfig(
            f"the model {spec.name} cannot be cloned: {error_text(error)}; its __init__ must take every parameter by name "
            "and keep it as it is"
        ) from error


def _defaults(model: Any, spec: ModelSpec) -> dict[str, Any]:
    from corrida.pipelines.inputs import suggest

    known = model.get_params()
    lacking = [name for name in spec.space if name not in known]
    if lacking:
        raise InvalidConfig(
            f"the model {spec.name}: {type(model).__name__} has no parameter {lacking[0]!r} to search."
            f"{suggest(lacking[0], known)}"
        )
    return {name: known[name] for name in spec.space}


def _shown_params(estimator: Any) -> Mapping[str, Any]:
    """Return the plain parameters of an estimator."""
    return {
        name: value
        for name, value in estimator.get_params(deep=True).items()
        if value is None or isinstance(value, str | int | float | bool)
    }
