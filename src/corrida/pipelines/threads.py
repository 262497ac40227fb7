"""One thread for what numeric libraries do: the same bits on every number of cores."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _controller(modules: int) -> Any:
    """Return what sets the threads of the libraries; it is looked up anew, in milliseconds, when modules were imported since."""
    del modules
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Return a block within which BLAS and OpenMP use one thread.

    Sums of floating-point numbers depend on how they are split: with one thread a fit in a worker, in the main process and
    on another machine of the same kind gives the same model.
    """
    limit: AbstractContextManager[Any] = _controller(len(sys.modules)).limit(limits=1)
    return limit
