"""What became of one item over many runs, and which items change their answer without a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corrida.analysis.compare import long_overrides
from corrida.analysis.config_diff import DEFAULT_KEYS, diff_configs, summary_line
from corrida.analysis.items_diff import STANDARD_COLUMNS
from corrida.analysis.items_values import correctness
from corrida.errors import CorridaError, DamagedRun
from corrida.runs.items import read_items
from corrida.runs.items_scan import RUN, scan_items
from corrida.runs.numbers import format_number
from corrida.runs.record import flatten

if TYPE_CHECKING:
    import polars as pl

    from corrida.runs.record import RunRecord

_ANSWER = ("output", "expected", "correct", "score", "loss")
_CHILD_TAG = "child"  # of the runs that a pipeline opens
_MOST_CHANGES = 6  # of one step, shown by name


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in a row that gave the same answer.

    Attributes:
        first, last: ids of the first and the last of them, by time.
        since: when the first was created (UTC).
        runs: how many.
        output: what they gave; None when they gave nothing.
        expected: what was expected.
        correct: whether it is right; None when that is not known.
        score, loss: of the last of them.
        changes: what changed in configurations, parameters, seed or code from the run before to ``first``; empty
            for the first stretch.
    """

    first: str
    last: str
    since: str
    runs: int
    output: Any = None
    expected: Any = None
    correct: bool | None = None
    score: float | None = None
    loss: float | None = None
    changes: tuple[str, ...] = ()


class ItemHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One item over the runs of a pipeline.

    Attributes:
        item_id: which.
        pipeline: of which runs.
        about: the text columns that tell a person what the item is: of the newest run, without those that
            were other in the oldest or where the answer changed last.
        runs: how many runs have the item.
        without: how many runs have items, and not this one.
        right, wrong: in how many runs it is right, and wrong.
        stretches: the answers by time, the oldest first.
    """

    item_id: str
    pipeline: str
    about: dict[str, str]
    runs: int
    without: int
    right: int
    wrong: int
    stretches: tuple[Stretch, ...]

    def sentence(self) -> str:
        """Return in words whether the item is right now, and since when."""
        now = self.stretches[-1].correct
        if now is None and self.stretches[-1].loss is not None:
            return self._loss_sentence()
        if now is None:
            answers = len({repr(s.output) for s in self.stretches})
            return f"{answers} different answer{'s' if answers != 1 else ''} in {_runs(self.runs)}"
        since = self.stretches[-1]
        for stretch in reversed(self.stretches):
            if stretch.correct != now:
                break
            since = stretch
        word = "right" if now else "wrong"
        counts = f"right in {self.right} of {_runs(self.right + self.wrong)}"
        if since is self.stretches[0]:
            return f"{word} from the first run on: {counts}"
        return f"{word} since {since.first}: {counts}"

    def _loss_sentence(self) -> str:
        """Return in words how far off the newest run is, and which was the nearest."""
        newest = self.stretches[-1]
        known = [(stretch.loss, stretch) for stretch in self.stretches if stretch.loss is not None]
        least, best = min(known, key=lambda pair: pair[0])
        now = format_number(float(newest.loss or 0.0))
        if newest.loss == least:
            return f"loss {now}" + (f", the least of {_runs(self.runs)}" if self.runs > 1 else "")
        return f"loss {now}; it was {format_number(float(least))} in {best.first}, the least of {_runs(self.runs)}"


class Answer(NamedTuple):
    """What one run gave for an item; None where it says nothing."""

    run: str
    created: str
    output: Any
    expected: Any
    correct: bool | None
    score: float | None
    loss: float | None


class Histories(NamedTuple):
    """The histories of an item.

    Attributes:
        histories: one a pipeline.
        damaged: for each run that could not be read, why.
        answers: what each run gave, the oldest first, by pipeline.
    """

    histories: list[ItemHistory]
    damaged: dict[str, str]
    answers: dict[str, list[Answer]]


def item_history(runs: Iterable[RunRecord], item_id: str, *, list_keys: Sequence[str] = ()) -> Histories:
    """Say what each run gave for one item, and what changed where the answer changed.

    The items of all runs are queried in place: nothing but the rows of this item is loaded.

    Args:
        runs: where to look, in any order; those without items are passed over.
        item_id: which item.
        list_keys: names of the field that tells entries of a list in a configuration apart.
    """
    runs = list(runs)
    there = {run.id for run in runs}
    # The models of a search are tried side by side: no step from one to the next has changed anything.
    whole = (run for run in runs if _CHILD_TAG not in run.tags or run.parent not in there)
    by_time = sorted(_own_work(whole, ("bisect", "rerun")), key=lambda run: (run.order, run.id))
    scan = scan_items([run.dir for run in by_time], _ANSWER, item_ids=[item_id])
    if scan.frame is None:
        return Histories([], scan.damaged, {})
    rows = scan.frame.collect()
    rows = rows.with_columns(_correct(rows))
    by_run: dict[str, dict[str, Any]] = {row[RUN]: row for row in rows.iter_rows(named=True)}
    looked_at = set(scan.runs)
    pipelines: defaultdict[str, list[RunRecord]] = defaultdict(list)
    for run in by_time:
        if run.id in looked_at:
            pipelines[run.pipeline].append(run)
    found = []
    for pipeline, members in pipelines.items():
        having = [run for run in members if run.id in by_run]
        if having:
            stretches = _stretches(having, by_run, list_keys)
            correct = [by_run[run.id]["correct"] for run in having]
            telling = {having[0].id, having[-1].id, *(stretch.first for stretch in stretches[-2:])}
            found.append(
                ItemHistory(
                    item_id=item_id,
                    pipeline=pipeline,
                    about=_about([run.dir for run in having if run.id in telling], item_id),
                    runs=len(having),
                    without=len(members) - len(having),
                    right=correct.count(True),
                    wrong=correct.count(False),
                    stretches=tuple(stretches),
                )
            )
    answers = {
        pipeline: [_answer(run, by_run[run.id]) for run in members if run.id in by_run]
        for pipeline, members in pipelines.items()
    }
    return Histories(found, scan.damaged, answers)


def _answer(run: RunRecord, row: Mapping[str, Any]) -> Answer:
    return Answer(run.id, run.created, *(row[name] for name in _ANSWER))


def _own_work(runs: Iterable[RunRecord], replays: tuple[str, ...]) -> Iterator[RunRecord]:
    """Leave out what was executed to look into other runs: nobody chose its configuration at that time."""
    return (run for run in runs if run.tags.get("replay") not in replays)


def _correct(rows: pl.DataFrame) -> pl.Series:
    """Return whether each row is right, as each run said it; where it did not, by output and expectation."""
    import polars as pl

    said = (
        correctness(rows.select("correct"), "the runs") if rows["correct"].null_count() < len(rows) else None
    )
    derived = correctness(rows.select("output", "expected", "loss"), "the runs")
    if said is None:
        return derived.alias("correct")
    known = pl.DataFrame({"said": said, "derived": derived})
    return known.select(pl.coalesce("said", "derived").alias("correct"))["correct"]


def _stretches(
    runs: Sequence[RunRecord], rows: dict[str, dict[str, Any]], list_keys: Sequence[str]
) -> list[Stretch]:
    found: list[Stretch] = []
    answer: tuple[Any, ...] | None = None
    before: RunRecord | None = None
    for run in runs:
        row = rows[run.id]
        told = row["output"] is not None or row["correct"] is not None
        given = (row["output"], row["expected"], row["correct"], None if told else row["loss"])
        latest = {"last": run.id, "score": row["score"], "loss": row["loss"]}
        if found and given == answer:
            found[-1] = msgspec.structs.replace(found[-1], runs=found[-1].runs + 1, **latest)
        else:
            changes = tuple(what_changed(before, run, list_keys)) if before else ()
            values = {name: row[name] for name in ("output", "expected", "correct")}
            found.append(
                Stretch(first=run.id, since=run.created, runs=1, changes=changes, **values, **latest)
            )
        answer, before = given, run
    return found


def what_changed(a: RunRecord, b: RunRecord, list_keys: Sequence[str] = ()) -> list[str]:
    """Return in words what two runs were given differently: configurations, parameters, seed, code.

    Args:
        a: the run before.
        b: the run after.
        list_keys: as of :func:`item_history`.
    """
    try:
        files = diff_configs(a.config_files(), b.config_files(), keys=(*list_keys, *DEFAULT_KEYS)).files
        before, after = ({**flatten(run.params), **long_overrides(run)} for run in (a, b))
    except CorridaError as error:
        return [str(error)]
    found = [summary_line(file) for file in files if file.status not in {"same", "reformatted"}]
    if not found:  # a parameter that stands in a file was named with the file
        names = [n for n in dict.fromkeys([*before, *after]) if before.get(n) != after.get(n)]
        found += [f"{n} {before.get(n, '–')} → {after.get(n, '–')}" for n in names[:_MOST_CHANGES]]
        if len(names) > _MOST_CHANGES:
            found.append(f"{len(names) - _MOST_CHANGES} more parameters")
    if a.seed != b.seed:
        shown = ["–" if seed is None else str(seed) for seed in (a.seed, b.seed)]
        found.append(f"seed {shown[0]} → {shown[1]}")
    commits = [run.git.commit[:10] if run.git and run.git.commit else None for run in (a, b)]
    if not found and commits[0] != commits[1]:
        found.append(f"commit {commits[0] or '–'} → {commits[1] or '–'}")
    return found or ["the configuration is the same"]


def _about(run_dirs: Sequence[Path], item_id: str) -> dict[str, str]:
    """Return the texts that tell what an item is: those that are the same in all of these runs."""
    found: list[dict[str, str]] = []
    for run_dir in dict.fromkeys(run_dirs):
        frame = read_items(run_dir)
        row = frame.filter(frame["item_id"] == item_id).row(0, named=True)
        found.append({k: v for k, v in row.items() if isinstance(v, str) and k not in STANDARD_COLUMNS})
    *others, newest = found
    return {
        name: text for name, text in newest.items() if all(other.get(name, text) == text for other in others)
    }


class FlakyItems(NamedTuple):
    """Items whose answer changes between runs that were given the same.

    Attributes:
        frame: one row an item and configuration, the least stable first: ``item_id``, ``configuration`` (number of
            the group), ``runs``, ``answers`` (how many different), ``agreement`` (share of runs that gave the most
            frequent answer, 0 to 1), ``right`` (share of runs that had it right; null where not known),
            ``most_frequent``.
        groups: the ids of the runs of each configuration, by number from 1; only those of two runs and more.
        seeds: for each of them whether the seeds differ.
        damaged: for each run that could not be read, why.
    """

    frame: pl.DataFrame
    groups: list[list[str]]
    seeds: list[bool]
    damaged: dict[str, str]


def flaky_items(runs: Iterable[RunRecord], *, alike_to: RunRecord | None = None) -> FlakyItems:
    """Find items whose answer changes between runs of one pipeline with the same configuration and data.

    Runs are alike when their configuration files, their parameters and their data have the same content; seeds
    may differ, and that is said.

    Args:
        runs: finished runs; those without items are passed over.
        alike_to: look only at runs that were given what this one was given.
    """
    import polars as pl

    wanted = _given(alike_to) if alike_to else None
    alike: defaultdict[tuple[Any, ...], list[RunRecord]] = defaultdict(list)
    damaged: dict[str, str] = {}
    for run in sorted(_own_work(runs, ("bisect",)), key=lambda r: (r.order, r.id)):
        try:
            alike[_given(run)].append(run)
        except DamagedRun as error:
            damaged[run.id] = str(error)
    groups, seeds, frames = [], [], []
    for given, members in alike.items():
        if len(members) < 2 or (wanted is not None and given != wanted):
            continue
        scan = scan_items([run.dir for run in members], ("output", "correct"))
        damaged |= scan.damaged
        if scan.frame is None or len(scan.runs) < 2:
            continue
        groups.append(scan.runs)
        seeds.append(len({run.seed for run in members if run.id in set(scan.runs)}) > 1)
        frames.append(_unstable(scan.frame).with_columns(pl.lit(len(groups)).alias("configuration")))
    order = ("item_id", "configuration", "runs", "answers", "agreement", "right", "most_frequent")
    if not frames:
        return FlakyItems(pl.DataFrame(schema=list(order)), [], [], damaged)
    found = pl.concat(frames, how="vertical_relaxed").select(order)
    return FlakyItems(found.sort("agreement", "item_id"), groups, seeds, damaged)


def _given(run: RunRecord) -> tuple[Any, ...]:
    """Return what a run was given, for a comparison as a whole."""
    configs = tuple(sorted((copy.origin, copy.sha256) for copy in run.configs))
    data = tuple(sorted(str(file.get("sha256")) for file in run.manifest().get("data", ())))
    params = {name: value for name, value in flatten(run.params).items() if name != "seed"}
    return run.pipeline, configs, data, msgspec.json.encode(params, order="deterministic", enc_hook=str)


def _unstable(frame: pl.LazyFrame) -> pl.DataFrame:
    """Return the items of runs that were given the same and did not answer the same."""
    import polars as pl

    known = pl.col("correct").cast(pl.Boolean, strict=False)
    answered = frame.select(pl.col("output").is_not_null().any()).collect().item()
    # No output is an answer too. Without any, whether it was right is all that is known.
    answer = (pl.col("output") if answered else known).cast(pl.String)
    counted = (
        frame.select("item_id", answer.alias("answer"), known.alias("known"))
        .group_by("item_id", "answer")
        .agg(
            pl.len().alias("count"),
            pl.col("known").sum().alias("right"),
            pl.col("known").count().alias("known"),
        )
        .group_by("item_id")
        .agg(
            pl.col("count").sum().alias("runs"),
            pl.len().alias("answers"),
            (pl.col("count").max() / pl.col("count").sum()).alias("agreement"),
            pl.when(pl.col("known").sum() > 0)
            .then(pl.col("right").sum() / pl.col("known").sum())
            .alias("right"),
            pl.col("answer").sort_by("count", descending=True).first().alias("most_frequent"),
        )
        .filter(pl.col("answers") > 1)
    )
    return counted.collect(engine="streaming")


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"
