"""What a search gives back, and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from corrida.pipelines.model_search.metrics import DIRECTIONS, METRICS, better
from corrida.pipelines.model_search.trials import Trial, plain_params

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from corrida.pipelines.contract import Direction
    from corrida.pipelines.model_search.callbacks import CallbackError
    from corrida.pipelines.model_search.fitted import FittedModel
    from corrida.pipelines.model_search.specs import ModelSpec


@dataclass
class ModelResult:
    """What became of one model.

    Attributes:
        name: of the model.
        spec: what it is.
        status: fitted or failed.
        error: why it failed.
        estimator: the best candidate, fitted on all training rows.
        metrics: ``val_*`` over the folds, ``test_*`` on the test rows, and durations in seconds.
        best_params: of the best candidate.
        trials: every candidate, in the order of rounds and numbers.
        cv_results: one row a candidate, columns as of scikit-learn; None where there was no search.
        fold_scores: one row a fold of the best candidate.
        train_duration_sec: how long the search took; the refit stands apart.
        refit_sec: how long the last fit on all training rows took.
        run_id: of the child run.
        model_path: the folder of the saved model; None when it is not kept on disk.
        test_output: what it says of the test rows.
        test_proba: test rows × classes; None where the estimator gives none.
        items: one row a test row.
        stopped: why the search ended before its last candidate, or empty.
        preparation: what is done to the features first, in words.
        tables: tables of the model, by file name.
    """

    name: str
    spec: ModelSpec
    status: Literal["fitted", "failed"] = "failed"
    error: str | None = None
    estimator: FittedModel | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    best_params: dict[str, Any] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    cv_results: pl.DataFrame | None = None
    fold_scores: pl.DataFrame | None = None
    train_duration_sec: float = 0.0
    refit_sec: float | None = None
    run_id: str | None = None
    model_path: Path | None = None
    test_output: NDArray[Any] | None = None
    test_proba: NDArray[np.float64] | None = None
    items: pl.DataFrame | None = None
    stopped: str = ""
    preparation: list[str] = field(default_factory=list)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)

    def __repr__(self) -> str:
        said = (
            self.error
            if self.status == "failed"
            else ", ".join(f"{k}={v:.4g}" for k, v in self.metrics.items())
        )
        return f"ModelResult({self.name}: {self.status}; {said})"


class SearchResults(Mapping[str, ModelResult]):
    """The models of a search by name, in the order in which they were asked for.

    Attributes:
        scoring: the metric that decides.
        callback_errors: what callbacks raised.
        metrics: what callbacks measured of the search as a whole.
        run_id: of the run, or None.
        path: the folder of the run, or None.
        output_path: the folder that got copies of models and tables, or None.
    """

    def __init__(self, scoring: str, run_id: str | None = None) -> None:
        """Begin without models."""
        self.scoring = scoring
        self.callback_errors: list[CallbackError] = []
        self.metrics: dict[str, float] = {}
        self.run_id = run_id
        self.path: Path | None = None
        self.output_path: Path | None = None
        self._models: dict[str, ModelResult] = {}

    def add(self, result: ModelResult) -> None:
        """Add what became of a model."""
        self._models[result.name] = result

    def __getitem__(self, name: str) -> ModelResult:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def direction(self) -> Direction:
        """Whether more or less of the deciding metric is better."""
        return DIRECTIONS[self.scoring]

    @property
    def fitted(self) -> list[ModelResult]:
        """The models that were fitted, the best by cross-validation first; of equals the one asked for first."""
        key = f"val_{self.scoring}"
        sign = -1 if self.direction == "max" else 1
        there = [one for one in self._models.values() if one.status == "fitted"]
        return sorted(there, key=lambda one: sign * one.metrics[key])

    @property
    def failed(self) -> list[ModelResult]:
        """The models that failed."""
        return [one for one in self._models.values() if one.status == "failed"]

    @property
    def best(self) -> ModelResult:
        """The best model by cross-validation; the test rows have no say in it.

        Raises:
            LookupError: every model failed.
        """
        if not self.fitted:
            raise LookupError("no model was fitted")
        return self.fitted[0]

    def report(self) -> pl.DataFrame:
        """Return one row a model, the best first and the failed last."""
        import polars as pl

        models = [*self.fitted, *self.failed]
        task = models[0].spec.task if models else "regression"
        names = [f"{part}_{metric}" for part in ("val", "test") for metric in METRICS[task]]
        durations = ["train_duration_sec", "refit_sec", "predict_sec"]
        columns: dict[str, Any] = {
            "model": [one.name for one in models],
            "status": [one.status for one in models],
        }
        columns |= {name: [one.metrics.get(name) for one in models] for name in (*names, *durations)}
        columns |= {
            "candidates": [len({trial.number for trial in one.trials}) for one in models],
            "candidates_failed": [sum(trial.error is not None for trial in one.trials) for one in models],
            "stopped": [one.stopped or None for one in models],
            "best_params": [_json(one.best_params) if one.status == "fitted" else None for one in models],
            "error": [one.error for one in models],
        }
        numbers = dict.fromkeys((*names, *durations), pl.Float64)
        texts = dict.fromkeys(("model", "status", "stopped", "best_params", "error"), pl.String)
        frame = pl.DataFrame(columns, schema_overrides={**numbers, **texts})
        return frame.drop([name for name in names if frame[name].null_count() == frame.height])

    def __repr__(self) -> str:
        return f"SearchResults({', '.join(f'{one.name}: {one.status}' for one in self._models.values())})"


def best_trial(trials: list[Trial], scoring: str) -> Trial | None:
    """Return the best of the candidates that were tried on all rows; of equals the one with the lowest number."""
    best: Trial | None = None
    for trial in sorted(trials, key=lambda one: one.number):
        score = trial.scores.get(scoring)
        if trial.rows is not None or score is None:
            continue
        if best is None or better(score, best.scores[scoring], scoring):
            best = trial
    return best


def cv_results_table(trials: list[Trial], scoring: str, folds: int) -> pl.DataFrame:
    """Return one row a trial, with the column names of ``cv_results_`` of scikit-learn where it has them.

    ``rank_test_<scoring>`` is among those that were tried on all rows; the others have none.
    """
    import polars as pl

    params = list(dict.fromkeys(name for trial in trials for name in trial.params))
    metrics = list(dict.fromkeys(name for trial in trials for one in trial.folds for name in one.metrics))
    sign = -1 if DIRECTIONS[scoring] == "max" else 1
    reached = sorted(
        sign * trial.scores[scoring] for trial in trials if trial.rows is None and scoring in trial.scores
    )
    rows: list[dict[str, Any]] = []
    for trial in trials:
        fits, scores = [one.fit_sec for one in trial.folds], [one.score_sec for one in trial.folds]
        ranked = trial.rows is None and scoring in trial.scores
        row: dict[str, Any] = {
            "candidate": trial.number,
            "round": trial.round,
            "rows": trial.rows,
            "mean_fit_time": float(np.mean(fits)) if fits else None,
            "std_fit_time": float(np.std(fits)) if fits else None,
            "mean_score_time": float(np.mean(scores)) if scores else None,
            "std_score_time": float(np.std(scores)) if scores else None,
        }
        row |= {f"param_{name}": _cell(trial.params.get(name)) for name in params}
        row["params"] = _json(trial.params)
        by_fold = {one.fold: one.metrics for one in trial.folds}
        for metric in metrics:
            row |= {f"split{fold}_test_{metric}": by_fold.get(fold, {}).get(metric) for fold in range(folds)}
            row[f"mean_test_{metric}"] = trial.scores.get(metric)
            row[f"std_test_{metric}"] = trial.spreads.get(metric)
        row[f"rank_test_{scoring}"] = 1 + reached.index(sign * trial.scores[scoring]) if ranked else None
        row["error"] = trial.error
        rows.append(row)
    schema = {"error": pl.String, "rows": pl.Int64, **{f"param_{name}": pl.String for name in params}}
    return pl.DataFrame(rows, schema_overrides=schema, infer_schema_length=None)


def fold_scores_table(trial: Trial) -> pl.DataFrame:
    """Return one row a fold of a candidate."""
    import polars as pl

    rows = [
        {"fold": one.fold, **one.metrics, "fit_time": one.fit_sec, "score_time": one.score_sec}
        for one in trial.folds
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def params_table(params: Mapping[str, Any]) -> pl.DataFrame:
    """Return one row a parameter."""
    import polars as pl

    columns = {"parameter": list(params), "value": [_cell(value) for value in params.values()]}
    return pl.DataFrame(columns, schema={"parameter": pl.String, "value": pl.String})


def _json(params: Mapping[str, Any]) -> str:
    return msgspec.json.encode(plain_params(dict(params))).decode()


def _cell(value: Any) -> str | None:
    """Return a value as text for a column that may hold values of several kinds; None has a word of its own."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(plain_params({"": value})[""]).decode()
