"""run.json: its content, how it is written and sealed, how it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from corrida.errors import DamagedRun, NewerFormat, RunNotFound
from corrida.runs import layout
from corrida.runs.files import digest_bytes, read_plain
from corrida.runs.liveness import Process, is_alive
from corrida.runs.numbers import NOT_FINITE
from corrida.runs.plain import JSON_ERRORS, encode_json

Status = Literal["running", "finished", "failed", "crashed", "unreadable"]
Direction = Literal["max", "min"]
SEALED: Final = frozenset({"finished", "failed"})
_SEAL = rb',\n  "seal": "(sha256:[0-9a-f]{64})"\n}\n\Z'


class StoredFile(msgspec.Struct, frozen=True):
    """A file of the run folder: size in bytes and digest."""

    size: int
    sha256: str


class ConfigCopy(msgspec.Struct, frozen=True):
    """A configuration file that the run used.

    Attributes:
        file: where its copy lies in the run folder.
        origin: where it was, relative to the project; ``..`` when it lay outside.
        sha256: digest of the exact bytes.
    """

    file: str
    origin: str
    sha256: str


class Git(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of the project's git repository when the run started.

    Attributes:
        commit: full hash; None in a repository without commits.
        branch: name; None with a detached head.
        dirty: whether tracked files differed from the commit or untracked ones were there; the store and the
            configurations that the run copied do not count as untracked.
        diff: the file of the run folder that holds the difference, if any.
        untracked: untracked files, at most 100.
    """

    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    diff: str | None = None
    untracked: tuple[str, ...] = ()
    note: str | None = None


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a run failed: the type of the exception, its message, and the line that raised it."""

    type: str
    message: str = ""
    where: str = ""


class PrimaryMetric(msgspec.Struct, frozen=True):
    """The metric that decides which of two runs is better, and whether more or less of it is better."""

    name: str
    direction: Direction


class Column(msgspec.Struct, frozen=True):
    """A column that ``corrida list`` shows for the runs of a pipeline: header, and field as in filters."""

    header: str
    field: str


class Invocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run was asked for: what it takes to ask for it again.

    Attributes:
        kind: by ``corrida run``, by ``corrida exec``, or from Python.
        uses: the pipeline behind the name: built in, installed, or ``module:object``.
        overrides: values that won over the files, by dotted key.
        data: the data files that were given, in order, relative to the project; not those that a
            configuration names.
        items: the file of the run folder that holds the ids to which it was limited.
        command: of ``corrida exec``.
        folder: the working folder, relative to the project.
        code: digests of the source files that it started from, by their place in the project.
        corrida: version.
        executor: where the tasks of the pipeline were to run, where a person said so.
        jobs: how many of them at once, likewise.
    """

    kind: Literal["pipeline", "command", "python"]
    uses: str | None = None
    overrides: dict[str, Any] = {}
    data: tuple[str, ...] = ()
    items: str | None = None
    command: tuple[str, ...] = ()
    folder: str = "."
    code: dict[str, str] = {}
    corrida: str = ""
    executor: str | None = None
    jobs: int | None = None


class MlflowFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What MLflow said of a run that was written through it and corrida has no field of its own for.

    Attributes:
        experiment: id of the experiment.
        status: as MLflow names it: ``RUNNING``, ``SCHEDULED``, ``FINISHED``, ``FAILED``, ``KILLED``.
        start_time, end_time: milliseconds since the epoch, as the client gave them.
        user: the user, as the client gave it.
        latest: for each metric the step and the time (in milliseconds) of the point that is its value.
        model_inputs, model_outputs: ids of logged models that the run used and made; those made with their step.
    """

    experiment: str = ""
    status: str = "RUNNING"
    start_time: int | None = None
    end_time: int | None = None
    user: str = ""
    latest: dict[str, tuple[int, int]] = {}
    model_inputs: tuple[str, ...] = ()
    model_outputs: tuple[tuple[str, int], ...] = ()


class RunHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What every reader of a run gets: all of run.json but the long lists."""

    id: str
    pipeline: str
    status: Status
    created: str
    finished: str | None = None
    duration: float | None = None
    order: int = 0
    source: str | None = None
    description: str | None = None
    notes: str | None = None
    tags: dict[str, str] = {}
    seed: int | None = None
    parent: str | None = None
    resumed_from: str | None = None
    params: dict[str, Any] = {}
    metrics: dict[str, float | str] = {}
    primary_metric: PrimaryMetric | None = None
    directions: dict[str, Direction] = {}
    measures: dict[str, str] = {}
    findings: dict[str, str] = {}
    cluster: str | None = None
    columns: tuple[Column, ...] = ()
    summary: str | None = None
    item_counts: dict[str, int] | None = None
    error: Failure | None = None
    warnings: tuple[str, ...] = ()
    configs: tuple[ConfigCopy, ...] = ()
    config_patterns: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    git: Git | None = None
    mlflow: MlflowFacts | None = None


class RunFile(RunHeader, frozen=True, kw_only=True):
    """The content of run.json; see docs/run-folder.md."""

    format_version: int
    invocation: Invocation | None = None
    process: Process | None = None
    environment: dict[str, Any] = {}
    files: dict[str, StoredFile] = {}
    seal: str | None = None


def encode_run_file(content: Mapping[str, Any], *, seal: bool) -> bytes:
    """Return run.json as text for people, with its seal last.

    Args:
        content: the fields in the order in which they are written; empty ones are left out.
        seal: add the digest of all that stands above it.
    """
    kept = {k: v for k, v in content.items() if v not in (None, (), [], {}, "")}
    body = msgspec.json.format(encode_json(kept), indent=2)
    if not seal:
        return body + b"\n"
    digest = digest_bytes(body + b"\n").sha256
    return body[:-2] + f',\n  "seal": "{digest}"\n}}\n'.encode()


def seal_is_intact(data: bytes) -> bool:
    """Tell whether a sealed run.json is what was written when the run ended."""
    found = re.search(_SEAL, data)
    if not found:
        return False
    body = data[: found.start()] + b"\n}\n"
    return digest_bytes(body).sha256 == found.group(1).decode()


_decoder = msgspec.json.Decoder(RunFile)


class _Version(msgspec.Struct):
    format_version: int = 0


def read_run_file(run_dir: Path) -> RunFile:
    """Read the run.json of a run folder.

    Raises:
        RunNotFound: there is no such folder, or it holds no run.
        DamagedRun, NewerFormat: it cannot be read.
    """
    try:
        data, _ = read_plain(run_dir / layout.RUN, follow=True)
    except (FileNotFoundError, NotADirectoryError):
        raise RunNotFound(
            f"there is no run {run_dir.name}; `corrida list` shows those that are there"
        ) from None
    except OSError as error:
        raise DamagedRun(f"run {run_dir.name}: {layout.RUN} cannot be read: {error.strerror}") from None
    return decode_run_file(run_dir.name, data)


def decode_run_file(run_id: str, data: bytes) -> RunFile:
    """Read run.json.

    Raises:
        NewerFormat: it was written by a later version.
        DamagedRun: it is truncated, or not what corrida writes.
    """
    try:
        content = _decoder.decode(data)
    except JSON_ERRORS as error:
        try:
            version = msgspec.json.decode(data, type=_Version).format_version
        except JSON_ERRORS:
            version = 0
        _refuse_newer(run_id, version)
        raise DamagedRun(
            f"run {run_id}: {layout.RUN} cannot be read ({error}); "
            "restore it from a copy, or move the folder away with `corrida rm`"
        ) from None
    _refuse_newer(run_id, content.format_version)
    if abs(content.order) >= 2**63 or abs(content.seed or 0) >= 2**64:
        raise DamagedRun(f"run {run_id}: {layout.RUN} holds a number of more than 64 bits")
    for name, value in content.metrics.items():
        if isinstance(value, str) and value not in NOT_FINITE:
            raise DamagedRun(
                f"run {run_id}: {layout.RUN} gives the metric {name!r} as {value!r}, which is no number"
            )
    if content.id != run_id:
        raise DamagedRun(
            f"the folder {run_id} holds the run {content.id}; rename the folder back to {content.id}"
        )
    return content


def _refuse_newer(run_id: str, version: int) -> None:
    if version > layout.FORMAT_VERSION:
        raise NewerFormat(
            f"run {run_id} has format {version}, and this corrida reads up to {layout.FORMAT_VERSION}; "
            "install a newer corrida (pip install -U corrida)"
        )


def derive_status(content: RunFile, heartbeat: float, now: float) -> Status:
    """Return the status: ``finished`` and ``failed`` are written, ``running`` needs a living writer."""
    if content.status != "running":
        return content.status
    return "running" if content.process and is_alive(content.process, heartbeat, now) else "crashed"
