"""A finished run from elsewhere, put into the store whole: built where nobody looks, then renamed into place.

A kill leaves a draft in the store's private folder, which the next adoption sweeps away, and never half a run.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from corrida.errors import AlreadyExists, Refused
from corrida.runs import layout
from corrida.runs.annotations import timestamp
from corrida.runs.claim import ensure_store
from corrida.runs.documents import dump_yaml
from corrida.runs.files import atomic_write, explained, fsync_dir, locked, make_folder, safe_join, write_new
from corrida.runs.history import write_history
from corrida.runs.ids import validate_run_id
from corrida.runs.index_file import append_to_index
from corrida.runs.items import ItemsWriter
from corrida.runs.moves import trash_folder
from corrida.runs.numbers import json_number
from corrida.runs.plain import plain, text
from corrida.runs.run_file import decode_run_file, encode_run_file
from corrida.runs.run_log import pretty
from corrida.runs.sealing import seal_files
from corrida.runs.snapshot.configs import copy_configs, looks_secret
from corrida.runs.snapshot.data import manifest

if TYPE_CHECKING:
    from corrida.runs.run_file import Column, Failure, Git, PrimaryMetric, StoredFile

_LOCK = "lock"
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


class AdoptedFile(NamedTuple):
    """A file to copy: its place in the run folder, where it lies now, and the digest that the copy must have, if known."""

    place: str
    path: Path
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What is known of a run that another program made.

    Attributes:
        run_id: the id that it gets.
        exact: refuse an id that is taken; else it gets a number.
        pipeline, source, description, notes, tags, seed, parent, params, summary: as recorded with any run.
        status, error: how it ended, and why it failed.
        created: when it was made, aware; also its place among the runs of the store.
        finished: when it ended, aware.
        duration: seconds, where both ends are known.
        metrics: final metrics, flat.
        history: step metrics, as step, seconds since the epoch, and metrics of each call; gone through once.
        item_ids: the items, where they are known; unique.
        item_count: their number, where nothing else is known.
        dataset: facts of the dataset, for the manifest.
        resolved: the configuration that ran, for config.yaml.
        configs: configuration files as (place in the project, bytes).
        files: all other files.
        written: files to make, by their place in the run folder.
        mlflow: what MLflow knows of it besides.
        trashed: it goes to the trash of the store: it was deleted where it comes from.
        git: what the old record says of the code.
        primary_metric, columns: as of a pipeline.
        warnings: what was odd about the old record.
    """

    run_id: str
    exact: bool = False
    pipeline: str
    created: datetime
    finished: datetime
    duration: float | None = None
    source: str | None = None
    description: str | None = None
    notes: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    parent: str | None = None
    status: Literal["finished", "failed"] = "finished"
    error: Failure | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: Iterable[tuple[int, float, Mapping[str, float]]] = ()
    item_ids: Sequence[str] | None = None
    item_count: int | None = None
    dataset: Mapping[str, Any] = field(default_factory=dict)
    resolved: Any = None
    configs: Sequence[tuple[str, bytes]] = ()
    files: Sequence[AdoptedFile] = ()
    written: Mapping[str, bytes] = field(default_factory=dict)
    mlflow: Any = None
    trashed: bool = False
    git: Git | None = None
    primary_metric: PrimaryMetric | None = None
    columns: Sequence[Column] = ()
    warnings: Sequence[str] = ()


def adopt_run(root: Path, adoption: Adoption, *, copied: Callable[[], None] = lambda: None) -> str:
    """Put a run of elsewhere into the store at ``root``: all of it or nothing.

    Args:
        root: the store; made when it is not there.
        adoption: what is known of the run.
        copied: called after each file, for a progress bar.

    Returns:
        The id that it got.

    Raises:
        InvalidName: the id is outside the grammar.
        AlreadyExists: the id is taken, and ``exact`` was asked for.
        Refused: a file is not what it was when it was read first.
        StoreError: disk full or no rights; nothing stays behind.
    """
    validate_run_id(adoption.run_id)
    ensure_store(root)
    with explained(f"adopting the run {adoption.run_id}"), _draft(root) as draft:
        folder = draft / "run"
        folder.mkdir()
        content = _fill(folder, adoption, copied)
        return _publish(root, folder, adoption, content)


def _fill(folder: Path, adoption: Adoption, copied: Callable[[], None]) -> dict[str, Any]:
    """Write everything but run.json, and return what run.json will say."""
    configs = copy_configs(folder, adoption.configs)
    for file in adoption.files:
        target = safe_join(folder, file.place)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, target, follow_symlinks=False)
        found = file.path.stat()
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
        copied()
    for place, data in adoption.written.items():
        target = safe_join(folder, place)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_new(target, data)
    write_history(folder / layout.HISTORY, adoption.history)
    metrics = {name: json_number(value) for name, value in adoption.metrics.items()}
    if metrics:
        atomic_write(folder / layout.METRICS, pretty(metrics), durable=False)
    counts, items = None, adoption.item_count
    if adoption.item_ids:
        writer = ItemsWriter(folder)
        writer.log([{"item_id": item} for item in adoption.item_ids])
        counts = writer.close()
        items = counts["count"] if counts else None
    if adoption.dataset or items is not None:
        facts = pretty(manifest([], items, plain(dict(adoption.dataset))))
        atomic_write(folder / layout.MANIFEST, facts, durable=False)
    if adoption.resolved:
        atomic_write(folder / layout.CONFIG, dump_yaml(plain(adoption.resolved)), durable=False)
    files = seal_files(folder)
    _check_copies(adoption, files)
    warnings = [text(w) for w in adoption.warnings]
    for origin, data in adoption.configs:
        if secret := looks_secret(data):
            warnings.append(
                f"{origin} seems to hold a secret ({secret}); it was copied into the run as it is"
            )
    return {
        "source": adoption.source,
        "description": adoption.description,
        "notes": adoption.notes,
        "tags": dict(adoption.tags),
        "seed": adoption.seed,
        "parent": adoption.parent,
        "summary": adoption.summary,
        "metrics": metrics,
        "primary_metric": adoption.primary_metric,
        "item_counts": counts,
        "error": adoption.error,
        "mlflow": adoption.mlflow,
        "warnings": warnings,
        "params": plain(dict(adoption.params)),
        "columns": list(adoption.columns),
        "configs": configs,
        "git": adoption.git,
        "files": files,
    }


def _check_copies(adoption: Adoption, files: Mapping[str, StoredFile]) -> None:
    for file in adoption.files:
        if file.sha256 is not None and files[file.place].sha256 != file.sha256:
            raise Refused(
                f"{file.path.name} changed while it was being adopted; the run was left out, adopt the folder again "
                "when nothing writes to it"
            )


def _publish(root: Path, folder: Path, adoption: Adoption, content: Mapping[str, Any]) -> str:
    """Give the draft the first free name, and its place in the store."""
    place = trash_folder(root) if adoption.trashed else root
    make_folder(place)
    number = 1
    while True:
        name = adoption.run_id if number == 1 else f"{adoption.run_id[:120]}-{number}"
        number += 1
        if not is_free(root, name):
            if adoption.exact:
                raise AlreadyExists(f"the run {name} is there already; choose another id with --run-id")
            continue
        data = _run_file(name, adoption, content)
        write_new(folder / layout.RUN, data, durable=True)
        fsync_dir(folder)
        if _rename_new(folder, place / name):
            break
        (folder / layout.RUN).unlink()
    fsync_dir(place)
    if not adoption.trashed:
        append_to_index(root, decode_run_file(name, data))
    return name


def place_sealed(
    root: Path, run_id: str, run_file: bytes, files: Mapping[str, Path], *, trashed: bool = False
) -> None:
    """Put a run back that was sealed by a store before, byte for byte: all of it or nothing.

    Args:
        root: the store; made when it is not there.
        run_id: its id.
        run_file: its run.json.
        files: its other files, by their place in the folder; the caller has compared their digests.
        trashed: put it into the trash.

    Raises:
        AlreadyExists: the id is taken.
        StoreError: disk full or no rights; nothing stays behind.
    """
    validate_run_id(run_id)
    ensure_store(root)
    with explained(f"bringing the run {run_id} back"), _draft(root) as draft:
        folder = draft / "run"
        folder.mkdir()
        for place, path in files.items():
            target = safe_join(folder, place)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target, follow_symlinks=False)
        seal_files(folder)  # makes them durable
        write_new(folder / layout.RUN, run_file, durable=True)
        fsync_dir(folder)
        parent = trash_folder(root) if trashed else root
        make_folder(parent)
        if not is_free(root, run_id) or not _rename_new(folder, parent / run_id):
            raise AlreadyExists(f"the run {run_id} is there already")
        fsync_dir(parent)
        if not trashed:
            append_to_index(root, decode_run_file(run_id, run_file))


def _run_file(name: str, adoption: Adoption, content: Mapping[str, Any]) -> bytes:
    head = {
        "format_version": layout.FORMAT_VERSION,
        "id": name,
        "pipeline": adoption.pipeline,
        "status": adoption.status,
        "created": timestamp(adoption.created),
        "finished": timestamp(adoption.finished),
        "duration": adoption.duration,
        "order": max(0, int(adoption.created.timestamp() * 1e6)) * 1000,
    }
    known: dict[str, Any] = msgspec.to_builtins({**head, **content})
    return encode_run_file(known, seal=True)


def is_free(root: Path, name: str) -> bool:
    """Tell whether neither the store nor its trash has a run called ``name``."""
    return not os.path.lexists(root / name) and not (root / layout.PRIVATE / layout.TRASH / name).exists()


def _rename_new(source: Path, target: Path) -> bool:
    """Rename a folder to a name that must be free; return False when it is not.

    ``rename`` alone would take the place of an empty folder, which is how another process claims an id.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        names = os.fsencode(source), os.fsencode(target)
        if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
            return True
        code = ctypes.get_errno()
        if code in {errno.EEXIST, errno.ENOTEMPTY}:
            return False
        if code not in {errno.ENOSYS, errno.EINVAL}:
            raise OSError(code, os.strerror(code), str(target))
    try:  # a system or file system without it: claim the name, then take its place
        target.mkdir()
    except FileExistsError:
        return False
    try:
        source.rename(target)
    except BaseException:
        target.rmdir()
        raise
    return True


@contextlib.contextmanager
def _draft(root: Path) -> Iterator[Path]:
    """Give a folder of the store that nobody lists, and take it away at the end."""
    drafts = root / layout.PRIVATE / layout.DRAFTS
    drafts.mkdir(exist_ok=True)
    draft = drafts / uuid.uuid4().hex
    lock = -1
    try:
        with locked(drafts / _LOCK):  # else a sweep could take it for one that was left
            draft.mkdir()
            lock = os.open(draft / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            _try_lock(lock)
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def one_adoption_at_a_time(root: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the store for adopting, so that two processes do not adopt the same folder twice."""
    drafts = root / layout.PRIVATE / layout.DRAFTS
    drafts.mkdir(exist_ok=True)
    return locked(drafts / "adopting")


def sweep_drafts(root: Path) -> int:
    """Remove drafts whose process is gone.

    Returns:
        Their number.
    """
    swept = 0
    drafts = root / layout.PRIVATE / layout.DRAFTS
    left = [entry for entry in drafts.iterdir() if entry.is_dir()] if drafts.is_dir() else []
    if not left:
        return 0
    with locked(drafts / _LOCK):
        for draft in left:
            with contextlib.suppress(OSError):
                lock = os.open(draft / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    if _try_lock(lock):
                        shutil.rmtree(draft, ignore_errors=True)
                        swept += 1
                finally:
                    os.close(lock)
    return swept


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
