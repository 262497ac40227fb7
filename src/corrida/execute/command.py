"""Any command as a run."""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

import msgspec

from corrida import __version__
from corrida.errors import BadInput, CorridaError
from corrida.execute.options import (
    Executed,
    RunOptions,
    asked_for,
    primary_metric,
    working_folder,
)
from corrida.execute.stamping import stamp_target, stamped
from corrida.launch import begin, code_digests
from corrida.project import RUN_VARIABLE, PipelineSettings, Project
from corrida.runs import layout
from corrida.runs.plain import JSON_ERRORS, plain
from corrida.runs.run_file import Invocation
from corrida.runs.snapshot.data import data_origin
from corrida.runs.snapshot.environment import relative_argv

if TYPE_CHECKING:
    import polars as pl

    from corrida.runs.writer import RunSpec, RunWriter

_LOOK_EVERY = 0.2  # seconds between looks whether the command has ended, while it prints nothing
_WAIT_AT_MOST = 1.0
_PIPE_HOLDS = 2**20  # the most that two pipes still hold when the command has ended

_SPECIAL = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True, kw_only=True)
class CommandWork:
    """A command with all that corrida knows of what it depends on.

    Attributes:
        spec: the run that it becomes.
        command: program and arguments.
        folder: where it is started; the working folder when None.
        variables: of the environment, set for it on top of those there are; None takes one away.
        rename: list the run under the pipeline that the command names.
        save: keep the run.
        stops: an interruption during the command is one of the whole work, and not for the command alone to mind.
        at_end: called with the run when the command has succeeded and nothing is sealed yet.
    """

    spec: RunSpec
    command: Sequence[str]
    folder: Path | None = None
    variables: Mapping[str, str | None] = field(default_factory=dict)
    rename: bool = False
    save: bool = True
    stops: bool = False
    at_end: Callable[[RunWriter], None] | None = None


def run_command(
    project: Project,
    command: Sequence[str],
    options: RunOptions,
    *,
    pipeline: str | None = None,
    argv: Sequence[str],
) -> tuple[int, Executed]:
    """Run any command as a run.

    The command finds the run folder in ``CORRIDA_RUN_DIR``. What it prints goes on to the terminal and into
    log.txt; ``metrics.json`` (flat names to numbers), ``history.jsonl`` and ``items.csv``, ``.jsonl`` or
    ``.parquet`` that it writes there are taken over, every other file is kept as it is.

    Args:
        project: where configurations, data and the store are.
        command: program and arguments.
        options: what was asked for.
        pipeline: name under which the run is listed; that of the program, or of its script, when not given.
        argv: the command line, recorded.

    Returns:
        The exit code of the command, and what came of the run; ``failed`` when the code is not 0.

    Raises:
        InvalidConfig, InvalidData: a file is missing; the command was not started.
        BadInput: the program cannot be started; no run is left behind.
        StoreError: the store cannot be written.
    """
    name = pipeline or _command_name(command)
    settings = project.settings.pipelines.get(name) or PipelineSettings()
    asked = asked_for(project, name, options, settings, argv=argv)
    overrides = {**settings.set, **options.overrides}
    spec = replace(
        asked,
        params=overrides,
        primary_metric=primary_metric("", {}, settings),
        invocation=Invocation(
            kind="command",
            overrides=plain(overrides),
            data=tuple(data_origin(entry, project.root) for entry in asked.data),
            command=tuple(relative_argv(command, project.root)),
            folder=working_folder(project),
            code=code_digests([Path.cwd() / part for part in command[:4]], project.root),
            corrida=__version__,
        ),
        capture=False,
    )
    target = stamp_target(project, options, settings, asked.data)
    work = CommandWork(spec=spec, command=command, rename=pipeline is None, save=options.save)
    code, done = execute_command(project, work)
    return code, stamped(project, done, target, options)


def execute_command(project: Project, work: CommandWork) -> tuple[int, Executed]:
    """Run a command on what is settled already; see :func:`run_command` for what it returns and raises."""
    with begin(project.store() if work.save else None, work.spec) as writer:
        code = _call(work, writer)
        writer.take_over(rename=work.rename)
        _take_over(writer)
        if work.at_end is not None and code == 0:
            work.at_end(writer)
        if code != 0:
            writer.fail(
                f"the command ended with exit code {code}"
                if code > 0
                else f"the command was killed by signal {-code}"
            )
        metrics = writer.metrics
    record = project.store().get(writer.id) if work.save else None
    return code, Executed(writer.id, record, metrics, "", writer.warnings)


def _command_name(command: Sequence[str]) -> str:
    scripts = [Path(c).stem for c in command[:4] if c.endswith((".py", ".sh", ".R", ".jl"))]
    return scripts[0] if scripts else Path(command[0]).name


def _call(work: CommandWork, writer: RunWriter) -> int:
    command = work.command
    wanted = {**os.environ, **work.variables, RUN_VARIABLE: str(writer.dir), "PYTHONUNBUFFERED": "1"}
    environment = {name: value for name, value in wanted.items() if value is not None}
    came: list[int] = []
    with _signals_handed_on(came) as hand_on_to:
        try:
            process = subprocess.Popen(
                command, env=environment, cwd=work.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            writer.discard()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise BadInput(
                f"{command[0]!r} cannot be started: {reason}; check the command after --"
            ) from None
        hand_on_to(process)
        _pass_on(process, writer)
        code = process.wait()
    if work.stops and signal.SIGINT in came:
        raise KeyboardInterrupt
    return code


@contextlib.contextmanager
def _signals_handed_on(came: list[int]) -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Let the command end itself: Ctrl-C reaches it from the terminal, and a request to end is handed on.

    Args:
        came: gets the signals that came.

    Yields:
        What to call with the process once it runs; a signal that came before is handed on then.
    """
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def on_signal(number: int, _: object) -> None:
        came.append(number)
        if not started:
            early.append(number)
        elif number == signal.SIGTERM:
            started[0].send_signal(number)

    def hand_on_to(process: subprocess.Popen[bytes]) -> None:
        started.append(process)
        for number in early:
            process.send_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield hand_on_to
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield hand_on_to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on(process: subprocess.Popen[bytes], writer: RunWriter) -> None:
    """Copy what the command prints, byte for byte, and as text to the log of the run.

    A process that the command leaves behind may hold the streams open for ever: once the command has ended,
    what is there is read, and what comes within a moment.
    """
    # One decoder a stream: a character may lie across two reads.
    decoder = codecs.getincrementaldecoder("utf-8")
    end: float | None = None
    after_end = 0
    with selectors.DefaultSelector() as selector:
        for source, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            assert source is not None  # noqa: S101 - opened with PIPE
            selector.register(source, selectors.EVENT_READ, (target, decoder("replace")))
        while selector.get_map():
            ready = selector.select(_LOOK_EVERY)
            if end is None and process.poll() is not None:
                end = time.monotonic() + _WAIT_AT_MOST
            elif end is not None and time.monotonic() > end and (not ready or after_end > _PIPE_HOLDS):
                writer.warn(
                    "a process that the command left behind is not waited for, nor is its output kept"
                )
                break
            for key, _ in ready:
                target, text = key.data
                chunk = os.read(key.fd, 65536)
                after_end += len(chunk) if end is not None else 0
                writer.log_file.write(text.decode(chunk, final=not chunk))
                if not chunk or not _show(target, chunk):
                    # Nobody reads on: closing tells the command, as a shell would.
                    selector.unregister(key.fileobj)
                    cast("IO[bytes]", key.fileobj).close()
        for key in list(selector.get_map().values()):
            writer.log_file.write(key.data[1].decode(b"", final=True))
            cast("IO[bytes]", key.fileobj).close()


def _show(target: TextIO, chunk: bytes) -> bool:
    """Write to a stream of this process; False when its reader is gone."""
    try:
        target.flush()
        if (binary := getattr(target, "buffer", None)) is not None:
            binary.write(chunk)
        else:
            target.write(chunk.decode("utf-8", "replace"))
        target.flush()
    except BrokenPipeError:
        return False
    return True


def _take_over(writer: RunWriter) -> None:
    """Make what a command wrote under corrida's names part of the run, or say why not."""
    metrics = writer.dir / layout.METRICS
    if metrics.is_file():
        try:
            data = metrics.read_bytes()
            numbers, others = _numbers_of(msgspec.json.decode(data, type=dict[str, Any]))
            if others:
                writer.save_bytes("metrics-unread.json", data)
                writer.warn(
                    f"{', '.join(others)} in {layout.METRICS} is no number (kept as metrics-unread.json)"
                )
            writer.log_metrics(numbers)
        except (msgspec.DecodeError, ValueError, CorridaError) as error:
            metrics.rename(writer.dir / "metrics-unread.json")
            writer.warn(f"{layout.METRICS} was not taken over (kept as metrics-unread.json): {error}")
    _take_over_history(writer)
    for name in ("items.parquet", "items.csv", "items.jsonl"):
        table = writer.dir / name
        if table.is_file():
            from corrida.pipelines.inputs import read_table

            try:
                frame = read_table(table)
                table.rename(writer.dir / f"{table.stem}-unread{table.suffix}")
                writer.log_items(_typed(frame) if name.endswith(".csv") else frame)
                (writer.dir / f"{table.stem}-unread{table.suffix}").unlink()
            except CorridaError as error:
                writer.warn(f"{name} was not taken over: {error}")


def _numbers_of(content: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Return what of metrics.json is a number, and the names of the rest."""
    found = {
        name: float(value) if isinstance(value, str) else value
        for name, value in content.items()
        if isinstance(value, int | float) or value in _SPECIAL
    }
    return found, [name for name in content if name not in found]


def _take_over_history(writer: RunWriter) -> None:
    """Log the lines of a flat history, ``{"step": 1, "loss": 0.5}``; corrida's own lines stay as they are."""
    history = writer.dir / layout.HISTORY
    if not history.is_file():
        return
    entries = [_history_entry(line) for line in history.read_bytes().split(b"\n") if line.strip()]
    if all(entry is not None and "metrics" in entry for entry in entries):
        return
    aside = history.rename(writer.dir / "history-unread.jsonl")
    if any(entry and "metrics" not in entry and isinstance(entry.get("time"), str) for entry in entries):
        writer.warn(f"the column time of {layout.HISTORY} is text and was not taken over")
    lost = 0
    for entry in entries:
        try:
            writer.log(*_logged(entry))
        except (CorridaError, KeyError, TypeError, ValueError):
            lost += 1
    if lost:
        writer.warn(
            f"{lost} of {len(entries)} lines of {layout.HISTORY} were not taken over (kept as {aside.name})"
        )
    else:
        aside.unlink()


def _logged(entry: dict[str, Any] | None) -> tuple[dict[str, Any], Any]:
    """Return metrics and step of a line.

    ``time`` is the clock in corrida's own lines, which have ``metrics``, and a metric as any other in flat
    ones; as text it is a clock there too.
    """
    if entry is None:
        raise ValueError
    if "metrics" in entry:
        return dict(entry["metrics"]), entry.get("step")
    clock = isinstance(entry.get("time"), str)
    metrics = {k: v for k, v in entry.items() if k != "step" and not (clock and k == "time")}
    return metrics, entry.get("step")


def _history_entry(line: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except JSON_ERRORS:
        return None


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Give columns of a CSV that hold only numbers or truth values their types; ids and answers stay text."""
    import polars as pl

    casts = []
    for column in frame.columns:
        if column in {"item_id", "output", "expected"}:
            continue
        values = frame[column]
        lowered = {str(v).lower() for v in values.drop_nulls().unique()}
        if lowered and lowered <= {"true", "false", "0", "1"} and column == "correct":
            casts.append(pl.col(column).str.to_lowercase().is_in(["true", "1"]).alias(column))
        elif lowered and values.cast(pl.Float64, strict=False).null_count() == values.null_count():
            casts.append(pl.col(column).cast(pl.Float64))
    return frame.with_columns(casts)
