"""A pipeline as a run."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida import __version__
from corrida.errors import (
    BadInput,
    ClusterUnreachable,
    EndpointFailed,
    InvalidData,
    MissingExtra,
    PipelineFailed,
    PipelineNotFound,
    StoreError,
)
from corrida.execute.item_ids import read_item_ids
from corrida.execute.options import (
    Executed,
    Interrupted,
    RunOptions,
    asked_for,
    primary_metric,
    working_folder,
)
from corrida.execute.recorder import (
    Progress,
    RunRecorder,
    Surroundings,
    no_progress,
    record_outcome,
)
from corrida.execute.stamping import stamp_target, stamped
from corrida.launch import begin, code_digests
from corrida.pipelines.contract import ConfigFile, Data, Outcome, Pipeline
from corrida.pipelines.executors import check_executor
from corrida.pipelines.registry import load_pipeline
from corrida.project import PipelineSettings, Project
from corrida.runs import layout
from corrida.runs.documents import parse_document
from corrida.runs.plain import plain
from corrida.runs.record import flatten
from corrida.runs.run_file import Invocation
from corrida.runs.snapshot.configs import relative_name
from corrida.runs.snapshot.data import data_origin

if TYPE_CHECKING:
    from corrida.runs.record import RunRecord
    from corrida.runs.writer import RunSpec, RunWriter

_ITEM_IDS = "item_ids.txt"


@dataclass(frozen=True, kw_only=True)
class PipelineWork:
    """All that a run of a pipeline depends on; beyond it nothing of the project's settings counts.

    Attributes:
        asked: configurations as bytes, data files, seed, the metric that decides, and what is recorded.
        uses: the pipeline behind its name.
        overrides: values that win over the configurations, by dotted key.
        item_ids: the only items to process, or None for all.
        named: where data files are that the configuration names, by their place relative to the project; the others
            are where it says.
        save: keep the run.
        executor: where its tasks run, when the person said so.
        jobs: how many of them at once, likewise.
        resumed: the run that it goes on with.
        at_end: called with the run when all is logged and nothing sealed yet.
    """

    asked: RunSpec
    uses: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    executor: str | None = None
    jobs: int | None = None
    resumed: RunRecord | None = None
    item_ids: frozenset[str] | None = None
    named: Mapping[str, Path] = field(default_factory=dict)
    save: bool = True
    at_end: Callable[[RunWriter], None] | None = None


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
            own = sorted(project.settings.pipelines)
            near = difflib.get_close_matches(name, own, n=1)
            hint = f"did you mean {near[0]}?" if near else f"this project has {', '.join(own)}"
            raise PipelineNotFound(f"{error}; {hint}") from None
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
    asked = asked_for(project, name, options, settings, argv=argv)
    work = PipelineWork(
        asked=replace(
            asked, primary_metric=primary_metric(pipeline.primary_metric, pipeline.directions, settings)
        ),
        uses=settings.uses or name,
        overrides={**settings.set, **options.overrides},
        item_ids=read_item_ids(project.root / options.items) if options.items else None,
        save=options.save,
        executor=check_executor(options.executor) if options.executor else None,
        jobs=options.jobs,
    )
    target = stamp_target(project, options, settings, asked.data)
    done = execute_pipeline(project, pipeline, work, progress=progress)
    return stamped(project, done, target, options)


def execute_pipeline(
    project: Project, pipeline: Pipeline[Any], work: PipelineWork, *, progress: Progress = no_progress
) -> Executed:
    """Run a pipeline on what is settled already; see :func:`run_pipeline` for what it raises."""
    asked = work.asked
    files = [ConfigFile(path, parse_document(path, content)) for path, content in asked.configs]
    config = pipeline.configure(files, work.overrides)
    named = _named_files(project, pipeline.data_files(config), work.named)
    resolved = msgspec.to_builtins(config)
    spec = replace(
        asked,
        params=_scalars(resolved),
        data=list(dict.fromkeys([*asked.data, *named.values()])),
        roles={path: role for role, path in named.items()},
        resolved=resolved,
        directions=dict(pipeline.directions),
        columns=pipeline.columns,
        invocation=Invocation(
            kind="pipeline",
            uses=work.uses,
            overrides=plain(dict(work.overrides)),
            data=tuple(data_origin(entry, project.root) for entry in asked.data),
            items=_ITEM_IDS if work.item_ids is not None else None,
            folder=working_folder(project),
            code=code_digests([source_of(work.uses)], project.root),
            corrida=__version__,
            executor=work.executor,
            jobs=work.jobs,
        ),
    )
    item_ids = work.item_ids
    store = project.store() if work.save else None
    around = Surroundings(
        store=store, progress=progress, executor=work.executor, jobs=work.jobs, resumed=work.resumed
    )
    with _naming_what_is_interrupted() as begun, begin(store, spec) as writer:
        begun.append(writer)
        recorder = RunRecorder(writer, around)
        given = writer.data_files[: len(asked.data)]  # those that the configuration names come after
        data = Data(files=given, named=named, item_ids=item_ids, seed=asked.seed)
        if item_ids is not None:
            writer.save_bytes(_ITEM_IDS, "".join(f"{item_id}\n" for item_id in sorted(item_ids)).encode())
        outcome = _run(pipeline, data, config, recorder, writer)
        if item_ids is not None and writer.status == "running":
            _warn_of_other_items(writer, outcome, item_ids)
        if work.at_end is not None and writer.status == "running":
            work.at_end(writer)
        metrics = writer.metrics
    record = project.store().get(writer.id) if work.save else None
    return Executed(writer.id, record, metrics, outcome.summary, writer.warnings)


@contextlib.contextmanager
def _naming_what_is_interrupted() -> Iterator[list[RunWriter]]:
    """Let an interruption say which run it left behind, if it left one."""
    begun: list[RunWriter] = []
    try:
        yield begun
    except KeyboardInterrupt as interrupt:
        if begun and begun[0].status == "finished":
            raise KeyboardInterrupt(f"interrupted; {begun[0].id} had finished already") from None
        if begun and begun[0].keeps:
            raise Interrupted(begun[0].id, str(interrupt)) from None
        raise


def source_of(target: str) -> str | None:
    """Return the file of a pipeline of the project; None for a built-in or installed one."""
    module = sys.modules.get(target.partition(":")[0]) if ":" in target else None
    return getattr(module, "__file__", None)


def _run(
    pipeline: Pipeline[Any], data: Data, config: Any, recorder: RunRecorder, writer: RunWriter
) -> Outcome:
    before = _names(writer.dir)
    try:
        outcome = pipeline.run(data, config, recorder)
    except (BadInput, MissingExtra, ClusterUnreachable):
        if _names(writer.dir) == before:
            writer.discard()  # wrong use, noticed before anything was done: not a run
        raise
    except (StoreError, EndpointFailed):
        raise
    except Exception as error:
        raise _failed(writer, error) from error
    try:
        record_outcome(writer, outcome)
    except StoreError:
        raise
    except (
        Exception
    ) as error:  # the work is done, and what it gave cannot be used: that is a run which failed
        raise _failed(writer, error) from error
    return outcome


def _warn_of_other_items(writer: RunWriter, outcome: Outcome, item_ids: frozenset[str]) -> None:
    """Say when a pipeline did not keep to the items it was given; only it can leave the others out."""
    if outcome.items is None:
        writer.warn(
            "--items was given, and the pipeline returned no items: whether it kept to them is not known"
        )
        return
    # A pipeline may have several rows for an item, each with an id of its own: it says the item in a column ``item``.
    column = "item" if "item" in outcome.items.columns else "item_id"
    others = set(outcome.items[column].cast(str).to_list()) - item_ids
    others -= set(
        outcome.items.filter(outcome.items["item_id"].is_in(list(item_ids)))[column].cast(str).to_list()
    )
    if others:
        writer.warn(
            f"--items was given, and the pipeline processed {len(others)} other items: its metrics are of those too"
        )


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != layout.LOG and path.name[0] != "."}


def _failed(writer: RunWriter, error: Exception) -> PipelineFailed:
    """End the run as failed by ``error``, and return what to tell the person."""
    writer.fail(error)
    place = f" in {writer.failure.where}" if writer.failure and writer.failure.where else ""
    kept = (
        f"; the run {writer.id} is kept as failed, and its log.txt has the traceback" if writer.keeps else ""
    )
    # What a pipeline itself calls its failure needs no place in its code.
    known = isinstance(error, PipelineFailed)
    said = str(error) if known else f"the pipeline failed{place}: {type(error).__name__}: {error}"
    failed = PipelineFailed(f"{said}{kept}")
    failed.run_id = writer.id if writer.keeps else None
    return failed


def _named_files(project: Project, named: Mapping[str, str], there: Mapping[str, Path]) -> dict[str, Path]:
    found = {}
    for role, text in named.items():
        place = Path(os.path.normpath(project.root / text))
        path = there.get(relative_name(place, project.root), place)
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
