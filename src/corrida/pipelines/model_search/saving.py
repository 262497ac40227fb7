"""Fitted models as files that can be read without running code: skops, or the booster's own format."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import CorridaError, DamagedRun, MissingExtra, Refused
from corrida.pipelines.model_files import check_model
from corrida.pipelines.model_search.boosters import LightGBMModel
from corrida.pipelines.model_search.fitted import FittedModel
from corrida.pipelines.model_search.preprocessing import MODEL, PREPARE
from corrida.pipelines.model_search.specs import Task  # noqa: TC001 - msgspec reads it
from corrida.pipelines.model_search.table import Features  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from corrida.pipelines.contract import Recorder

# What skops does not trust by itself and the estimators of the catalogue are made of. A file has no say in this list: each
# of these types only takes numbers and arrays when it is read.
ALLOWED = frozenset(
    {
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.tree._tree.Tree",
    }
)
_FITTED, _WHOLE, _PREPARATION, _PICKLE = "fitted.json", "model.skops", "preparation.skops", "model.pickle"
_XGBOOST, _LIGHTGBM = "booster.ubj", "booster.txt"
SKOPS, XGBOOST, LIGHTGBM, PICKLE = "skops", "xgboost-ubj", "lightgbm-text", "pickle"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a saved model is beside its estimator.

    Attributes:
        task: regression or classification.
        target: what it predicts.
        features: the columns that it learnt from, or None.
        labels: the classes behind the numbers of the estimator, or None.
        booster: module and class of a booster of scikit-learn's interface.
        prepared: whether a preparation stands before the booster.
    """

    task: Task
    target: str
    features: Features | None = None
    labels: list[str | int | float | bool] | None = None
    booster: str | None = None
    prepared: bool = False


def save_fitted(
    recorder: Recorder,
    name: str,
    fitted: FittedModel,
    *,
    pickle: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Save a fitted model as ``models/<name>`` of a run.

    Args:
        recorder: of the run.
        name: of the model.
        fitted: the model.
        pickle: consent to a pickle where no safer format holds the estimator.
        facts: what else is to be said of it.

    Returns:
        The format.

    Raises:
        Refused: no safe format holds the estimator, and nobody consented to a pickle.
    """
    form = file_format(fitted.estimator, name, pickle=pickle)
    recorder.save_model(
        name,
        lambda folder: write_fitted(folder, fitted, form),
        format=form,
        libraries=libraries_of(fitted.estimator, form),
        facts={"task": fitted.task, "target": fitted.target, **(facts or {})},
    )
    return form


def file_format(estimator: Any, name: str, *, pickle: bool = False) -> str:
    """Return the format that holds an estimator, fitted or not.

    Raises:
        Refused: no safe format holds it, and nobody consented to a pickle.
    """
    model = FittedModel(estimator, task="regression").parts()[1]
    kind = type(model)
    if kind.__module__ == "xgboost.sklearn" and kind.__name__ in {"XGBRegressor", "XGBClassifier"}:
        return XGBOOST
    if kind is LightGBMModel or (
        kind.__module__ == "lightgbm.sklearn" and kind.__name__ in {"LGBMRegressor", "LGBMClassifier"}
    ):
        return LIGHTGBM
    why = _why_not_skops(estimator)
    if not why:
        return SKOPS
    if pickle:
        return PICKLE
    raise Refused(
        f"the model {name} cannot be saved in a format that is safe to read: {why}. "
        "With pickle=true it is saved as a pickle, which is read only with --trust"
    )


def _why_not_skops(estimator: Any) -> str:
    try:
        import skops.io
        from skops.io.exceptions import UnsupportedTypeException
    except ImportError:
        raise MissingExtra(
            "models are saved by skops; install it with: pip install 'corrida[search]'"
        ) from None
    try:
        untrusted = set(skops.io.get_untrusted_types(data=skops.io.dumps(estimator))) - ALLOWED
    except (UnsupportedTypeException, TypeError, AttributeError, ValueError) as error:
        return f"skops cannot write it ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    return f"it holds {min(untrusted)}, which is not on the list of known types" if untrusted else ""


def libraries_of(estimator: Any, form: str) -> list[str]:
    """Return the installed packages that write an estimator."""
    model = FittedModel(estimator, task="regression").parts()[1]
    top = "lightgbm" if isinstance(model, LightGBMModel) else type(model).__module__.partition(".")[0]
    mine = _distributions().get(top, []) if top != "sklearn" else []
    names = {"scikit-learn", *mine[:1]} | ({"skops"} if form != PICKLE else set())
    return sorted(names)


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()


def write_fitted(folder: Path, fitted: FittedModel, form: str) -> None:
    """Write a fitted model into an empty folder."""
    preparation, model = fitted.parts()
    booster = form in {XGBOOST, LIGHTGBM}
    about = About(
        task=fitted.task,
        target=fitted.target,
        features=fitted.features,
        labels=fitted.labels,
        booster=_name_of(model) if booster else None,
        prepared=booster and preparation is not None,
    )
    (folder / _FITTED).write_bytes(msgspec.json.format(msgspec.json.encode(about)))
    if form == PICKLE:
        import pickle

        (folder / _PICKLE).write_bytes(pickle.dumps(fitted.estimator))
        return
    import skops.io

    if not booster:
        (folder / _WHOLE).write_bytes(skops.io.dumps(fitted.estimator))
        return
    if preparation is not None:
        (folder / _PREPARATION).write_bytes(skops.io.dumps(preparation))
    if form == XGBOOST:
        model.save_model(folder / _XGBOOST)
    else:
        text = (model if isinstance(model, LightGBMModel) else model.booster_).model_to_string()
        (folder / _LIGHTGBM).write_text(text, encoding="utf-8")


def _name_of(model: Any) -> str:
    return str(model.name if isinstance(model, LightGBMModel) else type(model).__name__)


def load_fitted(folder: Path, *, trust: bool = False) -> FittedModel:
    """Return the fitted model of ``models/<name>``; no file of it can run code unless it is a pickle.

    Args:
        folder: of the model.
        trust: consent to a pickle.

    Raises:
        NotFound: there is no such model.
        DamagedRun: a file was altered, or holds types that are not on the list.
        Refused: it is a pickle and nobody consented.
        MissingExtra: a library that reads it is not installed.
    """
    facts = check_model(folder, trust=trust)
    try:
        about = msgspec.json.decode((folder / _FITTED).read_bytes(), type=About)
        if facts.format == PICKLE:
            import pickle

            estimator = pickle.loads((folder / _PICKLE).read_bytes())  # noqa: S301 - with consent, see check_model
        elif about.booster is not None:
            estimator = _booster(folder, about, facts.format)
        else:
            estimator = _read_skops(folder / _WHOLE)
    except CorridaError:
        raise
    except Exception as error:
        # The digests are right and the content is not: somebody wrote both, or a library reads its own files no more.
        said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        raise DamagedRun(
            f"models/{folder.name} cannot be read as {facts.format} ({said}); it is not loaded"
        ) from error
    if not callable(getattr(estimator, "predict", None)):
        raise DamagedRun(f"models/{folder.name} holds a {type(estimator).__name__}, which does not predict")
    return FittedModel(
        estimator, task=about.task, target=about.target, features=about.features, labels=about.labels
    )


def _booster(folder: Path, about: About, form: str) -> Any:
    library, package = ("xgboost", "xgboost-cpu") if form == XGBOOST else ("lightgbm", "lightgbm")
    try:
        module = importlib.import_module(library)
    except ImportError:
        raise MissingExtra(
            f"the model {folder.name} needs {package}; install it with: pip install 'corrida[search]'"
        ) from None
    if form == XGBOOST:
        kind = module.XGBClassifier if about.task == "classification" else module.XGBRegressor
        model = kind(n_jobs=1)
        model.load_model(folder / _XGBOOST)
    else:
        text = (folder / _LIGHTGBM).read_text(encoding="utf-8")
        model = LightGBMModel(module.Booster(model_str=text), str(about.booster), about.task)
    if not about.prepared:
        return model
    from sklearn.pipeline import Pipeline

    return Pipeline([(PREPARE, _read_skops(folder / _PREPARATION)), (MODEL, model)])


def _read_skops(path: Path) -> Any:
    try:
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException
    except ImportError:
        raise MissingExtra(
            "the model is read by skops; install it with: pip install 'corrida[search]'"
        ) from None
    try:
        return skops.io.load(path, trusted=sorted(ALLOWED))
    except UntrustedTypesFoundException as error:
        raise DamagedRun(
            f"models/{path.parent.name}/{path.name} holds types that corrida does not write ({error}); it is not loaded"
        ) from None
