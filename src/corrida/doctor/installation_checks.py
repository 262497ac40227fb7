"""The installation: Python, packages, extras, the cache, and the terminal."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from corrida.doctor.finding import Finding, Subject, plural, size_text
from corrida.runs.snapshot.addresses import is_address
from corrida.runs.user_cache import cache_folder

PURPOSES: Final = {
    "pandas": "runs and tables as pandas frames",
    "evaluation": "embeddings without torch, for the evaluation pipeline",
    "semantic": "the better sentence encoder for the evaluation pipeline, with torch",
    "endpoint": "language models and embeddings behind an OpenAI-compatible endpoint",
    "report": "figures, and reports as pages that stand alone",
    "forecasting": "statistical models and LightGBM of the forecasting pipeline",
    "neural": "networks of the forecasting pipeline, with torch",
    "risk": "the risk pipeline: scikit-learn, skops",
    "serve": "scoring of files: the API, workers, and the jobs' database",
    "ui": "the viewer: runs as pages in a browser",
    "search": "the model search: scikit-learn, XGBoost, LightGBM, Optuna",
    "parallel": "tasks in several processes",
    "ray": "tasks on a Ray cluster",
    "mlflow": "MLflow: its client writing runs, export, import",
    "database": "items from SQLite or PostgreSQL, and run ids stamped onto their rows",
}
_PIPELINE_EXTRAS: Final = {"forecasting": "forecasting", "model_search": "search", "risk": "risk"}
_FOR_DEVELOPERS: Final = frozenset({"dev"})
_MUCH_CACHE = 1_000_000_000
_CHECKED_UP_TO = 500_000_000


class Extra(NamedTuple):
    """An optional part of corrida.

    Attributes:
        name: as in ``pip install 'corrida[name]'``.
        purpose: what it is for; its packages where corrida has no word for it.
        missing: its packages that are not there, or not in a version that fits; empty when installed.
        installed: number of its packages that fit.
    """

    name: str
    purpose: str
    missing: list[str]
    installed: int


def _requirements() -> list[Requirement]:
    return [Requirement(text) for text in _declared("Requires-Dist")]


def _declared(field: str) -> list[str]:
    """Return what the installed package says in a field of its metadata; nothing where it runs from its sources."""
    try:
        return importlib.metadata.metadata("corrida").get_all(field) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _problem(requirement: Requirement) -> str:
    """Return why a required package cannot be used; empty when it can."""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} is {version}, and {requirement.specifier} is needed"
    return ""


def extras() -> list[Extra]:
    """Return the optional parts that the installed package declares, and whether they are there."""
    found = []
    for name in _declared("Provides-Extra"):
        if name in _FOR_DEVELOPERS:
            continue
        parts = [
            r for r in _requirements() if r.marker and r.marker.evaluate({"extra": name}) and not _is_core(r)
        ]
        missing = [text for r in parts if (text := _problem(r))]
        purpose = PURPOSES.get(name) or ", ".join(r.name for r in parts)
        found.append(Extra(name, purpose, missing, len(parts) - len(missing)))
    return found


def _is_core(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def needed_extras(subject: Subject) -> Iterator[Finding]:
    """Extras without which a pipeline of the project cannot run."""
    there = {extra.name: extra for extra in extras()}
    for name, pipeline in subject.project.settings.pipelines.items():
        needed = there.get(_PIPELINE_EXTRAS.get(pipeline.uses or name, ""))
        if needed is not None and needed.missing:
            what = f"it runs {pipeline.uses or name}: {'; '.join(needed.missing)}"
            yield Finding("error", f"pipeline {name}", what, f"`pip install 'corrida[{needed.name}]'`")
        if any(map(is_address, pipeline.data)) and (extra := there.get("database")) and extra.missing:
            what = f"its data lie in a database: {'; '.join(extra.missing)}"
            yield Finding("error", f"pipeline {name}", what, "`pip install 'corrida[database]'`")


def python(subject: Subject) -> Iterator[Finding]:
    """Whether this Python is one that corrida is made for."""
    del subject
    wanted = "".join(_declared("Requires-Python"))
    if not SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        what = f"it is {platform.python_version()}, and corrida needs {wanted}"
        yield Finding("error", "Python", what, "install corrida with another Python")


def packages(subject: Subject) -> Iterator[Finding]:
    """Required packages that are missing or of a version that does not fit, and extras that are half there."""
    del subject
    if not _declared("Name"):
        what = "corrida runs from its sources and is not installed, so what it needs cannot be checked"
        yield Finding("note", "packages", what, "`pip install corrida`, or `pip install -e .` in the sources")
    for requirement in _requirements():
        if _is_core(requirement) and (problem := _problem(requirement)):
            yield Finding("error", "packages", problem, "`pip install -U corrida`")
    for extra in extras():
        if extra.missing and extra.installed:
            what = f"half there: {'; '.join(extra.missing)}"
            yield Finding("warning", f"extra {extra.name}", what, f"`pip install -U 'corrida[{extra.name}]'`")


def installed_pipelines(subject: Subject) -> Iterator[Finding]:
    """Pipelines of other packages that cannot be loaded."""
    del subject
    from corrida.pipelines.registry import ENTRY_POINTS

    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the package of somebody else raises
            owner = entry.dist.name if entry.dist else "unknown"
            what = f"the package {owner} names it, and it cannot be loaded: {type(error).__name__}: {error}"
            then = f"`pip install -U {owner}`, or `pip uninstall {owner}`"
            yield Finding("warning", f"pipeline {entry.name}", what, then)


def cache(subject: Subject) -> Iterator[Finding]:
    """Whether catalogs can be kept, and are whole. They are caches: deleting them loses nothing."""
    del subject
    folder = cache_folder()
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "cannot be written, so every command reads all runs anew"
        yield Finding("warning", f"cache {folder}", what, "name another with CORRIDA_CACHE_DIR")
        return
    catalogs = {path: path.stat().st_size for path in sorted(folder.glob("catalog-*.sqlite"))}
    for path, size in catalogs.items():
        if size <= _CHECKED_UP_TO and (problem := _damage(path)):
            what = f"it is damaged ({problem}); nothing of a run is in danger, and a reader makes it anew"
            yield Finding("warning", f"catalog {path.name}", what, f"`rm {path}*`")
    if (total := sum(catalogs.values())) > _MUCH_CACHE:
        what = (
            f"{plural(len(catalogs), 'catalog')} take {size_text(total)}; those of stores that are gone too"
        )
        yield Finding("note", f"cache {folder}", what, f"`rm {folder}/catalog-*` loses nothing")


def _damage(path: Path) -> str:
    try:
        with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1) as db:
            answer = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        db.close()
    except sqlite3.OperationalError:
        return ""  # in use, or of another user
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if answer == "ok" else answer.split("\n", maxsplit=1)[0]


def on_path(subject: Subject) -> Iterator[Finding]:
    """Several corridas on PATH: the first is not always the one that was meant."""
    del subject
    found: dict[str, str] = {}
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        program = Path(folder or ".") / "corrida"
        # Unlike Path.is_file, this takes a folder that may not be entered for one that holds nothing.
        if os.path.isfile(program) and os.access(program, os.X_OK):  # noqa: PTH113
            found.setdefault(os.path.realpath(program), str(program))
    if len(found) > 1:
        first, *others = found.values()
        what = f"{first} comes before {', '.join(others)}; this is Python {sys.executable}"
        yield Finding(
            "warning", "PATH", what, "`python -m pip uninstall corrida` in the one that is not meant"
        )


def encoding(subject: Subject) -> Iterator[Finding]:
    """Whether names and texts of every language can be shown."""
    del subject
    for stream, name in ((sys.__stdout__, "the terminal"), (None, "the file system")):
        used = (stream.encoding if stream is not None else sys.getfilesystemencoding()) or "utf-8"
        if (name == "the terminal") != (stream is not None):
            continue
        if used.lower().replace("-", "").replace("_", "") != "utf8":
            what = f"{name} uses {used}, so texts of other languages cannot be shown"
            yield Finding(
                "warning", "environment", what, "`export PYTHONUTF8=1`, or a locale of UTF-8 (LANG=C.UTF-8)"
            )
