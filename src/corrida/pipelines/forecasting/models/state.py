"""Fitted parameters as data: a tree of dictionaries, numbers, texts and arrays in a JSON and an npz file.

statsforecast keeps the state of a fitted model in a dictionary and offers pickle to save it. A pickle can run code when it
is read; this cannot. Arrays of one type stand in one long array, so that thousands of series stay two files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

STATE, ARRAYS = "state.json", "arrays.npz"


def write_state(folder: Path, tree: Any) -> None:
    """Write a tree.

    Raises:
        TypeError: it holds something that is neither number, text, array, list nor dictionary.
    """
    columns: dict[str, list[Any]] = {}
    lengths: dict[str, int] = {}

    def encoded(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            if array.dtype.kind not in "fiub":
                raise TypeError(f"an array of {array.dtype} cannot be saved as numbers")
            kind = array.dtype.name
            place = [kind, lengths.get(kind, 0), list(array.shape)]
            columns.setdefault(kind, []).append(array.ravel())
            lengths[kind] = lengths.get(kind, 0) + array.size
            return {"scalar" if isinstance(value, np.generic) else "array": place}
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):  # JSON has no NaN, and digits may not be lost
            return {"float": value.hex()}
        if isinstance(value, tuple):
            return {"tuple": [encoded(one) for one in value]}
        if isinstance(value, list):
            return [encoded(one) for one in value]
        if isinstance(value, dict):
            return {"dict": [[encoded(key), encoded(one)] for key, one in value.items()]}
        raise TypeError(f"{type(value).__name__} cannot be saved as data")

    document = encoded(tree)
    with (folder / ARRAYS).open("wb") as file:
        whole: dict[str, Any] = {kind: np.concatenate(parts) for kind, parts in columns.items()}
        np.savez_compressed(file, **whole)
    (folder / STATE).write_bytes(msgspec.json.encode(document))


def read_state(folder: Path) -> Any:
    """Read what :func:`write_state` wrote; nothing in the files is run."""
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        columns = {kind: file[kind] for kind in file.files}

    def decoded(value: Any) -> Any:
        if isinstance(value, list):
            return [decoded(one) for one in value]
        if not isinstance(value, dict):
            return value
        [(kind, content)] = value.items()
        if kind == "float":
            return float.fromhex(content)
        if kind == "tuple":
            return tuple(decoded(one) for one in content)
        if kind == "dict":
            return {decoded(key): decoded(one) for key, one in content}
        name, first, shape = content
        array = columns[name][first : first + int(np.prod(shape, dtype=np.int64))].reshape(shape).copy()
        return array[()] if kind == "scalar" else array

    return decoded(msgspec.json.decode((folder / STATE).read_bytes()))
