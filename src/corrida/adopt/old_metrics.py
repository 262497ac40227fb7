"""Metrics of old records, as flat names and numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from corrida.analysis.directions import direction_of
from corrida.errors import InvalidMetric
from corrida.runs.history import RESERVED_NAMES, as_number, check_metric_name

_PERCENT = re.compile(r"\s*([+-]?\d+(?:[.,]\d+)?)\s*%\s*")
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_NO_METRICS = RESERVED_NAMES | {"run_id", "id", "timestamp", "created_at", "finished_at", "seed", "version"}
_SHARES = re.compile(r"(?:^|[._ -])(?:accuracy|precision|recall|f1|coverage)(?:$|[._ -])", re.IGNORECASE)
_MOST_ROWS = 100
_DEEPEST = 20


def metrics_of(record: Mapping[str, Any], where: str, warnings: list[str]) -> dict[str, float]:
    """Return every number of a record under its dotted name.

    A text such as ``"64%"`` counts as 0.64; a text such as ``"0.64"`` counts when its name is that of a metric. What is
    null is left out; lists and other texts are no metrics. A share above 1 is kept as it is, with a warning.

    Args:
        record: nested objects.
        where: name of the file, for the warnings.
        warnings: gets a sentence for each value that was read in another way than it was written.
    """
    found: dict[str, float] = {}
    _collect(record, "", where, found, warnings, 0)
    for name, value in found.items():
        if _SHARES.search(name) and 1 < value <= 100:
            warnings.append(
                f"{name} is {value:g} in {where}; it was kept as it is, though a share lies between 0 and 1"
            )
    return found


def _collect(
    value: Any, name: str, where: str, found: dict[str, float], warnings: list[str], depth: int
) -> None:
    if isinstance(value, Mapping):
        if depth < _DEEPEST:
            for key, entry in value.items():
                _collect(entry, f"{name}.{key}" if name else str(key), where, found, warnings, depth + 1)
        return
    if isinstance(value, bool) or value is None or name.rpartition(".")[2] in _NO_METRICS:
        return
    number = number_of(value, name)
    if number is None:
        return
    try:
        found[check_metric_name(name)] = as_number(name, number)
    except InvalidMetric as error:
        warnings.append(f"{where}: {error}")
        return
    if isinstance(value, str):
        warnings.append(f"{name} was written as {value.strip()!r} in {where} and counts as {number:g}")


def number_of(value: object, name: str) -> float | None:
    """Return the number that an old value stands for; None when it stands for none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or len(value) > 40:
        return None
    if percent := _PERCENT.fullmatch(value):
        return float(f"{percent.group(1).replace(',', '.')}e-2")  # 64.1 / 100 would be 0.6409999999999999
    if _NUMBER.fullmatch(value) and direction_of(name, {}) is not None:
        return float(value)
    return None


def metrics_of_table(data: bytes, where: str, warnings: list[str]) -> dict[str, float]:
    """Return the metrics of a CSV with one row a model, or with one row a metric and one column a model.

    The name is ``<model>.<metric>``. A table of more than 100 rows, or one that names a model twice, is no summary and
    gives no metrics.

    Args:
        data: the content of the file.
        where: its name, for the warnings.
        warnings: gets a sentence when the table gives no metrics.
    """
    mark = _delimiter(data)
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=mark))
    except (UnicodeDecodeError, csv.Error) as error:
        warnings.append(f"{where} cannot be read as a table ({error}); it is kept, and gives no metrics")
        return {}
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        return {}
    if mark == ";":  # where a comma is the decimal sign
        rows = [rows[0], *([cell.replace(",", ".") for cell in row] for row in rows[1:])]
    header, body = [cell.strip() for cell in rows[0]], rows[1:]
    first = next((i for i, column in enumerate(header) if _is_text(row[i : i + 1] for row in body)), None)
    labels = [row[first].strip() for row in body] if first is not None else []
    if len(body) > _MOST_ROWS or (first is None and len(body) > 1) or len(set(labels)) < len(labels):
        warnings.append(f"{where} is not one row a model; it is kept as a table, and gives no metrics")
        return {}
    found: dict[str, Any] = {}
    for number, row in enumerate(body):
        for i, cell in enumerate(row[: len(header)]):
            if i == first or (not header[i] and first is None):
                continue
            value = _cell(cell)
            if value is None:
                continue
            parts = [header[i]] if first is None else [labels[number], header[i]]
            if first is not None and header[first].lower() in {"metric", "metrics", "metrica", "métrica"}:
                parts.reverse()
            found[".".join(parts)] = value
    return metrics_of(found, where, warnings)


def _is_text(cells: Iterable[list[str]]) -> bool:
    values = [cell[0] if cell else "" for cell in cells]
    return all(v.strip() for v in values) and not any(_NUMBER.fullmatch(v) for v in values)


def _cell(cell: str) -> float | str | None:
    if _NUMBER.fullmatch(cell):
        return float(cell)
    if cell.strip().lower() in {"inf", "-inf"}:
        return float(cell)
    return (
        cell if _PERCENT.fullmatch(cell) else None
    )  # an empty cell, and the NaN of a missing value, are absent


def _delimiter(data: bytes) -> str:
    header = data.split(b"\n", 1)[0]
    return max(",;\t", key=lambda mark: header.count(mark.encode()))
