"""MLflow where it is needed, in a version that is known to work."""

from __future__ import annotations

import importlib.metadata
import os
import re

from corrida.errors import MissingExtra

TESTED = ("3.13", "3.17")
"""The first and the last minor version that the tests ran with."""
_FIRST, _NEXT_MAJOR = (3, 13), (4, 0)


def require_mlflow() -> str:
    """Return the version of the installed MLflow, without importing it.

    Raises:
        MissingExtra: it is not installed, or older or newer than what corrida works with.
    """
    range_ = f"corrida works with MLflow {TESTED[0]} to {TESTED[1]}, and later ones below 4"
    try:
        version = importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError:
        try:
            version = importlib.metadata.version("mlflow-skinny")
        except importlib.metadata.PackageNotFoundError:
            raise MissingExtra(
                "MLflow is not installed; install it with: pip install 'corrida[mlflow]'"
            ) from None
    found = re.match(r"(\d+)\.(\d+)", version)
    numbers = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    if numbers < _FIRST:
        raise MissingExtra(
            f"MLflow {version} is too old: {range_}; install one with: pip install -U 'corrida[mlflow]'"
        )
    if numbers >= _NEXT_MAJOR:
        raise MissingExtra(
            f"MLflow {version} is too new: {range_}; install one with: pip install 'corrida[mlflow]'"
        )
    # What programs of a user call home is theirs to decide; a bridge of corrida does not begin it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return version
