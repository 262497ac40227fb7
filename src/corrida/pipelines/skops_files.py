"""Fitted estimators of scikit-learn as files that hold data and no code.

skops writes an estimator as arrays and the names of its types, and refuses to build a type that it does not trust. Which types
beyond its own are trusted stands here, in our code: what a file says of itself is never believed.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, Final

from corrida.errors import DamagedRun, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMAT: Final = "skops"
LIBRARIES: Final = ("scikit-learn", "skops", "numpy")
_ARRAY_LIBRARIES: Final = ("torch", "cupy", "dask", "jax")
# Parts of trees and boosted trees: arrays with names. They hold numbers, and call nothing when they are built.
TRUSTED: Final = frozenset(
    {
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "numpy.dtype",
    }
)


def write_estimator(estimator: Any, file: Path) -> None:
    """Write a fitted estimator.

    Raises:
        MissingExtra: skops is not installed.
    """
    sio = _skops("models are saved by skops; pip install 'corrida[risk]'")
    sio.dump(estimator, file)


def read_estimator(file: Path, *, trusted: Sequence[str] = ()) -> Any:
    """Read a fitted estimator; its digest has been checked by ``model_files.check_model``.

    Args:
        file: the file.
        trusted: types that the caller knows its models to be made of, beyond those that all may have.

    Raises:
        DamagedRun: the file cannot be read, or is made of types that no model of ours has.
        MissingExtra: skops is not installed.
    """
    sio = _skops("models are read by skops; pip install 'corrida[risk]'")
    allowed = TRUSTED | frozenset(trusted)
    name = f"models/{file.parent.name}/{file.name}"
    try:
        unknown = sorted(set(sio.get_untrusted_types(file=file)) - allowed)
        found = None if unknown else sio.load(file, trusted=sorted(allowed))
    except Exception as error:
        raise DamagedRun(f"{name} cannot be read ({type(error).__name__}: {error})") from error
    if unknown:
        raise DamagedRun(f"{name} is made of {unknown[0]}, which no model of corrida is; it is not loaded")
    return found


def _skops(without: str) -> Any:
    """Import skops, which imports every module of scikit-learn, and by these each array library that is installed.

    None of those is needed for what is written here, and torch alone takes a second and 200 MB in each process that scores.

    Raises:
        MissingExtra: skops is not installed.
    """
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        import skops.io as sio
    except ImportError:
        raise MissingExtra(without) from None
    finally:
        sys.meta_path.remove(absent)
    return sio


class _Absent(MetaPathFinder):
    """Says of the array libraries that they are not installed."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Look for nothing else."""
        if fullname in _ARRAY_LIBRARIES:
            raise ModuleNotFoundError(f"{fullname} is not needed here", name=fullname)
