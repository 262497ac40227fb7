"""The forecasting layouts: ``models/``, ``metrics.csv`` and ``cv_results_*.csv``, flat or one folder a run."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from corrida.adopt.old_metrics import metrics_of_table
from corrida.adopt.old_records import seed_of
from corrida.adopt.old_run import Found, OldRun, places
from corrida.adopt.times import when
from corrida.errors import InvalidConfig
from corrida.runs.documents import parse_document
from corrida.runs.run_file import Column

if TYPE_CHECKING:
    from corrida.adopt.tree import Tree

NAME = "forecasting"
PIPELINE = "forecasting"
SHAPE = "models/, metrics.csv and cv_results_*.csv; or runs/ with a folder a run, each with config.yaml"
_COLUMNS = (Column("horizon", "params.horizon"), Column("steps", "params.max_steps"), Column("has", "has"))
_CONFIG, _METRICS, _MODELS = "config.yaml", "metrics.csv", "models"
_CV = re.compile(r"cv_results_?[^/]*\.csv")


def recognise(tree: Tree) -> bool:
    """Tell whether the folder is of the flat layout, or it or its ``runs/`` holds folders of the newer one."""
    return _is_flat(tree, "") or bool(_run_folders(tree))


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _signs(tree: Tree, folder: str) -> list[bool]:
    start = f"{folder}/" if folder else ""
    tables = any(_CV.fullmatch(n[len(start) :]) for n in tree.below(folder))
    return [_path(folder, _METRICS) in tree.files, tables, _path(folder, _MODELS) in tree.folders]


def _is_flat(tree: Tree, folder: str) -> bool:
    metrics, tables, models = _signs(tree, folder)
    return metrics or tables or (models and _path(folder, _CONFIG) in tree.files)


def _is_run(tree: Tree, folder: str) -> bool:
    has_config = _path(folder, _CONFIG) in tree.files
    signs = sum(_signs(tree, folder))
    return signs >= 2 or (has_config and (signs >= 1 or folder.rpartition("/")[2].startswith("run_")))


def _run_folders(tree: Tree) -> list[str]:
    """Return the folders of the newer layout: below ``runs/``, else right below."""
    for base in ("runs", ""):
        if not base or base in tree.folders:
            found = [f for f in tree.children(base) if _is_run(tree, f)]
            if found:
                return found
    return []


def read(tree: Tree, now: datetime) -> Found:
    """Read the flat run, if there is one, and every run of the newer layout."""
    found = Found(layout=NAME, pipeline=PIPELINE)
    folders = _run_folders(tree)
    if _is_flat(tree, ""):
        inside = tuple(f"{folder}/" for folder in folders)
        names = [n for n in tree.below("") if not n.startswith(inside)]
        own_id = tree.root.name if _CONFIG in tree.files and not folders else None
        found.runs.append(_read_run(tree, "", names, own_id, now))
    found.runs += [_read_run(tree, f, tree.below(f), f.rpartition("/")[2], now) for f in folders]
    return found


def _read_run(tree: Tree, folder: str, names: list[str], old_id: str | None, now: datetime) -> OldRun:
    warnings: list[str] = []
    config = _path(folder, _CONFIG)
    has_config = config in tree.files
    document: dict[str, Any] = {}
    if has_config:
        document = _read_config(tree, config, warnings)
    told = document.pop("run_id", None)
    if isinstance(told, str) and old_id is not None and told != old_id:
        warnings.append(f"{_CONFIG} says that it is {told}; the name of the folder counts")
    metrics: dict[str, float] = {}
    if _path(folder, _METRICS) in tree.files:
        metrics = metrics_of_table(tree.read(_path(folder, _METRICS)), _METRICS, warnings)
    else:
        warnings.append(f"{_METRICS} is not there")
    return OldRun(
        old_id=old_id,
        base=folder,
        when=when([], old_id or "", [tree.files[n].mtime_ns for n in names], now, warnings),
        files=places([n for n in names if n != config], folder),
        configs={config: _CONFIG} if has_config else {},
        params=document,
        resolved=document,
        seed=seed_of(document),
        metrics=metrics,
        columns=_COLUMNS,
        warnings=warnings,
    )


def _read_config(tree: Tree, name: str, warnings: list[str]) -> dict[str, Any]:
    try:
        document = parse_document(_CONFIG, tree.read(name))
    except InvalidConfig as error:
        warnings.append(f"{error}; it is kept as it is")
        return {}
    return dict(document) if isinstance(document, dict) else {}
