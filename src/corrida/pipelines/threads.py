"""One thread for what numeric libraries do: the same bits on every number of cores."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=8)
def _controller(loaded: int) -> Any:
    """Return what sets the threads of the libraries; ``loaded`` is how many modules are, so that it is looked up anew."""
    del loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Return a block within which BLAS and OpenMP use one thread.

    Sums of floating-point numbers depend on how they are split: with one thread a fit in a worker, in the main process and
    on another machine of the same kind gives the same model.
    """
    import sys

    heavy = sum(
        name in sys.modules
        for name in (
            "sklearn.cluster",
            "sklearn.ensemble",
            "xgboost.core",
            "lightgbm.basic",
            "scipy.linalg",
            "torch",
        )
    )
    limit: AbstractContextManager[Any] = _controller(heavy).limit(limits=1)
    return limit
