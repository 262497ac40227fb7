"""The file that says which items to process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corrida.errors import InvalidData
from corrida.pipelines.inputs import SUFFIXES, read_table, rows_named, text_column

_COLUMNS = ("item_id", "id")


def read_item_ids(path: Path) -> frozenset[str]:
    """Read a file of item ids: a JSON list, a table with ``item_id`` or ``id``, or one id a line.

    Raises:
        InvalidData: the file is missing, empty, or not UTF-8, or a row of it has no id.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        ids = _ids_of_json(path)
    elif suffix in SUFFIXES:
        ids = _ids_of_table(path)
    else:
        ids = [line.strip() for line in _text(path).splitlines() if line.strip()]
    if not ids:
        raise InvalidData(f"the file of items {path.name} names no item")
    return frozenset(ids)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidData(f"the file of items {path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidData(f"the file of items {path.name} is not UTF-8; save it as UTF-8") from None


def _ids_of_table(path: Path) -> list[str]:
    frame = read_table(path)
    column = next((name for name in _COLUMNS if name in frame.columns), frame.columns[0])
    ids = text_column(frame, path, column)
    if ids.null_count():
        rows = rows_named(path, ids.is_null().arg_true().to_list())
        raise InvalidData(
            f"{path.name}: there is no id in the column {column!r} at {rows}; give every row one"
        )
    return ids.to_list()


def _ids_of_json(path: Path) -> list[str]:
    try:
        listed = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise InvalidData(f"{path.name}, line {error.lineno}: not valid JSON: {error.msg}") from None
    if not isinstance(listed, list):
        raise InvalidData(f"{path.name} must hold a JSON list of item ids")
    return [_json_id(path, number, entry) for number, entry in enumerate(listed, 1)]


def _json_id(path: Path, number: int, entry: Any) -> str:
    found = entry
    if isinstance(entry, dict):
        found = next((entry[name] for name in _COLUMNS if entry.get(name) is not None), None)
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool | float) or not isinstance(found, str | int) or not str(found).strip():
        raise InvalidData(
            f"{path.name}: row {number} has no id; give it an item_id, as text or a whole number"
        )
    return str(found).strip()
