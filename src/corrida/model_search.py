"""A model search from Python, recorded as a run with a child a model."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corrida import __version__
from corrida.errors import BadInput, InvalidConfig
from corrida.execute.recorder import RunRecorder, Surroundings, record_outcome
from corrida.launch import begin, code_digests, enclosing_run
from corrida.pipelines.contract import Outcome
from corrida.pipelines.executors import check_executor
from corrida.pipelines.model_search import pipeline
from corrida.pipelines.model_search.callbacks import SearchCallback, SearchStart
from corrida.pipelines.model_search.catalogue import available_specs, find_specs
from corrida.pipelines.model_search.distributions import Choice, IntUniform, LogUniform, Uniform
from corrida.pipelines.model_search.engine import REPORT, ModelSearch
from corrida.pipelines.model_search.fitted import FittedModel
from corrida.pipelines.model_search.item_rows import measures_of
from corrida.pipelines.model_search.results import ModelResult, SearchResults
from corrida.pipelines.model_search.saving import load_fitted, save_fitted
from corrida.pipelines.model_search.search_data import PreparedData, SearchData
from corrida.pipelines.model_search.search_settings import SearchSettings
from corrida.pipelines.model_search.specs import ModelSpec, Task
from corrida.pipelines.model_search.system_metrics import SystemMetricsCallback
from corrida.project import Project, find_project
from corrida.runs.run_file import Invocation, PrimaryMetric
from corrida.runs.spec import RunSpec
from corrida.runs.store import Store, check_tags

if TYPE_CHECKING:
    from corrida.pipelines.contract import ChildRecorder

__all__ = [
    "Choice",
    "FittedModel",
    "IntUniform",
    "LogUniform",
    "ModelResult",
    "ModelSpec",
    "SearchCallback",
    "SearchResults",
    "SearchStart",
    "SystemMetricsCallback",
    "Uniform",
    "available_specs",
    "load_fitted",
    "run_model_search",
]


def run_model_search(
    specs: Sequence[ModelSpec | str] | Mapping[str, ModelSpec],
    X_train: Any,  # noqa: N803 - the names that everybody uses
    y_train: Any,
    X_test: Any = None,  # noqa: N803
    y_test: Any = None,
    n_iter: int = 20,
    cv: int | Iterable[tuple[Any, Any]] = 5,
    random_state: int | None = None,
    callbacks: Sequence[Any] = (),
    output_dir: str | os.PathLike[str] | None = None,
    *,
    task: Task | None = None,
    method: str = "random",
    scoring: str | None = None,
    n_jobs: int = 1,
    executor: str | None = None,
    max_seconds: float | None = None,
    patience: int | None = None,
    batch: int = 4,
    min_rows: int | None = None,
    pickle: bool = False,
    target: str = "target",
    test_ids: Sequence[str] | None = None,
    test_columns: Any = None,
    store: str | os.PathLike[str] | Store | None = None,
    save: bool = True,
    resume: str | None = None,
    run_id: str | None = None,
    run_tag: str | None = None,
    description: str | None = None,
    source: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> SearchResults:
    """Search the hyper-parameters of each model, refit the best candidate, test it, and keep all of it as a run.

    The run has a child run a model, with its trials, tables, the fitted model and its predictions of the test rows.

    Args:
        specs: the models: specs, or names of the catalogue.
        X_train: features: a pandas or polars frame, or a two-dimensional array.
        y_train: what is to be predicted, one a row.
        X_test: features of rows that no search sees; None for no test.
        y_test: what is right for them.
        n_iter: candidates a model; the first are the defaults of the estimator.
        cv: folds that are drawn, or pairs of training and validation rows. For dated data give pairs by time (such as
            ``TimeSeriesSplit().split(X_train)``): shuffled folds would let a model see the future.
        random_state: the same gives the same results on any executor; None draws one, which is recorded as the seed.
        callbacks: objects of :class:`SearchCallback`, or functions ``f(spec, estimator, metrics, extras)``.
        output_dir: models and tables are copied to ``output_dir/<run id>/`` besides; nothing there is overwritten.
        task: regression or classification; that of the specs when not given.
        method: ``random``, ``tpe``, ``halving``, or ``none`` to cross-validate only.
        scoring: the metric that decides; r2 or accuracy when not given.
        n_jobs: tasks at once on this machine; 0 or -1 is the number of cores.
        executor: ``local``, ``ray`` or ``ray://host:port``.
        max_seconds: a model's search starts no further candidate after this long.
        patience: a model's search ends after this many candidates without a better one.
        batch: candidates that TPE is asked for at a time.
        min_rows: training rows of the first round of halving.
        pickle: consent to save a model as a pickle where no safer format holds it.
        target: name of what is predicted.
        test_ids: item ids of the test rows; their places when not given.
        test_columns: a polars frame that is put beside the items, one row a test row.
        store: where runs are kept; the store of the project when not given.
        save: keep the run; else nothing is left but what is returned, and what ``output_dir`` gets.
        resume: a run of this search that was killed; its finished candidates are taken over.
        run_id: exactly this id for the run.
        run_tag: else ``run_<tag>``.
        description: what the run is.
        source: who or what made it.
        tags: of the run.

    Returns:
        The models by name; ``best`` is the best by cross-validation. A model that failed is among them and says why.

    Raises:
        InvalidData, InvalidConfig, BadInput: what was given cannot be used; no run is left behind.
        MissingExtra: a package is not installed.
        NoModelFitted: every model failed; the run is kept as failed.
        StoreError: the store cannot be written.

    Example:
        >>> import corrida
        >>> catalog = corrida.available_specs()
        >>> results = corrida.run_model_search(
        ...     [catalog["ridge"], catalog["random_forest"]], X_train, y_train, X_test, y_test, n_iter=5, cv=3
        ... )
        >>> results.best.metrics["test_r2"]
    """
    if executor is not None:
        check_executor(executor)
    if n_jobs < -1:
        raise InvalidConfig(
            f"run_model_search: n_jobs is {n_jobs}; give a number of tasks, or 0 for one a core"
        )
    seed = secrets.randbelow(2**31) if random_state is None else random_state
    settings = _settings(
        method=method,
        n_iter=n_iter,
        cv=cv if isinstance(cv, int) else 5,
        scoring=scoring,
        random_state=seed,
        jobs=0 if n_jobs == -1 else n_jobs,
        max_seconds=max_seconds,
        patience=patience,
        batch=batch,
        min_rows=min_rows,
        pickle=pickle,
    )
    models = _specs(specs, task)
    data = SearchData(
        X_train,
        y_train,
        X_test,
        y_test,
        task=task or (models[0].task if models else "regression"),
        splits=None if isinstance(cv, int) else list(cv),
        target=target,
        test_ids=test_ids,
        test_columns=test_columns,
    )
    opened = store if isinstance(store, Store) else None
    project = find_project(store=None if opened is not None else store)  # type: ignore[arg-type]
    if opened is None and save:
        opened = project.store()
    kept = opened if save else None
    spec = RunSpec(
        pipeline=pipeline.name,
        root=project.root,
        run_id=run_id,
        run_tag=run_tag,
        source=source,
        description=description,
        tags=check_tags(dict(tags or {})),
        seed=seed,
        parent=None if kept is None else enclosing_run(kept.root),
        resumed_from=None if resume is None or kept is None else kept.get(resume).id,
        params={
            "models": [one.name for one in models],
            "target": target,
            "task": data.task,
            **{
                name: getattr(settings, name) for name in settings.__struct_fields__ if name != "random_state"
            },
        },
        primary_metric=PrimaryMetric(pipeline.primary_metric, "min"),
        directions=dict(pipeline.directions),
        columns=pipeline.columns,
        invocation=_invocation(project),
        argv=sys.argv,
    )
    return _search(models, data, settings, spec, kept, _Options(callbacks, output_dir, executor, resume))


@dataclass(frozen=True)
class _Options:
    callbacks: Sequence[Any]
    output_dir: str | os.PathLike[str] | None
    executor: str | None
    resume: str | None


def _search(
    models: Sequence[ModelSpec],
    data: SearchData,
    settings: SearchSettings,
    spec: RunSpec,
    store: Store | None,
    options: _Options,
) -> SearchResults:
    resumed = None if options.resume is None or store is None else store.get(options.resume)
    with begin(store, spec) as writer:
        recorder = RunRecorder(writer, Surroundings(store=store, executor=options.executor, resumed=resumed))
        copies = _Copies(options.output_dir, writer.id)
        try:
            search = ModelSearch(models, data, settings, recorder, options.callbacks, copies.copy_model)
        except BadInput:
            writer.discard()  # wrong use, noticed before anything was done: not a run
            raise
        search.results.run_id = writer.id
        results = search.complete()
        best = results.best
        if best.estimator is not None and store is not None:
            facts = {"child": best.run_id}
            save_fitted(recorder, best.name, best.estimator, pickle=settings.pickle, facts=facts)
        copies.copy_report(results)
        record_outcome(writer, _outcome(results, search.prepared))
    for text in writer.warnings:
        _log.warning("%s", text)  # shown where nobody says otherwise
    results.path = None if store is None else writer.dir
    if store is None:
        for one in results.values():
            one.model_path = copies.models.get(one.name)
    results.output_path = copies.folder
    return results


_log = logging.getLogger(__name__)


class _Copies:
    """Copies what a search saved into a folder of the user's.

    Attributes:
        folder: that gets the copies; None for none.
        models: where those of the models are.
    """

    def __init__(self, output_dir: str | os.PathLike[str] | None, run_id: str) -> None:
        self.folder: Path | None = None
        self.models: dict[str, Path] = {}
        if output_dir is None:
            return
        number, name = 1, run_id
        while self.folder is None:
            with contextlib.suppress(FileExistsError):
                (Path(output_dir) / name).mkdir(parents=True)
                self.folder = Path(output_dir).resolve() / name
            number += 1
            name = f"{run_id}-{number}"

    def copy_model(self, child: ChildRecorder, result: ModelResult, outcome: Outcome) -> Outcome:
        """Copy the model and the tables of a child."""
        if self.folder is not None:
            saved = child.saved(f"models/{result.name}")
            if saved is not None:
                self.models[result.name] = self.folder / "models" / result.name
                shutil.copytree(saved, self.models[result.name])
            for name in result.tables:
                table = child.saved(name)
                if table is not None:
                    shutil.copyfile(table, self.folder / name)
        return outcome

    def copy_report(self, results: SearchResults) -> None:
        """Write the report."""
        if self.folder is not None:
            results.report().write_csv(self.folder / REPORT)


def _specs(specs: Sequence[ModelSpec | str] | Mapping[str, ModelSpec], task: Task | None) -> list[ModelSpec]:
    if isinstance(specs, str) or not isinstance(specs, Iterable):
        raise InvalidConfig("the models must be a list of specs or names, such as ['ridge', 'random_forest']")
    given = list(specs.values()) if isinstance(specs, Mapping) else list(specs)
    known = {one.task for one in given if isinstance(one, ModelSpec)}
    wanted: Task = task or (known.pop() if len(known) == 1 else "regression")
    found: list[ModelSpec] = []
    for one in given:
        found += find_specs([one], wanted, Path.cwd()) if isinstance(one, str) else [one]
    return found


def _settings(**given: Any) -> SearchSettings:
    from corrida.pipelines.conversion import convert

    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
    settings: SearchSettings = convert(plain, SearchSettings, "run_model_search")
    return settings


def _outcome(results: SearchResults, prepared: PreparedData) -> Outcome:
    best = results.best
    failed = f"; {len(results.failed)} failed" if results.failed else ""
    count = len(results.fitted)
    return Outcome(
        metrics={
            **best.metrics,
            **results.metrics,
            "models_trained": count,
            "models_failed": len(results.failed),
            "candidates": sum(len(one.trials) for one in results.values()),
        },
        items=best.items,
        dataset=_facts(results, prepared),
        summary=(
            f"{best.name} is the best of {count} model{'' if count == 1 else 's'} by cross-validation "
            f"({results.scoring} {best.metrics[f'val_{results.scoring}']:.4g}){failed}."
        ),
        measures=measures_of(best.metrics) if best.items is not None else {},
        findings={"best_model": best.name},
    )


def _facts(results: SearchResults, prepared: PreparedData) -> dict[str, Any]:
    """Return what is known of the data, which came as objects and not as files."""
    digest = hashlib.sha256(np.ascontiguousarray(prepared.matrix).tobytes())
    digest.update(np.ascontiguousarray(prepared.y).tobytes())
    facts: dict[str, Any] = {
        "rows_train": prepared.rows,
        "rows_test": 0 if prepared.y_test is None else len(prepared.y_test),
        "features": [] if prepared.features is None else prepared.features.names,
        "sha256_train": digest.hexdigest(),
        "scoring": results.scoring,
        "models": {one.name: one.run_id for one in results.values()},
    }
    if prepared.labels is not None:
        facts["classes"] = [str(label) for label in prepared.labels]
    return facts


def _invocation(project: Project) -> Invocation:
    script = Path.cwd() / sys.argv[0] if sys.argv and sys.argv[0] not in {"", "-c", "-m"} else None
    return Invocation(
        kind="python",
        folder=os.path.relpath(Path.cwd(), project.root),
        code=code_digests([script], project.root),
        corrida=__version__,
    )
