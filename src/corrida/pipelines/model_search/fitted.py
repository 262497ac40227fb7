"""A fitted model that takes tables as people have them, and answers with values or labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from corrida.errors import InvalidData
from corrida.pipelines.model_search.preprocessing import MODEL, PREPARE
from corrida.pipelines.threads import one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from corrida.pipelines.model_search.specs import Task
    from corrida.pipelines.model_search.table import Alignment, Features

_BLOCK, _ALIKE = 16_384, 64


class FittedModel:
    """A fitted estimator with what it learnt of the columns and the labels.

    Attributes:
        task: regression or classification.
        target: name of what it predicts.
        features: the columns that it learnt from; None when the estimator takes tables itself.
        estimator: the estimator of scikit-learn's interface; it takes the matrix of the features.
        labels: of classification, the class behind each number that the estimator gives; None when it gives labels.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        task: Task,
        target: str = "target",
        features: Features | None = None,
        labels: Sequence[Any] | None = None,
    ) -> None:
        """Put together what was learnt."""
        self.task, self.target, self.features = task, target, features
        self.estimator = estimator
        self.labels = None if labels is None else list(labels)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def _estimator_type(self) -> str:
        return "classifier" if self.task == "classification" else "regressor"

    @property
    def feature_names(self) -> list[str] | None:
        """The names of the columns that it learnt from, in order; None when the estimator takes tables itself."""
        return None if self.features is None else self.features.names

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, in the order of the columns of :meth:`predict_proba`."""
        if self.task != "classification":
            raise AttributeError("a regression has no classes")
        if self.labels is None:
            return np.asarray(self.estimator.classes_)
        there = getattr(self.estimator, "classes_", None)
        labels = as_labels(self.labels)
        return labels if there is None else labels[np.asarray(there, dtype=np.intp)]

    @property
    def gives_shares(self) -> bool:
        """Tell whether it gives probabilities of classes."""
        return hasattr(self.estimator, "predict_proba")

    def predict(self, table: Any) -> NDArray[Any]:
        """Return the value or label for each row.

        Args:
            table: a pandas or polars frame with at least the columns of training, or an array with the same columns.

        Raises:
            InvalidData: a column is missing, or text stands where numbers are due.
        """
        with one_thread():
            output = np.asarray(self.estimator.predict(self.inner_table(table)))
        return self._labelled(output.reshape(len(output)))

    def predict_proba(self, table: Any) -> NDArray[np.float64]:
        """Return rows × classes probabilities; see :meth:`predict`."""
        if not hasattr(self.estimator, "predict_proba"):
            raise AttributeError(f"{type(self.estimator).__name__} gives no probabilities")
        with one_thread():
            return np.asarray(self.estimator.predict_proba(self.inner_table(table)), dtype=np.float64)

    def alignment(self, table: Any) -> Alignment | None:
        """Return how a table fits the training data: gaps, unseen categories, columns that have no say."""
        return None if self.features is None else self.features.aligned(table)[1]

    def _labelled(self, output: NDArray[Any]) -> NDArray[Any]:
        if self.task == "regression":
            return output.astype(np.float64)
        return output if self.labels is None else as_labels(self.labels)[output.astype(np.intp)]

    def inner_table(self, table: Any) -> Any:
        """Return a table as the estimator takes it; see :meth:`predict`."""
        return table if self.features is None else self._without_gaps(self.features.matrix(table))

    def answers(self, table: Any) -> tuple[NDArray[Any], NDArray[np.float64] | None, Alignment | None]:
        """Return for each row the value or label, the probabilities of the classes (None where there are none), and how the table fits.

        A row has the same answer to the last bit wherever it stands, and whatever stands beside it: rows are computed in blocks
        of a multiple of 64, so that each goes through the same instructions. (Of nearest neighbours it is the same to 12 digits.)

        Args:
            table: see :meth:`predict`.
        """
        alignment: Alignment | None = None
        rows = table
        if self.features is not None:
            matrix, alignment = self.features.aligned(table)
            rows = self._without_gaps(matrix)
        shares = self.task == "classification" and self.gives_shares
        with one_thread():
            output = _in_blocks(self.estimator.predict, rows)
            found = _in_blocks(self.estimator.predict_proba, rows).astype(np.float64) if shares else None
        return self._labelled(output.reshape(len(output))), found, alignment

    def _without_gaps(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        gaps = np.isnan(matrix)
        if gaps.any() and not self._takes_gaps():
            # Training had none in these columns; what was typical there is the best that is known.
            for place, feature in enumerate(self.features.columns if self.features else ()):
                if feature.median is not None and gaps[:, place].any():
                    matrix[gaps[:, place], place] = feature.median
        return matrix

    def _takes_gaps(self) -> bool:
        from corrida.pipelines.model_search.preprocessing import takes_gaps

        preparation, model = self.parts()
        if preparation is None:
            return takes_gaps(model)
        return "simpleimputer" in repr(preparation).lower() or takes_gaps(model)

    def parts(self) -> tuple[Any, Any]:
        """Return the fitted preparation (None where there is none) and the final estimator."""
        steps = getattr(self.estimator, "named_steps", None)
        if steps is not None and set(steps) == {PREPARE, MODEL}:
            return steps[PREPARE], steps[MODEL]
        return None, self.estimator

    def __repr__(self) -> str:
        return f"FittedModel({self.estimator!r}, task={self.task!r}, target={self.target!r})"


def _in_blocks(answer: Callable[[Any], Any], rows: Any) -> NDArray[Any]:
    """Return the answers to rows, asked for in blocks; the last one is filled up with copies of its last row."""
    if not isinstance(rows, np.ndarray):
        return np.asarray(answer(rows))
    found = []
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        lacking = -len(block) % _ALIKE
        whole = np.concatenate([block, np.repeat(block[-1:], lacking, axis=0)]) if lacking else block
        found.append(np.asarray(answer(np.ascontiguousarray(whole)))[: len(block)])
    return np.concatenate(found) if found else np.asarray(answer(rows))


def as_labels(labels: Sequence[Any]) -> NDArray[Any]:
    """Return labels as an array that keeps them as they are."""
    kinds = {type(label) for label in labels}
    if kinds == {str}:
        return np.array(labels, dtype=object)
    if kinds <= {int, bool} or kinds <= {float, int}:
        return np.array(labels)
    return np.array(labels, dtype=object)


def plain_label(label: Any) -> str | int | float | bool:
    """Return a label as plain Python, which JSON can hold.

    Raises:
        InvalidData: it is neither text nor number.
    """
    value = label.item() if isinstance(label, np.generic) else label
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return int(value) if value.is_integer() else value
    raise InvalidData(f"a class cannot be {label!r}; make text or whole numbers of the target")
