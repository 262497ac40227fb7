"""Carrying a plan out: the backup, then run after run, then, if it was asked for, the removal of the old files."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.adopt.backup import backup_folder, write_backup
from corrida.adopt.plan import DIGEST_TAG, mark_known
from corrida.adopt.tree import Progress, plain_progress
from corrida.errors import AlreadyExists, BadInput, DamagedRun, Refused, StoreError
from corrida.runs.adoption import (
    AdoptedFile,
    Adoption,
    adopt_run,
    is_free,
    one_adoption_at_a_time,
    sweep_drafts,
)
from corrida.runs.claim import ensure_store
from corrida.runs.files import digest_bytes, explained
from corrida.runs.plain import text
from corrida.runs.run_file import read_run_file
from corrida.runs.verify import verify_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from corrida.adopt.plan import Plan, PlannedRun
    from corrida.runs.store import Store


@dataclass(kw_only=True)
class Adopted:
    """What was done.

    Attributes:
        backup: the backup that was written; None when there was nothing to do.
        ids: the ids of the runs that were made, in the order of the plan.
        removed: old files that were removed.
        stayed: old files that were to be removed and changed in the meantime.
    """

    backup: Path | None = None
    ids: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stayed: list[str] = field(default_factory=list)


def carry_out(
    plan: Plan,
    store: Store,
    *,
    clean: bool = False,
    backup_to: Path | None = None,
    progress: Progress[Any] = plain_progress,
) -> Adopted:
    """Write the backup, and make the runs of a plan that the store does not have yet.

    Args:
        plan: from :func:`corrida.adopt.plan.plan_adoption`.
        store: where the runs go.
        clean: afterwards remove the old files that are in a run, and empty folders.
        backup_to: a folder for the backup; beside the old one when None.
        progress: shows how far it is.

    Raises:
        AlreadyExists: every run is in the store already, or the id that was asked for is taken.
        BadInput: no run could be read, or the folder for the backup cannot be used.
        Refused: a file changed in the meantime.
        StoreError: disk full or no rights. Runs that were made before stay, and the next adoption makes the others.
    """
    if not plan.runs:
        broken = "; ".join(f"{text(b.name)}: {b.reason}" for b in plan.found.broken)
        raise BadInput(f"no run of {text(plan.tree.root.name)} can be read: {broken}")
    with explained("opening the store"):
        sweep_drafts(store.root)
    if not plan.new and not clean:
        raise AlreadyExists(_all_there(plan))
    for run in plan.new:
        if run.exact and not is_free(store.root, run.run_id):
            raise AlreadyExists(f"the run {run.run_id} is there already; choose another id with --run-id")
    place = backup_folder(plan.tree, backup_to)
    done = Adopted(backup=write_backup(plan.tree, place, progress))
    with explained("opening the store"):
        ensure_store(store.root)
        with one_adoption_at_a_time(store.root):
            mark_known(plan.runs, store)  # another process may have adopted the folder in the meantime
            if not plan.new and not clean:
                raise AlreadyExists(_all_there(plan))
            _adopt_all(plan, store.root, done, progress)
    if clean:
        _clean(plan, store.root, done)
    return done


def _adopt_all(plan: Plan, root: Path, done: Adopted, progress: Progress[Any]) -> None:
    new = plan.new
    total = sum(len(run.old.files) for run in new)
    bar = iter(progress(range(total), total, "adopting"))
    try:
        for run in new:
            run.run_id = _adopt(plan, run, root, lambda: next(bar, None))
            done.ids.append(run.run_id)
    except (StoreError, Refused) as error:
        name = text(done.backup.name) if done.backup else ""
        raise type(error)(
            f"{error}. {len(done.ids)} of {len(new)} runs were adopted before; the backup is {name}. Adopt the folder "
            "again to get the others"
        ) from error
    finally:
        deque(bar, maxlen=0)  # takes the bar off the terminal


def _all_there(plan: Plan) -> str:
    trash = [run.run_id for run in plan.runs if run.in_trash]
    if trash:
        return (
            f"every run of {text(plan.tree.root.name)} was adopted before, and lies in the trash: "
            f"`corrida trash --restore {trash[0]}` brings one back"
        )
    ids = [run.run_id for run in plan.runs]
    shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    if broken := plan.found.broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return (
            f"every run of {text(plan.tree.root.name)} that can be read was adopted before: {shown}; mend the others "
            f"first: {text(broken[0].name)} ({broken[0].reason}){more}"
        )
    return f"every run of {text(plan.tree.root.name)} was adopted before: {shown}; nothing is left to do"


def _adopt(plan: Plan, run: PlannedRun, store: Path, copied: Callable[[], object]) -> str:
    old, tree = run.old, plan.tree
    configs = []
    for name, origin in sorted(old.configs.items()):
        data = tree.read(name)
        if digest_bytes(data).sha256 != tree.digests[name]:
            raise Refused(f"{text(name)} changed while it was being adopted; adopt the folder again")
        configs.append((origin, data))
    tags = {
        "adopted_from": f"{text(tree.root.name)} ({plan.found.layout} layout)",
        "adopted_created_from": text(old.when.told_by),
        DIGEST_TAG: run.digest,
    }
    if old.old_id is not None and old.old_id != run.run_id:
        tags["adopted_id"] = text(old.old_id)
    files = [AdoptedFile(place, tree.root / name, tree.digests[name]) for name, place in old.files.items()]
    return adopt_run(
        store,
        Adoption(
            run_id=run.run_id,
            exact=run.exact,
            pipeline=plan.pipeline,
            created=old.when.created,
            finished=old.when.finished,
            duration=old.when.duration,
            source=old.source,
            description=old.description,
            notes=old.notes,
            tags=tags,
            seed=old.seed,
            params=old.params,
            summary=old.summary,
            metrics=old.metrics,
            item_ids=old.item_ids,
            item_count=old.item_count,
            dataset=old.dataset,
            resolved=old.resolved,
            configs=configs,
            files=files,
            git=old.git,
            primary_metric=old.primary_metric,
            columns=old.columns,
            warnings=old.warnings,
        ),
        copied=lambda: (copied(), None)[1],
    )


def _clean(plan: Plan, store: Path, done: Adopted) -> None:
    """Remove the old files that are in a run whose folder is as it should be."""
    tree = plan.tree
    names: list[str] = []
    for run in plan.runs:
        if run.in_trash:
            raise Refused(
                f"the run {run.run_id} lies in the trash, so its old files stay; `corrida trash --restore {run.run_id}` first"
            )
        kept = {file.sha256 for file in read_run_file(store / run.run_id).files.values()}
        lacking = [name for name in run.old.all_files if tree.digests[name] not in kept]
        if lacking or not verify_run(store / run.run_id).intact:
            raise DamagedRun(
                f"the run {run.run_id} is not what was adopted, so the old files stay; `corrida verify {run.run_id}` says more"
            )
        names += run.old.all_files
    if not plan.found.broken:
        names += plan.found.shared
    with explained(
        f"removing old files from {text(tree.root.name)}",
        "the runs are adopted, so get the rights and delete the rest yourself",
    ):
        for name in names:
            path = tree.root / name
            found = path.lstat()
            if (found.st_size, found.st_mtime_ns) != tree.files[name]:
                done.stayed.append(name)
                continue
            path.unlink()
            done.removed.append(name)
        for folder in sorted(tree.folders, key=len, reverse=True):
            with contextlib.suppress(OSError):  # something is still in it
                (tree.root / folder).rmdir()
