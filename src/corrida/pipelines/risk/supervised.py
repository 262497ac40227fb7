"""The first layer: a stacking ensemble that learns the classes from labels, and its probabilities made honest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np

from corrida.errors import InvalidData, PipelineFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from sklearn.ensemble import StackingClassifier

    from corrida.pipelines.risk.alignment import Floats, Matrix
    from corrida.pipelines.risk.guardrails import Booleans, Integers
    from corrida.pipelines.risk.settings import Supervised

_BLOCK = 8192
_LEAST_OF_EACH: Final = 50  # rows on each side, for isotonic calibration
_EDGE: Final = 1e-6


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """From the share that the ensemble gives to a probability: straight lines between points.

    Attributes:
        kind: how the points were found; ``none`` where the calibration rows were all on one side.
        x: shares, ascending.
        y: probabilities.
    """

    kind: Literal["isotonic", "sigmoid", "none"]
    x: list[float]
    y: list[float]

    def __call__(self, share: Floats) -> Floats:
        """Return probabilities."""
        return share if self.kind == "none" else np.interp(share, self.x, self.y)


@dataclass(frozen=True)
class Ensemble:
    """The fitted ensemble.

    Attributes:
        stack: of scikit-learn.
        calibrations: by level 1 to 3, of "at least that grave"; levels that the labels do not tell apart are absent.
    """

    stack: StackingClassifier
    calibrations: Mapping[int, Calibration]

    def risks(self, matrix: Matrix) -> dict[int, Floats]:
        """Return for each level the calibrated probability that a transaction is at least that grave.

        Raises:
            PipelineFailed: the model gives something else than a probability; that is an error, and never a class.
        """
        found = {level: self.calibrations[level](share) for level, share in self.shares(matrix).items()}
        graver: Floats | None = None
        for level in sorted(found, reverse=True):  # what is graver is never the more likely
            if graver is not None:
                found[level] = np.maximum(found[level], graver)
            graver = found[level]
        if not all(np.isfinite(one).all() for one in found.values()):
            raise PipelineFailed("the model gives no probability for some rows; they were not classified")
        return found

    def shares(self, matrix: Matrix) -> dict[int, Floats]:
        """Return for each level what the ensemble gives before calibration."""
        probabilities = stacked_probabilities(self.stack, matrix)
        classes = np.asarray(self.stack.classes_)
        return {level: _sum(probabilities, classes >= level) for level in self.calibrations}


def fit_ensemble(
    matrix: Matrix, levels: Integers, client: Integers, config: Supervised, seed: int
) -> StackingClassifier:
    """Fit the ensemble; what the last model learns from are predictions for clients that the others had not seen.

    Args:
        matrix: training rows.
        levels: 0 to 3.
        client: numbers of clients.
        config: of the layer.
        seed: of all that is drawn.

    Raises:
        InvalidData: too few clients or classes to learn from.
    """
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        RandomForestClassifier,
        StackingClassifier,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(config.folds, len(np.unique(client)))
    if folds < 2 or len(np.unique(levels)) < 2:
        raise InvalidData("the training rows are of one client or one class; there is nothing to learn from")
    splits = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(matrix, levels, client))
    classes = np.unique(levels)
    lacking = [c for train, _ in splits for c in classes if c not in levels[train]]
    if lacking:
        raise InvalidData(
            "a class is found with one client only, so it cannot be learned from some and tried on others; "
            "give more labelled clients of each class, or leave that class out"
        )
    trees = RandomForestClassifier(
        config.forest_trees, max_depth=config.forest_depth, min_samples_leaf=3, n_jobs=1, random_state=seed
    )
    boosting = HistGradientBoostingClassifier(
        max_iter=config.boosting_rounds, max_leaf_nodes=config.leaves, early_stopping=False, random_state=seed
    )
    stack = StackingClassifier(
        [("boosting", boosting), ("forest", trees), ("linear", LogisticRegression(max_iter=1000, C=0.1))],
        LogisticRegression(max_iter=1000),
        cv=splits,
        stack_method="predict_proba",
        n_jobs=1,
    )
    stack.fit(matrix.astype(np.float64), levels)
    stack.set_params(cv=folds)  # the rows of the folds are no part of the model
    return stack


def stacked_probabilities(stack: StackingClassifier, matrix: Matrix) -> Floats:
    """Return what ``stack.predict_proba`` returns, each row the same whatever rows stand beside it.

    Linear algebra libraries add in another order when a matrix has one row or a million, so their last bits differ. Trees do
    not; the linear models are therefore evaluated here.

    Args:
        stack: fitted, on classes' probabilities.
        matrix: rows to be scored.
    """
    parts = []
    for estimator in stack.estimators_:
        found = _probabilities(estimator, matrix)
        parts.append(found[:, 1:] if found.shape[1] == 2 else found)
    return _probabilities(stack.final_estimator_, np.hstack(parts))


def _probabilities(estimator: Any, matrix: npt.NDArray[Any]) -> Floats:
    if not hasattr(estimator, "coef_"):
        found: Floats = estimator.predict_proba(matrix)
        return found
    scores = _linear(matrix, estimator.coef_, estimator.intercept_)
    if scores.shape[1] == 1:
        right = 1 / (1 + np.exp(-scores[:, 0]))
        return np.column_stack([1 - right, right])
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    total = scores[:, 0].copy()
    for column in range(1, scores.shape[1]):
        total += scores[:, column]
    return scores / total[:, None]


def _linear(matrix: npt.NDArray[Any], coefficients: Floats, intercept: Floats) -> Floats:
    """Return matrix · coefficients + intercept, added one column after the other."""
    found = np.empty((len(matrix), len(coefficients)))
    for start in range(0, len(matrix), _BLOCK):
        block = np.ascontiguousarray(matrix[start : start + _BLOCK].T, dtype=np.float64)
        for place, (row, constant) in enumerate(zip(coefficients, intercept, strict=True)):
            total = np.full(block.shape[1], float(constant))
            for column, weight in zip(block, row, strict=True):
                total += column * float(weight)
            found[start : start + _BLOCK, place] = total
    return found


def calibrate(share: Floats, truth: Booleans, kind: str) -> Calibration:
    """Return the calibration that fits what happened.

    Sources: Zadrozny, B. and Elkan, C. (2002), Transforming classifier scores into accurate multiclass probability estimates, KDD;
    Platt, J. (1999), Probabilistic outputs for support vector machines.

    Args:
        share: what the ensemble gives for rows it was not fitted on.
        truth: whether the rows were at least that grave.
        kind: ``isotonic``, ``sigmoid`` or ``auto``.
    """
    least = int(min(truth.sum(), (~truth).sum()))
    if least == 0:
        return Calibration(kind="none", x=[], y=[])
    if kind == "isotonic" or (kind == "auto" and least >= _LEAST_OF_EACH):
        from sklearn.isotonic import IsotonicRegression

        # Half a row at each end: no share is certain because a handful of rows went one way.
        edge = 0.5 / (len(truth) + 1)
        fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(share, truth)
        return Calibration(kind="isotonic", x=fitted.X_thresholds_.tolist(), y=fitted.y_thresholds_.tolist())
    from sklearn.linear_model import LogisticRegression

    odds = np.log(np.clip(share, _EDGE, 1 - _EDGE) / (1 - np.clip(share, _EDGE, 1 - _EDGE)))
    model = LogisticRegression(C=1.0).fit(odds[:, None], truth)
    grid = np.concatenate([[_EDGE], np.arange(1, 400) / 400, [1 - _EDGE]])
    points = 1 / (
        1 + np.exp(-(float(model.coef_[0, 0]) * np.log(grid / (1 - grid)) + float(model.intercept_[0])))
    )
    return Calibration(kind="sigmoid", x=grid.tolist(), y=points.tolist())


def told_apart(levels: Integers) -> list[int]:
    """Return the levels 1 to 3 for which some labels are at least that grave and some are not."""
    return [level for level in (1, 2, 3) if 0 < int((levels >= level).sum()) < len(levels)]


def _sum(probabilities: Floats, chosen: Booleans) -> Floats:
    total = np.zeros(len(probabilities))
    for column in np.flatnonzero(chosen):
        total += probabilities[:, column]
    return np.minimum(total, 1.0)
