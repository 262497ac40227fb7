"""From files to training and test rows: which columns are learnt from, and what was left out and why.

Everything that is learnt of the columns (their kinds apart) is learnt from the training rows: levels of categories, which columns
are constant or empty, which parts of dates differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.inputs import id_column, read_table, require_columns, shown, suggest
from corrida.pipelines.model_search.blocks import blocks_of
from corrida.pipelines.model_search.columns import (
    Column,
    Source,
    encoded,
    kind_of,
    texts_of,
    values_of,
)
from corrida.pipelines.model_search.dates import as_times, parts_held, time_text
from corrida.pipelines.model_search.honesty import (
    like_dates,
    said_of_few_numbers,
    said_of_twins,
    said_of_unread_dates,
)
from corrida.pipelines.model_search.split_facts import class_counts, fold_facts, split_facts
from corrida.pipelines.model_search.splits import (
    Split,
    folds_by_time,
    folds_of,
    split_at_random,
    split_by_class,
    split_by_group,
    split_by_time,
)
from corrida.pipelines.model_search.target import Task, read_target, rows_with_target, without_rare_classes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from corrida.pipelines.model_search.settings import ModelSearchConfig
    from corrida.pipelines.model_search.splits import Rows

_LEAST_ROWS = 10
_MOST_SLICES = 12
_NAMED = 4
# Columns that the items have anyway.
_TAKEN = frozenset(
    {"item_id", "output", "expected", "correct", "loss", "score", "confidence", "residual", "model"}
)


@dataclass
class Prepared:
    """What a search needs of the data.

    Attributes:
        task: regression or classification.
        columns: that are learnt from, in order.
        split: which rows are on which side, counted among the rows with a target.
        folds: of the training rows.
        x_train, x_test: features.
        y_train, y_test: targets; numbers, or classes as text.
        test_ids: names of the test rows.
        test_columns: what the test rows carry for comparisons.
        times: of the test rows, if they have some.
        cluster: the column of ``test_columns`` that says which test rows belong together, if any do.
        facts: for the manifest.
        warnings: what a person should know.
    """

    task: Task
    columns: list[Column]
    split: Split
    folds: list[tuple[Rows, Rows]]
    x_train: pl.DataFrame
    x_test: pl.DataFrame
    y_train: np.ndarray[Any, Any]
    y_test: np.ndarray[Any, Any]
    test_ids: list[str]
    test_columns: pl.DataFrame
    times: pl.Series | None
    cluster: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def prepare(paths: Sequence[Path], config: ModelSearchConfig, seed: int) -> Prepared:
    """Read files, choose the columns, and part the rows.

    Args:
        paths: CSV, Parquet or other tables with the same columns.
        config: of the run.
        seed: of splits that draw.

    Raises:
        InvalidConfig, InvalidData: naming the file, the column or row, and the mend.
    """
    if not paths:
        raise InvalidData(
            "no data file was given; name one with --data FILE, or as data_file in the configuration"
        )
    return _Reading(Source([(path, read_table(path)) for path in paths]), config, seed).prepared()


class _Reading:
    """One table on its way."""

    def __init__(self, source: Source, config: ModelSearchConfig, seed: int) -> None:
        self.config, self.seed, self.warnings = config, seed, list[str]()
        self.dropped: dict[str, str] = {}
        self._require(source, config)
        whole = source.frame.height
        self.all_ids = self._ids(source)
        self.kept = np.flatnonzero(rows_with_target(source, config.target))
        self.with_target = len(self.kept)
        if len(self.kept) < whole:
            missing = whole - len(self.kept)
            self.warnings.append(
                f"{missing:,} {'row has' if missing == 1 else 'rows have'} no {config.target} and "
                f"{'is' if missing == 1 else 'are'} left out"
            )
        self.source = source
        self.task, self.target = read_target(source, config, self.kept)
        if self.task == "classification":
            self.kept, self.target, said = without_rare_classes(source, config, self.kept, self.target)
            self.warnings += [said] if said else []
        elif config.task == "auto" and (said := said_of_few_numbers(config.target, self.target)):
            self.warnings.append(said)
        if len(self.kept) < _LEAST_ROWS:
            raise InvalidData(
                f"{shown(source.path)}: {len(self.kept)} rows have a {config.target}; {_LEAST_ROWS} are needed at least."
            )
        self.date = self._date_column()
        self.split = self._split()

    def _require(self, source: Source, config: ModelSearchConfig) -> None:
        named = [
            config.target,
            config.date,
            config.group,
            config.id,
            *config.categories,
            *(config.slices or ()),
        ]
        require_columns(source.frame, source.path, [name for name in named if name is not None])
        for key in ("features", "ignore"):
            for name in getattr(config, key) or ():
                if name not in source.frame.columns:
                    near = suggest(name, source.frame.columns)
                    raise InvalidConfig(
                        f"{key}: there is no column {name!r} in {shown(source.path)}. "
                        f"The columns are: {', '.join(source.frame.columns)}.{near}"
                    )

    def _ids(self, source: Source) -> list[str]:
        """Return the names of all rows: the column ``id``, else their numbers from 1."""
        if self.config.id is None:
            return [str(number) for number in range(1, source.frame.height + 1)]
        if len(source.parts) > 1:
            ids = id_column(source.frame, source.path, self.config.id)
        else:
            ids = id_column(source.parts[0][1], source.path, self.config.id)
        return [str(one) for one in ids.to_list()]

    def _date_column(self) -> str | None:
        """Return the column that orders the rows: the one named, else the only one that holds dates."""
        config, frame = self.config, self.source.frame
        if config.date is not None:
            times = values_of(self.source, config.date, "date").gather(self.kept)
            if times.null_count():
                bad = [int(self.kept[row]) for row in times.is_null().arg_true().to_list()]
                path, where = self.source.at(bad)
                raise InvalidData(
                    f"{shown(path)}: column {config.date!r} is empty at {where}. Give every row its date, or split "
                    "another way: --set split=random"
                )
            return config.date
        others = [
            name
            for name in frame.columns
            if name not in {config.target, config.id, *config.ignore, *config.categories}
            and (frame[name].dtype == pl.String or frame[name].dtype.is_temporal())
        ]
        dated = [name for name in others if self._orders(name)]
        if len(dated) > 1 and config.split in {"auto", "time"}:
            raise InvalidConfig(
                f"the columns {', '.join(dated)} hold dates; say which orders the rows, --set date={dated[0]}, or how to "
                "split, as in --set split=random"
            )
        if not dated and config.split == "time":
            raise InvalidConfig("split: no column holds dates; name it, as in --set date=COLUMN")
        if not dated and config.split == "auto" and config.group is None:
            odd = [(name, like_dates(frame[name])) for name in others]
            self.warnings += [said_of_unread_dates(name, example) for name, example in odd if example]
        return dated[0] if len(dated) == 1 else None

    def _orders(self, name: str) -> bool:
        if kind_of(self.source, name) != "date":
            return False
        times = as_times(self.source.frame[name])
        return times is not None and not times.gather(self.kept).null_count()

    def _split(self) -> Split:
        config = self.config
        way = config.split
        if way == "auto":
            named_group = config.group is not None and config.date is None
            way = (
                "time" if self.date is not None and not named_group
                else "group" if config.group is not None
                else "stratified" if self.task == "classification" else "random"
            )  # fmt: skip
        if way != "time" and (config.test_from is not None or config.gap):
            raise InvalidConfig(
                f"{'gap' if config.gap else 'test_from'}: there is no date to split by; name its column: --set date=COLUMN"
            )
        if way == "stratified" and self.task == "regression":
            raise InvalidConfig("split: only classes can be stratified; take random, time or group.")
        if way in {"stratified", "random"} and self.date is not None:
            self.warnings.append(
                f"rows are dated ({self.date}) and split at random: neighbours in time are on both sides, so scores are "
                "likely too good; leave out split= to split by time"
            )
        if way == "time":
            times = self._times().to_numpy()
            return split_by_time(times, config.test_size, self._first_tested(), config.gap)
        if way == "group":
            return split_by_group(self._groups(), config.test_size, self.seed)
        if way == "stratified":
            return split_by_class(self.target.to_numpy().astype(object), config.test_size, self.seed)
        return split_at_random(len(self.kept), config.test_size, self.seed)

    def _first_tested(self) -> Any | None:
        if self.config.test_from is None:
            return None
        time = as_times(pl.Series([self.config.test_from]))
        if time is None or time[0] is None:
            raise InvalidConfig(
                f"test_from: {self.config.test_from!r} is no date; write it as 2024-01-31 or 2024-01-31 13:00."
            )
        return time.to_numpy()[0]

    def _times(self) -> pl.Series:
        return values_of(self.source, str(self.date), "date").gather(self.kept)

    def _groups(self) -> list[str]:
        name = str(self.config.group)
        groups = texts_of(self.source.frame[name]).gather(self.kept)
        if groups.null_count():
            bad = [int(self.kept[row]) for row in groups.is_null().arg_true().to_list()]
            path, where = self.source.at(bad)
            raise InvalidData(
                f"{shown(path)}: column {name!r} is empty at {where}. Give every row its group."
            )
        return [str(one) for one in groups.to_list()]

    def prepared(self) -> Prepared:
        """Choose the features and build what the search is given."""
        columns, frame = self._features()
        split = self.split
        if said := said_of_twins(frame, self.target, split):
            self.warnings.append(said)
        y: np.ndarray[Any, Any] = self.target.to_numpy()
        y = y.astype(np.float64) if self.task == "regression" else y.astype(object)
        folds = self._folds(y)
        self._warn_of_classes(y, folds)
        test_columns, cluster = self._test_columns(frame)
        times = self._times().gather(split.test) if self.date is not None else None
        return Prepared(
            task=self.task,
            columns=columns,
            split=split,
            folds=folds,
            x_train=encoded(frame[split.train], columns),
            x_test=encoded(frame[split.test], columns),
            y_train=y[split.train],
            y_test=y[split.test],
            test_ids=[self.all_ids[self.kept[row]] for row in split.test],
            test_columns=test_columns,
            times=times,
            cluster=cluster,
            facts=self._facts(columns, folds),
            warnings=self.warnings,
        )

    def _features(self) -> tuple[list[Column], pl.DataFrame]:
        """Return the columns that can be learnt from, and their values in the kept rows."""
        config, source = self.config, self.source
        never = {config.target, config.id, config.group if self.split.way == "group" else None}
        asked = config.features if config.features is not None else source.frame.columns
        columns: list[Column] = []
        values: dict[str, pl.Series] = {}
        for name in asked:
            if name in never or name in config.ignore:
                continue
            kind = kind_of(source, name, named=name in config.categories)
            series = values_of(source, name, kind).gather(self.kept)
            known = series.gather(self.split.train).drop_nulls()
            why = self._unfit(name, kind, series, known, explicit=config.features is not None)
            parts: tuple[str, ...] = ()
            if kind == "date" and not why:
                parts = parts_held(known) if config.calendar is None else tuple(config.calendar)
                why = "" if parts else "nothing of its dates is used"
            if why:
                self.dropped[name] = why
                continue
            levels = tuple(sorted(known.unique().to_list())) if kind == "category" else ()
            columns.append(Column(name=name, kind=kind, levels=levels, parts=parts))
            values[name] = series
        if self.dropped:
            said = "; ".join(f"{name}: {why}" for name, why in self.dropped.items())
            self.warnings.append(f"not learnt from: {said}")
        if not columns:
            raise InvalidData(
                f"{shown(source.path)}: no column is left to learn from"
                + (f" ({'; '.join(f'{n}: {w}' for n, w in self.dropped.items())})." if self.dropped else ".")
            )
        return columns, pl.DataFrame(values)

    def _unfit(self, name: str, kind: str, series: pl.Series, known: pl.Series, *, explicit: bool) -> str:
        """Say why a column is not learnt from; nothing when it is. A column that is asked for is only warned of."""
        if not known.len():
            return (
                "empty in every training row" if series.null_count() < series.len() else "empty in every row"
            )
        if known.n_unique() == 1 and known.len() == len(self.split.train):
            return "the same in every training row"
        if kind == "category" and known.n_unique() > max(50, known.len() // 2) and not explicit:
            return f"{known.n_unique():,} different texts, too many to be categories"
        if self._is_target(kind, series):
            if not explicit:
                return f"equal to {self.config.target}, it would give the answer away (name it in features to keep it)"
            self.warnings.append(
                f"{name} is equal to the target {self.config.target}: it gives the answer away"
            )
        return ""

    def _is_target(self, kind: str, series: pl.Series) -> bool:
        """Tell whether a column says what the target says: the same numbers, or one class for each of its values."""
        if self.task == "regression":
            if kind not in {"number", "boolean"} or series.null_count():
                return False
            x, y = series.to_numpy(), self.target.to_numpy()
            with np.errstate(all="ignore"):  # of huge numbers the squares are infinite
                return bool(x.std() and abs(np.corrcoef(x, y)[0, 1]) > 1 - 1e-12)
        both = pl.DataFrame({"x": series.cast(pl.String), "y": self.target})
        if both["x"].n_unique() != both["y"].n_unique() or both["x"].null_count():
            return False
        return both.unique().height == both["y"].n_unique()

    def _folds(self, y: np.ndarray[Any, Any]) -> list[tuple[Rows, Rows]]:
        train, way = self.split.train, self.split.way
        if way == "time":
            return folds_by_time(self._times().gather(train).to_numpy(), self.config.cv, self.config.gap)
        groups = [self._groups()[row] for row in train] if way == "group" else None
        return folds_of(way, self.config.cv, y[train], groups, self.seed)

    def _warn_of_classes(self, y: np.ndarray[Any, Any], folds: Sequence[tuple[Rows, Rows]]) -> None:
        """Say which classes are only tested, and refuse folds that learn from one class."""
        if self.task != "classification":
            return
        learnt, tested = y[self.split.train], y[self.split.test]
        unseen = sorted(set(tested) - set(learnt))
        if unseen:
            names = ", ".join(map(repr, unseen[:_NAMED]))
            self.warnings.append(f"the test rows hold classes that training never saw: {names}")
        for number, (train, _) in enumerate(folds, 1):
            if len(set(learnt[train])) < 2:
                raise InvalidConfig(
                    f"cv: fold {number} of {len(folds)} learns from rows of the class {learnt[train][0]!r} alone; "
                    "take fewer folds, or split=stratified."
                )
        few = sorted({c for c in set(learnt) if (learnt == c).sum() < len(folds)})
        if few:
            names = ", ".join(map(repr, few[:_NAMED]))
            self.warnings.append(f"fewer training rows than folds ({len(folds)}) have the classes {names}")

    def _test_columns(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, str | None]:
        """Return what test rows carry: columns of few values, time, month, group, and blocks of neighbours in time."""
        config, test = self.config, self.split.test
        found: dict[str, pl.Series] = {}
        if config.slices is not None:
            for name in config.slices:
                found[name] = texts_of(self.source.frame[name]).gather(self.kept).gather(test)
        else:
            for name, series in frame.to_dict().items():
                text = series.dtype == pl.String
                if text and series.n_unique() <= _MOST_SLICES:
                    found[name] = series.gather(test)
        cluster = None
        if config.group is not None:
            found[config.group] = pl.Series(self._groups()).gather(test)
            cluster = config.group if self.split.way == "group" else None
        if self.date is not None:
            times = self._times().gather(test)
            found[self.date] = pl.Series(time_text(times))
            if times.dt.month().n_unique() > 1:
                found["month"] = times.dt.strftime("%m")
            if self.split.way == "time":
                found["block"] = blocks_of(times, self.target.gather(test).to_numpy())
                cluster = "block"
        named = {name: f"{name}_" if name in _TAKEN else name for name in found}
        frame = pl.DataFrame([series.alias(named[name]) for name, series in found.items()])
        return frame, named.get(cluster, cluster) if cluster else None

    def _facts(self, columns: Sequence[Column], folds: Sequence[tuple[Rows, Rows]]) -> dict[str, Any]:
        split, config = self.split, self.config
        times = self._times() if split.way == "time" else None
        groups = self._groups() if split.way == "group" else None
        about = split_facts(split, times, groups, self.seed)
        if split.way in {"time", "group"}:
            about["column"] = self.date if split.way == "time" else config.group
        if config.gap:
            about["gap"] = config.gap
        if self.task == "classification":
            about["test_classes"] = class_counts(self.target.gather(split.test))
        learnt = None if times is None else times.gather(split.train)
        return {
            "target": config.target,
            "task": self.task,
            "rows": len(self.kept),
            "rows_without_target": len(self.all_ids) - self.with_target,
            "features": {c.name: c.kind for c in columns},
            "not_learnt_from": self.dropped,
            "split": about,
            "folds": [fold_facts(fold, learnt) for fold in folds],
        }
