"""Callbacks: who is told of what a search does. What they raise is kept and said, and never ends the search."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import BadInput

if TYPE_CHECKING:
    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.model_search.fitted import FittedModel
    from corrida.pipelines.model_search.results import SearchResults
    from corrida.pipelines.model_search.search_data import SearchData
    from corrida.pipelines.model_search.search_settings import SearchSettings
    from corrida.pipelines.model_search.specs import ModelSpec
    from corrida.pipelines.model_search.trials import Trial

HOOKS = ("on_search_start", "on_trial", "on_model_fitted", "on_model_failed", "on_search_end")


@dataclass(frozen=True)
class SearchStart:
    """What is known when a search begins.

    Attributes:
        specs: the models, in order.
        data: what they learn from and are tested on.
        settings: how they are searched.
        scoring: the metric that decides.
        run_id: of the run; None where there is none.
        folder: of the run; None when it is not kept on disk.
        log: logs step metrics of the run as a whole; may be called from any thread.
        report: adds final metrics to the results as a whole.
    """

    specs: Sequence[ModelSpec]
    data: SearchData
    settings: SearchSettings
    scoring: str
    run_id: str | None
    folder: Path | None
    log: Callable[[Mapping[str, float]], None]
    report: Callable[[Mapping[str, float]], None]


class SearchCallback:
    """Override what you want to be told of; every method does nothing by itself.

    All are called in the main process, one at a time. What one raises is recorded with the run, and the search goes on.
    """

    def on_search_start(self, search: SearchStart) -> None:
        """Be told that a search begins."""

    def on_trial(self, spec: ModelSpec, trial: Trial) -> None:
        """Be told that a candidate ended; with several jobs in the order in which they end.

        Args:
            spec: the model.
            trial: parameters, scores (or the error) and the best score so far.
        """

    def on_model_fitted(
        self, spec: ModelSpec, estimator: FittedModel, metrics: Mapping[str, float], extras: Mapping[str, Any]
    ) -> None:
        """Be told that a model was fitted; it is saved already.

        Args:
            spec: the model.
            estimator: its best candidate, fitted on all training rows.
            metrics: ``val_*``, ``test_*`` and durations.
            extras: ``train_duration_sec``, ``refit_sec``, ``best_params``, ``cv_results`` and ``fold_scores`` (tables or
                None), ``trials``, ``model_path`` (the folder of the saved model, or None when none is kept), ``run_id``,
                ``tables`` (by file name), ``items``, ``preparation`` (in words), ``stopped``.
        """

    def on_model_failed(self, spec: ModelSpec, error: Exception, extras: Mapping[str, Any]) -> None:
        """Be told that a model failed; the search goes on with the others.

        Args:
            spec: the model.
            error: why.
            extras: as of :meth:`on_model_fitted`, as far as it came.
        """

    def on_search_end(self, results: SearchResults) -> None:
        """Be told that the search is over, also when it was interrupted."""


@dataclass
class CallbackError:
    """What a callback raised.

    Attributes:
        callback: its name.
        hook: the method.
        error: type and message of the first time.
        file: of the run, with the traceback of the first time.
        count: how often.
    """

    callback: str
    hook: str
    error: str
    file: str
    count: int = 1

    def __str__(self) -> str:
        times = f" {self.count} times, first" if self.count > 1 else ""
        return f"the callback {self.callback} failed in {self.hook}{times} with {self.error}; traceback: {self.file}"


class Callbacks:
    """Calls callbacks and keeps what they raise."""

    def __init__(self, callbacks: Sequence[Any], recorder: Recorder) -> None:
        """Check the callbacks.

        Raises:
            BadInput: one is neither a callback nor a function.
        """
        if isinstance(callbacks, str | bytes) or not isinstance(callbacks, Sequence):
            raise BadInput("callbacks must be a list of callbacks")
        self._recorder = recorder
        self._named = [(_name(one), _as_callback(one)) for one in callbacks]
        self.errors: list[CallbackError] = []

    def __call__(self, hook: str, *arguments: Any) -> None:
        """Call a method of every callback."""
        for name, callback in self._named:
            method = getattr(callback, hook, None)
            if method is None:
                continue
            try:
                method(*arguments)
            except Exception as error:  # noqa: BLE001 - whatever it raises, the search goes on
                self._keep(name, hook, error)

    def _keep(self, name: str, hook: str, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        for known in self.errors:
            if (known.callback, known.hook, known.error.partition(":")[0]) == (
                name,
                hook,
                type(error).__name__,
            ):
                known.count += 1
                return
        file = f"callback_errors/{len(self.errors) + 1}_{name}_{hook}.txt"
        found = CallbackError(name, hook, text, file)
        self.errors.append(found)
        self._recorder.save_text(file, "".join(traceback.format_exception(error)))

    def say(self) -> None:
        """Warn of what they raised, each once with its count; to be called when all have been called."""
        for error in self.errors:
            self._recorder.warn(str(error))


class _FunctionCallback(SearchCallback):
    """A function ``f(spec, estimator, metrics, extras)``, called when a model was fitted."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def on_model_fitted(
        self, spec: ModelSpec, estimator: FittedModel, metrics: Mapping[str, float], extras: Mapping[str, Any]
    ) -> None:
        self._function(spec, estimator, metrics, extras)


def _as_callback(given: Any) -> Any:
    if isinstance(given, type):
        raise BadInput(f"the callback {given.__name__} is a class; give an object of it: {given.__name__}()")
    if any(callable(getattr(given, hook, None)) for hook in HOOKS):
        return given
    if callable(given):
        return _FunctionCallback(given)
    raise BadInput(
        f"{given!r} is no callback; give a SearchCallback, or a function f(spec, estimator, metrics, extras)"
    )


def _name(callback: Any) -> str:
    import re

    name = getattr(callback, "__name__", None) or type(callback).__name__
    return re.sub(r"[^A-Za-z0-9_]", "_", str(name)).strip("_")[:60] or "callback"
