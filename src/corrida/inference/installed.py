"""Whether what serving needs is installed; asked before anything of it is imported."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from corrida.errors import MissingExtra

# Import names of the extra ``serve``. The driver of PostgreSQL is asked for where such an address is named.
_PACKAGES: Final = (
    "dbos",
    "sqlalchemy",
    "pyarrow",
    "fastapi",
    "uvicorn",
    "h11",
    "python_multipart",
    "prometheus_client",
    "httpx2",
)


def lacking() -> list[str]:
    """Return the packages that serving needs and that are not there."""
    return [name for name in _PACKAGES if find_spec(name) is None]


def need_serving() -> None:
    """Do nothing where all is there.

    Raises:
        MissingExtra: naming what is not, and how to get it.
    """
    if missing := lacking():
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise MissingExtra(f"serving needs {few}; pip install 'corrida[serve]'")
