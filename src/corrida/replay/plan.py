"""What a bisection looks for, settled before anything is executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from corrida.analysis.compare import Comparison, compare_runs
from corrida.analysis.directions import direction_of
from corrida.errors import BadInput
from corrida.replay.again import Replay
from corrida.replay.delta import runs_needed
from corrida.replay.drift import refuse_drift
from corrida.replay.inputs import Mixer, inputs_of
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    import polars as pl

    from corrida.project import Project
    from corrida.runs.record import RunRecord

GoalKind = Literal["broken", "fixed", "changed", "worse", "better"]
Goal = str | None
"""An item by its id, or None: the metric."""


_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a person asks a bisection.

    Attributes:
        items: only these items.
        metric: the metric whose fall is to be explained, before the items.
        all_items: execute every hybrid on all items.
        force: also when the good run is not better.
        allow_drift: also with other code.
        data: where else data files may be.
        list_keys: names of the field that tells entries of a list apart.
    """

    items: Sequence[str] = ()
    metric: str | None = None
    all_items: bool = False
    force: bool = False
    allow_drift: bool = False
    data: Sequence[str] = ()
    list_keys: Sequence[str] = ()


@dataclass(frozen=True)
class Fall:
    """The metric that fell: its values in the good and the bad run, and whether less of it is worse."""

    name: str
    good: float
    bad: float
    less_is_worse: bool

    def is_bad(self, value: float) -> bool:
        """Tell whether a value is on the bad side of halfway."""
        halfway = (self.good + self.bad) / 2
        return value < halfway if self.less_is_worse else value > halfway


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A bisection, ready to go.

    Attributes:
        good, bad: the runs.
        replay: the bad run, which every hybrid is executed as: its data, its code.
        mixer: the changes, and the hybrids of them.
        kinds: what became of each item that is looked for.
        fall: the metric that is looked for; None when only items are.
        answers: what the good run gave for the items that changed without being right or wrong, or whose loss did.
        item_ids: the items to execute; None for those of the bad run.
        limited: whether those are fewer than the runs have.
        remarks: what else a person must know before.
        runs: how many runs it takes when one change is to blame, and when two together are.
        seconds_each: how long one run takes, by the durations of the two: with their share of the items, and as
            if the number of items did not matter; None when it is not known.
    """

    good: RunRecord
    bad: RunRecord
    replay: Replay
    mixer: Mixer
    kinds: dict[str, GoalKind]
    fall: Fall | None
    answers: pl.DataFrame | None
    item_ids: frozenset[str] | None
    limited: bool
    remarks: tuple[str, ...]
    runs: tuple[int, int]
    seconds_each: tuple[float, float] | None

    @property
    def goals(self) -> list[Goal]:
        """What is looked for: the metric first, then the items."""
        return [*([None] if self.fall else []), *self.kinds]


def plan_bisect(project: Project, good: RunRecord, bad: RunRecord, question: Question) -> Plan:
    """Settle what a bisection looks for, and check that it can be found.

    Raises:
        BadInput: the runs are one, or of different work; nothing changed that can be mixed; the good one is not
            better; nothing flipped; an item is not in both.
        InvalidData: data are gone.
    """
    if good.id == bad.id:
        raise BadInput(f"{good.id} is both the good and the bad run; name two runs")
    for run in (good, bad):
        if run.status != "finished":
            raise BadInput(f"the run {run.id} is {run.status}; only runs that have finished can be bisected")
    files = [run.run_file() for run in (good, bad)]
    works = [(f.invocation.kind, f.invocation.uses) if f.invocation else None for f in files]
    if good.pipeline != bad.pipeline or works[0] != works[1]:
        raise BadInput(
            f"{good.id} is of the pipeline {good.pipeline} and {bad.id} of {bad.pipeline}, started in different ways: "
            "there is nothing between them"
            if good.pipeline == bad.pipeline
            else f"{good.id} is of the pipeline {good.pipeline} and {bad.id} of {bad.pipeline}: there is nothing between them"
        )
    comparison = compare_runs(good, bad, list_keys=question.list_keys)
    replay = Replay(project, bad, data=question.data, others=[good])
    refuse_drift(bad, replay.drift, allowed=question.allow_drift)
    mixer = _mixer(replay, good, question)
    _refuse_unchanged(mixer, comparison)
    fall = _fall(comparison, question)
    kinds = _kinds(comparison, question)
    if not kinds and fall is None:
        raise BadInput(
            f"no item that both runs have flipped, and no metric fell from {good.id} to {bad.id}; name a metric with --metric"
        )
    if question.metric is None and kinds:
        fall = None  # the items say more than the metric, and a hybrid of them alone is quicker
    whole = fall is not None or question.all_items or not replay.takes_items
    item_ids = replay.item_ids if whole else frozenset(kinds)
    count = (bad.item_counts or {}).get("count", 0)
    limited = not whole and 0 < len(kinds) < count
    durations = [run.duration for run in (good, bad) if run.duration is not None]
    mean = sum(durations) / len(durations) if durations else None
    share = len(kinds) / count if limited else 1.0
    return Plan(
        good=good,
        bad=bad,
        replay=replay,
        mixer=mixer,
        kinds=kinds,
        fall=fall,
        answers=good.items() if kinds else None,
        item_ids=item_ids,
        limited=limited,
        remarks=tuple(_remarks(comparison, replay, kinds)),
        runs=runs_needed(len(mixer.units)),
        seconds_each=(share * mean, mean) if mean is not None else None,
    )


def _mixer(replay: Replay, good: RunRecord, question: Question) -> Mixer:
    before, after = inputs_of(good), replay.inputs
    if replay.asked.kind == "python":
        before = Replay(replay.project, good, data=question.data, others=[replay.run]).inputs
    if not replay.takes_items:  # a command is not told of these: they are recorded only
        from dataclasses import replace

        before = replace(before, overrides=after.overrides, seed=after.seed)
    return Mixer(before, after, list_keys=question.list_keys)


def _refuse_unchanged(mixer: Mixer, comparison: Comparison) -> None:
    if mixer.units:
        return
    others = [c.text for c in comparison.circumstances]
    rest = f"; what differs is {'; '.join(others[:3])}" if others else ""
    raise BadInput(
        f"nothing changed from {comparison.a.id} to {comparison.b.id} that can be mixed: their configurations mean the same, "
        f"and so do --set values and seed{rest}"
    )


def _fall(comparison: Comparison, question: Question) -> Fall | None:
    """Return the metric that fell.

    Raises:
        BadInput: a metric is known, and it did not fall.
    """
    a, b = comparison.a, comparison.b
    primary = b.primary_metric or a.primary_metric
    name = question.metric or (primary.name if primary else None)
    if name is None:
        return None
    before, after = a.metrics.get(name), b.metrics.get(name)
    if before is None or after is None:
        if question.metric is None:
            return None
        known = ", ".join(sorted(a.metrics.keys() & b.metrics.keys())[:12]) or "none"
        raise BadInput(f"the metric {name!r} is not in both runs; there are {known}")
    way = (
        primary.direction
        if primary and primary.name == name
        else direction_of(name, {**a.directions, **b.directions})
    )
    if way is None and not question.force:
        raise BadInput(
            f"whether more or less of {name} is better is not known; {a.id} has {format_number(before)} and {b.id} "
            f"{format_number(after)}: with --force the second counts as worse"
        )
    fell = after < before if way == "max" else after > before
    if fell or (question.force and after != before):
        return Fall(name, before, after, less_is_worse=after < before)
    if question.items or question.force:
        return None
    flipped = comparison.items.counts.broken if comparison.items else 0
    hint = (
        f"; {flipped} item{'s' if flipped != 1 else ''} broke all the same: see what did it with --force"
        if flipped
        else ""
    )
    raise BadInput(
        f"{b.id} is not worse than {a.id}: {name} is {format_number(before)} and then {format_number(after)}{hint}"
        + ("" if hint else "; give the good run first, or name another --metric")
    )


def _kinds(comparison: Comparison, question: Question) -> dict[str, GoalKind]:
    """Return the items that are looked for: those named, else those that broke, else those that changed.

    Raises:
        BadInput: an item that was named did not flip.
    """
    if comparison.items is None:
        if question.items:
            lacking = next(run.id for run in (comparison.a, comparison.b) if not run.has_items())
            raise BadInput(f"{lacking} has no items, so none of them can be looked for")
        return {}
    rows = comparison.items.differing
    flipped: dict[str, GoalKind] = dict(zip(rows["item_id"].to_list(), rows["kind"].to_list(), strict=True))
    if question.items:
        for item in question.items:
            if item not in flipped:
                raise BadInput(
                    f"the item {item!r} is the same in {comparison.a.id} and {comparison.b.id}, or not in both; "
                    f"`corrida compare {comparison.a.id} {comparison.b.id}` lists those that flipped"
                )
        return {item: flipped[item] for item in dict.fromkeys(question.items)}
    broken: dict[str, GoalKind] = {item: kind for item, kind in flipped.items() if kind == "broken"}
    if broken:
        return broken
    if rows.is_empty() or rows["output_a"].dtype.is_float() or rows["output_b"].dtype.is_float():
        return {}  # numbers that moved a little: no item is to blame, the metric is
    unknown = rows["correct_a"].is_null() | rows["correct_b"].is_null()
    # That an error is a little more or less says nothing of one item: the metric says it of all.
    changed = ~rows["kind"].cast(str).is_in(["worse", "better"])
    chosen = rows.filter(unknown & changed)["item_id"].to_list()
    return dict.fromkeys(chosen, "changed")


def _remarks(comparison: Comparison, replay: Replay, kinds: dict[str, GoalKind]) -> list[str]:
    found = []
    by_kind = {
        kind: [c.text for c in comparison.circumstances if c.kind == kind]
        for kind in ("data", "code", "environment")
    }
    if by_kind["data"]:
        found.append(
            f"data differ ({'; '.join(by_kind['data'][:3])}) and cannot be mixed: all is executed on those of {replay.run.id}"
        )
    if by_kind["code"]:
        found.append(
            f"code differs ({'; '.join(by_kind['code'][:3])}) and cannot be mixed: all is executed with that of now"
        )
    if by_kind["environment"]:
        count = len(by_kind["environment"])
        found.append(
            f"the environment differs ({'; '.join(by_kind['environment'][:3])}{' …' if count > 3 else ''}): all is executed in that of now"
        )
    drift = [entry.text for entry in replay.drift]
    if drift:
        more = f" and {len(drift) - _NAMED} more" if len(drift) > _NAMED else ""
        found.append(f"not as it was in {replay.run.id}: {'; '.join(drift[:_NAMED])}{more}")
    if not replay.takes_items and kinds:
        found.append("a command cannot be limited to some items: every hybrid is executed on all of them")
    return found
