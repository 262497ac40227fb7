"""Two runs side by side: the verdict's place, configurations, metrics, items, and what else differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from corrida.analysis.config_diff import DEFAULT_KEYS, ConfigsDiff, diff_configs, summary_line
from corrida.analysis.items_diff import ItemsDiff, diff_items
from corrida.analysis.metric_tests import NO_CLUSTER, VerdictOptions
from corrida.analysis.metrics_diff import MetricChange, compare_metrics
from corrida.analysis.paired_items import PairedItems
from corrida.analysis.slices import MIN_ITEMS, Slices, slices_of_runs
from corrida.analysis.verdict import Verdict, judge
from corrida.errors import DamagedRun, InvalidData, InvalidMetric
from corrida.runs import layout
from corrida.runs.numbers import json_number
from corrida.runs.record import RunRecord, flatten


class ParamChange(msgspec.Struct, frozen=True):
    """A parameter that differs; None where a run lacks it."""

    name: str
    a: Any
    b: Any


class Circumstance(msgspec.Struct, frozen=True):
    """Something besides the configuration that differs.

    Attributes:
        kind: ``data``, ``environment``, ``code``, ``seed``, ``pipeline``, ``source`` or ``status``.
        text: what, in words.
    """

    kind: Literal["data", "environment", "code", "seed", "pipeline", "source", "status"]
    text: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two runs compared; prints as text, and turns into JSON and Markdown.

    Attributes:
        a: the run before.
        b: the run after.
        verdict: what can be said of the metric that decides.
        verdicts: the same of every metric that was asked for; the first is ``verdict``.
        slices: which segments of the items got worse by the metric that decides; None when nobody asked.
        configs: what changed in the configuration files, by meaning.
        params: parameters that differ.
        metrics: every metric of either run.
        items: which items flipped; None when a run has no items.
        circumstances: what else differs, since then the comparison is not of configurations alone.
        cluster: the column by which items were taken together; None when each stood alone.
    """

    a: RunRecord
    b: RunRecord
    verdict: Verdict
    configs: ConfigsDiff
    params: tuple[ParamChange, ...]
    metrics: tuple[MetricChange, ...]
    items: ItemsDiff | None
    circumstances: tuple[Circumstance, ...]
    verdicts: tuple[Verdict, ...] = ()
    slices: Slices | None = None
    cluster: str | None = None

    def to_json(self, *, items: int | None = None) -> dict[str, Any]:
        """Return the comparison as plain values.

        Args:
            items: list at most so many differing items; all when None.
        """
        files = [{**msgspec.to_builtins(file), "summary": summary_line(file)} for file in self.configs.files]
        return {
            "a": self.a.id,
            "b": self.b.id,
            "verdict": _numbers(msgspec.to_builtins(self.verdict)),
            "verdicts": [_numbers(msgspec.to_builtins(v)) for v in self.verdicts],
            "configs": {"files": files, "params": [msgspec.to_builtins(p) for p in self.params]},
            "metrics": [_numbers(msgspec.to_builtins(m)) for m in self.metrics],
            "items": _items_json(self.items, items),
            "slices": None if self.slices is None else self.slices.to_json(),
            "circumstances": [msgspec.to_builtins(c) for c in self.circumstances],
        }

    def to_markdown(self, *, only_changed: bool = False, items: int = 20) -> str:
        """Return the comparison as Markdown, as for the comment on a pull request."""
        from corrida.analysis.blocks import to_markdown
        from corrida.analysis.compare_report import comparison_blocks

        return to_markdown(comparison_blocks(self, only_changed=only_changed, items=items))

    def __str__(self) -> str:
        """Return the comparison as text."""
        from corrida.analysis.blocks import to_text
        from corrida.analysis.compare_report import comparison_blocks

        return to_text(comparison_blocks(self))

    def __repr__(self) -> str:
        """Return the comparison as text, as a terminal shows it."""
        return str(self)

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(str(self))}</pre>"


def compare_runs(
    a: RunRecord,
    b: RunRecord,
    *,
    metric: str | Sequence[str] | None = None,
    list_keys: Sequence[str] = (),
    options: VerdictOptions | None = None,
    test: bool = True,
    slices: Sequence[str] = (),
    slice_min: int = MIN_ITEMS,
) -> Comparison:
    """Compare two runs.

    Args:
        a: the run before.
        b: the run after.
        metric: the metric that decides, or several; that of the runs when not given.
        list_keys: names of the field that tells entries of a list in a configuration apart, tried first.
        options: how differences are tested.
        test: False tests nothing, which is quicker.
        slices: columns of the items by whose values to test segments too, as of
            :func:`~corrida.analysis.slices.find_slices`.
        slice_min: the least items of a segment.

    Raises:
        BadInput: an option is outside of its range; the items have no column to slice by.
        DamagedRun: a configuration or the items of a run cannot be read.
        InvalidData: the items have no column to cluster by, or are no items.
        InvalidMetric: ``metric`` is in neither run.
    """
    options = (options or VerdictOptions()).check()
    for run in (a, b):
        if run.status == "unreadable":
            raise DamagedRun(run.error.message if run.error else f"run {run.id} cannot be read")
    metrics = compare_metrics(a, b)
    names = [metric] if isinstance(metric, str) else list(metric or ())
    for name in names:
        if name not in {m.name for m in metrics}:
            known = ", ".join(m.name for m in metrics[:12]) or "none"
            raise InvalidMetric(f"neither run has the metric {name!r}; there are {known}")
    items, paired, moved = _items(a, b, options.cluster, test=test)
    options = msgspec.structs.replace(options, cluster=paired.clustered_by if paired else None)
    circumstances = (*_circumstances(a, b), *moved)
    judged = judge(
        a,
        b,
        metrics,
        items,
        paired,
        names,
        options=options,
        data_changes=[c.text for c in circumstances if c.kind == "data"],
    )
    configs = diff_configs(a.config_files(), b.config_files(), keys=(*list_keys, *DEFAULT_KEYS))
    return Comparison(
        a=a,
        b=b,
        verdict=judged.verdicts[0],
        configs=configs,
        params=_param_changes(a, b),
        metrics=judged.metrics,
        items=items,
        circumstances=circumstances,
        verdicts=judged.verdicts,
        slices=slices_of_runs((a, b), paired, judged.verdicts[0], slices, options, slice_min)
        if slices
        else None,
        cluster=options.cluster,
    )


def _items(
    a: RunRecord, b: RunRecord, asked: str | None, *, test: bool
) -> tuple[ItemsDiff | None, PairedItems | None, list[Circumstance]]:
    """Return which items differ, the items in pairs for the tests, and why they are not in clusters though declared."""
    if not (a.has_items() and b.has_items()):
        return None, None, []
    before, after = a.items(), b.items()
    found = diff_items(before, after)
    if not test:
        return found, None, []
    if asked is not None:
        return found, PairedItems(before, after, None if asked == NO_CLUSTER else asked), []
    declared = a.cluster if a.cluster == b.cluster else None
    try:
        return found, PairedItems(before, after, declared), []
    except InvalidData as error:
        alone = Circumstance("data", f"every item is tested as if it stood alone: {error}")
        return found, PairedItems(before, after), [alone]


def _param_changes(a: RunRecord, b: RunRecord) -> tuple[ParamChange, ...]:
    before, after = (flatten(run.params) | long_overrides(run) for run in (a, b))
    return tuple(
        ParamChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if (name in before) != (name in after) or before[name] != after[name]
    )


def long_overrides(run: RunRecord) -> dict[str, Any]:
    """Return what was set on the command line and is no single value: lists and objects are not among the parameters."""
    asked = run.run_file().invocation
    if asked is None:
        return {}
    known = flatten(run.params)
    return {
        name: value
        for name, value in asked.overrides.items()
        if isinstance(value, list | dict) and name not in known
    }


def _circumstances(a: RunRecord, b: RunRecord) -> list[Circumstance]:
    found: list[Circumstance] = []
    if a.pipeline != b.pipeline:
        found.append(Circumstance("pipeline", f"pipeline {a.pipeline} → {b.pipeline}: not the same work"))
    found += [
        Circumstance("status", f"{run.id} is {run.status}: its metrics may be incomplete")
        for run in (a, b)
        if run.status != "finished"
    ]
    if a.source != b.source:
        found.append(Circumstance("source", f"source {a.source or '–'} → {b.source or '–'}"))
    if a.seed != b.seed:
        shown = ["–" if s is None else str(s) for s in (a.seed, b.seed)]
        found.append(Circumstance("seed", f"seed {shown[0]} → {shown[1]}"))
    found += [Circumstance("data", text) for text in _data_changes(a.manifest(), b.manifest())]
    found += [Circumstance("code", text) for text in _code_changes(a, b)]
    found += [
        Circumstance("environment", text) for text in _environment_changes(a.environment(), b.environment())
    ]
    return found


def _data_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    before = {str(d.get("path")): d for d in a.get("data", ())}
    after = {str(d.get("path")): d for d in b.get("data", ())}
    found = []
    for path in dict.fromkeys([*before, *after]):
        one, two = before.get(path), after.get(path)
        if one is None or two is None:
            found.append(f"{path} is {'new' if one is None else 'gone'}")
        elif one.get("sha256") != two.get("sha256"):
            rows = [d.get("rows") for d in (one, two)]
            size = f": {rows[0]} → {rows[1]} rows" if None not in rows and rows[0] != rows[1] else ""
            found.append(f"{path} has other content{size}")
    moved = [p for p in found if p.endswith(" is new")]
    same = {d.get("sha256") for d in before.values()}
    for text in moved:
        path = text.removesuffix(" is new")
        if after[path].get("sha256") in same:
            old = next(p for p, d in before.items() if d.get("sha256") == after[path].get("sha256"))
            found = [f for f in found if f not in {text, f"{old} is gone"}]
    return found


def _code_changes(a: RunRecord, b: RunRecord) -> list[str]:
    found = []
    files = [run.run_file() for run in (a, b)]
    if a.git or b.git:
        commits = [run.git.commit[:10] if run.git and run.git.commit else "none" for run in (a, b)]
        if commits[0] != commits[1]:
            found.append(f"commit {commits[0]} → {commits[1]}")
        if files[0].files.get(layout.DIFF) != files[1].files.get(layout.DIFF):
            dirty = [run.id for run in (a, b) if run.git and run.git.diff]
            found.append(f"uncommitted changes differ (in {' and '.join(dirty)}: see {layout.DIFF})")
    sources = [file.invocation.code if file.invocation else {} for file in files]
    found += [
        f"{name} has other content"
        for name in sources[0].keys() & sources[1].keys()
        if sources[0][name] != sources[1][name]
    ]
    return found


def _environment_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    if not a or not b:  # of a run that another program made nothing is known
        return ["packages and machine are recorded for one of the two runs only"] if a or b else []
    found = [
        f"{name} {a.get(name, '–')} → {b.get(name, '–')}"
        for name in ("python", "implementation", "platform", "machine", "processors")
        if a.get(name) != b.get(name)
    ]
    threads = [a.get("threads") or {}, b.get("threads") or {}]
    found += [
        f"threads of {name} {threads[0][name]} → {threads[1][name]}"
        for name in sorted(
            threads[0].keys() & threads[1].keys()
        )  # a library that was not loaded has none to tell
        if threads[0][name] != threads[1][name]
    ]
    for group in ("variables", "packages"):
        before, after = a.get(group) or {}, b.get(group) or {}
        found += [
            f"{name} {before.get(name, '–')} → {after.get(name, '–')}"
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
    return found


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    return {k: json_number(v) if isinstance(v, float) else v for k, v in values.items()}


def _items_json(items: ItemsDiff | None, limit: int | None) -> dict[str, Any] | None:
    if items is None:
        return None
    rows = items.differing if limit is None else items.differing.head(limit)
    return {
        **msgspec.to_builtins(items.counts),
        "differing": [_numbers(row) for row in rows.to_dicts()],
        "ids_only_a": items.only_a.to_list()[:limit],
        "ids_only_b": items.only_b.to_list()[:limit],
    }
