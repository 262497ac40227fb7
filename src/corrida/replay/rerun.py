"""Execute a run again from its own folder, and say whether it gave the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corrida.errors import BadInput, InvalidConfig, InvalidData, PipelineFailed
from corrida.execute import Progress, no_progress
from corrida.replay.again import REPLAY_TAG, Labels, Replay
from corrida.replay.certificate import Certificate, Result, certify
from corrida.replay.drift import Drift, imported_first, refuse_drift, threads_drift
from corrida.replay.located import SNAPSHOT_KEYS
from corrida.runs import layout
from corrida.runs.files import digest_file, walk_files
from corrida.runs.items import read_items
from corrida.runs.predictions import prediction_files
from corrida.runs.run_log import pretty
from corrida.runs.snapshot.environment import describe_environment

if TYPE_CHECKING:
    from corrida.project import Project
    from corrida.runs.record import RunRecord
    from corrida.runs.writer import RunWriter

CERTIFICATE = "certificate.json"
_ITEM_IDS = "item_ids.txt"
_ID_ROOM = 100  # what an id may take, so that a suffix has room behind it


class Rerun(NamedTuple):
    """A rerun: the new run, and what it proves."""

    run: RunRecord
    certificate: Certificate


def prepare(
    project: Project, run: RunRecord, *, data: Sequence[str] = (), allow_drift: bool = False
) -> Replay:
    """Find all that ``run`` needs to be executed again; nothing is executed or written.

    Raises:
        BadInput: see :class:`Replay`; or the code is another, and that was not allowed.
        InvalidData: its data are gone.
    """
    replay = Replay(project, run, data=data)
    refuse_drift(run, replay.drift, allowed=allow_drift)
    return replay


def rerun(
    replay: Replay,
    *,
    tolerance: float = 0.0,
    ignored: Collection[str] = (),
    argv: Sequence[str] = (),
    progress: Progress = no_progress,
    quiet: bool = False,
) -> Rerun:
    """Execute a run again, and compare what it gives with what it gave.

    Configurations, ``--set`` values, seed and items are those of the run; its data are found by their digests. The
    certificate is kept in the new run as certificate.json, and its outcome as the tag ``certificate``.

    Args:
        replay: the run, prepared.
        tolerance: see :func:`corrida.replay.certificate.certify`.
        ignored: metrics and columns of items that do not count, such as a measured time.
        argv: the command line, recorded.
        progress: shows how far the work is.
        quiet: what the work prints goes to its log only.

    Raises:
        BadInput: the tolerance is negative or no number; a name that is ignored is not in the run.
        StoreError: the store cannot be written.
    """
    run = replay.run
    before = _result_of(run.dir, run.metrics, run.manifest().get("data", ()))
    _check(run, before, tolerance, ignored)
    made: list[Certificate] = []

    def at_end(writer: RunWriter) -> None:
        subject, metrics = _subject(writer, replay)
        drift = [*replay.drift]
        if replay.takes_items:  # what the libraries loaded meanwhile use
            now = threads_drift(replay.file.environment, describe_environment())
            drift = [entry for entry in drift if entry.kind != "threads"] + now
        after = _result_of(subject, metrics)
        found = certify(
            run.id, subject.name, before, after,
            tolerance=tolerance, ignored=ignored, suspects=_ranked(drift),
        )  # fmt: skip
        made.append(found)
        writer.save_bytes(CERTIFICATE, pretty(msgspec.to_builtins(found)))
        for entry in replay.drift:
            writer.warn(f"not as it was: {entry.text}")

    labels = Labels(
        parent=run.id,
        run_tag=f"{run.id[:_ID_ROOM]}-rerun",
        tags={REPLAY_TAG: "rerun"},
        description=f"{run.id} executed again",
        argv=argv,
    )
    failure = None
    try:
        done = replay.execute(
            replay.inputs, labels, item_ids=replay.item_ids, at_end=at_end, progress=progress, quiet=quiet
        )
        if done.status != "finished":
            failure = done.error.message if done.error else done.status
    except PipelineFailed as error:
        failure = str(error)
        if error.run_id is None:
            raise
        done = replay.project.store().get(error.run_id)
    except (InvalidConfig, InvalidData) as error:
        raise BadInput(f"{run.id} cannot be executed by the pipeline as it is now: {error}") from None
    if failure is not None:
        nothing = Result({}, None, {})
        made[:] = [certify(run.id, done.id, before, nothing, tolerance=tolerance, ignored=ignored,
                           suspects=_ranked(replay.drift), failure=failure)]  # fmt: skip
    store = replay.project.store()
    return Rerun(store.tag(done.id, {"certificate": made[0].outcome}), made[0])


def _check(run: RunRecord, before: Result, tolerance: float, ignored: Collection[str]) -> None:
    if not 0 <= tolerance < float("inf"):
        raise BadInput(f"the tolerance is {tolerance}; it must be a number from 0 on")
    known = {*before.metrics, *(before.items.columns if before.items is not None else ())}
    if strange := sorted({*ignored} - known):
        raise BadInput(
            f"{run.id} has no metric and no column of items {strange[0]!r}; there are {', '.join(sorted(known))}"
        )


def _ranked(drift: Sequence[Drift]) -> list[Drift]:
    """Order suspects: code, then what is loaded of packages, then the rest."""
    rank = {"code": 0, "data": 1, "seed": 1, "threads": 2, "package": 3, "python": 4, "commit": 5}
    return imported_first(sorted(drift, key=lambda entry: rank.get(entry.kind, 6)))


def _result_of(folder: Path, metrics: Any, data: Sequence[Mapping[str, Any]] = ()) -> Result:
    """Return what a run gave; its own parts of the layout are compared by their meaning and not as files."""
    own = layout.OWN_FILES | {CERTIFICATE, _ITEM_IDS}
    own |= {str(entry.get(key)) for entry in data for key in SNAPSHOT_KEYS}
    own |= prediction_files(folder)  # they came after the end, when somebody asked
    files = {
        name: digest_file(entry.path).sha256
        for name, entry in walk_files(folder)
        if name not in own
        and name.split("/")[0] not in layout.OWN_FOLDERS
        and not name.startswith(".")
        and entry.is_file()
    }
    there = (folder / layout.ITEMS).exists() or (folder / layout.ITEM_PARTS).exists()
    return Result(dict(metrics), read_items(folder) if there else None, files)


def _subject(writer: RunWriter, replay: Replay) -> tuple[Path, dict[str, float]]:
    """Return the folder and the metrics to look at: those of the child that a script made, when it made its own run."""
    metrics = dict(writer.metrics)
    if replay.takes_items or metrics or (writer.dir / layout.ITEM_PARTS).exists():
        return writer.dir, metrics
    child = replay.outcome(writer.id)
    return (writer.dir, metrics) if child is None else (child.dir, dict(child.metrics))
