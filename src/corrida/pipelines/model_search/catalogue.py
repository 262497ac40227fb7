"""The models that can be named, and a user's own by ``module:object``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from corrida.errors import InvalidConfig
from corrida.pipelines.inputs import suggest
from corrida.pipelines.model_search.distributions import Choice, IntUniform, LogUniform, Uniform
from corrida.pipelines.model_search.specs import ModelSpec, Task, missing_packages

_XGBOOST, _LIGHTGBM = ("scikit-learn", "xgboost-cpu"), ("scikit-learn", "lightgbm")
_SYNONYMS = {"logistic": "linear", "logistic_predictive": "linear_predictive"}
# Wide around the defaults of the libraries, and small enough that a fit on some thousand rows takes seconds.
_FOREST = {
    "n_estimators": Choice((100, 200, 300)),
    "max_depth": Choice((None, 5, 10, 20)),
    "min_samples_leaf": IntUniform(1, 20, log=True),
    "max_features": Choice((1.0, 0.5, "sqrt")),
}
_BOOSTING = {
    "n_estimators": IntUniform(50, 400, log=True),
    "learning_rate": LogUniform(0.01, 0.3),
    "max_depth": IntUniform(2, 6),
    "min_samples_leaf": IntUniform(1, 30, log=True),
    "subsample": Uniform(0.5, 1.0),
}
_HISTOGRAMS = {
    "max_iter": IntUniform(50, 400, log=True),
    "learning_rate": LogUniform(0.01, 0.3),
    "max_leaf_nodes": IntUniform(4, 63, log=True),
    "min_samples_leaf": IntUniform(5, 50, log=True),
    "l2_regularization": LogUniform(1e-6, 10.0),
}
_NEIGHBOURS = {"n_neighbors": IntUniform(1, 40, log=True), "weights": Choice(("uniform", "distance"))}
_XGB_SPACE = {
    "n_estimators": IntUniform(50, 400, log=True),
    "learning_rate": LogUniform(0.01, 0.3),
    "max_depth": IntUniform(2, 8),
    "min_child_weight": LogUniform(0.5, 30.0),
    "subsample": Uniform(0.5, 1.0),
    "colsample_bytree": Uniform(0.5, 1.0),
    "reg_lambda": LogUniform(0.01, 10.0),
}
# What XGBoost takes where nothing is said; said here, so that they stand in the records.
_XGB_DEFAULTS: dict[str, Any] = {
    "n_estimators": 100,
    "learning_rate": 0.3,
    "max_depth": 6,
    "min_child_weight": 1.0,
    "subsample": 1.0,
    "colsample_bytree": 1.0,
    "reg_lambda": 1.0,
}
_LGBM_SPACE = {
    "n_estimators": IntUniform(50, 400, log=True),
    "learning_rate": LogUniform(0.01, 0.3),
    "num_leaves": IntUniform(4, 63, log=True),
    "min_child_samples": IntUniform(5, 50, log=True),
    "colsample_bytree": Uniform(0.5, 1.0),
    "reg_lambda": LogUniform(1e-3, 10.0),
}


def available_specs(include_optional: bool = True, task: Task = "regression") -> dict[str, ModelSpec]:
    """Return the models of the catalogue by name, the simplest first.

    Args:
        include_optional: with the boosters of other packages (xgboost, lightgbm), where those are installed.
        task: ``regression`` or ``classification``.
    """
    return {
        name: spec
        for name, spec in _catalogue(task).items()
        if not _is_optional(spec) or (include_optional and not missing_packages(spec.packages))
    }


def find_specs(names: Iterable[str], task: Task = "regression", root: Path | None = None) -> list[ModelSpec]:
    """Return the models of these names, in their order.

    Args:
        names: of the catalogue, or ``module:object`` where the object is a ModelSpec, a function that returns one, or
            several of them in a list or mapping.
        task: what they are to predict.
        root: the project folder, from which ``module`` may be imported.

    Raises:
        InvalidConfig: nothing has the name (the nearest is named), a name comes twice, or a model is of another task.
        MissingExtra: a model needs a package that is not installed.
    """
    known = _catalogue(task)
    found: list[ModelSpec] = []
    for name in names:
        if ":" in name:
            found += _own_specs(name, root)
            continue
        spec = known.get(_SYNONYMS.get(name, name)) if task == "classification" else known.get(name)
        if spec is None:
            others: Task = "classification" if task == "regression" else "regression"
            if name in _catalogue(others) or (task == "regression" and name in _SYNONYMS):
                why = f"it is for {others}, and the task is {task}"
            else:
                why = f"{suggest(name, known).strip()} Known are: {', '.join(known)}".strip()
            raise InvalidConfig(
                f"there is no model {name!r} for {task}: {why}. One of your own is named as module:object"
            )
        spec.require()
        found.append(spec)
    seen: set[str] = set()
    for spec in found:
        if spec.name in seen:
            raise InvalidConfig(f"the model {spec.name} is named twice; leave one out")
        if spec.task != task:
            raise InvalidConfig(f"the model {spec.name} is for {spec.task}, and the task is {task}")
        seen.add(spec.name)
    return found


def _own_specs(target: str, root: Path | None) -> list[ModelSpec]:
    module_name, _, attribute = target.partition(":")
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
        if callable(found) and not isinstance(found, ModelSpec):
            found = found()
    except Exception as error:
        raise InvalidConfig(
            f"the model {target!r} cannot be loaded: {type(error).__name__}: {error}; "
            "module:object is looked for in the project folder"
        ) from error
    entries = list(found.values()) if isinstance(found, Mapping) else found
    entries = [entries] if isinstance(entries, ModelSpec) else entries
    if not isinstance(entries, list | tuple) or not all(isinstance(one, ModelSpec) for one in entries):
        raise InvalidConfig(
            f"{target!r} is a {type(found).__name__}; it must be a ModelSpec or a list of them"
        )
    return list(entries)


def _is_optional(spec: ModelSpec) -> bool:
    return spec.packages != ("scikit-learn",)


def _build(path: str, settings: Mapping[str, Any]) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**settings)


def _builder(path: str, **settings: Any) -> Callable[[], Any]:
    return partial(_build, path, settings)


def _catalogue(task: Task) -> dict[str, ModelSpec]:
    specs = _regressors() if task == "regression" else _classifiers()
    return {spec.name: spec for spec in specs}


def _regressors() -> list[ModelSpec]:
    linear, ensemble = "sklearn.linear_model", "sklearn.ensemble"
    strength = {"alpha": LogUniform(1e-4, 100.0)}
    return [
        ModelSpec(
            "linear",
            _builder(f"{linear}.LinearRegression"),
            description="least squares, features as they are",
        ),
        ModelSpec(
            "linear_predictive",
            _builder(f"{linear}.LinearRegression"),
            preprocessing="predictive",
            description="least squares after imputing, scaling and one-hot encoding",
        ),
        ModelSpec(
            "lasso",
            _builder(f"{linear}.Lasso", max_iter=10_000),
            space={"alpha": LogUniform(1e-4, 10.0)},
            preprocessing="predictive",
            description="linear with few features (L1)",
        ),
        ModelSpec(
            "ridge",
            _builder(f"{linear}.Ridge"),
            space=strength,
            preprocessing="predictive",
            description="linear with small weights (L2)",
        ),
        ModelSpec(
            "elastic_net",
            _builder(f"{linear}.ElasticNet", max_iter=10_000),
            space={"alpha": LogUniform(1e-4, 10.0), "l1_ratio": Uniform(0.05, 1.0)},
            preprocessing="predictive",
            description="linear, between lasso and ridge",
        ),
        ModelSpec(
            "knn",
            _builder("sklearn.neighbors.KNeighborsRegressor"),
            space=_NEIGHBOURS,
            preprocessing="predictive",
            description="mean of the nearest rows",
        ),
        ModelSpec(
            "random_forest",
            _builder(f"{ensemble}.RandomForestRegressor"),
            space=_FOREST,
            description="mean of trees on resampled rows",
        ),
        ModelSpec(
            "extra_trees",
            _builder(f"{ensemble}.ExtraTreesRegressor"),
            space=_FOREST,
            description="mean of trees with random cuts",
        ),
        ModelSpec(
            "gradient_boosting",
            _builder(f"{ensemble}.GradientBoostingRegressor"),
            space=_BOOSTING,
            description="trees that mend each other's errors",
        ),
        ModelSpec(
            "hist_gradient_boosting",
            _builder(f"{ensemble}.HistGradientBoostingRegressor", l2_regularization=1e-6),
            space=_HISTOGRAMS,
            description="boosting on binned features, quick on many rows",
        ),
        ModelSpec(
            "xgboost",
            _builder("xgboost.XGBRegressor", **_XGB_DEFAULTS),
            space=_XGB_SPACE,
            packages=_XGBOOST,
            description="boosting by XGBoost",
        ),
        ModelSpec(
            "lightgbm",
            _builder(
                "lightgbm.LGBMRegressor",
                verbosity=-1,
                deterministic=True,
                force_row_wise=True,
                reg_lambda=1e-3,
            ),
            space=_LGBM_SPACE,
            packages=_LIGHTGBM,
            description="boosting by LightGBM",
        ),
    ]


def _classifiers() -> list[ModelSpec]:
    linear, ensemble = "sklearn.linear_model", "sklearn.ensemble"
    task: Task = "classification"
    return [
        ModelSpec(
            "linear",
            _builder(f"{linear}.LogisticRegression", max_iter=2_000),
            task,
            {"C": LogUniform(1e-3, 100.0)},
            description="logistic regression, features as they are",
        ),
        ModelSpec(
            "linear_predictive",
            _builder(f"{linear}.LogisticRegression", max_iter=2_000),
            task,
            {"C": LogUniform(1e-3, 100.0)},
            "predictive",
            description="logistic regression after imputing, scaling and one-hot encoding",
        ),
        ModelSpec(
            "naive_bayes",
            _builder("sklearn.naive_bayes.GaussianNB"),
            task,
            {"var_smoothing": LogUniform(1e-10, 1e-2)},
            "predictive",
            description="each feature on its own",
        ),
        ModelSpec(
            "knn",
            _builder("sklearn.neighbors.KNeighborsClassifier"),
            task,
            _NEIGHBOURS,
            "predictive",
            description="vote of the nearest rows",
        ),
        ModelSpec(
            "random_forest",
            _builder(f"{ensemble}.RandomForestClassifier"),
            task,
            _FOREST,
            description="vote of trees on resampled rows",
        ),
        ModelSpec(
            "extra_trees",
            _builder(f"{ensemble}.ExtraTreesClassifier"),
            task,
            _FOREST,
            description="vote of trees with random cuts",
        ),
        ModelSpec(
            "gradient_boosting",
            _builder(f"{ensemble}.GradientBoostingClassifier"),
            task,
            _BOOSTING,
            description="trees that mend each other's errors",
        ),
        ModelSpec(
            "hist_gradient_boosting",
            _builder(f"{ensemble}.HistGradientBoostingClassifier", l2_regularization=1e-6),
            task,
            _HISTOGRAMS,
            description="boosting on binned features, quick on many rows",
        ),
        ModelSpec(
            "xgboost",
            _builder("xgboost.XGBClassifier", **_XGB_DEFAULTS),
            task,
            _XGB_SPACE,
            packages=_XGBOOST,
            description="boosting by XGBoost",
        ),
        ModelSpec(
            "lightgbm",
            _builder(
                "lightgbm.LGBMClassifier",
                verbosity=-1,
                deterministic=True,
                force_row_wise=True,
                reg_lambda=1e-3,
            ),
            task,
            _LGBM_SPACE,
            packages=_LIGHTGBM,
            description="boosting by LightGBM",
        ),
    ]
