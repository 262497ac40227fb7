"""What a search learns from and is tested on, checked once for all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.model_search.fitted import plain_label
from corrida.pipelines.model_search.specs import TASKS, Task
from corrida.pipelines.model_search.table import Features, Matrix, learn_features
from corrida.pipelines.model_search.table_columns import is_missing

if TYPE_CHECKING:
    import polars as pl

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class SearchData:
    """What a search learns from and is tested on.

    Attributes:
        X_train: features of the training rows: a pandas or polars frame, or a two-dimensional array.
        y_train: what is to be predicted, one a row.
        X_test: features of the test rows, or None for no test.
        y_test: what is right for them.
        task: regression or classification.
        splits: pairs of training and validation rows, as places within X_train; None to draw ``cv`` folds.
        target: name of what is predicted.
        test_ids: item ids of the test rows; None for their places.
        test_columns: what else stands beside the items, one row a test row.
    """

    X_train: Any
    y_train: Any
    X_test: Any = None
    y_test: Any = None
    task: Task = "regression"
    splits: Sequence[tuple[Any, Any]] | None = None
    target: str = "target"
    test_ids: Sequence[str] | None = None
    test_columns: pl.DataFrame | None = None


@dataclass(frozen=True)
class PreparedData:
    """Search data as the models take them.

    Attributes:
        given: the data as they were given.
        features: the columns; None when no model needs them as numbers.
        matrix: training rows × features, NaN where missing.
        y: values, or the place of the class in ``labels``.
        y_test: the same of the test rows; None without a test. A class that training lacks is -1.
        labels: the classes, sorted; None for regression.
        folds: training and validation rows.
        said: what a person should know of the data.
    """

    given: SearchData
    features: Features | None
    matrix: Matrix
    y: NDArray[Any]
    y_test: NDArray[Any] | None
    labels: list[Any] | None
    folds: list[Fold]
    said: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many training rows there are."""
        return len(self.y)


def prepare(data: SearchData, *, cv: int, random_state: int, as_numbers: bool = True) -> PreparedData:
    """Check search data and turn them into numbers.

    Args:
        data: as given.
        cv: folds, where the data bring none.
        random_state: by which rows are shuffled into folds.
        as_numbers: whether any model needs the features as a matrix of numbers.

    Raises:
        InvalidData: naming the column or row and the mend.
    """
    if data.task not in TASKS:
        raise InvalidData(f"the task {data.task!r} is none of {', '.join(TASKS)}")
    said: list[str] = []
    rows = row_count(data.X_train, "X_train")
    target = _values(data.y_train, rows, data.target, "y_train", "X_train")
    features: Features | None = None
    matrix = np.empty((rows, 0))
    if as_numbers:
        features, matrix, said = learn_features(data.X_train)
    labels: list[Any] | None = None
    y_test: NDArray[Any] | None = None
    given_test = None
    if data.X_test is not None or data.y_test is not None:
        if data.X_test is None or data.y_test is None:
            raise InvalidData("of X_test and y_test one is missing; give both, or none")
        test_rows = row_count(data.X_test, "X_test")
        given_test = _values(data.y_test, test_rows, data.target, "y_test", "X_test")
        _check_test(data, test_rows, features)
    if data.task == "regression":
        y: NDArray[Any] = _numbers(target, data.target, "y_train")
        if (y == y[0]).all():
            raise InvalidData(f"every training row has the same {data.target}; there is nothing to learn")
        y_test = None if given_test is None else _numbers(given_test, data.target, "y_test")
    else:
        plain = [plain_label(value) for value in target]
        labels = _sorted_labels(plain, data.target)
        places = {label: place for place, label in enumerate(labels)}
        y = np.array([places[label] for label in plain], dtype=np.intp)
        if given_test is not None:
            y_test = np.array([places.get(plain_label(value), -1) for value in given_test], dtype=np.intp)
            if (y_test < 0).any():
                odd = plain_label(given_test[int((y_test < 0).argmax())])
                said.append(
                    f"{int((y_test < 0).sum())} test rows have a class that training lacks, such as {odd!r}; "
                    "they count as wrong, and metrics that need probabilities are left out"
                )
    folds = (
        _given_folds(data.splits, rows)
        if data.splits is not None
        else _folds(y, data, cv, random_state, labels)
    )
    return PreparedData(data, features, matrix, y, y_test, labels, folds, said)


def check_folds(prepared: PreparedData, scoring: str) -> None:
    """Refuse folds on which a metric has no value, whatever a model says.

    Raises:
        InvalidConfig: naming the fold and the mend.
    """
    count = len(prepared.folds)
    for number, (_, valid) in enumerate(prepared.folds, 1):
        there = np.unique(prepared.y[valid])
        if scoring == "r2" and len(there) < 2:
            why = "is one row" if len(valid) == 1 else f"has the same {prepared.given.target} in all its rows"
            raise InvalidConfig(
                f"cv: fold {number} of {count} {why}, of which there is no r2; take fewer folds, or another scoring such as rmse"
            )
        if scoring == "roc_auc" and len(there) < len(prepared.labels or ()):
            lacking = next(
                label for place, label in enumerate(prepared.labels or ()) if place not in there.tolist()
            )
            raise InvalidConfig(
                f"cv: fold {number} of {count} has no row of the class {lacking!r}, so that there is no roc_auc; take fewer folds, "
                "or another scoring such as log_loss"
            )


def row_count(table: Any, name: str) -> int:
    """Return how many rows a table has.

    Raises:
        InvalidData: it is no table, or has none.
    """
    height = getattr(table, "height", None)
    try:
        rows = int(height) if isinstance(height, int) else len(table)
    except TypeError:
        raise InvalidData(f"{name} is no table of rows but a {type(table).__name__}") from None
    if rows == 0:
        raise InvalidData(f"{name} has no rows")
    return rows


def rows_of(table: Any, rows: NDArray[np.intp]) -> Any:
    """Return some rows of a table, by place."""
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]


def _values(given: Any, rows: int, target: str, name: str, beside: str) -> list[Any]:
    if hasattr(given, "columns") and len(given.columns) == 1:  # a frame of one column
        given = given.iloc[:, 0] if hasattr(given, "iloc") else given.to_series()
    values = (
        given.tolist()
        if hasattr(given, "tolist")
        else given.to_list()
        if hasattr(given, "to_list")
        else list(given)
    )
    if len(values) != rows:
        raise InvalidData(
            f"{name} has {len(values):,} values and {beside} {rows:,} rows; they must go together"
        )
    for row, value in enumerate(values):
        if isinstance(value, list | tuple):
            raise InvalidData(f"{name} has several columns; a model predicts one")
        if is_missing(value):
            count = sum(is_missing(one) for one in values)
            more = f", and {count - 1:,} more are" if count > 1 else ""
            raise InvalidData(
                f"the target {target!r} is missing in row {row + 1} of {name}{more}; leave those rows out"
            )
    return values


def _numbers(values: list[Any], target: str, name: str) -> NDArray[np.float64]:
    for row, value in enumerate(values):
        if isinstance(value, str) or not hasattr(value, "__float__"):
            raise InvalidData(
                f"the target {target!r} is {value!r} in row {row + 1} of {name}, and a regression needs numbers; "
                "mend it, or make the task classification"
            )
    found = np.array(values, dtype=np.float64)
    if not np.isfinite(found).all():
        row = int((~np.isfinite(found)).argmax())
        raise InvalidData(f"the target {target!r} is infinite in row {row + 1} of {name}; leave the row out")
    return found


def _sorted_labels(plain: list[Any], target: str) -> list[Any]:
    distinct = set(plain)
    try:
        labels = sorted(distinct)
    except TypeError:
        raise InvalidData(f"the target {target!r} mixes text and numbers; make all of it text") from None
    if len(labels) < 2:
        raise InvalidData(f"every training row has the class {labels[0]!r}; there is nothing to learn")
    if len(labels) > max(100, len(plain) // 5):
        raise InvalidData(
            f"the target {target!r} has {len(labels):,} different values in {len(plain):,} rows; "
            "for numbers make the task regression"
        )
    return labels


def _check_test(data: SearchData, rows: int, features: Features | None) -> None:
    if data.test_ids is not None:
        if len(data.test_ids) != rows:
            raise InvalidData(f"there are {len(data.test_ids):,} test_ids for {rows:,} test rows")
        if len(set(data.test_ids)) < rows:
            raise InvalidData("an id of a test row is there twice; each item needs its own")
    if data.test_columns is not None and data.test_columns.height != rows:
        raise InvalidData(f"test_columns has {data.test_columns.height:,} rows for {rows:,} test rows")
    if features is not None:
        try:
            features.aligned(data.X_test)  # now, and not after hours of work
        except InvalidData as error:
            raise InvalidData(f"X_test: {error}") from None


def _given_folds(splits: Sequence[tuple[Any, Any]], rows: int) -> list[Fold]:
    folds = [(np.asarray(train, dtype=np.intp), np.asarray(valid, dtype=np.intp)) for train, valid in splits]
    if not folds:
        raise InvalidData("there is no split to validate on; give at least one")
    for number, (train, valid) in enumerate(folds):
        if not len(train) or not len(valid):
            raise InvalidData(f"split {number + 1} has no rows on one side")
        if min(train.min(), valid.min()) < 0 or max(train.max(), valid.max()) >= rows:
            raise InvalidData(f"split {number + 1} names rows that are not among the {rows:,} training rows")
        if np.intersect1d(train, valid).size:
            raise InvalidData(f"split {number + 1} validates on rows that it learns from")
    return folds


def _folds(
    y: NDArray[Any], data: SearchData, cv: int, random_state: int, labels: list[Any] | None
) -> list[Fold]:
    from sklearn.model_selection import KFold, StratifiedKFold

    if cv > len(y):
        raise InvalidData(f"{cv} folds need at least {cv} training rows, and there are {len(y)}; lower cv")
    if labels is None:
        return list(KFold(cv, shuffle=True, random_state=random_state).split(np.zeros(len(y))))
    counts = np.bincount(y, minlength=len(labels))
    least = int(counts.argmin())
    if counts[least] < cv:
        rows = "1 training row" if counts[least] == 1 else f"{counts[least]} training rows"
        mend = (
            "give it more rows or leave it out"
            if counts[least] == 1
            else f"set cv={counts[least]}, or leave it out"
        )
        raise InvalidData(
            f"the class {labels[least]!r} of {data.target!r} has {rows}, fewer than the {cv} folds; {mend}"
        )
    return list(StratifiedKFold(cv, shuffle=True, random_state=random_state).split(np.zeros(len(y)), y))
