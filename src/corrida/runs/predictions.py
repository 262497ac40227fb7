"""Predictions of a run: tables made after its end, each beside a file that says how it came about.

A run is sealed when it ends, so its own digests do not know of them. ``predictions/<id>.json`` therefore holds the
digest of ``predictions/<id>.parquet`` (or ``.csv``) and a seal over itself. It is put there last: a table without it is
no prediction.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from corrida.errors import DamagedRun, NewerFormat, RunNotFound, StoreError
from corrida.runs import layout
from corrida.runs.annotations import timestamp
from corrida.runs.files import (
    digest_bytes,
    digest_entry,
    explained,
    fsync_dir,
    place_new,
    read_plain,
    temporary_name,
    write_new,
)
from corrida.runs.plain import JSON_ERRORS, plain
from corrida.runs.run_file import encode_run_file, seal_is_intact

FORMATS = ("parquet", "csv")
Format = Literal["parquet", "csv"]
_ERRORS = "metrics.csv"
State = Literal["altered", "missing", "unreadable"]
_OWN_NAME = re.compile(r"\d{8}_\d{6}_[0-9a-f]{6}(\.parquet|(\.metrics)?\.csv)")


class DataUsed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A data file that a prediction was made from; ``path`` is relative to the project, or the address of a table."""

    path: str
    size: int
    sha256: str
    rows: int | None = None
    columns: tuple[str, ...] = ()


class ErrorsFile(msgspec.Struct, frozen=True):
    """The table of errors beside a prediction, where the truth was known."""

    file: str
    size: int
    sha256: str
    rows: int


class PredictionFile(msgspec.Struct, frozen=True, kw_only=True):
    """What ``predictions/<id>.json`` says.

    Attributes:
        format_version: of this file.
        id: of the prediction: the time, and six digits by chance.
        run: the id of the run whose models predicted.
        run_digest: the seal of its run.json, which stands for every file of it.
        pipeline: of the run.
        alias: the alias by which the run was found, if it was.
        why: why this run, in a few words.
        options: what was asked of the models, by name.
        trust: whether model files that can run code were allowed.
        data: the files and tables that were given.
        file: the name of the table beside this file.
        size, sha256: of the table.
        rows, columns: of the table.
        errors: the file with the errors of predictions whose truth was in the data: ``file``, ``size``, ``sha256``, ``rows``.
        notes: what a person should know of it.
        created: UTC.
        corrida: version.
        seal: digest of all that stands above it.
    """

    format_version: int
    id: str
    run: str
    run_digest: str | None = None
    pipeline: str = ""
    alias: str | None = None
    why: str = ""
    options: dict[str, Any] = {}
    trust: bool = False
    data: tuple[DataUsed, ...] = ()
    file: str
    size: int
    sha256: str
    rows: int = 0
    columns: tuple[str, ...] = ()
    errors: ErrorsFile | None = None
    notes: tuple[str, ...] = ()
    created: str
    corrida: str = ""
    seal: str | None = None


def keep_prediction(
    run_dir: Path,
    table: Callable[[str], bytes],
    kind: Format,
    facts: Mapping[str, Any],
    errors: tuple[bytes, int] | None = None,
) -> PredictionFile:
    """Write a prediction into the folder of an ended run: all of it or nothing, durable on return.

    Args:
        run_dir: the run folder.
        table: called with the id that the prediction gets; returns the bytes of the table.
        kind: of the table.
        facts: the other fields of :class:`PredictionFile`.
        errors: the CSV table of errors and its number of rows, if there is one.

    Raises:
        RunNotFound: the run was removed in this moment.
        StoreError: the folder cannot be written; nothing stays behind.
    """
    try:
        with explained(
            f"keeping the prediction in the run {run_dir.name}", "name a file of your own with --out FILE"
        ):
            return _keep(run_dir, table, kind, facts, errors)
    except StoreError:
        if run_dir.is_dir():
            raise
        raise RunNotFound(f"the run {run_dir.name} was removed in this moment by somebody else") from None


def _keep(
    run_dir: Path,
    table: Callable[[str], bytes],
    kind: Format,
    facts: Mapping[str, Any],
    errors: tuple[bytes, int] | None,
) -> PredictionFile:
    now = datetime.now(UTC)
    folder = run_dir / layout.PREDICTIONS_DIR
    while True:
        # Not the time alone: copies of a run on two machines are merged, and none may take the place of another.
        name = f"{now:%Y%m%d_%H%M%S}_{os.urandom(3).hex()}"
        if any(os.path.lexists(folder / f"{name}.{suffix}") for suffix in (*FORMATS, _ERRORS, "json")):
            continue
        data = table(name)
        files = {f"{name}.{kind}": data}
        content: dict[str, Any] = {
            "format_version": layout.FORMAT_VERSION,
            "id": name,
            "run": run_dir.name,
            **facts,
            "file": f"{name}.{kind}",
            **digest_bytes(data)._asdict(),
            "created": timestamp(now),
        }
        if errors is not None:
            files[f"{name}.{_ERRORS}"], rows = errors
            own = digest_bytes(errors[0])._asdict()
            content["errors"] = {"file": f"{name}.{_ERRORS}", **own, "rows": rows}
        about = encode_run_file(plain(content), seal=True)
        _make_folder(run_dir)
        if _place(folder, {**files, f"{name}.json": about}):
            return msgspec.json.decode(about, type=PredictionFile)


def _make_folder(run_dir: Path) -> None:
    """Make the folder of predictions where it is missing; a link in its place would lead out of the run."""
    folder = run_dir / layout.PREDICTIONS_DIR
    try:
        folder.mkdir()  # and not its parent: the run may be on its way into the trash
    except FileExistsError:
        if folder.is_symlink() or not folder.is_dir():
            raise StoreError(
                f"{run_dir.name}/{layout.PREDICTIONS_DIR} is no folder; move it away, or name a file with --out FILE"
            ) from None
    else:
        fsync_dir(run_dir)


def _place(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Give files their names, in their order; False, and none of them, when another process took one."""
    # What a kill leaves of a temporary file must not lie in the run folder, where verify would find it.
    private = folder.parent.parent / layout.PRIVATE
    scratch = private if _takes_files_of(private, folder) else folder
    temporaries: dict[str, str] = {}
    placed: list[Path] = []
    try:
        for name, data in files.items():
            temporaries[name] = temporary_name(folder / name, scratch)
            write_new(temporaries[name], data, durable=True)
        for name in files:
            place_new(temporaries[name], folder / name)
            del temporaries[name]
            placed.append(folder / name)
            fsync_dir(folder)  # the table before what speaks of it
    except FileExistsError:
        _unlink(placed)
        return False
    except BaseException:
        _unlink(placed)
        raise
    finally:
        _unlink(map(Path, temporaries.values()))
    return True


def _takes_files_of(private: Path, folder: Path) -> bool:
    """Tell whether temporary files can be written to ``private`` and renamed into ``folder`` from there."""
    try:
        return private.stat().st_dev == folder.stat().st_dev and os.access(private, os.W_OK)
    except OSError:
        return False


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def read_prediction(run_dir: Path, prediction_id: str) -> PredictionFile:
    """Return what is said of one prediction.

    Raises:
        DamagedRun: it cannot be read, or its seal does not fit.
        NewerFormat: a later version of corrida wrote it.
    """
    name = f"{layout.PREDICTIONS_DIR}/{prediction_id}.json"
    try:
        data, _ = read_plain(run_dir / name)
        found = msgspec.json.decode(data, type=PredictionFile)
    except OSError as error:
        raise DamagedRun(f"{run_dir.name}/{name} cannot be read: {error.strerror}") from None
    except JSON_ERRORS as error:
        raise DamagedRun(f"{run_dir.name}/{name} cannot be read ({error})") from None
    if found.format_version > layout.FORMAT_VERSION:
        raise NewerFormat(f"{run_dir.name}/{name} was written by a later version of corrida; upgrade corrida")
    if not seal_is_intact(data):
        raise DamagedRun(f"{run_dir.name}/{name}: its seal does not fit its content")
    own = found.errors is None or found.errors.file == f"{prediction_id}.{_ERRORS}"
    if (
        found.id != prediction_id
        or found.file not in {f"{prediction_id}.{kind}" for kind in FORMATS}
        or not own
    ):
        raise DamagedRun(f"{run_dir.name}/{name} is of another prediction, {found.id}")
    return found


def read_predictions(run_dir: Path) -> list[PredictionFile]:
    """Return the predictions of a run, the oldest first; one that cannot be read is left out, and verify names it."""
    found = []
    for prediction_id in prediction_ids(run_dir):
        try:
            found.append(read_prediction(run_dir, prediction_id))
        except DamagedRun:
            continue
    return sorted(found, key=lambda one: (one.created, one.id))


def prediction_ids(run_dir: Path) -> list[str]:
    """Return the names of what may be predictions, sorted."""
    try:
        names = os.listdir(run_dir / layout.PREDICTIONS_DIR)  # noqa: PTH208 - names are all we need
    except OSError:
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def prediction_files(run_dir: Path) -> set[str]:
    """Return the files of the run folder that predictions wrote after the end of the run."""
    found = set()
    for one in read_predictions(run_dir):
        tables = (one.file,) if one.errors is None else (one.file, one.errors.file)
        found |= {f"{layout.PREDICTIONS_DIR}/{name}" for name in (*tables, f"{one.id}.json")}
    return found


def prediction_problem(run_dir: Path, prediction_id: str, seal: str | None) -> tuple[str, State, str] | None:
    """Compare a prediction with what its own file says of it.

    Args:
        run_dir: the run folder.
        prediction_id: which.
        seal: that of the run.

    Returns:
        The file that is not as it was, what it is, and more words; None when all is well.
    """
    about = f"{layout.PREDICTIONS_DIR}/{prediction_id}.json"
    if (run_dir / about).is_symlink():
        return about, "altered", "a link is in its place"
    try:
        found = read_prediction(run_dir, prediction_id)
    except DamagedRun as error:
        state: State = "unreadable" if isinstance(error, NewerFormat) else "altered"
        return about, state, str(error).removeprefix(f"{run_dir.name}/{about}").lstrip(": ")
    if found.run != run_dir.name:
        return about, "altered", f"it is a prediction of the run {found.run}"
    if found.run_digest != seal:
        return about, "altered", "it was made by another state of this run: the seal is not that of run.json"
    for table in (found, found.errors):
        if table is not None and (problem := _table_problem(run_dir, table)) is not None:
            return problem
    return None


def _table_problem(run_dir: Path, about: PredictionFile | ErrorsFile) -> tuple[str, State, str] | None:
    table = f"{layout.PREDICTIONS_DIR}/{about.file}"
    path = run_dir / table
    if not os.path.lexists(path):
        return table, "missing", ""
    if path.is_symlink() or not path.is_file():
        return table, "altered", "something that is no file is in its place"
    try:
        size, sha256 = digest_entry(path)
    except OSError as error:
        return table, "unreadable", error.strerror or str(error)
    if (size, sha256) == (about.size, about.sha256):
        return None
    return table, "altered", "same size" if size == about.size else f"{about.size} → {size} bytes"


def is_cut_off(name: str) -> bool:
    """Tell whether a file in the folder of predictions, of which no prediction knows, is what a kill leaves of one."""
    return _OWN_NAME.fullmatch(name) is not None or (name.startswith(".") and name.endswith(".tmp"))
