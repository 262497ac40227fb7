"""From a table to a finished search: the engine is given the data, and its results become a leaderboard and a report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.contract import Outcome
from corrida.pipelines.model_search.catalogue import available_specs, find_specs
from corrida.pipelines.model_search.charts.search import Candidate
from corrida.pipelines.model_search.data import Prepared, prepare
from corrida.pipelines.model_search.engine import search_models
from corrida.pipelines.model_search.importances import (
    Importance,
    importances_table,
    own_importances,
    permutation_importances,
)
from corrida.pipelines.model_search.item_rows import measures_of
from corrida.pipelines.model_search.leaderboard import Leaderboard, Loss, Standing, leaderboard_table, rank
from corrida.pipelines.model_search.metrics import DIRECTIONS, scoring_metric
from corrida.pipelines.model_search.predictor import save_predictor
from corrida.pipelines.model_search.report import SearchStory, chosen_sentence, write_report
from corrida.pipelines.model_search.saving import save_fitted
from corrida.pipelines.model_search.search_data import SearchData
from corrida.pipelines.model_search.search_settings import SearchSettings
from corrida.pipelines.model_search.system_metrics import SystemMetricsCallback

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from corrida.pipelines.contract import ChildRecorder, Recorder
    from corrida.pipelines.model_search.fitted import FittedModel
    from corrida.pipelines.model_search.leaderboard import Floats
    from corrida.pipelines.model_search.results import ModelResult, SearchResults
    from corrida.pipelines.model_search.settings import ModelSearchConfig

# Scores that honest data hardly give.
_PERFECT = {"r2": 0.999, "accuracy": 0.999}


def search_table(
    paths: Sequence[Path],
    config: ModelSearchConfig,
    seed: int,
    item_ids: frozenset[str] | None,
    recorder: Recorder,
) -> Outcome:
    """Search the models on a table; see :meth:`ModelSearchPipeline.run`.

    Args:
        paths: of the data.
        config: of the run.
        seed: of everything that draws.
        item_ids: the only test rows to report; None for all. Training is not touched by it.
        recorder: of the run.
    """
    prepared = prepare(paths, config, seed)
    names = config.models or config.default_models(prepared.task, available_specs(task=prepared.task))
    specs = find_specs(names, prepared.task, _project())
    kept = _kept(prepared, item_ids)
    scoring = scoring_metric(config.scoring, prepared.task)
    work = _Work(config, seed, prepared, kept, scoring, _loss(prepared.task, scoring))
    for message in prepared.warnings:
        recorder.warn(message)
    results = search_models(
        specs,
        work.search_data(),
        work.search_settings(),
        recorder,
        [SystemMetricsCallback()] if config.system_metrics else [],
        finishing=work.finish_child,
    )
    board = work.board(results)
    recorder.save_table("leaderboard.csv", leaderboard_table(board))
    best = results[board.chosen.model]
    save_predictor(recorder, best.name, prepared, config)
    save_fitted(recorder, best.name, _fitted(best), pickle=config.pickle, facts={"child": best.run_id})
    work.warn_of_perfection(board, recorder)
    story = work.story(board, results)
    if config.report:
        write_report(story, recorder)
    return work.outcome(board, results)


@dataclass
class _Work:
    """A search under way.

    Attributes:
        kept: whether each test row is reported.
        importances: of the models so far.
    """

    config: ModelSearchConfig
    seed: int
    prepared: Prepared
    kept: np.ndarray[Any, np.dtype[np.bool_]]
    scoring: str
    loss: Loss
    importances: dict[str, list[Importance]] = field(default_factory=dict)

    def search_data(self) -> SearchData:
        """Return the data as the engine takes them."""
        p = self.prepared
        return SearchData(
            p.x_train,
            p.y_train,
            p.x_test,
            p.y_test,
            p.task,
            splits=p.folds,
            target=self.config.target,
            test_ids=p.test_ids,
            test_columns=p.test_columns if p.test_columns.width else None,
        )

    def search_settings(self) -> SearchSettings:
        """Return how to search, as the engine takes it."""
        c = self.config
        return SearchSettings(
            method=c.method,
            n_iter=c.n_iter,
            cv=c.cv,
            scoring=self.scoring,
            random_state=self.seed,
            jobs=c.n_jobs,
            max_seconds=c.max_seconds,
            patience=c.patience,
            batch=c.batch,
            min_rows=c.min_rows,
            pickle=c.pickle,
        )

    def losses(self, y: np.ndarray[Any, Any], output: np.ndarray[Any, Any]) -> Floats:
        """Return what is lost in each row."""
        if self.loss == "wrong":
            return np.asarray(y.astype(str) != output.astype(str), dtype=np.float64)
        error = np.asarray(y, dtype=np.float64) - np.asarray(output, dtype=np.float64)
        return np.asarray(error**2 if self.loss == "squared" else np.abs(error))

    def finish_child(self, child: ChildRecorder, result: ModelResult, outcome: Outcome) -> Outcome:
        """Give the run of a model what it needs to be compared and to predict on its own."""
        fitted, p = _fitted(result), self.prepared
        found = permutation_importances(
            lambda x, y: self.losses(y, fitted.predict(x)),
            p.x_test,
            p.y_test,
            p.columns,
            repeats=self.config.repeats,
            seed=self.seed,
        )
        if found:
            child.save_table("importances.csv", importances_table(found, own_importances(fitted, p.columns)))
        self.importances[result.name] = found
        save_predictor(child, result.name, p, self.config)
        return self._told(outcome, result.name, self._output(result))

    def board(self, results: SearchResults) -> Leaderboard:
        """Return the models side by side on the test rows."""
        p = self.prepared
        entries = [_standing(one, self.scoring) for one in results.values()]
        losses = {one.name: self.losses(p.y_test, self._output(one))[self.kept] for one in results.fitted}
        clusters = None
        if p.cluster is not None:
            clusters = [str(one) for one in p.test_columns.filter(self.kept)[p.cluster].to_list()]
        return rank(
            entries,
            losses,
            scoring=self.scoring,
            higher=DIRECTIONS[self.scoring] == "max",
            loss=self.loss,
            clusters=clusters,
            clustered=p.cluster or "",
            confidence=self.config.confidence,
            seed=self.seed,
        )

    def story(self, board: Leaderboard, results: SearchResults) -> SearchStory:
        """Return what the report tells."""
        traces = {
            one.model: [
                Candidate(place, trial.params, trial.scores.get(self.scoring))
                for place, trial in enumerate(results[one.model].trials, 1)
            ]
            for one in board.standings
        }
        return SearchStory(
            target=self.config.target,
            prepared=self.prepared,
            board=board,
            traces=traces,
            method=self.config.method,
            output=self._output(results[board.chosen.model]),
            importances=self.importances,
            warnings=self.prepared.warnings,
            stopped={one.name: one.stopped for one in results.values() if one.stopped},
        )

    def outcome(self, board: Leaderboard, results: SearchResults) -> Outcome:
        """Return what the run gives back: the results of the chosen model, and how many there were."""
        best = results[board.chosen.model]
        base = Outcome(
            {
                # How long the models took stands with each of them: this run would else never be the same again.
                **{name: value for name, value in best.metrics.items() if not name.endswith("_sec")},
                **results.metrics,
                "models_trained": len(results.fitted),
                "models_failed": len(results.failed),
                "candidates": sum(len(one.trials) for one in results.values()),
            },
            best.items,
            self._facts(board, results),
            self._summary(board, results),
        )
        told = self._told(base, best.name, self._output(best))
        return replace(
            told, findings={"best_model": best.name, "as_good": ", ".join(board.as_good) or "none"}
        )

    def warn_of_perfection(self, board: Leaderboard, recorder: Recorder) -> None:
        """Say when scores are too good to be true, and which column may give the answer away."""
        best = board.chosen
        odd = [n for n, least in _PERFECT.items() if (best.metrics.get(f"test_{n}") or 0) >= least]
        if odd and board.rows >= 10:
            first = next(iter(self.importances.get(best.model, ())), None)
            which = f"; the column {first.column!r} has most say" if first else ""
            recorder.warn(
                f"{best.model} is almost perfect on the test rows (test_{odd[0]} {best.metrics[f'test_{odd[0]}']:.4f}): see whether a "
                f"column gives the answer away{which}"
            )

    def _output(self, result: ModelResult) -> np.ndarray[Any, Any]:
        if result.test_output is None:
            raise RuntimeError(f"{result.name} gave no predictions of the test rows")
        return np.asarray(result.test_output)

    def _told(self, outcome: Outcome, model: str, output: np.ndarray[Any, Any]) -> Outcome:
        """Return an outcome with the loss that decides, and how its metrics come about from the items."""
        p = self.prepared
        losses = self.losses(p.y_test, output)
        items = outcome.items
        if items is not None:
            items = items.with_columns(pl.Series("loss", losses), pl.lit(model).alias("model"))
            if p.task == "regression":
                items = items.with_columns(pl.Series("residual", p.y_test - output.astype(np.float64)))
            items = items.filter(pl.Series(self.kept))
        metrics = {**outcome.metrics, "test_loss": float(losses[self.kept].mean())}
        return replace(
            outcome,
            metrics=metrics,
            items=items,
            measures=measures_of(metrics),
            cluster=p.cluster,
        )

    def _facts(self, board: Leaderboard, results: SearchResults) -> dict[str, Any]:
        return {
            **self.prepared.facts,
            "scoring": self.scoring,
            "loss": self.loss,
            "best_model": board.chosen.model,
            "models": {one.name: one.run_id for one in results.values()},
        }

    def _summary(self, board: Leaderboard, results: SearchResults) -> str:
        split = self.prepared.facts["split"]
        how = {
            "time": f"tested from {split.get('test_from')} on",
            "group": f"tested on other values of {split.get('column')}",
            "stratified": "tested on a share of each class",
            "random": "tested on rows drawn at random",
        }[split["by"]]
        failed = f"; {len(results.failed)} failed" if results.failed else ""
        return (
            f"{self.prepared.task} of {self.config.target}, {how}: {chosen_sentence(board)}; "
            f"{len(results.fitted)} model{'' if len(results.fitted) == 1 else 's'}{failed}."
        )


def _standing(result: ModelResult, scoring: str) -> Standing:
    if result.status == "failed":
        return Standing(model=result.name, state="failed", reason=result.error or "no reason given")
    return Standing(
        model=result.name,
        state="not tested",
        val=result.metrics.get(f"val_{scoring}"),
        val_std=result.metrics.get(f"val_{scoring}_std"),
        metrics=dict(result.metrics),
        seconds=result.train_duration_sec,
        refit_seconds=result.refit_sec,
        params=dict(result.best_params),
    )


def _fitted(result: ModelResult) -> FittedModel:
    if result.estimator is None:
        raise RuntimeError(f"{result.name} has no fitted model")
    return result.estimator


def _kept(prepared: Prepared, item_ids: frozenset[str] | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if item_ids is None:
        return np.ones(len(prepared.test_ids), dtype=np.bool_)
    kept = np.array([one in item_ids for one in prepared.test_ids])
    if not kept.any():
        raise InvalidData(
            f"none of the {len(item_ids)} items that are asked for is a test row; the first test row is {prepared.test_ids[0]!r}"
        )
    return kept


def _loss(task: str, scoring: str) -> Loss:
    if task == "classification":
        return "wrong"
    return "absolute" if scoring in {"mae", "median_ae"} else "squared"


def _project() -> Path:
    from pathlib import Path

    return Path.cwd()
