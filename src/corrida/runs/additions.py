"""What is added to a run after its end: points of metrics, parameters and files, each line with time and author.

The run itself stays as it was sealed. The lines stand in annotations.jsonl beside notes and tags:
``{"time", "author", "points": [{"step", "time", "metrics"}], "metrics": {...}, "latest": {...}, "params": {...},
"files": {name: {"size", "sha256"}}}``. ``metrics`` has those values that became the final ones.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidName, RunNotFound
from corrida.runs import layout
from corrida.runs.annotations import author, read_annotations, utc_now
from corrida.runs.files import append_line, explained, safe_join
from corrida.runs.numbers import metrics_from_file
from corrida.runs.plain import plain

if TYPE_CHECKING:
    from corrida.runs.run_file import RunFile


def add(run_dir: Path, change: Mapping[str, Any], *, durable: bool = True) -> None:
    """Append ``change`` to the run in constant time.

    Args:
        run_dir: the folder of an ended run; the caller holds the lock of :func:`corrida.runs.files.locked` on its
            run.json, since whoever writes a note replaces the file.
        change: as described above.
        durable: also wait until a power cut cannot lose it.

    Raises:
        RunNotFound: somebody removed the run in this moment.
        StoreError: the file cannot be written; what stood there before stays.
    """
    line = {"time": utc_now(), "author": author(), **plain(dict(change))}
    with explained(f"writing to the run {run_dir.name}", "check the rights of its folder"):
        try:
            append_line(run_dir / layout.ANNOTATIONS, line, durable=durable)
            os.utime(run_dir)  # readers look at the time of change of the folder
        except FileNotFoundError:
            raise RunNotFound(f"the run {run_dir.name} was removed in this moment by somebody else") from None


def hold(run_dir: Path) -> int:
    """Lock an ended run for additions; closing the descriptor that is returned frees it.

    Raises:
        RunNotFound: the run is not there.
    """
    try:
        fd = os.open(run_dir / layout.RUN, os.O_RDONLY)
    except FileNotFoundError:
        raise RunNotFound(
            f"there is no run {run_dir.name}; `corrida list` shows those that are there"
        ) from None
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def with_additions(
    content: RunFile, changes: Iterable[Mapping[str, Any]], *, params: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the fields of a run that additions change: ``params``, ``metrics`` and ``mlflow``.

    Args:
        content: run.json.
        changes: the lines of annotations.jsonl, oldest first.
        params: the parameters, where they are not those of ``content``.
    """
    merged = dict(content.params if params is None else params)
    metrics: dict[str, float | str] = dict(content.metrics)
    facts = content.mlflow
    latest: dict[str, tuple[int, int]] = {}
    told: dict[str, Any] = {}
    for change in changes:
        merged |= _mapping(change, "params")
        metrics |= {k: v for k, v in _mapping(change, "metrics").items() if isinstance(v, float | int | str)}
        for name, place in _mapping(change, "latest").items():
            if isinstance(place, list) and len(place) == 2 and all(type(n) is int for n in place):
                latest[name] = (place[0], place[1])
        told |= _mapping(change, "mlflow")
    found: dict[str, Any] = {"params": merged, "metrics": _numbers_only(metrics, content.metrics)}
    if facts is not None and (latest or told):
        found["mlflow"] = _changed(facts, latest, told)
    return found


def _mapping(change: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = change.get(key)
    return value if isinstance(value, dict) else {}


def _numbers_only(
    metrics: Mapping[str, float | str], sealed: Mapping[str, float | str]
) -> dict[str, float | str]:
    """Return metrics without values that are none: somebody may have written into annotations.jsonl by hand."""
    return {k: v for k, v in metrics.items() if k in sealed or not isinstance(v, str) or v in _NAMES}


_NAMES = frozenset({"NaN", "Infinity", "-Infinity"})


def _changed(facts: Any, latest: Mapping[str, tuple[int, int]], told: Mapping[str, Any]) -> Any:
    fields: dict[str, Any] = {"latest": {**facts.latest, **latest}}
    inputs, outputs = told.get("model_inputs"), told.get("model_outputs")
    if isinstance(inputs, list):
        fields["model_inputs"] = tuple(dict.fromkeys([*facts.model_inputs, *map(str, inputs)]))
    if isinstance(outputs, list):
        made = [(str(o[0]), int(o[1])) for o in outputs if isinstance(o, list) and len(o) == 2]
        fields["model_outputs"] = tuple(dict.fromkeys([*facts.model_outputs, *made]))
    if isinstance(status := told.get("status"), str):
        fields["status"] = status
    if isinstance(end := told.get("end_time"), int):
        fields["end_time"] = end
    return msgspec.structs.replace(facts, **fields)


def added_calls(run_dir: Path) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Yield step, time (seconds since the epoch) and metrics of the points added after the end, oldest first."""
    for point in added_points(read_annotations(run_dir)):
        yield point["step"], point["time"], metrics_from_file(point["metrics"])


def added_points(changes: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the points among the lines of annotations.jsonl that are whole, with all that was written of them."""
    for change in changes:
        points = change.get("points")
        for point in points if isinstance(points, list) else ():
            if (
                isinstance(point, dict)
                and type(point.get("step")) is int
                and isinstance(point.get("time"), float | int)
                and isinstance(point.get("metrics"), dict)
                and all(isinstance(v, float | int) or v in _NAMES for v in point["metrics"].values())
            ):
                yield point


def added_files(changes: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    """Return the files added after the end with size and digest; of one that was added again the last."""
    found: dict[str, tuple[int, str]] = {}
    for change in changes:
        for name, stored in _mapping(change, "files").items():
            try:
                safe_join(Path(), name)
                found[name] = (int(stored["size"]), str(stored["sha256"]))
            except (InvalidName, KeyError, TypeError, ValueError):
                continue
    return found
