"""A booster that was read from its own file, with the interface of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from corrida.pipelines.model_search.specs import Task


class LightGBMModel:
    """Trees of LightGBM; its estimators of scikit-learn's interface cannot be made of a file, only of a fit.

    Attributes:
        name: of the estimator that was fitted.
        task: regression or classification.
    """

    def __init__(self, booster: Any, name: str, task: Task) -> None:
        """Predict with ``booster``."""
        self.booster_, self.name, self.task = booster, name, task

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags
        from sklearn.utils._tags import InputTags

        return Tags(
            estimator_type="classifier" if self.task == "classification" else "regressor",
            target_tags=TargetTags(required=True),
            input_tags=InputTags(allow_nan=True),
        )

    def fit(self, features: Any, target: Any) -> LightGBMModel:
        """Refuse: it was fitted already."""
        del features, target
        raise TypeError(f"{self.name} was read from a file; fit a new one")

    def predict(self, features: Any) -> NDArray[Any]:
        """Return the value, or the number of the class, for each row."""
        if self.task == "classification":
            return np.asarray(self.predict_proba(features).argmax(axis=1))
        return np.asarray(self.booster_.predict(features, num_threads=1))

    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        """Return rows × classes probabilities."""
        found = np.asarray(self.booster_.predict(features, num_threads=1), dtype=np.float64)
        return found if found.ndim == 2 else np.column_stack([1 - found, found])

    def model_to_string(self) -> str:
        """Return the trees as text."""
        return str(self.booster_.model_to_string())
