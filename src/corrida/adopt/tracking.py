"""The tracking layout: ``run_X.json``, ``run_X_config/`` and ``run_X_results.json`` of many runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from corrida.adopt.old_metrics import metrics_of
from corrida.adopt.old_records import git_of, read_object, seed_of, text_of, without
from corrida.adopt.old_run import Broken, Found, OldRun, places
from corrida.adopt.times import ENDED, STARTED, when
from corrida.errors import InvalidData
from corrida.runs.plain import text
from corrida.runs.run_file import Column, PrimaryMetric

if TYPE_CHECKING:
    from corrida.adopt.tree import Tree

NAME = "tracking"
PIPELINE = "matching"
SHAPE = "run_X.json with run_X_config/ and run_X_results.json beside it"
_CONFIG, _RESULTS = "_config", "_results.json"
_IDS = ("offer_ids", "ofertas_ids", "item_ids", "ids")
_COUNTS = ("offers_count", "ofertas_count", "total_offers", "total_ofertas", "n_offers", "count")
_WRAPPERS = ("metricas", "metrics", "results", "resultados")
_OF_TWO_RUNS = ("comparacion_vs_anterior", "comparacion", "comparison")
_TEXTS = ("run_id", "id", "source", "fuente", "description", "descripcion", "notes", "notas")
_GIT = ("git", "git_info", "git_commit", "git_branch", "git_hash", "commit", "branch")
_SIGNS = {"run_id", *_IDS, "source", "description", "timestamp", "created_at", "config_versions"}


def recognise(tree: Tree) -> bool:
    """Tell whether the folder, its ``runs/`` or its ``metrics/runs/`` holds runs of this layout."""
    return _base(tree) is not None


def _base(tree: Tree) -> str | None:
    return next((b for b in ("", "runs", "metrics/runs") if _is_base(tree, b)), None)


def _is_base(tree: Tree, base: str) -> bool:
    ids = _ids(tree, base)
    if any(_path(base, f"{i}.json") in tree.files and _has_company(tree, base, i) for i in ids):
        return True
    for old_id in ids:
        try:
            if _SIGNS & {*read_object(tree, _path(base, f"{old_id}.json"))}:
                return True
        except (InvalidData, KeyError):
            continue
    return False


def _path(base: str, name: str) -> str:
    return f"{base}/{name}" if base else name


def _has_company(tree: Tree, base: str, old_id: str) -> bool:
    return _path(base, old_id + _CONFIG) in tree.folders or _path(base, old_id + _RESULTS) in tree.files


def _ids(tree: Tree, base: str) -> list[str]:
    """Return the ids of all runs: those with a record, and those of which only the rest is left."""
    start = f"{base}/" if base else ""
    direct = [n[len(start) :] for n in tree.below(base) if "/" not in n[len(start) :]]
    stems = [n.removesuffix(".json") for n in direct if n.endswith(".json") and not n.endswith(_RESULTS)]
    found = {s for s in stems if s.startswith("run_") or _has_company(tree, base, s)}
    found |= {n.removesuffix(_RESULTS) for n in direct if n.endswith(_RESULTS) and n.startswith("run_")}
    folders = (folder[len(start) :] for folder in tree.children(base))
    found |= {f.removesuffix(_CONFIG) for f in folders if f.endswith(_CONFIG) and f.startswith("run_")}
    return sorted(found)


def read(tree: Tree, now: datetime) -> Found:
    """Read every run; one whose files cannot be read is named as broken."""
    base = _base(tree) or ""
    found = Found(layout=NAME, pipeline=PIPELINE)
    for old_id in _ids(tree, base):
        try:
            found.runs.append(_read_run(tree, base, old_id, now))
        except InvalidData as error:
            found.broken.append(Broken(old_id, str(error)))
    return found


def _read_run(tree: Tree, base: str, old_id: str, now: datetime) -> OldRun:
    record_name, results_name = _path(base, f"{old_id}.json"), _path(base, old_id + _RESULTS)
    config_folder = _path(base, old_id + _CONFIG)
    configs = tree.below(config_folder) if config_folder in tree.folders else []
    warnings: list[str] = []
    record: dict[str, Any] = {}
    if record_name in tree.files:
        record = read_object(tree, record_name)
    else:
        warnings.append(f"{old_id}.json is not there: source, description and items are unknown")
    results = read_object(tree, results_name) if results_name in tree.files else {}
    if not results:
        warnings.append(
            f"no results are there: {old_id}{_RESULTS} {'is empty' if results_name in tree.files else 'is missing'}"
        )
    told = text_of(record, "run_id", "id")
    if told is not None and told != old_id:
        warnings.append(f"{old_id}.json says that it is {told}; the name of the file counts")
    records = [n for n in (record_name, results_name) if n in tree.files]
    ended = next((results[key] for key in (*ENDED, *STARTED) if results.get(key)), None)
    run = OldRun(
        old_id=old_id,
        base=base,
        when=when(
            [(f"{old_id}.json", record), (old_id + _RESULTS, {ENDED[0]: ended})],
            old_id,
            [tree.files[n].mtime_ns for n in (*records, *configs)] or [0],
            now,
            warnings,
        ),
        files=places(records, base, records),
        configs={n: f"config/{text(n[len(config_folder) + 1 :])}" for n in configs},
        source=text_of(record, "source", "fuente"),
        description=text_of(record, "description", "descripcion"),
        notes=text_of(record, "notes", "notas"),
        seed=seed_of(record),
        git=git_of(record),
        warnings=warnings,
    )
    left_out = (
        *_TEXTS,
        *_IDS,
        *_COUNTS,
        *_WRAPPERS,
        *_GIT,
        *STARTED,
        *ENDED,
        *_OF_TWO_RUNS,
        "seed",
        "ofertas",
        "offers",
    )
    run.params = without(record, (*left_out, *(("config_versions",) if configs else ())))
    _fill_items(run, record)
    _fill_metrics(run, record, results)
    return run


def _fill_items(run: OldRun, record: Mapping[str, Any]) -> None:
    for key in ("ofertas", "offers"):  # {"count": 100, "ids": [...]}, or the list itself
        if isinstance(record.get(key), list):
            record = {**record, "ids": record[key]}
        elif isinstance(record.get(key), Mapping):
            record = {**record, **record[key]}
    for key in _COUNTS:
        value = record.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            run.item_count = value
            break
    listed = next((record[key] for key in _IDS if isinstance(record.get(key), list)), None)
    if listed is None:
        return
    usable = [text(str(i)) for i in listed if isinstance(i, str | int) and not isinstance(i, bool) and str(i)]
    unique = tuple(dict.fromkeys(usable))
    if lost := len(listed) - len(usable):
        run.warnings.append(f"{lost} of the {len(listed)} entries in the list of items are no ids; left out")
    if twice := len(usable) - len(unique):
        run.warnings.append(
            f"the list of items names {len(unique)} items, and {twice} of them again; each counts once"
        )
    if run.item_count is not None and run.item_count != len(listed):
        run.warnings.append(
            f"the record says {run.item_count} items and lists {len(listed)}; the list counts"
        )
    run.item_ids, run.item_count = (unique or None), len(unique)


def _fill_metrics(run: OldRun, record: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    sources = [
        (f"{run.old_id}.json", {k: record[k] for k in _WRAPPERS if isinstance(record.get(k), Mapping)})
    ]
    sources.append((f"{run.old_id}{_RESULTS}", {k: v for k, v in results.items() if k not in _OF_TWO_RUNS}))
    for where, source in sources:
        flat = {k: v for k, v in source.items() if k not in _WRAPPERS or not isinstance(v, Mapping)}
        for wrapper in _WRAPPERS:
            if isinstance(source.get(wrapper), Mapping):
                flat |= source[wrapper]
        run.metrics |= metrics_of(flat, where, run.warnings)
    if "precision" in run.metrics:
        run.primary_metric = PrimaryMetric("precision", "max")
    names = [n for n in ("precision", "coverage", "recall", "f1") if n in run.metrics]
    run.columns = tuple(Column(name, f"metrics.{name}") for name in names)
