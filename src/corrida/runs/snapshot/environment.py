"""The environment of a run: Python, platform, processors, threads, packages."""

from __future__ import annotations

import functools
import os
import platform
import re
import site
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corrida.runs.snapshot.addresses import is_address, without_password

# By allow-list only: the environment holds secrets. These change results.
RECORDED_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TOKENIZERS_PARALLELISM",
    "PYTHONHASHSEED",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "TF_DETERMINISTIC_OPS",
    "TZ",
    "LANG",
    "LC_ALL",
)

_INSTALLED = frozenset({"site-packages", "dist-packages"})


def describe_environment() -> dict[str, Any]:
    """Return Python, platform, usable processors, threads, the recorded variables, and every installed package."""
    described = dict(_machine())
    described["threads"] = _threads()
    described["variables"] = {v: os.environ[v] for v in RECORDED_VARIABLES if v in os.environ}
    described["packages"] = _packages(tuple(sys.path))
    return described


@functools.cache
def _machine() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processors": usable,
    }


def _threads() -> dict[str, int]:
    """Return how many threads the libraries that are loaded use: the number changes results."""
    found = {}
    for module, ask in (
        ("polars", "thread_pool_size"),
        ("torch", "get_num_threads"),
        ("numba", "get_num_threads"),
    ):
        loaded = sys.modules.get(module)
        if loaded is not None and hasattr(loaded, ask):
            found[module] = int(getattr(loaded, ask)())
    return found


@functools.lru_cache(maxsize=8)
def _packages(path: tuple[str, ...]) -> dict[str, str]:
    """Read names and versions off the folder names: importlib.metadata takes 100 times longer.

    What a package brings along for itself is none: ray puts such a folder on the path when it is imported.
    """
    found: dict[str, str] = {}
    for folder in path:
        if not _INSTALLED.isdisjoint(Path(folder).parts[:-1]):
            continue
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - names are all we need
        except OSError:
            continue
        for entry in names:
            stem, dot, kind = entry.rpartition(".")
            if dot and kind in {"dist-info", "egg-info"}:
                name, _, version = stem.partition("-")
                if name and version:
                    found.setdefault(name.replace("_", "-").lower(), version.split("-")[0])
    return dict(sorted(found.items()))


def relative_argv(argv: Sequence[str], root: Path) -> list[str]:
    """Return the command line with absolute paths made relative, so that the record holds none.

    Args:
        argv: the arguments as given.
        root: the project folder.
    """
    return [_relative_argument(argument, root) for argument in argv]


def _relative_argument(argument: str, root: Path) -> str:
    if is_address(argument):
        return _relative_address(without_password(argument), root)
    option, equals, value = argument.partition("=")
    if equals and is_address(value):
        return f"{option}={_relative_argument(value, root)}"
    if equals and os.path.isabs(value):  # noqa: PTH117
        return f"{option}={_relative_argument(value, root)}"
    if not os.path.isabs(argument) or len(argument) > 4096:  # noqa: PTH117
        return argument
    relative = os.path.relpath(argument, root)
    return Path(argument).name if relative.startswith(os.path.join("..", "..", "..")) else relative  # noqa: PTH118


def _relative_address(address: str, root: Path) -> str:
    scheme, slashes, path = address.partition(":///")
    if not scheme.startswith("sqlite") or not path.startswith("/"):
        return address
    file, mark, parameters = path.partition("?")
    return scheme + slashes + _relative_argument(file, root) + mark + parameters


def relative_text(text: str, root: Path) -> str:
    """Return a message or a traceback without the places of this machine, so that the record holds none.

    Args:
        text: what may name files of the project, of installed packages, of the user's folder and temporary ones.
        root: the project folder.
    """
    for pattern, short in _places(str(root), _cwd()):
        text = pattern.sub(short, text)
    return text


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return ""


@functools.lru_cache(maxsize=8)
def _places(root: str, cwd: str) -> list[tuple[re.Pattern[str], str]]:
    import tempfile

    paths = sysconfig.get_paths()
    named = {
        root: "",
        cwd: "",
        paths["purelib"]: "site-packages",
        paths["platlib"]: "site-packages",
        site.getusersitepackages(): "site-packages",
        paths["stdlib"]: "python",
        str(Path(__file__).parents[2]): "corrida",
        sys.prefix: "prefix",
        sys.base_prefix: "prefix",
        tempfile.gettempdir(): "tmp",
        os.path.expanduser("~"): "~",  # noqa: PTH111 - also without a home
    }
    for place, short in list(named.items()):
        if place:
            named.setdefault(os.path.realpath(place), short)
    found = []
    for place in sorted(named, key=len, reverse=True):  # the innermost first
        if place.count("/") and place.strip("/") and os.path.isabs(place):  # noqa: PTH117
            short, start, end = named[place], r"(?<![\w.-])", r"(?![\w-]|\.\w)"
            exact = re.escape(place.rstrip("/"))
            if not short:  # a path below the project is relative to it
                found.append((re.compile(f"{start}{exact}/(?=[^\\s/\"'])"), ""))
            found.append((re.compile(start + exact + end), short or "."))
    return found
