"""The file that says which items to process."""

from __future__ import annotations

import json
from pathlib import Path

from corrida.errors import InvalidData


def read_item_ids(path: Path) -> frozenset[str]:
    """Read a file of item ids: a JSON list, JSON lines or a table with ``item_id`` or ``id``, or one id a line.

    Raises:
        InvalidData: the file is missing, empty, or not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidData(f"the file of items {path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidData(f"the file of items {path.name} is not UTF-8; save it as UTF-8") from None
    if path.suffix == ".json":
        try:
            listed = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidData(f"{path.name}, line {error.lineno}: not valid JSON: {error.msg}") from None
        if not isinstance(listed, list):
            raise InvalidData(f"{path.name} must hold a JSON list of item ids")
        ids = [str(i.get("item_id", i.get("id"))) if isinstance(i, dict) else str(i) for i in listed]
    elif path.suffix in {".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"}:
        from corrida.pipelines.inputs import read_table

        frame = read_table(path)
        column = next((c for c in ("item_id", "id") if c in frame.columns), frame.columns[0])
        ids = [str(value) for value in frame[column].to_list()]
    else:
        ids = [line.strip() for line in text.splitlines() if line.strip()]
    if not ids:
        raise InvalidData(f"the file of items {path.name} names no item")
    return frozenset(ids)
