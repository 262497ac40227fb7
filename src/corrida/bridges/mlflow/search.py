"""``search_runs``: MLflow's filters and orders over run headers, with the meaning that its databases give them.

A missing value meets no comparison, NaN meets only ``!=``. Missing values come last in any order, after NaN; ties go
by start time, the latest first, and by id.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils

from corrida.bridges.mlflow import mapping
from corrida.bridges.mlflow.failures import failure
from corrida.bridges.mlflow.locations import from_mlflow
from corrida.runs.query import Sql

if TYPE_CHECKING:
    from corrida.bridges.mlflow.runs_seen import Seen


@lru_cache(maxsize=256)
def _like(pattern: str) -> re.Pattern[str]:
    """Return the pattern of LIKE: ``%`` for any text, ``_`` for any one character."""
    parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)


_CONTEXT_TAG = "mlflow.data.context"
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "IN": lambda value, among: value in among,
    "NOT IN": lambda value, among: value not in among,
    "LIKE": lambda value, pattern: _like(pattern).fullmatch(value) is not None,
    "ILIKE": lambda value, pattern: _like(pattern.lower()).fullmatch(value.lower()) is not None,
}


class Clause:
    """One comparison of a filter."""

    def __init__(self, parsed: dict[str, Any]) -> None:
        """Take what MLflow's parser gave.

        Raises:
            MlflowException: the comparison is none that the field has.
        """
        self.kind: str = parsed["type"]
        self.key: str = SearchUtils.translate_key_alias(parsed["key"])
        self.comparator: str = parsed["comparator"].upper()
        self.value = parsed["value"]
        kinds = (
            SearchUtils.is_metric(self.kind, self.comparator),
            SearchUtils.is_param(self.kind, self.comparator),
            SearchUtils.is_tag(self.kind, self.comparator),
            SearchUtils.is_string_attribute(self.kind, self.key, self.comparator),
            SearchUtils.is_numeric_attribute(self.kind, self.key, self.comparator),
            SearchUtils.is_dataset(self.kind, self.comparator),
        )
        if not any(kinds):
            raise failure(f"Invalid search expression type '{self.kind}'")
        if self.kind == "metric":
            self.value = float(self.value)
        elif self.kind == "attribute" and kinds[4] and isinstance(self.value, str):
            self.value = int(self.value)

    def fits(self, row: Row) -> bool:
        """Tell whether a run meets the comparison."""
        if self.kind == "dataset":
            return any(self._compare(value) for value in row.of_datasets(self.key))
        value = row.get(self.kind, self.key)
        if self.comparator == "IS NULL":
            return value is None
        if self.comparator == "IS NOT NULL":
            return value is not None
        return self._compare(value)

    def _compare(self, value: Any) -> bool:
        return value is not None and bool(_COMPARE[self.comparator](value, self.value))

    def for_catalog(self, root: Any) -> Sql | None:
        """Return a condition that every ended run meets that meets this one; None where the catalog cannot help."""
        if self.kind == "metric" and self.comparator in {"=", "<", "<=", ">", ">=", "!="}:
            nan = " OR m.value IS NULL" if self.comparator == "!=" else ""
            text = (
                "(runs.sealed = 0 OR EXISTS (SELECT 1 FROM metrics m WHERE m.run = runs.n AND m.name = ? "  # noqa: S608 - constants
                f"AND (m.value {self.comparator} ?{nan})))"
            )
            return Sql(text, (self.key, self.value))
        if self.kind == "tag" and self.key == mapping.PARENT_TAG and self.comparator == "=":
            return Sql(
                "(runs.sealed = 0 OR runs.parent = ? OR json_extract(runs.tags, ?) = ?)",
                (from_mlflow(root, self.value), f'$."{self.key}"', self.value),
            )
        return None


class Row:
    """A run while it is compared and sorted; what costs more is looked at when it is asked for."""

    __slots__ = ("_datasets", "_params", "_tags", "_values", "seen")

    def __init__(self, seen: Seen) -> None:
        """Look at ``seen``."""
        self.seen = seen
        self._params: dict[str, str] | None = None
        self._tags: dict[str, str] | None = None
        self._values: dict[str, float] | None = None
        self._datasets: list[dict[str, Any]] | None = None

    def get(self, kind: str, key: str) -> Any:
        """Return a metric, parameter, tag or attribute; None where the run has none."""
        if kind == "metric":
            self._values = self.seen.values() if self._values is None else self._values
            return self._values.get(key)
        if kind == "parameter":
            self._params = self.seen.params() if self._params is None else self._params
            return self._params.get(key)
        if kind == "tag":
            self._tags = self.seen.tags() if self._tags is None else self._tags
            return self._tags.get(key)
        return self._attribute(key)

    def _attribute(self, key: str) -> Any:
        seen = self.seen
        if key == "artifact_uri":
            return str(seen.dir)
        if key == "experiment_id":
            return seen.experiment
        if key == "lifecycle_stage":
            return "deleted" if seen.deleted else "active"
        return getattr(seen, key, None)

    def of_datasets(self, key: str) -> list[str]:
        """Return the names, digests or contexts of the datasets that the run read."""
        self._datasets = self.seen.datasets() if self._datasets is None else self._datasets
        if key != "context":
            return [str(one.get(key, "")) for one in self._datasets]
        tags = [one.get("tags") for one in self._datasets]
        return [str(t[_CONTEXT_TAG]) for t in tags if isinstance(t, dict) and _CONTEXT_TAG in t]


def parse_filter(text: str | None) -> list[Clause]:
    """Return the comparisons of a filter.

    Raises:
        MlflowException: it cannot be read.
    """
    return [Clause(parsed) for parsed in SearchUtils.parse_search_filter(text)]


def ordered(rows: list[Row], order_by: Sequence[str] | None) -> list[Row]:
    """Return runs in the order asked for.

    Raises:
        MlflowException: the order cannot be read, or names a field twice.
    """
    keys = [SearchUtils.parse_order_by_for_search_runs(clause) for clause in order_by or ()]
    keys = [(kind, SearchUtils.translate_key_alias(key), ascending) for kind, key, ascending in keys]
    if len({key[:2] for key in keys}) < len(keys):
        raise MlflowException(f"`order_by` contains duplicate fields: {order_by}")
    if ("attribute", "start_time") not in {key[:2] for key in keys}:
        keys.append(("attribute", "start_time", False))
    rows = sorted(rows, key=lambda row: row.seen.run_id)
    for kind, key, ascending in reversed(keys):
        rows = _sorted(rows, kind, key, ascending=ascending)
    return rows


def _sorted(rows: list[Row], kind: str, key: str, *, ascending: bool) -> list[Row]:
    there: list[tuple[Any, Row]] = []
    nan: list[Row] = []
    absent: list[Row] = []
    for row in rows:
        value = row.get(kind, key)
        if value is None:
            absent.append(row)
        elif isinstance(value, float) and math.isnan(value):
            nan.append(row)
        else:
            there.append((value, row))
    there.sort(key=lambda pair: pair[0], reverse=not ascending)  # stable both ways
    return [*(row for _, row in there), *nan, *absent]
