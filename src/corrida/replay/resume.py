"""Go on with a run that did not come to its end: a new run of the same inputs, which takes over what was finished."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from corrida.errors import BadInput, DamagedRun, Refused
from corrida.execute import Executed, PipelineWork, Progress, RunOptions, execute_pipeline, no_progress
from corrida.execute.stamping import stamp_target, stamped
from corrida.launch import enclosing_run
from corrida.pipelines.executors import check_executor
from corrida.project import PipelineSettings
from corrida.replay.again import Replay
from corrida.runs.spec import RunSpec
from corrida.runs.store import check_tags

if TYPE_CHECKING:
    from corrida.project import Project
    from corrida.runs.record import RunRecord
    from corrida.runs.writer import RunWriter


def resume(
    project: Project,
    run: RunRecord,
    options: RunOptions,
    *,
    pipeline: str | None = None,
    argv: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Executed:
    """Execute a run that was killed, interrupted or failed from its recorded inputs.

    Nothing of the old run changes: its id and its files are taken. The new one says ``resumed_from``, and its pipeline
    finds what was finished by :meth:`Recorder.earlier <corrida.pipelines.contract.Recorder.earlier>`.

    Args:
        project: where its code is, and its data if they are still there.
        run: which.
        options: id, labels, executor and jobs of the new run, and where else data may be; the inputs are those of
            ``run``.
        pipeline: the name that it must have, if any.
        argv: the command line, recorded.
        progress: shows how far the work is.

    Raises:
        BadInput: there is nothing to resume, or it is of another pipeline, or was no pipeline.
        Refused: it still runs.
        InvalidData: its data are gone, or are others now.
        PipelineFailed: the pipeline raised; the new run is kept as failed.
    """
    _check(run, pipeline)
    replay = Replay(project, run, data=options.data, unfinished=True)
    if replay.pipeline is None:
        raise BadInput(
            f"{run.id} was a command or a script, of which corrida cannot know what was finished; start it anew"
        )
    settings = project.settings.pipelines.get(run.pipeline) or PipelineSettings()
    target = stamp_target(project, options, settings, replay.given)
    work = PipelineWork(
        asked=_spec(project, replay, options, argv),
        uses=replay.asked.uses or run.pipeline,
        overrides=replay.inputs.overrides,
        item_ids=replay.item_ids,
        named=replay.named,
        executor=check_executor(options.executor) if options.executor else replay.asked.executor,
        jobs=replay.asked.jobs if options.jobs is None else options.jobs,
        resumed=run,
        at_end=lambda writer: _say_drift(writer, replay),
    )
    with replay.working_folder():
        done = execute_pipeline(project, replay.pipeline, work, progress=progress)
    return stamped(project, done, target, options)


def _check(run: RunRecord, pipeline: str | None) -> None:
    if run.status == "unreadable":
        raise DamagedRun(f"{run.id} cannot be read; `corrida verify {run.id}` says more")
    if pipeline is not None and run.pipeline != pipeline:
        raise BadInput(f"{run.id} is a run of {run.pipeline}, not of {pipeline}; leave the name out")
    if run.status == "finished":
        raise BadInput(
            f"{run.id} has finished: there is nothing to resume; `corrida rerun {run.id}` executes it again"
        )
    if run.status == "running":
        raise Refused(f"{run.id} still runs; wait for it, or end it first")


def _spec(project: Project, replay: Replay, options: RunOptions, argv: Sequence[str]) -> RunSpec:
    run = replay.run
    named = options.run_id is not None or options.run_tag is not None
    return RunSpec(
        pipeline=run.pipeline,
        root=project.root,
        run_id=options.run_id,
        run_tag=options.run_tag,
        id_base=None if named else _first_id(run),
        source=run.source,
        description=options.description or run.description,
        notes=options.notes or run.notes,
        tags=check_tags({**run.tags, **options.tags}),
        seed=run.seed,
        parent=enclosing_run(project.store_folder),
        resumed_from=run.id,
        configs=replay.inputs.configs,
        config_patterns=run.config_patterns,
        data=replay.given,
        primary_metric=run.primary_metric,
        directions=run.directions,
        argv=argv,
    )


def _first_id(run: RunRecord) -> str:
    """Return the id of the first of the runs that go on with each other: each gets that and a number."""
    numbered = re.fullmatch(r"(.+)-\d+", run.id)
    return numbered.group(1) if run.resumed_from and numbered else run.id


def _say_drift(writer: RunWriter, replay: Replay) -> None:
    for entry in replay.drift:
        writer.warn(f"not as it was in {replay.run.id}: {entry.text}")
