"""The only place where a pipeline meets a store: ``corrida run`` and ``corrida exec``."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from corrida.errors import (
    BadInput,
    CorridaError,
    InvalidConfig,
    InvalidData,
    PipelineFailed,
    PipelineNotFound,
    StoreError,
)
from corrida.pipelines.contract import ConfigFile, Data, Outcome, Pipeline
from corrida.pipelines.registry import load_pipeline
from corrida.project import RUN_VARIABLE, PipelineSettings, Project
from corrida.runs import layout
from corrida.runs.documents import parse_document
from corrida.runs.numbers import metrics_from_file
from corrida.runs.record import RunRecord, flatten
from corrida.runs.run_file import PrimaryMetric
from corrida.runs.snapshot.configs import expand_patterns, read_configs, relative_name
from corrida.runs.store import check_tags
from corrida.runs.writer import RunSpec, RunWriter

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
Progress = Callable[[Iterable[Any], "int | None", str], Iterator[Any]]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What ``corrida run`` was asked for; empty values leave it to corrida.toml.

    Attributes:
        configs, data: paths or globs, relative to the project.
        items: a file of item ids.
        overrides: values by dotted key.
        run_id, run_tag, source, description, notes, seed, tags: as recorded.
        save: keep the run.
    """

    configs: Sequence[str] = ()
    data: Sequence[str] = ()
    items: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    run_tag: str | None = None
    source: str | None = None
    description: str | None = None
    notes: str | None = None
    seed: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    save: bool = True


@dataclass(frozen=True)
class Executed:
    """What came of a run.

    Attributes:
        run_id: its id.
        record: the finished run; None when it was not kept.
        metrics: final metrics.
        summary: the pipeline's sentence.
        warnings: what the run warned of.
    """

    run_id: str
    record: RunRecord | None
    metrics: Mapping[str, float]
    summary: str
    warnings: Sequence[str]


def no_progress(items: Iterable[T], total: int | None, label: str) -> Iterator[T]:
    """Pass items through without showing anything."""
    del total, label
    return iter(items)


class RunRecorder:
    """The Recorder that writes to a run."""

    def __init__(self, writer: RunWriter, progress: Progress) -> None:
        """Record to ``writer`` and show progress with ``progress``."""
        self._writer = writer
        self._progress = progress
        self.touched = False

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log step metrics."""
        self.touched = True
        self._writer.log(metrics, step)

    def save_text(self, name: str, text: str) -> None:
        """Save a text file."""
        self.touched = True
        self._writer.save_bytes(name, text.encode())

    def save_table(self, name: str, frame: pl.DataFrame) -> None:
        """Save a table as CSV or Parquet, by the suffix of its name."""
        import io

        self.touched = True
        buffer = io.BytesIO()
        if name.endswith(".parquet"):
            frame.write_parquet(buffer)
        elif name.endswith(".csv"):
            frame.write_csv(buffer)
        else:
            raise InvalidData(f"the table {name!r} needs the suffix .csv or .parquet")
        self._writer.save_bytes(name, buffer.getvalue())

    def progress(self, items: Iterable[T], *, total: int | None = None, label: str = "") -> Iterator[T]:
        """Pass items through and show how far the work is."""
        return self._progress(items, total, label)

    def warn(self, message: str) -> None:
        """Record a warning."""
        self._writer.warn(message)


def pipeline_settings(project: Project, name: str) -> tuple[Pipeline[Any], PipelineSettings]:
    """Return the pipeline that a project calls ``name``, and what the project always uses for it.

    Raises:
        PipelineNotFound: neither the project nor corrida knows the name.
    """
    settings = project.settings.pipelines.get(name)
    if settings is None and project.settings.pipelines:
        try:
            return load_pipeline(name, project.root), PipelineSettings()
        except PipelineNotFound as error:
            own = ", ".join(sorted(project.settings.pipelines))
            raise PipelineNotFound(f"{error} (this project has {own})") from None
    settings = settings or PipelineSettings()
    return load_pipeline(settings.uses or name, project.root), settings


def run_pipeline(
    project: Project,
    name: str,
    options: RunOptions,
    *,
    argv: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Executed:
    """Run a pipeline and keep what it did as a run.

    Args:
        project: where the configuration, the data and the store are.
        name: a pipeline of the project, or a built-in or installed one.
        options: what was asked for.
        argv: the command line, recorded.
        progress: shows how far the work is.

    Raises:
        PipelineNotFound: no pipeline has the name.
        InvalidConfig, InvalidData: what was given cannot be used; no run is left behind when nothing had been
            logged yet.
        PipelineFailed: the pipeline raised; the run is kept as failed, with the traceback in its log.txt.
        StoreError: the store cannot be written.
    """
    pipeline, settings = pipeline_settings(project, name)
    patterns = list(options.configs or settings.configs)
    paths = expand_patterns(patterns, project.root, "configuration")
    configs = read_configs(paths, project.root)
    files = [ConfigFile(path, parse_document(path, content)) for path, content in configs]
    config = pipeline.configure(files, {**settings.set, **options.overrides})
    data_paths = _data_paths(project, options.data or settings.data)
    named = _named_files(project, pipeline.data_files(config))
    resolved = msgspec.to_builtins(config)
    seed = options.seed if options.seed is not None else settings.seed
    spec = RunSpec(
        pipeline=name,
        root=project.root,
        run_id=options.run_id,
        run_tag=options.run_tag,
        source=options.source or settings.source,
        description=options.description or settings.description,
        notes=options.notes,
        tags=check_tags({**settings.tags, **options.tags}),
        seed=seed,
        parent=_enclosing_run(project),
        params=_scalars(resolved),
        configs=configs,
        config_patterns=[p for p in patterns if not os.path.isabs(p)],  # noqa: PTH117
        data=list(dict.fromkeys([*data_paths, *named.values()])),
        roles={path: role for role, path in named.items()},
        resolved=resolved,
        primary_metric=_primary(pipeline, settings),
        directions=dict(pipeline.directions),
        argv=argv,
    )
    data = Data(
        files=data_paths,
        named=named,
        item_ids=read_item_ids(project.root / options.items) if options.items else None,
    )
    with _writer(project, spec, save=options.save) as writer:
        outcome = _run(pipeline, data, config, RunRecorder(writer, progress), writer)
        metrics = writer.metrics
    record = project.store().get(writer.id) if options.save else None
    return Executed(writer.id, record, metrics, outcome.summary, writer.warnings)


def _run(
    pipeline: Pipeline[Any],
    data: Data,
    config: Any,
    recorder: RunRecorder,
    writer: RunWriter,
) -> Outcome:
    try:
        outcome = pipeline.run(data, config, recorder)
        writer.log_metrics(outcome.metrics)
        if outcome.items is not None:
            writer.log_items(outcome.items)
        writer.describe(summary=outcome.summary, dataset=outcome.dataset)
    except BadInput as error:
        if recorder.touched:
            writer.fail(error)
        else:
            writer.discard()  # wrong use, noticed before anything was done: not a run
        raise
    except (StoreError, KeyboardInterrupt) as error:
        writer.fail(error)
        raise
    except Exception as error:
        writer.fail(error)
        place = f" in {writer.failure.where}" if writer.failure and writer.failure.where else ""
        kept = (
            f"the run {writer.id} is kept as failed, and its log.txt has the traceback"
            if writer.keeps
            else ""
        )
        raise PipelineFailed(
            f"the pipeline failed{place}: {type(error).__name__}: {error}" + (f"; {kept}" if kept else "")
        ) from error
    return outcome


@contextlib.contextmanager
def _writer(project: Project, spec: RunSpec, *, save: bool) -> Iterator[RunWriter]:
    if save:
        writer = project.store().start(spec)
    else:
        import tempfile

        writer = RunWriter(Path(tempfile.mkdtemp(prefix="corrida-unsaved-")), spec, keep=False)
    with writer:
        yield writer


def _data_paths(project: Project, patterns: Sequence[str]) -> list[Path]:
    try:
        return expand_patterns(patterns, project.root, "data file")
    except InvalidConfig as error:
        raise InvalidData(str(error)) from None


def _named_files(project: Project, named: Mapping[str, str]) -> dict[str, Path]:
    found = {}
    for role, text in named.items():
        path = Path(os.path.normpath(project.root / text))
        if not path.is_file():
            raise InvalidData(
                f"the {role} file {text!r} that the configuration names is not there; check the path"
            )
        found[role] = path
    return found


def _scalars(resolved: Any) -> dict[str, Any]:
    """Return the parameters of a resolved configuration: its single values; lists and rules stay in the files."""
    if not isinstance(resolved, Mapping):
        return {}
    flat = flatten(resolved)
    return {k: v for k, v in flat.items() if isinstance(v, str | int | float | bool) and len(str(v)) <= 500}


def _primary(pipeline: Pipeline[Any], settings: PipelineSettings) -> PrimaryMetric | None:
    from corrida.analysis.directions import direction_of

    name = settings.primary_metric or pipeline.primary_metric
    if not name:
        return None
    direction = settings.direction or direction_of(name, pipeline.directions)
    if direction is None:
        raise InvalidConfig(
            f'whether more or less of {name} is better is not known; add direction = "max" or "min" to corrida.toml'
        )
    return PrimaryMetric(name, direction)


def _enclosing_run(project: Project) -> str | None:
    folder = os.environ.get(RUN_VARIABLE)
    return Path(folder).name if folder and Path(folder).parent == project.store_folder else None


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


# -- commands -----------------------------------------------------------------------------------------------


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
    patterns = list(options.configs)
    configs = read_configs(expand_patterns(patterns, project.root, "configuration"), project.root)
    spec = RunSpec(
        pipeline=pipeline or _command_name(command),
        root=project.root,
        run_id=options.run_id,
        run_tag=options.run_tag,
        source=options.source,
        description=options.description,
        notes=options.notes,
        tags=check_tags(options.tags),
        seed=options.seed,
        parent=_enclosing_run(project),
        params=dict(options.overrides),
        configs=configs,
        config_patterns=[p for p in patterns if not os.path.isabs(p)],  # noqa: PTH117
        data=_data_paths(project, options.data),
        argv=argv,
        capture=False,
    )
    with _writer(project, spec, save=options.save) as writer:
        code = _call(command, writer)
        _take_over(writer)
        if code != 0:
            writer.fail(
                f"the command ended with exit code {code}"
                if code > 0
                else f"the command was killed by signal {-code}"
            )
        metrics = writer.metrics
    record = project.store().get(writer.id) if options.save else None
    return code, Executed(writer.id, record, metrics, "", writer.warnings)


def _command_name(command: Sequence[str]) -> str:
    scripts = [Path(c).stem for c in command[:4] if c.endswith((".py", ".sh", ".R", ".jl"))]
    return scripts[0] if scripts else Path(command[0]).name


def _call(command: Sequence[str], writer: RunWriter) -> int:
    environment = {**os.environ, RUN_VARIABLE: str(writer.dir), "PYTHONUNBUFFERED": "1"}
    try:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        writer.discard()
        raise BadInput(
            f"{command[0]!r} cannot be started: {error.strerror}; check the command after --"
        ) from None
    assert process.stdout is not None  # noqa: S101 - opened with PIPE
    with process.stdout as stream:
        while True:
            try:
                chunk = os.read(stream.fileno(), 65536)
            except KeyboardInterrupt:
                continue  # the command got it too; its end is the end
            if not chunk:
                break
            text = chunk.decode("utf-8", "replace")
            sys.stdout.write(text)
            sys.stdout.flush()
            writer.log_file.write(text)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


def _take_over(writer: RunWriter) -> None:
    """Make what a command wrote under corrida's names part of the run, or say why not."""
    metrics = writer.dir / layout.METRICS
    if metrics.is_file():
        try:
            content = msgspec.json.decode(metrics.read_bytes(), type=dict[str, float | str])
            writer.log_metrics(metrics_from_file(content))
        except (msgspec.DecodeError, ValueError, CorridaError) as error:
            metrics.rename(writer.dir / "metrics-unread.json")
            writer.warn(f"{layout.METRICS} was not taken over (kept as metrics-unread.json): {error}")
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


def relative_to_project(project: Project, path: str) -> str:
    """Return a path given on the command line, relative to the working folder, as the project sees it."""
    if any(sign in path for sign in "*?["):
        return path if Path.cwd() == project.root else relative_name(Path.cwd() / path, project.root)
    return relative_name(Path(os.path.abspath(path)), project.root)  # noqa: PTH100
