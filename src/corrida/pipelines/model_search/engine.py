"""The search over several models: one child run a model; one that fails leaves the others alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig, PipelineFailed, Refused, StoreError
from corrida.pipelines.contract import Outcome
from corrida.pipelines.model_search.callbacks import Callbacks, SearchStart
from corrida.pipelines.model_search.candidates import error_text
from corrida.pipelines.model_search.item_rows import measures_of
from corrida.pipelines.model_search.metrics import scoring_metric
from corrida.pipelines.model_search.model_run import ModelRun
from corrida.pipelines.model_search.results import ModelResult, SearchResults
from corrida.pipelines.model_search.saving import file_format, save_fitted
from corrida.pipelines.model_search.search_data import PreparedData, check_folds, prepare
from corrida.pipelines.model_search.trials import plain_params

if TYPE_CHECKING:
    from corrida.pipelines.contract import ChildRecorder, Recorder
    from corrida.pipelines.executors.contract import Executor
    from corrida.pipelines.model_search.search_data import SearchData
    from corrida.pipelines.model_search.search_settings import SearchSettings
    from corrida.pipelines.model_search.specs import ModelSpec

Finishing = Callable[["ChildRecorder", ModelResult, Outcome], Outcome]
REPORT = "training_report.csv"


class NoModelFitted(PipelineFailed, RuntimeError):
    """Every model of a search failed.

    Attributes:
        results: what became of each.
    """

    def __init__(self, results: SearchResults) -> None:
        first = results.failed[0]
        super().__init__(f"no model could be fitted; {first.name}: {first.error}")
        self.results = results


def search_models(
    specs: Sequence[ModelSpec] | Mapping[str, ModelSpec],
    data: SearchData,
    settings: SearchSettings,
    recorder: Recorder,
    callbacks: Sequence[Any] = (),
    *,
    finishing: Finishing | None = None,
    report: bool = True,
) -> SearchResults:
    """Search the hyper-parameters of each model, refit the best candidate, test and save it.

    Each model is a child run, with its trials as they end, its tables, the fitted model and its items. The run itself gets
    ``training_report.csv``.

    Args:
        specs: the models, each with its own name.
        data: what they learn from and are tested on.
        settings: how they are searched.
        recorder: of the run.
        callbacks: see :class:`~corrida.pipelines.model_search.callbacks.SearchCallback`.
        finishing: called in the child of each fitted model, after it is saved and the callbacks were called, with what the
            child will end with; it returns that, or something richer.
        report: whether to save ``training_report.csv``.

    Returns:
        The models by name, failed ones among them.

    Raises:
        InvalidData, InvalidConfig: data, specs or settings cannot be used; nothing was begun.
        MissingExtra: a package is not installed.
        NoModelFitted: every model failed.
    """
    return ModelSearch(specs, data, settings, recorder, callbacks, finishing).complete(report=report)


class ModelSearch:
    """A search over several models.

    Attributes:
        planned: trials at most.
        results: so far.
        prepared: the data as the models take them.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec] | Mapping[str, ModelSpec],
        data: SearchData,
        settings: SearchSettings,
        recorder: Recorder,
        callbacks: Sequence[Any],
        finishing: Finishing | None,
    ) -> None:
        """Check everything; see :func:`search_models` for what it raises."""
        self._specs = checked_specs(specs, data)
        for spec in self._specs:
            spec.require()
        self.scoring = scoring_metric(settings.scoring, data.task)
        self._settings, self._recorder, self._finishing = settings, recorder, finishing
        self.prepared: PreparedData = prepare(
            data,
            cv=settings.cv,
            random_state=settings.random_state,
            as_numbers=any(spec.preprocessing != "none" for spec in self._specs),
        )
        check_folds(self.prepared, self.scoring)
        self._callbacks = Callbacks(callbacks, recorder)
        self.results = SearchResults(self.scoring, getattr(recorder, "run_id", None))
        self._runs: dict[str, ModelRun | Exception] = {spec.name: self._begun(spec) for spec in self._specs}
        self.planned = sum(run.planned if isinstance(run, ModelRun) else 0 for run in self._runs.values())
        self._now, self._best = "", ""

    def label(self) -> str:
        """Return what is being searched, and the best so far."""
        return " · ".join(filter(None, [self._now, self._best])) or "searching"

    def complete(self, *, report: bool = True) -> SearchResults:
        """Search all models, and return what became of them; see :func:`search_models` for what it raises."""
        try:
            with contextlib.closing(self.run()) as steps:  # an interrupt ends the open child before the run
                for _ in self._recorder.progress(steps, total=self.planned, label=self.label):
                    pass
        finally:
            self.end(report=report)
        if not self.results.fitted:
            raise NoModelFitted(self.results)
        return self.results

    def run(self) -> Generator[None, None, None]:
        """Go through the models, yielding after each trial."""
        for text in self.prepared.said:
            self._recorder.warn(text)
        self._callbacks("on_search_start", self._start())
        with self._recorder.executor(self._settings.jobs) as executor:
            for number, spec in enumerate(self._specs, 1):
                self._now = f"{spec.name} ({number} of {len(self._specs)})"
                yield from self._model(spec, executor)

    def end(self, *, report: bool) -> None:
        """Write the report and tell the callbacks."""
        if report and len(self.results):
            self._recorder.save_table(REPORT, self.results.report())
        self._callbacks("on_search_end", self.results)
        self.results.callback_errors = self._callbacks.errors
        self._callbacks.say()

    def _begun(self, spec: ModelSpec) -> ModelRun | Exception:
        try:
            run = ModelRun(spec, self.prepared, self._settings, self.scoring)
            # Before hours of work: can the model be saved at all?
            file_format(run.estimator, spec.name, pickle=self._settings.pickle)
        except (InvalidConfig, Refused) as error:
            return error  # one failing model does not lose the others
        return run

    def _start(self) -> SearchStart:
        return SearchStart(
            specs=self._specs,
            data=self.prepared.given,
            settings=self._settings,
            scoring=self.scoring,
            run_id=self.results.run_id,
            folder=self._recorder.saved("."),
            log=self._recorder.log,
            report=self.results.metrics.update,
        )

    def _model(self, spec: ModelSpec, executor: Executor) -> Iterator[None]:
        run = self._runs[spec.name]
        result = run.result if isinstance(run, ModelRun) else ModelResult(spec.name, spec)
        self.results.add(result)
        started = time.perf_counter()
        params = {"model": spec.name, "preprocessing": spec.preprocessing, "method": self._settings.method}
        try:
            with self._recorder.child(
                spec.name, params=params, description=spec.description or None
            ) as child:
                result.run_id = child.run_id
                yield from self._searched(_usable(run), child, executor)
                self._fitted(_usable(run), child)
        except StoreError:
            raise  # the disk is full: of the store, not of the model
        except Exception as error:  # noqa: BLE001 - whatever a model raises, the others go on
            result.status, result.error = "failed", error_text(error)
            self._recorder.warn(f"{spec.name} failed and is left out: {result.error}")
            extras = _extras(result) | {"duration_sec": time.perf_counter() - started}
            self._callbacks("on_model_failed", spec, error, extras)

    def _searched(self, run: ModelRun, child: ChildRecorder, executor: Executor) -> Iterator[None]:
        name, scoring = run.spec.name, self.scoring
        for step, trial in enumerate(run.search(child, executor)):
            score = trial.scores.get(scoring)
            if score is not None:
                best = {} if trial.best_so_far is None else {f"best_val_{scoring}": trial.best_so_far}
                child.log({f"val_{scoring}": score, **best}, step=trial.number if trial.round == 0 else step)
            if trial.best_so_far is not None:
                self._best = f"best {scoring} {trial.best_so_far:.4g}"
            self._callbacks("on_trial", run.spec, trial)
            yield
        self._best = f"best {scoring} {run.result.metrics[f'val_{scoring}']:.4g} of {name}"

    def _fitted(self, run: ModelRun, child: ChildRecorder) -> None:
        result, name = run.result, run.spec.name
        fitted = run.refit()
        run.test()
        facts = {
            "model": name,
            "preprocessing": run.spec.preprocessing,
            "preparation": result.preparation,
            "best_params": plain_params(result.best_params),
            "fitted_on_rows": self.prepared.rows,
        }
        save_fitted(child, name, fitted, pickle=self._settings.pickle, facts=facts)
        child.log_params({f"best_{key}": value for key, value in plain_params(result.best_params).items()})
        result.model_path = child.saved(f"models/{name}")
        result.status = "fitted"
        self._callbacks("on_model_fitted", run.spec, fitted, result.metrics, _extras(result))
        outcome = Outcome(
            metrics={**result.metrics, **_counts(result)},
            items=result.items,
            summary=_summary(result, self.scoring),
            measures=measures_of(result.metrics) if result.items is not None else {},
        )
        if self._finishing is not None:
            outcome = self._finishing(child, result, outcome)
        child.finish(outcome)


def checked_specs(specs: Sequence[ModelSpec] | Mapping[str, ModelSpec], data: SearchData) -> list[ModelSpec]:
    """Return the specs of a search.

    Raises:
        InvalidConfig: there is none, one is no spec or of another task, or two have the same name.
    """
    from corrida.pipelines.model_search.specs import ModelSpec

    found: list[Any] = list(specs.values()) if isinstance(specs, Mapping) else list(specs)
    if not found:
        raise InvalidConfig("there is no model to search; name at least one")
    for spec in found:
        if not isinstance(spec, ModelSpec):
            hint = f"; available_specs()[{spec!r}] is one" if isinstance(spec, str) else ""
            raise InvalidConfig(f"{spec!r} is no ModelSpec{hint}")
        if spec.task != data.task:
            raise InvalidConfig(f"the model {spec.name} is for {spec.task}, and the task is {data.task}")
    names = [spec.name for spec in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InvalidConfig(f"two models are called {twice}; give each its own name")
    return found


def _usable(run: ModelRun | Exception) -> ModelRun:
    """Return a model that can be searched; raise what is wrong with any other."""
    if isinstance(run, Exception):
        raise run
    return run


def _extras(result: ModelResult) -> dict[str, Any]:
    return {
        "train_duration_sec": result.train_duration_sec,
        "refit_sec": result.refit_sec,
        "best_params": result.best_params,
        "cv_results": result.cv_results,
        "fold_scores": result.fold_scores,
        "trials": result.trials,
        "model_path": result.model_path,
        "run_id": result.run_id,
        "tables": result.tables,
        "items": result.items,
        "preparation": result.preparation,
        "stopped": result.stopped,
    }


def _counts(result: ModelResult) -> dict[str, float]:
    return {
        "candidates": len({trial.number for trial in result.trials}),
        "candidates_failed": sum(trial.error is not None for trial in result.trials),
    }


def _summary(result: ModelResult, scoring: str) -> str:
    said = f"{result.name}: {scoring} {result.metrics[f'val_{scoring}']:.4g} by cross-validation"
    test = result.metrics.get(f"test_{scoring}")
    if test is not None:
        said += f", {test:.4g} on the test rows"
    if result.stopped:
        said += f"; the search ended {result.stopped}"
    return f"{said}."
