"""A run that is written through MLflow, by any number of processes at once and in turn.

Each call stands on its own: it takes the lock of the run folder, reads run.json where somebody else has changed it,
and has written what it was given when it returns. So a server with several workers, a client that hands its run over
to another process, and a fork all write the same run, and a kill loses nothing that returned.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from corrida.bridges.mlflow.mapping import ARTIFACTS
from corrida.bridges.mlflow.points import Follower, Point, encoded
from corrida.errors import RunNotFound, RunSealed
from corrida.runs import layout
from corrida.runs.additions import with_additions
from corrida.runs.annotations import merge_tags, read_annotations, timestamp
from corrida.runs.claim import claim, ensure_store
from corrida.runs.documents import dump_yaml
from corrida.runs.files import atomic_write, explained, fsync_dir, write_all
from corrida.runs.index_file import append_to_index
from corrida.runs.liveness import Process, is_alive, start_heartbeat, stop_heartbeat, this_process
from corrida.runs.numbers import json_number
from corrida.runs.run_file import SEALED, MlflowFacts, decode_run_file, encode_run_file
from corrida.runs.run_log import pretty
from corrida.runs.sealing import seal_files

REMOTE_PATIENCE = 3600.0
"""Seconds of silence after which a run of a client of a server, who cannot be asked, counts as crashed."""
_LATEST_MS = 9_200_000_000_000_000


class HandleClosed(RunNotFound):
    """What this process held open of a run was freed by another thread; the run is still there."""


def served() -> bool:
    """Tell whether this process is a server, so that the writers of its runs are elsewhere."""
    return bool(os.environ.get("_MLFLOW_SERVER_FILE_STORE"))


def _writer() -> Process:
    me = this_process()
    return Process(host=me.host, pid=0, patience=REMOTE_PATIENCE) if served() else me


def begin(root: Path, run_tag: str | None, fields: Mapping[str, Any], *, created: datetime) -> LiveRun:
    """Claim an id and write run.json.

    Args:
        root: the store.
        run_tag: what the id is made of; the time when None.
        fields: ``pipeline``, ``tags``, ``parent``, ``mlflow`` and what else is known.
        created: when the run was started, UTC.

    Raises:
        StoreError: the store cannot be written; nothing is left behind.
    """
    ensure_store(root)
    claimed = claim(root, run_id=None, run_tag=run_tag, seed=None)
    environment: dict[str, Any] = {}
    if not served():
        from corrida.runs.snapshot.environment import describe_environment

        environment = describe_environment()
    content = {
        "format_version": layout.FORMAT_VERSION,
        "id": claimed.id,
        "pipeline": fields["pipeline"],
        "status": "running",
        "created": timestamp(created),
        "order": claimed.order,
        **{k: v for k, v in fields.items() if k not in {"pipeline", "mlflow"}},
        "params": {},
        "mlflow": fields["mlflow"],
        "process": msgspec.to_builtins(_writer()),
        "environment": environment,
    }
    with explained(f"starting the run {claimed.id}"):
        try:
            os.mkdir(claimed.dir / ARTIFACTS)  # noqa: PTH102
            atomic_write(claimed.dir / layout.RUN, encode_run_file(content, seal=False), durable=False)
        except BaseException:
            import shutil

            shutil.rmtree(claimed.dir, ignore_errors=True)
            raise
    return LiveRun(claimed.dir)


class LiveRun:
    """An open run, as this process sees it; may be used from several threads, not across a fork."""

    def __init__(self, run_dir: Path) -> None:
        """Open the run at ``run_dir``.

        Raises:
            RunNotFound: there is none.
        """
        self.id, self.dir = run_dir.name, run_dir
        self._file = os.fspath(run_dir / layout.RUN)
        try:
            self._fd = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            raise RunNotFound(
                f"there is no run {self.id}; `corrida list` shows those that are there"
            ) from None
        self._history_fd: int | None = None
        self._lock = threading.RLock()
        self._held = 0
        self._seen: tuple[int, int, int] | None = None
        self._content: dict[str, Any] = {}
        self._heartbeat = 0.0
        self._beating = False
        self._follower = Follower(run_dir)
        self._journal = os.fspath(run_dir / layout.ANNOTATIONS)
        self._journal_read = 0
        self._params: dict[str, Any] = {}

    def close(self) -> None:
        """Free what the system holds for it; the run itself stays open."""
        with self._lock:
            stop_heartbeat(self)
            for fd in (self._fd, self._history_fd):
                if fd is not None:
                    with contextlib.suppress(OSError):
                        os.close(fd)
            self._fd, self._history_fd = -1, None

    @contextlib.contextmanager
    def alone(self) -> Iterator[dict[str, Any]]:
        """Keep every other thread and process from this run, and yield what run.json says.

        Raises:
            RunSealed: the run has ended.
            RunNotFound: it was removed.
        """
        with self._lock, explained(f"writing to the run {self.id}"):
            if self._fd < 0:
                raise HandleClosed(f"the run {self.id} was closed in this moment; try again")
            if not self._held:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            self._held += 1
            try:
                self._look()
                if self._content["status"] in SEALED:
                    raise RunSealed(f"the run {self.id} has ended; its files cannot change")
                self._take_over()
                yield self._content
            finally:
                self._held -= 1
                if not self._held and self._fd >= 0:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _look(self) -> None:
        """Read run.json again where it is not what this process wrote last."""
        try:
            state = os.stat(self._file)  # noqa: PTH116 - looked at in every call
        except OSError:
            raise RunNotFound(f"the run {self.id} is no longer there") from None
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen == self._seen:
            return
        data = self._read()
        decode_run_file(self.id, data)
        self._content, self._seen = msgspec.json.decode(data), seen
        self._heartbeat = state.st_mtime

    def _read(self) -> bytes:
        with open(self._file, "rb", buffering=0) as file:  # noqa: PTH123
            return file.readall()

    def _take_over(self) -> None:
        """Become the writer whose life says that the run goes on, where the one that did so is no more."""
        recorded, me = self._content.get("process"), msgspec.to_builtins(_writer())
        if recorded == me:
            if not served() and not self._beating:
                start_heartbeat(self, self.dir / layout.RUN)
                self._beating = True
            return
        writer = msgspec.convert(recorded, Process) if recorded else None
        if writer is None or not is_alive(writer, self._heartbeat, time.time()):
            self._content["process"] = me
            self._save()

    def _save(self, *, sealed: bool = False) -> bytes:
        data = encode_run_file(self._content, seal=sealed)
        atomic_write(self._file, data, durable=sealed)
        state = os.stat(self._file)  # noqa: PTH116
        self._seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        return data

    def state(self) -> dict[str, Any]:
        """Return what run.json says now, of an ended run too."""
        with self._lock:
            self._look()
            return self._content

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Change fields of run.json.

        Args:
            edit: gets the content and changes it; when it raises, nothing is written.
        """
        with self.alone() as content:
            fresh = {k: dict(v) if isinstance(v, dict) else v for k, v in content.items()}
            edit(fresh)
            if fresh != content:
                self._content = fresh
                self._save()

    def tell(self, said: Mapping[str, Any], check: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        """Append ``params``, ``tags`` or facts for ``mlflow`` to annotations.jsonl, where every reader finds them.

        Taking the place of run.json each time would cost a write to the disk; the end puts all into it.

        Args:
            said: what is appended; see :mod:`corrida.runs.additions`.
            check: gets the parameters so far, and raises where those that are said do not fit.
        """
        with self.alone():
            self._catch_up()
            if check is not None:
                check(self._params)
            line = msgspec.json.encode(said) + b"\n"
            fd = os.open(self._journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                try:
                    write_all(fd, line)
                except OSError:
                    os.ftruncate(fd, self._journal_read)
                    raise
            finally:
                os.close(fd)
            self._journal_read += len(line)
            self._params.update(said.get("params", {}))
            self._show_life()

    def _catch_up(self) -> None:
        """Read what others appended."""
        try:
            size = os.stat(self._journal).st_size  # noqa: PTH116
        except OSError:
            size = 0
        if size == self._journal_read and size:
            return
        self._params = dict(self._content.get("params") or {})
        for change in read_annotations(self.dir) if size else ():
            if isinstance(params := change.get("params"), dict):
                self._params |= params
        self._journal_read = size

    def log_points(self, points: Sequence[Point]) -> None:
        """Append points of metrics to the history."""
        if not points:
            return
        data = encoded(points)
        with self.alone():
            if self._history_fd is None:
                self._history_fd = os.open(
                    self.dir / layout.HISTORY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666
                )
            size = os.fstat(self._history_fd).st_size
            try:
                write_all(self._history_fd, data)
            except OSError:
                os.ftruncate(self._history_fd, size)
                raise
            self._show_life()

    def _show_life(self) -> None:
        """Show a sign of life of a writer who is elsewhere and cannot be asked."""
        if (self._content.get("process") or {}).get("pid"):
            return
        os.utime(self._file)
        state = os.stat(self._file)  # noqa: PTH116
        self._seen = (state.st_ino, state.st_mtime_ns, state.st_size)

    def values(self) -> dict[str, Point]:
        """Return the point of each metric that is its value now."""
        with self._lock:
            return dict(self._follower.values())

    def finish(self, fields: Mapping[str, Any], facts: Mapping[str, Any], *, finished: datetime) -> None:
        """End the run: final metrics, digests of every file, then run.json, all safe against a power cut.

        Args:
            fields: ``status`` and, of a failed run, ``error``.
            facts: changes of the field ``mlflow``.
            finished: when it ended, UTC.
        """
        with self._artifacts_held(), self.alone() as open_content:
            annotations = read_annotations(self.dir)
            told = with_additions(decode_run_file(self.id, self._read()), annotations)
            content = {
                **open_content,
                "tags": merge_tags(open_content.get("tags") or {}, annotations),
                "params": told["params"],
                "mlflow": msgspec.to_builtins(
                    told.get("mlflow", msgspec.convert(open_content["mlflow"], MlflowFacts))
                ),
            }
            values = self.values()
            metrics = {key: json_number(point.value) for key, point in values.items()}
            if metrics:
                atomic_write(self.dir / layout.METRICS, pretty(metrics), durable=False)
            if content.get("params"):
                atomic_write(self.dir / layout.CONFIG, dump_yaml(content["params"]), durable=False)
            with contextlib.suppress(OSError):
                (self.dir / ARTIFACTS).rmdir()  # when nothing was put there
            started = datetime.fromisoformat(content["created"])
            latest = {key: (point.step, point.timestamp) for key, point in values.items()}
            self._content = _ordered(
                {
                    **content,
                    **fields,
                    "finished": timestamp(finished),
                    "duration": max(0.0, round((finished - started).total_seconds(), 6)),
                    "metrics": metrics,
                    "mlflow": {**content["mlflow"], **facts, **({"latest": latest} if latest else {})},
                    "files": msgspec.to_builtins(seal_files(self.dir)),
                }
            )
            try:
                data = self._save(sealed=True)
            except BaseException:
                self._seen = None
                raise
            with contextlib.suppress(OSError):
                os.unlink(self._journal)  # noqa: PTH108 - all of it is in run.json now
            fsync_dir(self.dir)
            fsync_dir(self.dir.parent)
            stop_heartbeat(self)
        append_to_index(self.dir.parent, decode_run_file(self.id, data))

    @contextlib.contextmanager
    def _artifacts_held(self) -> Iterator[None]:
        """Wait for artifacts that are just being written, and keep others from writing any."""
        with artifacts_lock(self.dir, exclusive=True):
            yield


@contextlib.contextmanager
def artifacts_lock(run_dir: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock on the files of an open run: several may write files at once, and none while the run ends."""
    try:
        fd = os.open(run_dir / ARTIFACTS, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # it has ended
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


_ORDER = (
    "format_version", "id", "pipeline", "status", "created", "finished", "duration", "order", "source",
    "description", "notes", "tags", "seed", "parent", "summary", "metrics", "primary_metric", "item_counts", "error",
    "warnings", "params",
)  # fmt: skip
_LAST = ("mlflow", "process", "environment", "files")


def _ordered(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of run.json in the order in which people read them, without an old seal."""
    middle = [name for name in content if name not in {*_ORDER, *_LAST, "seal"}]
    return {name: content[name] for name in (*_ORDER, *middle, *_LAST) if name in content}


def usable_time(milliseconds: int | None) -> datetime | None:
    """Return a time in milliseconds since the epoch; None where it is none that a calendar has."""
    if milliseconds is None or not 0 <= milliseconds < _LATEST_MS:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
