"""One candidate on some folds: what a worker does."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from corrida.errors import InvalidData
from corrida.pipelines.model_search.fitted import as_labels
from corrida.pipelines.model_search.metrics import classification_metrics, regression_metrics
from corrida.pipelines.model_search.search_data import rows_of
from corrida.pipelines.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from corrida.pipelines.model_search.search_data import Fold
    from corrida.pipelines.model_search.specs import Task


class FoldScore(msgspec.Struct, frozen=True):
    """What a candidate reached on a fold.

    Attributes:
        fold: from 0.
        metrics: those that could be computed.
        fit_sec: how long the fit took.
        score_sec: how long prediction and metrics took.
        warnings: what the libraries warned of, each once.
    """

    fold: int
    metrics: dict[str, float]
    fit_sec: float
    score_sec: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoldTask:
    """Part of a candidate, for a worker.

    Attributes:
        number: of the candidate.
        params: of the candidate.
        folds: on which to fit it.
        rows: training rows of each fold to use; None for all.
    """

    number: int
    params: dict[str, Any]
    folds: tuple[int, ...]
    rows: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """Fits candidates of one model on folds of one training table; goes to the workers whole.

    Attributes:
        estimator: unfitted, with its preprocessing.
        prefix: where the parameters of the model are within it.
        table: the training rows.
        y: values, or classes from 0.
        folds: training and validation rows.
        task: regression or classification.
        labels: the classes; None for regression.
        labels_as_given: the estimator gets labels, not the numbers of classes.
        random_state: by which the rows of smaller rounds are drawn.
    """

    estimator: Any
    prefix: str
    table: Any
    y: NDArray[Any]
    folds: Sequence[Fold]
    task: Task
    labels: list[Any] | None
    labels_as_given: bool
    random_state: int

    def __call__(self, task: FoldTask) -> list[FoldScore]:
        """Fit and score a candidate.

        Raises:
            Exception: whatever the estimator raises.
        """
        from sklearn.base import clone

        found = []
        for fold in task.folds:
            train, valid = self.folds[fold]
            if task.rows is not None and task.rows < len(train):
                train = self._some(train, fold, task.rows)
            with warnings.catch_warnings(record=True) as caught, one_thread():
                warnings.simplefilter("always")
                estimator = clone(self.estimator).set_params(
                    **{self.prefix + name: value for name, value in task.params.items()}
                )
                started = time.perf_counter()
                classes = self.fit(estimator, train)
                fitted = time.perf_counter()
                metrics = self.score(estimator, rows_of(self.table, valid), self.y[valid], classes)
                ended = time.perf_counter()
            said = dict.fromkeys(_warning_text(one) for one in caught)
            found.append(FoldScore(fold, metrics, fitted - started, ended - fitted, tuple(said)))
        return found

    def fit(self, estimator: Any, rows: NDArray[np.intp] | None = None) -> NDArray[np.intp] | None:
        """Fit an estimator on some of the training rows, or all.

        Returns:
            Of classification, the classes that the rows have: the estimator counts these from 0.

        Raises:
            InvalidData: the rows have one class only.
        """
        table = self.table if rows is None else rows_of(self.table, rows)
        y = self.y if rows is None else self.y[rows]
        if self.task == "regression":
            estimator.fit(table, y)
            return None
        present, places = np.unique(y, return_inverse=True)
        if len(present) < 2:
            raise InvalidData(
                "the training rows of a fold have one class only; use fewer folds or other splits"
            )
        if self.labels_as_given:
            estimator.fit(table, as_labels(self.labels or [])[y])
        else:
            estimator.fit(table, y if len(present) == len(self.labels or ()) else places)
        return np.asarray(present, dtype=np.intp)

    def score(
        self, estimator: Any, table: Any, expected: NDArray[Any], classes: NDArray[np.intp] | None
    ) -> dict[str, float]:
        """Return the metrics of a fitted estimator on other rows."""
        return self.metrics(expected, *self.predict(estimator, table, classes))

    def metrics(
        self, expected: NDArray[Any], output: NDArray[Any], probabilities: NDArray[np.float64] | None
    ) -> dict[str, float]:
        """Return the metrics of predictions."""
        if self.task == "regression":
            return regression_metrics(expected, output)
        count = len(self.labels or ())
        if (expected < 0).any():  # a class that training lacks: one more, which no model gives
            count, probabilities = count + 1, None
            expected = np.where(expected < 0, count - 1, expected)
        return classification_metrics(expected, output, probabilities, count)

    def predict(
        self, estimator: Any, table: Any, classes: NDArray[np.intp] | None
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Return values or classes, and of classification the probabilities where the estimator gives them."""
        if classes is None:
            said = np.asarray(estimator.predict(table), dtype=np.float64)
            if said.size != len(table):
                raise ValueError(f"predict gave answers of shape {said.shape} for {len(table)} rows")
            return said.reshape(-1), None
        labels, size = self.labels or [], len(self.labels or ())
        if not hasattr(estimator, "predict_proba"):
            return self._classes(np.asarray(estimator.predict(table)), classes), None
        given = np.asarray(estimator.predict_proba(table), dtype=np.float64)
        if self.labels_as_given:
            # A class of the user's own may decide otherwise than by the largest probability.
            places = {label: place for place, label in enumerate(labels)}
            columns = [places[label] for label in np.asarray(estimator.classes_).tolist()]
            output = self._classes(np.asarray(estimator.predict(table)), classes)
        else:
            columns, output = classes.tolist(), classes[given.argmax(axis=1)]
        probabilities = np.zeros((len(given), size))
        probabilities[:, columns] = given
        return output, probabilities

    def _classes(self, output: NDArray[Any], classes: NDArray[np.intp]) -> NDArray[np.intp]:
        output = output.reshape(-1)
        if not self.labels_as_given:
            return classes[output.astype(np.intp)]
        places = {label: place for place, label in enumerate(self.labels or [])}
        return np.array([places[label] for label in output.tolist()], dtype=np.intp)

    def _some(self, train: NDArray[np.intp], fold: int, rows: int) -> NDArray[np.intp]:
        """Return the first rows of a shuffle that is the same for every candidate, classes in proportion."""
        rng = np.random.default_rng([self.random_state, fold])
        order = rng.permutation(len(train))
        if self.task == "classification":
            classes = self.y[train][order]
            place = np.empty(len(train))
            for one in np.unique(classes):
                inside = classes == one
                place[inside] = (np.arange(inside.sum()) + 0.5) / inside.sum()
            order = order[np.argsort(place, kind="stable")]
        return np.sort(train[order[:rows]])


def _warning_text(caught: warnings.WarningMessage) -> str:
    text = " ".join(str(caught.message).split())
    return f"{caught.category.__name__}: {text[:300]}"
