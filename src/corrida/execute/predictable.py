"""Which run predicts: the one that was named, else ``@production``, else the latest that can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corrida.errors import BadInput, DamagedRun, InvalidData, PipelineNotFound, RunNotFound
from corrida.execute.pipeline import pipeline_settings
from corrida.execute.recorder import CHILD_TAG
from corrida.pipelines.registry import load_pipeline
from corrida.runs import layout
from corrida.runs.alias import DEFAULT_ALIAS
from corrida.runs.files import digest_entry, safe_join
from corrida.runs.run_file import seal_is_intact

if TYPE_CHECKING:
    from corrida.pipelines.contract import Pipeline
    from corrida.project import Project
    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store

_PAGE = 50


@dataclass(frozen=True)
class Chosen:
    """The run that predicts.

    Attributes:
        record: the run.
        pipeline: of it, which has ``load``.
        why: why this one, in a few words.
        alias: the alias by which it was found, if it was.
    """

    record: RunRecord
    pipeline: Pipeline[Any]
    why: str
    alias: str | None = None


def choose_run(
    project: Project, store: Store, reference: str | None = None, name: str | None = None
) -> Chosen:
    """Return the run that predicts.

    Args:
        project: where pipelines of the user's own are.
        store: where the run is.
        reference: as of :meth:`Store.get`; without one ``@production``, else the latest finished run.
        name: only runs of this pipeline.

    Raises:
        RunNotFound, AliasNotFound: nothing fits, or the alias points to a run that is gone.
        BadInput: the run did not finish, has no models, or is of another pipeline.
        PipelineNotFound: nobody knows the pipeline of the run.
        DamagedRun: it cannot be read.
    """
    if name is not None and not can_predict(_pipeline_called(project, name)):
        raise BadInput(f"the pipeline {name} cannot predict: it has no load")
    if reference is not None:
        return _named(project, store, reference, name)
    promotion = store.aliases().get(DEFAULT_ALIAS)
    passed_over = ""
    if promotion is not None:
        record = store.get(f"@{DEFAULT_ALIAS}")
        if name is None or record.pipeline == name:
            pipeline = _known(project, record)
            if pipeline is not None and can_predict(pipeline):
                return Chosen(checked(record), pipeline, f"it is @{DEFAULT_ALIAS}", DEFAULT_ALIAS)
            passed_over = f"@{DEFAULT_ALIAS}, {record.id}, is of {record.pipeline}, which cannot predict"
        else:
            passed_over = f"@{DEFAULT_ALIAS}, {record.id}, is of {record.pipeline}"
    return _latest(project, store, name, passed_over or f"no run is @{DEFAULT_ALIAS}")


def _named(project: Project, store: Store, reference: str, name: str | None) -> Chosen:
    record = store.get(reference, pipeline=name)
    if name is not None and record.pipeline != name:
        raise BadInput(f"the run {record.id} is of {record.pipeline}, not of {name}")
    checked(record, status_only=True)
    pipeline = pipeline_of(project, record)
    if not can_predict(pipeline):
        raise BadInput(
            f"the run {record.id} is of {record.pipeline}, which cannot predict: that pipeline has no load"
        )
    alias = reference.removeprefix("@") if reference.startswith("@") else None
    why = f"it is {reference}" if reference != record.id and "/" not in reference else "it was named"
    return Chosen(checked(record), pipeline, why, alias)


def _latest(project: Project, store: Store, name: str | None, other: str) -> Chosen:
    """Return the latest finished run of a pipeline that can predict; those without models are passed over, and said."""
    able: dict[str, Pipeline[Any]] = {}
    unable: set[str] = set()
    lacking = ""
    for record in _finished(store, name, unable):
        if record.pipeline in unable:
            continue
        pipeline = able.get(record.pipeline) or _known(project, record)
        if pipeline is None or not can_predict(pipeline):
            unable.add(record.pipeline)
            continue
        able[record.pipeline] = pipeline
        if record.tags.get("replay") == "bisect" or _is_part(store, record):
            continue
        if layout.MODELS_DIR not in record.has():
            lacking = lacking or f"; {record.id} is newer, and has no models"
            continue
        return Chosen(
            record, pipeline, f"it is the latest finished run of {record.pipeline}; {other}{lacking}"
        )
    of = f"of {name} " if name else "of a pipeline that can predict "
    raise RunNotFound(
        f"no run {of}has finished and has models in {store.root.name}{lacking}; `corrida run` makes one, "
        "`corrida list` shows those that are there"
    )


def _finished(store: Store, name: str | None, unable: Collection[str]) -> Iterator[RunRecord]:
    """Yield finished runs, the newest first; of pipelines in ``unable``, which may grow, no more than a page."""
    seen: Counter[str] = Counter()
    while True:
        names = ", ".join("'" + one.replace("'", "''") + "'" for one in sorted(unable))
        page = store.runs(
            filter=f"not pipeline in ({names})" if names else None,
            status="finished",
            pipeline=name,
            limit=_PAGE,
            offset=sum(count for pipeline, count in seen.items() if pipeline not in unable),
        )
        if not page:
            return
        seen.update(record.pipeline for record in page)
        yield from page


def _is_part(store: Store, record: RunRecord) -> bool:
    """Tell whether a run is part of another of its pipeline, such as a model of a search."""
    return (
        record.parent is not None
        and "replay" not in record.tags
        and record.parent in store
        and store.get(record.parent).pipeline == record.pipeline
    )


def child_called(store: Store, parent: RunRecord, name: str) -> RunRecord | None:
    """Return the finished child of a run that bears a name, such as a model of a search; None when there is none.

    Raises:
        BadInput: there is one, and it did not finish or has no models.
    """
    family = store.runs(filter=f"parent = '{parent.id}'")
    children = [run for run in family if run.tags.get(CHILD_TAG) == name]
    if not children:
        return None
    return checked(next((run for run in children if run.status == "finished"), children[0]))


def pipeline_of(project: Project, record: RunRecord) -> Pipeline[Any]:
    """Return the pipeline of a run: what the project calls so, else what the run was made with.

    Raises:
        PipelineNotFound: nobody knows it.
    """
    try:
        return pipeline_settings(project, record.pipeline)[0]
    except PipelineNotFound:
        invocation = record.run_file().invocation
        uses = invocation.uses if invocation else None
        if not uses or uses == record.pipeline:
            raise PipelineNotFound(
                f"the run {record.id} is of {record.pipeline!r}, which is no pipeline that is known here; "
                "only runs of pipelines can predict"
            ) from None
        return load_pipeline(uses, project.root)


def _known(project: Project, record: RunRecord) -> Pipeline[Any] | None:
    try:
        return pipeline_of(project, record)
    except (PipelineNotFound, DamagedRun):
        return None


def _pipeline_called(project: Project, name: str) -> Pipeline[Any]:
    return pipeline_settings(project, name)[0]


def can_predict(pipeline: Pipeline[Any] | None) -> bool:
    """Tell whether a pipeline has ``load``."""
    return callable(getattr(pipeline, "load", None))


def checked(record: RunRecord, *, status_only: bool = False) -> RunRecord:
    """Return a run that can predict as far as its folder says.

    Raises:
        BadInput: it did not finish, or has no models.
    """
    if record.status != "finished":
        why = f" ({record.error.message})" if record.error and record.error.message else ""
        raise BadInput(
            f"the run {record.id} is {record.status}{why}; only a finished run predicts, `corrida list` shows which are"
        )
    if not status_only and layout.MODELS_DIR not in record.has():
        raise InvalidData(f"the run {record.id} has no models to predict with; name another run")
    return record


def check_models(record: RunRecord) -> None:
    """Compare the model files of a run with the digests of when it ended.

    Raises:
        DamagedRun: one was altered or is missing, or run.json itself was altered.
    """
    content = record.run_file()
    try:
        intact = seal_is_intact((record.dir / layout.RUN).read_bytes())
    except OSError as error:
        raise DamagedRun(f"the run {record.id} cannot be read: {error.strerror}") from None
    if not intact:
        raise _altered(record, layout.RUN)
    for name, stored in content.files.items():
        if not name.startswith(f"{layout.MODELS_DIR}/"):
            continue
        try:
            found = digest_entry(safe_join(record.dir, name))
        except FileNotFoundError:
            raise DamagedRun(
                f"{name} of the run {record.id} is missing; restore the run from a copy"
            ) from None
        except OSError as error:
            raise DamagedRun(f"{name} of the run {record.id} cannot be read: {error.strerror}") from None
        if found != (stored.size, stored.sha256):
            raise _altered(record, name)


def _altered(record: RunRecord, name: str) -> DamagedRun:
    return DamagedRun(
        f"{name} of the run {record.id} was altered since the run, and is not loaded; restore the run from a copy "
        f"(`corrida verify {record.id}` says more)"
    )
