"""Find the change that made a run worse: execute what lies between two runs, and see what breaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corrida.analysis.items_values import correctness, equal_values, item_ids
from corrida.errors import BadInput, PipelineFailed
from corrida.replay.again import REPLAY_TAG, Labels
from corrida.replay.delta import Changes, Group, OutOfRunsError, Search
from corrida.replay.findings import Bisection, Blame, Skipped, sentence

if TYPE_CHECKING:
    import polars as pl

    from corrida.replay.plan import Goal, Plan
    from corrida.runs.record import RunRecord

HYBRID_TAG = "hybrid"
"""The tag that holds the digest of all that a hybrid depends on: by it a later call finds it again."""

_ID_ROOM = 100
_LABELS = 4


class Trying(NamedTuple):
    """What is being tried, for whoever watches.

    Attributes:
        number: which run this is, from 1; those from an earlier call do not count.
        expected: about how many it will be.
        label: what is tried.
        seconds_each: how long one has taken; None before the first.
    """

    number: int
    expected: int
    label: str
    seconds_each: float | None


@dataclass
class _Progress:
    executed: int = 0
    reused: int = 0
    seconds: float = 0.0
    runs: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


class Bisecting:
    """A bisection that is carried out. Every hybrid is a run, so that a later call goes on where this one was killed."""

    def __init__(
        self,
        plan: Plan,
        *,
        max_runs: int | None = None,
        argv: Sequence[str] = (),
        watch: Callable[[Trying], None] = lambda _: None,
    ) -> None:
        """Carry out ``plan``.

        Args:
            plan: what is looked for.
            max_runs: execute at most so many runs.
            argv: the command line, recorded with each.
            watch: told what is being tried.
        """
        self._plan, self._max, self._argv, self._watch = plan, max_runs, argv, watch
        self._units = plan.mixer.units
        self._at = _Progress()
        self._search: Search[Goal] = Search(len(self._units), self._test)
        self._fall = plan.fall
        self._store = plan.replay.project.store()
        self._base = _base_of(plan)
        self._found = self._earlier()

    @property
    def executed(self) -> int:
        """How many runs were executed so far."""
        return self._at.executed

    def _earlier(self) -> dict[str, RunRecord]:
        """Return the hybrids that an earlier call has run to their end, by digest."""
        runs = self._store.runs(filter=f"tags.{REPLAY_TAG} = 'bisect'", pipeline=self._plan.bad.pipeline)
        return {
            run.tags[HYBRID_TAG]: run
            for run in runs
            if HYBRID_TAG in run.tags and (run.status == "finished" or _failed_by_itself(run))
        }

    def run(self) -> Bisection:
        """Search, and say what was found.

        Raises:
            BadInput: the good configuration does not run any more, or nothing of what is looked for reproduces.
            StoreError: the store cannot be written.
        """
        plan, search = self._plan, self._search
        at_good = self._end(frozenset(), plan.good)
        at_bad = self._end(search.everything, plan.bad)
        without = [g for g in plan.goals if g in at_good]
        vanished = [g for g in plan.goals if g not in at_bad and g not in at_good]
        goals = [g for g in plan.goals if g in at_bad and g not in at_good]
        if not goals:
            raise BadInput(self._irreproducible(without, vanished))
        groups = search.attribute(goals)
        blames = tuple(sorted((b for g in groups for b in self._blames(g)), key=lambda b: not b.metric))
        return Bisection(
            good=plan.good.id,
            bad=plan.bad.id,
            changes=tuple(unit.label for unit in self._units),
            metric={"name": self._fall.name, "good": self._fall.good, "bad": self._fall.bad}
            if self._fall
            else None,
            blames=blames,
            sentence=sentence(blames, self._fall.name if self._fall else ""),
            without=tuple(g for g in without if g is not None),
            vanished=tuple(g for g in vanished if g is not None),
            skipped=tuple(self._at.skipped),
            executed=self._at.executed,
            reused=self._at.reused,
            runs=tuple(self._at.runs),
            complete=all(group.minimal for group in groups),
        )

    def _end(self, changes: Changes, run: RunRecord) -> frozenset[Goal]:
        """Execute one of the two runs as things are now."""
        try:
            outcome = self._search.outcome(changes)
        except OutOfRunsError:
            raise BadInput(
                "at least two runs are needed, to see that both ends reproduce; give --max-runs 2 or more"
            ) from None
        if outcome is None:
            raise BadInput(
                f"the configuration of {run.id} cannot be run as things are now: {self._at.skipped[-1].reason}"
            )
        return outcome

    def _irreproducible(self, without: Sequence[Goal], vanished: Sequence[Goal]) -> str:
        plan = self._plan
        what = (
            "the metric"
            if plan.goals == [None]
            else f"{len(plan.goals)} item{'s' if len(plan.goals) != 1 else ''}"
        )
        if len(without) >= len(vanished):
            return (
                f"{what} looked for: as bad even with the configuration of {plan.good.id}, executed now: not the configuration "
                f"but data, code or packages did it; see corrida compare {plan.good.id} {plan.bad.id}"
            )
        alone = " on these items alone; try --all-items" if plan.limited else ""
        return (
            f"{what} looked for: as good even with the configuration of {plan.bad.id}, executed now: that run does not "
            f"reproduce{alone or f', so nothing can be blamed; see corrida rerun {plan.bad.id}'}"
        )

    def _blames(self, group: Group[Goal]) -> list[Blame]:
        """Return a group in words: one blame for what broke, what was fixed and what changed."""
        kinds = self._plan.kinds
        items = [goal for goal in group.goals if goal is not None]
        common = Blame(
            causes=tuple(self._labels(cause) for cause in group.causes),
            minimal=group.minimal,
            inseparable=self._labels(group.inseparable),
        )
        found = [
            msgspec.structs.replace(common, kind=kind, items=tuple(i for i in items if kinds[i] == kind))
            for kind in dict.fromkeys(kinds[item] for item in items)
        ] or [common]
        return [msgspec.structs.replace(found[0], metric=None in group.goals), *found[1:]]

    def _labels(self, changes: Changes) -> tuple[str, ...]:
        return tuple(self._units[place].label for place in sorted(changes))

    # -- one hybrid -----------------------------------------------------------------------------------------

    def _test(self, changes: Changes) -> frozenset[Goal] | None:
        """Return which of what is looked for is there with these changes; None when they cannot be run."""
        try:
            inputs = self._plan.mixer.mix(changes)
            key = inputs.digest(*self._base)
            run = self._found.get(key)
            if run is not None:
                self._at.reused += 1
            else:
                run = self._execute(inputs, key, changes)
            self._at.runs.append(run.id)
        except (BadInput, PipelineFailed) as error:
            self._at.skipped.append(Skipped(self._labels(changes), str(error)))
            return None
        if run.status != "finished":
            reason = run.error.message if run.error else f"the run is {run.status}"
            self._at.skipped.append(Skipped(self._labels(changes), reason))
            return None
        return self._judge(run, changes)

    def _execute(self, inputs: Any, key: str, changes: Changes) -> RunRecord:
        at, plan = self._at, self._plan
        if self._max is not None and at.executed >= self._max:
            raise OutOfRunsError
        label = self._told(changes)
        each = at.seconds / at.executed if at.executed else None
        expected = next((n for n in plan.runs if n > at.executed + at.reused), 0) - at.reused
        expected = max(expected, at.executed + 1)
        self._watch(Trying(at.executed + 1, expected, label, each))
        labels = Labels(
            parent=plan.bad.id,
            run_tag=f"{plan.bad.id[:_ID_ROOM]}-bisect",
            tags={REPLAY_TAG: "bisect", HYBRID_TAG: key},
            description=f"{plan.good.id} with {label}" if changes else f"{plan.good.id}, executed again",
            argv=self._argv,
        )
        at.executed += 1
        started = time.monotonic()
        try:
            return plan.replay.execute(inputs, labels, item_ids=plan.item_ids, quiet=True)
        finally:
            at.seconds += time.monotonic() - started

    def _told(self, changes: Changes) -> str:
        """Say what a hybrid is: few changes by name, many by number."""
        size = len(self._units)
        if not changes:
            return f"{self._plan.good.id} as it was"
        if len(changes) == size:
            return f"{self._plan.bad.id} as it was"
        labels = self._labels(changes)
        if len(labels) <= _LABELS:
            return "; ".join(labels)
        rest = self._labels(self._search.everything - changes)
        if len(rest) <= _LABELS - 1:
            return f"all but {'; '.join(rest)}"
        return f"{len(labels)} of {size} changes: {'; '.join(labels[: _LABELS - 2])} …"

    def _judge(self, run: RunRecord, changes: Changes) -> frozenset[Goal] | None:
        found: set[Goal] = set()
        if not self._plan.replay.takes_items and not run.metrics and not run.has_items():
            run = self._plan.replay.outcome(run.id) or run
        if self._fall is not None:
            value = run.metrics.get(self._fall.name)
            if value is None or value != value:  # noqa: PLR0124 - NaN
                self._at.skipped.append(Skipped(self._labels(changes), f"it has no {self._fall.name}"))
                return None
            if not changes:  # as they are now, not as they were
                self._fall = replace(self._fall, good=value)
            elif len(changes) == len(self._units):
                self._fall = replace(self._fall, bad=value)
            if self._fall.is_bad(value):
                found.add(None)
        if self._plan.kinds:
            found |= self._bad_items(run.items())
        return frozenset(found)

    def _bad_items(self, items: pl.DataFrame) -> set[Goal]:
        """Return the items that are as in the bad run: wrong, right, nearer to its loss, or with another answer."""
        import polars as pl

        if "item_id" not in items.columns:
            return set()
        kinds = self._plan.kinds
        items = items.with_columns(item_ids(items["item_id"]).alias("item_id"))
        rows = items.filter(pl.col("item_id").is_in([*kinds]))
        right = dict(zip(rows["item_id"].to_list(), correctness(rows, "a hybrid").to_list(), strict=True))
        bad: set[Goal] = {i for i, ok in right.items() if kinds[i] == "broken" and ok is False}
        bad |= {i for i, ok in right.items() if kinds[i] == "fixed" and ok is True}
        bad |= self._bad_losses(rows)
        answers = self._plan.answers
        if "changed" in kinds.values() and answers is not None and "output" in rows.columns:
            known = answers.select(
                item_ids(answers["item_id"]).alias("item_id"), pl.col("output").alias("good output")
            )
            pairs = rows.join(known, on="item_id", how="inner")
            other = pairs.filter(~equal_values(pairs["output"], pairs["good output"]))
            bad |= {i for i in other["item_id"].to_list() if kinds[i] == "changed"}
        return bad

    def _bad_losses(self, rows: pl.DataFrame) -> set[Goal]:
        """Return the items that are looked for by their loss, where it is nearer to that of the bad run."""
        import polars as pl

        kinds = {item: kind for item, kind in self._plan.kinds.items() if kind in {"worse", "better"}}
        if not kinds or "loss" not in rows.columns:
            return set()
        good, bad = (_losses(run.items()) for run in (self._plan.good, self._plan.bad))
        return {
            item
            for item, loss in _losses(rows.filter(pl.col("item_id").is_in([*kinds]))).items()
            if (loss > (good[item] + bad[item]) / 2) == (bad[item] > good[item])
        }


def _losses(items: pl.DataFrame) -> dict[str, float]:
    known = items.drop_nulls("loss")
    return dict(zip(item_ids(known["item_id"]).to_list(), known["loss"].to_list(), strict=True))


def _base_of(plan: Plan) -> tuple[Any, ...]:
    """Return what every hybrid depends on besides its inputs: work, code, data, items."""
    replay = plan.replay
    data = {place: entry["sha256"] for run in (plan.good, plan.bad) for place, entry in _entries(run).items()}
    return (
        plan.bad.pipeline,
        replay.asked.uses or replay.asked.kind,
        replay.asked.corrida,
        replay.asked.folder,
        dict(sorted(replay.code.items())),
        dict(sorted(data.items())),
        list(replay.asked.data),
        sorted(plan.item_ids) if plan.item_ids is not None else None,
        # Threads count once their library is loaded, which is sooner or later.
        [entry.text for entry in replay.drift if entry.kind != "threads"],
    )


def _entries(run: RunRecord) -> dict[str, Any]:
    return {str(entry["path"]): entry for entry in run.manifest().get("data", ())}


def _failed_by_itself(run: RunRecord) -> bool:
    """Tell whether a hybrid failed for a reason that lies in it: not because somebody or something stopped it."""
    if run.status != "failed" or run.error is None:
        return False
    stopped = {"KeyboardInterrupt", "SystemExit", "MemoryError", "StoreError"}
    return (
        run.error.type not in stopped
        and "killed by signal" not in run.error.message
        and "exit code 130" not in run.error.message
    )
