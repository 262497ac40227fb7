"""Carrying an import out: run after run, each whole or not at all, so that a kill in between loses nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from corrida.adopt.tree import Progress, plain_progress
from corrida.bridges.mlflow.foreign import ForeignRun, Unreachable, files_below
from corrida.bridges.mlflow.import_plan import imported_before
from corrida.bridges.mlflow.mapping import (
    ARTIFACTS,
    DATASETS,
    DESCRIPTION_TAG,
    IMPORT_DIGEST_TAG,
    LOGGED_MODELS,
    PARENT_TAG,
    RUN_ID_TAG,
    USER_TAG,
    Point,
    git_from_tags,
    latest,
    param_value,
    status_from_mlflow,
)
from corrida.bridges.mlflow.returning import returned
from corrida.errors import CorridaError, InvalidName, StoreError
from corrida.runs.adoption import AdoptedFile, Adoption, adopt_run, one_adoption_at_a_time, sweep_drafts
from corrida.runs.claim import ensure_store
from corrida.runs.files import explained
from corrida.runs.plain import text
from corrida.runs.run_file import Failure, MlflowFacts
from corrida.runs.store import check_tags

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.bridges.mlflow.import_plan import ImportPlan, PlannedImport
    from corrida.runs.store import Store


@dataclass(kw_only=True)
class Imported:
    """What was done.

    Attributes:
        ids: the runs that were made, in their order.
        returned: those of them that corrida had exported, which came back byte for byte.
        tagged: runs that were imported before and got tags that were set there since.
        failed: the runs that could not be imported; each says why.
    """

    ids: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    tagged: list[str] = field(default_factory=list)
    failed: list[PlannedImport] = field(default_factory=list)


def carry_out_import(
    plan: ImportPlan,
    store: Store,
    *,
    without_artifacts: bool = False,
    progress: Progress[Any] = plain_progress,
) -> Imported:
    """Make the runs of a plan that the store does not have yet.

    Args:
        plan: from :func:`corrida.bridges.mlflow.import_plan.plan_import`.
        store: where the runs go.
        without_artifacts: import a run also where its artifacts cannot be reached.
        progress: shows how far it is.

    Raises:
        StoreError: disk full or no rights. Runs that were made before stay, and the next import makes the others.
        TrackingError: the server went away; likewise.
    """
    done = Imported()
    with explained("opening the store"):
        sweep_drafts(store.root)
        ensure_store(store.root)
        with one_adoption_at_a_time(store.root):
            known = imported_before(store)  # another process may have imported some in the meantime
            places: dict[str, str] = {}
            new = plan.new
            for run in progress(new, len(new), "importing"):
                if (before := known.get(run.head.run_id)) is not None:
                    run.state, run.run_id = "there", before.file.id
                else:
                    _import_one(run, plan, store, done, places, without_artifacts=without_artifacts)
                places[run.head.run_id] = run.run_id
    for run in plan.runs:
        if run.new_tags and run.state in {"there", "changed"}:
            _tag(store, run, done)
    store.refresh()
    return done


def _import_one(
    run: PlannedImport,
    plan: ImportPlan,
    store: Store,
    done: Imported,
    places: Mapping[str, str],
    *,
    without_artifacts: bool,
) -> None:
    try:
        foreign = plan.source.load(run.head)
        run.parent = places.get(run.head.parent or "", run.parent)
        with contextlib.ExitStack() as stack:
            folder = _folder(
                stack, plan, (run.head.run_id, run.head.artifact_uri), foreign, without=without_artifacts
            )
            if folder is not None and (own := returned(store, foreign, folder)) is not None:
                run.run_id = own
                done.returned.append(own)
            else:
                models = {
                    model.model_id: _folder(
                        stack,
                        plan,
                        (model.model_id, model.artifact_uri),
                        foreign,
                        without=without_artifacts,
                    )
                    for model in foreign.models
                }
                run.run_id = adopt_run(store.root, adoption_of(foreign, run, folder, models))
            done.ids.append(run.run_id)
    except StoreError:
        raise
    except (Unreachable, InvalidName) as error:
        run.problem = str(error)
        run.run_id = ""
        done.failed.append(run)
    except CorridaError as error:
        raise type(error)(
            f"{error}. {len(done.ids)} of {len(plan.new)} runs were imported before; import again to get the others"
        ) from error


def _folder(
    stack: contextlib.ExitStack,
    plan: ImportPlan,
    place: tuple[str, str],
    foreign: ForeignRun,
    *,
    without: bool,
) -> Path | None:
    try:
        return stack.enter_context(plan.source.folder(*place))
    except Unreachable as error:
        if not without:
            raise
        foreign.remarks.append(f"its artifacts stayed there: {error}")
        return None


def adoption_of(
    foreign: ForeignRun, run: PlannedImport, folder: Path | None, models: Mapping[str, Path | None]
) -> Adoption:
    """Return a run of another MLflow as the store takes it.

    Args:
        foreign: what it is there.
        run: the id that it gets, and the run above it.
        folder: its artifacts, where it has any.
        models: the files of each of its logged models.
    """
    head = foreign.head
    warnings = [text(remark) for remark in foreign.remarks]
    status, error = _ending(head.status)
    started = head.started if head.started is not None else foreign.last_sign() or None
    if started is None:
        started = int(time.time() * 1000)
        warnings.append("MLflow does not know when it was started; the time of the import stands for it")
    ended = head.ended if head.ended is not None else max(started, foreign.last_sign())
    tags = {text(name): text(value) for name, value in foreign.tags.items() if name != DESCRIPTION_TAG}
    if run.parent is not None:
        tags.pop(PARENT_TAG, None)
    finals = {text(name): latest(points) for name, points in foreign.metrics.items() if points}
    files = list(_files(folder, ARTIFACTS, warnings))
    written: dict[str, bytes] = {}
    for model in foreign.models:
        base = f"{LOGGED_MODELS}/{model.model_id}"
        files += _files(models.get(model.model_id), f"{base}/artifacts", warnings)
        facts = json.dumps(model.facts, ensure_ascii=False, indent=2, default=str)
        written[f"{base}/logged_model.json"] = facts.encode("utf-8", "backslashreplace") + b"\n"
    return Adoption(
        run_id=run.run_id,
        pipeline=text(head.experiment.name),
        created=_time(started),
        finished=_time(max(started, ended)),
        duration=(head.ended - started) / 1000 if head.ended is not None and head.ended >= started else None,
        description=text(foreign.tags[DESCRIPTION_TAG]) if foreign.tags.get(DESCRIPTION_TAG) else None,
        tags={**tags, RUN_ID_TAG: head.run_id, IMPORT_DIGEST_TAG: foreign.digest()},
        parent=run.parent,
        status="finished" if status == "finished" else "failed",
        error=error,
        params={text(name): param_value(text(value)) for name, value in foreign.params.items()},
        metrics={name: point.value for name, point in finals.items()},
        history=_calls(foreign.metrics),
        dataset={DATASETS: foreign.datasets} if foreign.datasets else {},
        files=files,
        written=written,
        git=git_from_tags(foreign.tags),
        mlflow=MlflowFacts(
            status=head.status,
            start_time=head.started,
            end_time=head.ended,
            user=text(foreign.tags.get(USER_TAG, "")),
            latest={name: (point.step, point.timestamp) for name, point in finals.items()},
            model_outputs=tuple((m.model_id, int(m.facts.get("step") or 0)) for m in foreign.models),
        ),
        trashed=head.deleted,
        warnings=warnings,
    )


def _ending(status: str) -> tuple[str, Failure | None]:
    told, error = status_from_mlflow(status)
    if told == "running":
        return "failed", Failure(
            type="Unfinished",
            message=f"MLflow had it as {status} when it was imported: it never said that it had ended",
        )
    return told, error


def _time(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)


def _files(folder: Path | None, place: str, warnings: list[str]) -> Iterator[AdoptedFile]:
    if folder is None:
        return
    for name, path in files_below(folder):
        allowed = text(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
        allowed = allowed.replace("\\", "%5C")
        if allowed != name:
            warnings.append(f"the artifact {text(name)} is called {allowed} here")
        yield AdoptedFile(f"{place}/{allowed}", path)


def _calls(metrics: Mapping[str, Sequence[Point]]) -> Iterator[tuple[int, float, Mapping[str, float]]]:
    """Yield the points of all metrics by time, those of one step and time as one call."""
    calls: dict[tuple[int, int, int], dict[str, float]] = {}
    for name, points in metrics.items():
        seen: dict[tuple[int, int], int] = {}
        for step, stamp, value in points:
            again = seen.get((stamp, step), 0)  # MLflow keeps a point twice that was logged twice
            seen[stamp, step] = again + 1
            calls.setdefault((stamp, step, again), {})[text(name)] = value
    for stamp, step, again in sorted(calls):
        yield step, stamp / 1000, calls[stamp, step, again]


def _tag(store: Store, run: PlannedImport, done: Imported) -> None:
    """Set the tags that were set there since the import, unless the run has them, or somebody set them here since."""
    record = store.get(run.run_id)
    sealed = record.run_file().tags
    wanted: dict[str, str | None] = {}
    for name, value in run.new_tags.items():
        untouched = record.tags.get(name) == sealed.get(name)
        with contextlib.suppress(InvalidName):
            check_tags({name: value})
            if untouched and record.tags.get(name) != value:
                wanted[name] = value
    if wanted:
        store.tag(run.run_id, wanted)
        done.tagged.append(run.run_id)
