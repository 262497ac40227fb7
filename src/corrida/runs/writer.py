"""RunWriter: all that a live run may do."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from corrida.errors import StoreError
from corrida.runs import layout
from corrida.runs.annotations import timestamp
from corrida.runs.capture import Capture, LogFile
from corrida.runs.claim import Claim, claim, ensure_store
from corrida.runs.documents import dump_yaml
from corrida.runs.files import (
    atomic_write,
    explained,
    fsync_dir,
    write_new,
)
from corrida.runs.handover import take_handover
from corrida.runs.index_file import append_to_index
from corrida.runs.interrupts import held_back
from corrida.runs.liveness import start_heartbeat, stop_heartbeat, this_process
from corrida.runs.plain import plain, text
from corrida.runs.record import flatten
from corrida.runs.run_file import (
    ConfigCopy,
    Failure,
    Git,
    decode_run_file,
    encode_run_file,
)
from corrida.runs.run_log import RunLog, pretty
from corrida.runs.sealing import seal_files
from corrida.runs.snapshot.configs import copy_configs, looks_secret
from corrida.runs.snapshot.data import describe_data, keep_sources, manifest, only_files
from corrida.runs.snapshot.environment import describe_environment, relative_argv, relative_text
from corrida.runs.snapshot.git import GitCapture
from corrida.runs.spec import RunSpec, checked

__all__ = ["RunSpec", "RunWriter", "current_writer"]

_MAX_WARNINGS = 200


class RunWriter(RunLog):
    """A run that is being written; may be used from several threads.

    Use it as a context manager: leaving the block finishes the run, an exception marks it as failed. What a
    logging call has written when it returns survives a kill of the process.

    Attributes:
        id: the run id.
        dir: the run folder.
        data_files: the data files in the order given; of a table of a database, the copy in the run folder.
    """

    def __init__(self, root: Path, spec: RunSpec, *, keep: bool = True) -> None:
        """Claim an id in the store at ``root`` and write down what is known; see :class:`RunSpec`.

        Raises:
            InvalidName, AlreadyExists: the id cannot be used.
            InvalidData: a data file cannot be read.
            StoreError: the store cannot be written; nothing is left behind.
        """
        spec = checked(spec)
        self._root, self._spec, self._keep = root, spec, keep
        self._temporary = None if keep else root  # a store that goes with the run
        ensure_store(root)
        files = only_files(spec.data)
        self._data_stat = {path: _stat(path) for path in files}
        # Before the claim: bad data leaves no run.
        self._data = describe_data(files, spec.root, spec.roles)
        self._claim: Claim = claim(
            root, run_id=spec.run_id, run_tag=spec.run_tag, seed=spec.seed, id_base=spec.id_base
        )
        super().__init__(self._claim.dir)
        self._started = time.monotonic()
        self._params: dict[str, Any] = dict(spec.params)
        self._warnings: list[str] = []
        self._dataset: dict[str, Any] = {}
        self._summary = ""
        self._findings: dict[str, str] = {}
        self._cluster: str | None = None
        self._failure: Failure | None = None
        self._unsealed: tuple[Literal["finished", "failed"], Failure | None] | None = None
        self._git_state: tuple[Git | None, bytes] | None = None
        self._token: Token[RunWriter | None] | None = None
        self._entered = False
        self._git = GitCapture(spec.root, [root, *(spec.root / origin for origin, _ in spec.configs)])
        self._announced = False
        try:
            with explained(f"starting the run {self.id}"):
                self._configs = copy_configs(self.dir, spec.configs)
                self._write_resolved()
                self._write_manifest(None)
                self._write_run_file(seal=False)
                self.data_files: tuple[Path, ...] = self._keep_data()
        except BaseException:
            shutil.rmtree(self.dir, ignore_errors=True)
            self._git.result()
            raise
        self._log_file = LogFile(self.dir / layout.LOG)
        self._open()

    def _keep_data(self) -> tuple[Path, ...]:
        files, self._data = keep_sources(self.dir, self._spec.data, self._data)
        if len(self._data_stat) < len(files):
            self._write_manifest(None)
        return tuple(files)

    def _open(self) -> None:
        start_heartbeat(self, self.dir / layout.RUN)
        _open_runs.append(self)
        self._old_error = getattr(sys, "last_value", None)
        self._token = _current.set(self)
        if self._spec.capture:
            _capture.start()
        if self._claim.clock_behind > 1:
            self.warn(f"the clock is {self._claim.clock_behind:.0f} s behind the last run of this store")
        for origin, content in self._spec.configs:
            if secret := looks_secret(content):
                self.warn(f"{origin} seems to hold a secret ({secret}); it was copied into the run as it is")
        self._warn_of_secret_params(self._params)
        argv = [*self._spec.argv]
        for token, following in zip(argv, [*argv[1:], ""], strict=False):
            pair = f"{token}={following}" if token.startswith("-") and "=" not in token else token
            if secret := looks_secret(os.fsencode(pair)):
                self.warn(f"the command line seems to hold a secret ({secret}); it is recorded with the run")

    def _warn_of_secret_params(self, params: Mapping[str, Any]) -> None:
        for name, value in flatten(params).items():
            if isinstance(value, str) and (secret := looks_secret(os.fsencode(f"{name}: {value}"))):
                self.warn(
                    f"the parameter {name} seems to hold a secret ({secret}); it is recorded with the run"
                )

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters to those that the run was started with.

        Raises:
            RunSealed, StoreError: as for :meth:`log`.
        """
        with self._lock, explained(f"writing parameters of the run {self.id}"):
            self._refuse_sealed()
            self._params |= plain(dict(params))
            self._warn_of_secret_params(self._params)
            self._write_resolved()
            self._write_run_file(seal=False)

    def warn(self, message: str) -> None:
        """Record a warning with the run; it is shown when the run ends and by ``corrida show``."""
        with self._lock:
            if message not in self._warnings and len(self._warnings) < _MAX_WARNINGS:
                self._warnings.append(message)

    def describe(
        self,
        *,
        summary: str = "",
        dataset: Mapping[str, Any] | None = None,
        measures: Mapping[str, str] | None = None,
        findings: Mapping[str, str] | None = None,
        cluster: str | None = None,
    ) -> None:
        """Set the sentence that sums the run up, and add facts of the dataset to its manifest.

        Args:
            summary: one sentence for a person.
            dataset: facts by name.
            measures: how metrics come about from the items, by the name of the metric: ``{"f1": "f1_macro"}``.
            findings: results that are words, by name: ``{"best_model": "ridge"}``.
            cluster: the column of the items that says which of them belong together.

        Raises:
            RunSealed, StoreError: as for :meth:`log`.
        """
        with self._lock, explained(f"describing the run {self.id}"):
            self._refuse_sealed()
            if dataset:
                self._dataset |= plain(dict(dataset))
                self._write_manifest(None)
            if measures:
                self._spec = replace(self._spec, measures={**self._spec.measures, **measures})
            if summary:
                self._summary = text(summary)
            if findings:
                self._findings |= {str(name): text(value) for name, value in findings.items()}
            self._cluster = cluster or self._cluster
            if summary or measures or findings or cluster:
                self._write_run_file(seal=False)

    def take_over(self, *, rename: bool = False) -> None:
        """Make what a script said of this run part of it; what the run was started with wins.

        Args:
            rename: list the run under the pipeline that the script names.

        Raises:
            RunSealed, StoreError: as for :meth:`log`.
        """
        with self._lock, explained(f"describing the run {self.id}"):
            self._refuse_sealed()
            for said in take_handover(self.dir):
                own = self._spec
                self._spec = replace(
                    own,
                    pipeline=said.pipeline if rename and said.pipeline else own.pipeline,
                    source=own.source or said.source,
                    description=own.description or said.description,
                    notes=own.notes or said.notes,
                    seed=said.seed if own.seed is None else own.seed,
                    tags={**said.tags, **own.tags},
                    primary_metric=own.primary_metric or said.primary_metric,
                    directions={**said.directions, **own.directions},
                    measures={**said.measures, **own.measures},
                    config_patterns=list(dict.fromkeys([*own.config_patterns, *said.config_patterns])),
                )
                self._params = {**said.params, **self._params}
                self._configs = [*self._configs, *said.configs]
                known = {entry["path"] for entry in self._data}
                self._data += [entry for entry in said.data if entry.get("path") not in known]
                self._dataset |= said.dataset
                self._summary = said.summary or self._summary
                for warning in said.warnings:
                    self.warn(warning)
            self._write_resolved()

    # -- the end --------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """End the run: digests of every file, then run.json, both safe against a power cut. Ending twice is fine.

        Raises:
            StoreError: the disk is full or refuses; what was logged stays readable, and ending can be tried again.
        """
        self._end("finished", None)

    def fail(self, error: BaseException | str) -> None:
        """End the run as failed, with the reason; what was logged stays.

        Raises:
            StoreError: the disk is full or refuses.
        """
        if self._pid != os.getpid() or self._status != "running":
            return
        if isinstance(error, str):
            self._end("failed", Failure(type="Failure", message=relative_text(error, self._spec.root)))
            return
        trace = "".join(traceback.format_exception(error)).rstrip("\n") + "\n"
        self._log_file.write(relative_text(trace, self._spec.root))
        message = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        message = relative_text(message, self._spec.root)
        failure = Failure(type=type(error).__name__, message=message, where=_where(error, self._spec.root))
        self._end("failed", failure)

    def discard(self) -> None:
        """End the run and leave nothing of it, as when it turns out before any work that it cannot be done."""
        if self._pid != os.getpid():
            return
        with self._files_lock, self._lock:
            if self._status != "running":
                return
            self._keep = False
            self._end("failed", None)

    def _end(self, status: Literal["finished", "failed"], failure: Failure | None) -> None:
        if self._pid != os.getpid():
            return  # a forked child leaves the block too: the run is its parent's
        with self._files_lock, self._lock:
            if self._status != "running" and self._unsealed is None:
                return
            # An end that was refused is tried again as it was.
            self._unsealed = status, self._failure = self._unsealed or (status, failure)
            self._close_capture()
            try:
                if self._keep:
                    self._seal(status, self._failure)
                self._unsealed = None
            finally:
                self._status = status
                stop_heartbeat(self)
                self._history.close()
                self._log_file.close()
                if not self._keep:
                    self._git.result()
                    shutil.rmtree(self._temporary or self.dir, ignore_errors=True)

    def _close_capture(self) -> None:
        _open_runs[:] = [r for r in _open_runs if r is not self]
        if self._token is not None:
            # Ended in another context than it was started in (a thread, a notebook cell): nothing to give back.
            with contextlib.suppress(ValueError):
                _current.reset(self._token)
            self._token = None
        if self._spec.capture:
            _capture.stop()

    def _seal(self, status: Literal["finished", "failed"], failure: Failure | None) -> None:
        if not self.dir.exists():
            raise StoreError(
                f"the folder of the run {self.id} was removed while the run was going on; run it again"
            )
        with explained(f"finishing the run {self.id}"):
            counts = self._items.close()
            if twice := self._items.duplicates:
                self.warn(
                    f"{twice} item{'s were' if twice > 1 else ' was'} logged under an id that another process had "
                    f"logged: the first counts, the other{'s are' if twice > 1 else ' is'} in {layout.ITEMS_TWICE}"
                )
            self._history.close()
            self._log_file.close()
            self._note_changed_data()
            if self._log_file.broken:
                self.warn(f"what the run printed is incomplete in {layout.LOG}: {self._log_file.broken}")
            self._write_manifest(counts["count"] if counts else None)
            self._git_state = git, diff = self._git_state or self._git.result()
            if git and diff:
                atomic_write(self.dir / layout.DIFF, diff, durable=False)
                git = msgspec.structs.replace(git, diff=layout.DIFF)
            files = seal_files(self.dir)
            content = self._write_run_file(
                seal=True,
                status=status,
                error=failure,
                item_counts=counts,
                git=git,
                files=files,
                durable=True,
            )
            fsync_dir(self._root)
        append_to_index(self._root, decode_run_file(self.id, content))

    def _write_run_file(self, *, seal: bool, durable: bool = False, **more: Any) -> bytes:
        spec, started = self._spec, self._claim
        status = more.pop("status", "running")
        content: dict[str, Any] = {
            "format_version": layout.FORMAT_VERSION,
            "id": self.id,
            "pipeline": spec.pipeline,
            "status": status,
            "created": timestamp(started.created),
            "finished": timestamp(datetime.now(UTC)) if status != "running" else None,
            "duration": round(time.monotonic() - self._started, 6) if status != "running" else None,
            "order": started.order,
            "source": spec.source,
            "description": spec.description,
            "notes": spec.notes,
            "tags": dict(spec.tags),
            "seed": spec.seed,
            "parent": spec.parent,
            "resumed_from": spec.resumed_from,
            "summary": self._summary,
            "metrics": self._metrics,
            "primary_metric": spec.primary_metric,
            "item_counts": more.get("item_counts"),
            "error": more.get("error"),
            "warnings": self._warnings,
            "params": self._params,
            "directions": dict(spec.directions),
            "measures": dict(spec.measures),
            "findings": self._findings,
            "cluster": self._cluster,
            "columns": list(spec.columns),
            "configs": self._configs,
            "config_patterns": list(spec.config_patterns),
            "git": more.get("git"),
            "invocation": spec.invocation,
            "argv": relative_argv(spec.argv, spec.root),
            "process": this_process(),
            "environment": describe_environment(),
            "files": more.get("files"),
        }
        kept: dict[str, Any] = {
            k: v for k, v in msgspec.to_builtins(content).items() if v not in (None, (), [], {}, "")
        }
        data = encode_run_file(kept, seal=seal)
        atomic_write(f"{self.dir}/{layout.RUN}", data, durable=durable)
        self._announced = True
        return data

    def _write(self, name: str, data: bytes) -> None:
        """Write a file of the run: whole at any instant, once there is a run.json that tells others of the run."""
        if self._announced:
            atomic_write(f"{self.dir}/{name}", data, durable=False)
        else:
            write_new(f"{self.dir}/{name}", data)

    def _write_manifest(self, items: int | None) -> None:
        if self._data or self._dataset or items is not None:
            self._write(layout.MANIFEST, pretty(manifest(self._data, items, self._dataset)))

    def _write_resolved(self) -> None:
        resolved = plain(self._spec.resolved) if self._spec.resolved is not None else self._params
        if resolved:
            self._write(layout.CONFIG, dump_yaml(resolved))

    def _note_changed_data(self) -> None:
        for path, before in self._data_stat.items():
            if _stat(path) != before:
                self.warn(
                    f"the data file {path.name} changed while the run was going on; its digest is from the start"
                )

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far."""
        return tuple(self._warnings)

    @property
    def failure(self) -> Failure | None:
        """Why the run failed; None unless it did."""
        return self._failure

    @property
    def spec(self) -> RunSpec:
        """What the run was started with."""
        return self._spec

    @property
    def keeps(self) -> bool:
        """Whether the run stays after its end."""
        return self._keep

    @property
    def configs(self) -> tuple[ConfigCopy, ...]:
        """The configuration files that were copied."""
        return tuple(self._configs)

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and error.code in {None, 0}):
            with held_back():
                self.finish()
            return
        while True:
            try:
                with held_back():
                    self.fail(error)
            except KeyboardInterrupt:
                continue  # pressed twice, or raised twice, as polars does: the run is ended all the same
            except StoreError as second:
                error.add_note(f"corrida: {second}")  # the first error is the one to see
            return

    def __repr__(self) -> str:
        return f"<corrida run {self.id}, {self._status}>"

    @property
    def log_file(self) -> LogFile:
        """Where what is printed goes."""
        return self._log_file


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _where(error: BaseException, root: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    own = [f for f in frames if Path(f.filename).is_relative_to(root) and "site-packages" not in f.filename]
    frame = (own or list(frames))[-1]
    path = Path(frame.filename)
    bases = (root, Path(__file__).parents[2])  # the project, or corrida itself, which is then to blame
    name = next((path.relative_to(b).as_posix() for b in bases if path.is_relative_to(b)), path.name)
    return f"{name}:{frame.lineno} in {frame.name}"


# -- the runs that are open in this process -----------------------------------------------------------------

_open_runs: list[RunWriter] = []
_current: ContextVar[RunWriter | None] = ContextVar("corrida_current_run", default=None)


def current_writer() -> RunWriter | None:
    """Return the run that is open in this context, else the one opened last in this process, else None."""
    writer = _current.get()
    if writer is not None and writer.status == "running":
        return writer
    return next((run for run in reversed(_open_runs) if run.status == "running"), None)


def _current_log() -> LogFile | None:
    writer = current_writer()
    return writer.log_file if writer else None


_capture = Capture(_current_log)


@atexit.register
def _end_open_runs() -> None:
    """End runs that were started without a ``with`` block when the interpreter ends."""
    failure = getattr(sys, "last_value", None)
    for writer in reversed(_open_runs):  # a copy is needed, and the innermost ends first
        with contextlib.suppress(StoreError):
            if failure is not None and failure is not writer._old_error:  # noqa: SLF001 - same module
                writer.fail(failure)
            elif writer._entered:  # noqa: SLF001
                writer.fail("the program ended before the block of the run was left")
            else:
                writer.warn(
                    "the run was not ended by its program: finish() was called when the interpreter ended"
                )
                writer.finish()
