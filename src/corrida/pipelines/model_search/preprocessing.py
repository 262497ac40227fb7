"""What stands between the features and an estimator: gaps filled, numbers scaled, text one-hot encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from corrida.pipelines.model_search.specs import ModelSpec
    from corrida.pipelines.model_search.table import Features, Matrix

PREPARE, MODEL = "prepare", "model"
_CATEGORIES_AT_MOST = 100


def with_preprocessing(
    estimator: Any, spec: ModelSpec, features: Features, matrix: Matrix
) -> tuple[Any, list[str]]:
    """Return an estimator that takes the matrix of features, and in words what is done to them first.

    Everything that is learnt (medians, scales, categories) is learnt when it is fitted, from the rows of a fold alone.

    Args:
        estimator: unfitted.
        spec: says which preprocessing.
        features: the columns of the matrix.
        matrix: the training rows, with NaN where a value is missing.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [place for place, one in enumerate(features.columns) if one.kind == "number"]
    texts = [place for place, one in enumerate(features.columns) if one.kind == "category"]
    predictive = spec.preprocessing == "predictive"
    gaps = bool(numbers) and bool(np.isnan(matrix[:, numbers]).any())
    fills = gaps and (predictive or not takes_gaps(estimator))
    if not texts and not fills and not predictive:
        return estimator, []
    steps: list[Any] = []
    said: list[str] = []
    if fills or predictive:
        # keep_empty_features: a column may be all gaps within a fold, and the shape must stay.
        steps.append(
            SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=predictive and gaps)
        )
        said += ["median in gaps"] if gaps else []
    if predictive:
        steps.append(StandardScaler())
        said.append("numbers scaled")
    prepare: list[Any] = []
    if numbers:
        prepare.append(("numbers", make_pipeline(*steps) if steps else "passthrough", numbers))
    if texts:
        said.append("text one-hot encoded")
        encoder = OneHotEncoder(
            handle_unknown="ignore", sparse_output=False, max_categories=_CATEGORIES_AT_MOST, dtype=np.float64
        )
        prepare.append(("texts", encoder, texts))
    return Pipeline([(PREPARE, ColumnTransformer(prepare)), (MODEL, estimator)]), said


def takes_gaps(estimator: Any) -> bool:
    """Tell whether an estimator takes missing values as they are."""
    from sklearn.utils import get_tags

    try:
        return bool(get_tags(estimator).input_tags.allow_nan)
    except (AttributeError, TypeError, ValueError):  # of a user's own: it has no tags
        return False


def settled(estimator: Any, random_state: int | None) -> Any:
    """Give an estimator and its parts the seed, and one thread each, where nothing else was asked for.

    With one thread the same data give the same bits, whatever else runs.
    """
    wanted: dict[str, Any] = {}
    params = estimator.get_params(deep=True)
    for name, value in params.items():
        part, _, last = name.rpartition("__")
        own = type(params[part] if part else estimator).__module__
        if value is None and last == "random_state" and random_state is not None:
            wanted[name] = random_state
        elif (
            value is None and last == "n_jobs" and not own.startswith("sklearn.")
        ):  # there None is one already
            wanted[name] = 1
    return estimator.set_params(**wanted) if wanted else estimator
