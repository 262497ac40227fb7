"""The storage layout: ``runs/index.json`` and one folder a run with ``config.json``, ``metrics.json`` and a report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from corrida.adopt.old_metrics import metrics_of
from corrida.adopt.old_records import git_of, read_object, seed_of, text_of, without
from corrida.adopt.old_run import Broken, Found, OldRun, places
from corrida.adopt.times import when
from corrida.errors import InvalidData
from corrida.runs.plain import text
from corrida.runs.run_file import Column, PrimaryMetric

if TYPE_CHECKING:
    from corrida.adopt.tree import Tree

NAME = "storage"
PIPELINE = "evaluation"
SHAPE = "index.json and folders with config.json, manifest.json, metrics.json, report.md, assets/"
_RECORDS = ("config.json", "manifest.json", "metrics.json")
_COLUMNS = (
    ("fuzzy F1", "by_matcher.fuzzy_only.avg_f1"),
    ("semantic F1", "by_matcher.semantic_only.avg_f1"),
    ("hybrid F1", "by_matcher.hybrid.avg_f1"),
    ("best F1", "best_overall.f1"),
)
_OF_THE_INDEX = {"seed", "seeded_pct"}
_NOTES_CUT_AT = 30


def recognise(tree: Tree) -> bool:
    """Tell whether the folder or its ``runs/`` holds folders of this layout, or is itself one."""
    return _base(tree) is not None


def _base(tree: Tree) -> str | None:
    if _is_run(tree, ""):
        return ""
    return next((b for b in ("", "runs") if any(_is_run(tree, f) for f in _folders(tree, b))), None)


def _folders(tree: Tree, base: str) -> list[str]:
    return tree.children(base) if not base or base in tree.folders else []


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_run(tree: Tree, folder: str) -> bool:
    has = [_path(folder, name) in tree.files for name in (*_RECORDS, "report.md")]
    return sum(has) + (_path(folder, "assets") in tree.folders) >= 2 and (has[0] or has[2])


def read(tree: Tree, now: datetime) -> Found:
    """Read every run; one whose config.json or metrics.json cannot be read is named as broken."""
    base = _base(tree) or ""
    found = Found(layout=NAME, pipeline=PIPELINE)
    single = _is_run(tree, "")
    index = {} if single else _read_index(tree, base, found)
    folders = [""] if single else _folders(tree, base)
    names = set()
    for folder in folders:
        name = folder.rpartition("/")[2] or tree.root.name
        names.add(name)
        if not _is_run(tree, folder) and not (name in index and _has_record(tree, folder)):
            continue
        try:
            found.runs.append(_read_run(tree, folder, name, index.get(name, {}), now))
        except InvalidData as error:
            found.broken.append(Broken(name, str(error)))
    found.remarks += [
        f"index.json lists {text(ghost)}, whose folder is not there; it was not adopted"
        for ghost in index
        if ghost not in names
    ]
    return found


def _has_record(tree: Tree, folder: str) -> bool:
    return any(_path(folder, name) in tree.files for name in _RECORDS)


def _read_index(tree: Tree, base: str, found: Found) -> dict[str, dict[str, Any]]:
    name = _path(base, "index.json")
    if name not in tree.files:
        return {}
    found.shared.append(name)
    try:
        listed = read_object(tree, name).get("runs")
    except InvalidData as error:
        found.remarks.append(f"{error}; the folders were read without it")
        return {}
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    return {e["run_id"]: e for e in entries if isinstance(e.get("run_id"), str)}


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return dict(section) if isinstance(section, Mapping) else {}


def _read_run(tree: Tree, folder: str, name: str, entry: Mapping[str, Any], now: datetime) -> OldRun:
    warnings: list[str] = []
    names = tree.below(folder)
    records = {
        short: read_object(tree, _path(folder, short)) if _path(folder, short) in tree.files else {}
        for short in ("config.json", "metrics.json")
    }
    config, raw = records["config.json"], records["metrics.json"]
    if not config:
        warnings.append("config.json is not there; what index.json says was used")
    told = text_of(config, "run_id")
    old_id = told if told is not None and not folder else name
    if told is not None and told != old_id:
        warnings.append(f"config.json says that it is {told}; the name of the folder counts")
    dataset = _section(config, "dataset")
    run = OldRun(
        old_id=old_id,
        base=folder,
        when=when(
            [("config.json", config), ("index.json", entry)],
            old_id,
            [tree.files[n].mtime_ns for n in names],
            now,
            warnings,
        ),
        files=places(names, folder, [_path(folder, short) for short in _RECORDS]),
        source=text_of(config, "source"),
        description=text_of(config, "description"),
        notes=_notes(config, entry, warnings),
        seed=seed_of(dataset, config, entry),
        params=_section(config, "pipeline"),
        resolved=_section(config, "pipeline"),
        dataset={**_facts(tree, folder, warnings), **dataset},
        git=git_of(config),
        warnings=warnings,
    )
    results = _section(config, "results")
    of_config, of_metrics = (
        metrics_of(results, "config.json", warnings),
        metrics_of(raw, "metrics.json", warnings),
    )
    for metric, value in of_metrics.items():
        if metric in of_config and of_config[metric] != value:
            warnings.append(
                f"{metric} is {of_config[metric]:g} in config.json and {value:g} in metrics.json; metrics.json counts"
            )
    run.metrics = {**of_config, **of_metrics}
    if not run.metrics and entry:
        short = {k: v for k, v in entry.items() if k not in _OF_THE_INDEX}
        run.metrics = metrics_of(short, "index.json", warnings)
    if not run.metrics:
        warnings.append("no metrics are there")
    run.summary = _summary(results)
    run.columns = tuple(Column(title, f"metrics.{m}") for title, m in _COLUMNS if m in run.metrics)
    if "best_overall.f1" in run.metrics:
        run.primary_metric = PrimaryMetric("best_overall.f1", "max")
    return run


def _notes(config: Mapping[str, Any], entry: Mapping[str, Any], warnings: list[str]) -> str | None:
    notes, short = text_of(config, "notes"), text_of(entry, "notes")
    if notes is None and short is not None and len(short) >= _NOTES_CUT_AT:
        warnings.append("the notes are those of index.json, which may be cut off")
    return notes or short


def _facts(tree: Tree, folder: str, warnings: list[str]) -> dict[str, Any]:
    """Return the facts of the old manifest: its single values; the whole of it is kept."""
    name = _path(folder, "manifest.json")
    if name not in tree.files:
        return {}
    try:
        return without(read_object(tree, name), ())
    except InvalidData as error:
        warnings.append(f"{error}; it is kept as it is")
        return {}


def _summary(results: Mapping[str, Any]) -> str:
    best = results.get("best_overall")
    if not isinstance(best, Mapping):
        return ""
    said = [f"{key} {value}" for key, value in best.items() if isinstance(value, str) and value]
    return text(f"best: {', '.join(said)}") if said else ""
