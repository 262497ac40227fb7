"""What adopting a folder would make of it: which runs, under which ids, and which of them are in the store already."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from corrida.adopt import forecasting, generic, storage, tracking
from corrida.adopt.tree import FILE_LIMIT, Progress, Tree, digest_tree, plain_progress, scan
from corrida.errors import BadInput, CorridaError, InvalidName
from corrida.runs import layout as store_layout
from corrida.runs.adoption import is_free
from corrida.runs.ids import MAX_LENGTH, generated_id, validate_run_id
from corrida.runs.plain import text
from corrida.runs.run_file import read_run_file

if TYPE_CHECKING:
    from corrida.adopt.old_run import Found, OldRun
    from corrida.runs.store import Store

LAYOUTS: Mapping[str, ModuleType] = {m.NAME: m for m in (forecasting, tracking, storage, generic)}
DIGEST_TAG = "adopted_digest"


@dataclass(kw_only=True)
class PlannedRun:
    """A run that an old folder holds.

    Attributes:
        old: what the layout says of it.
        run_id: the id that it gets, or has in the store.
        digest: of its id and all its files; tells whether it was adopted before.
        there: whether the store, or its trash, has it already.
        in_trash: whether that is in the trash.
        exact: whether the id was asked for, so that no other will do.
    """

    old: OldRun
    run_id: str
    digest: str
    there: bool = False
    in_trash: bool = False
    exact: bool = False


@dataclass(kw_only=True)
class Plan:
    """What adopting a folder would do.

    Attributes:
        tree: the folder.
        found: what the layout found in it.
        pipeline: under which the runs will be listed.
        runs: the runs, in the order of their time.
        backup_only: files that are part of no run; they are in the backup.
        remarks: what a person should know besides.
    """

    tree: Tree
    found: Found
    pipeline: str
    runs: list[PlannedRun]
    backup_only: list[str]
    remarks: list[str]

    @property
    def new(self) -> list[PlannedRun]:
        """The runs that the store does not have yet."""
        return [run for run in self.runs if not run.there]


def plan_adoption(
    folder: Path,
    store: Store,
    *,
    layout: str | None = None,
    pipeline: str | None = None,
    run_id: str | None = None,
    limit: int | None = FILE_LIMIT,
    progress: Progress[Any] = plain_progress,
) -> Plan:
    """Read an old folder and say what would become of it; nothing is written.

    Args:
        folder: the old folder.
        store: where the runs shall go.
        layout: ``forecasting``, ``tracking``, ``storage`` or ``generic``; recognised when None.
        pipeline: under which the runs are listed; that of the layout when None.
        run_id: the id, where the folder is one run.
        limit: most files; None for any number.
        progress: shows how far the reading is.

    Raises:
        BadInput: the folder cannot be adopted, or is of no known layout, or ``run_id`` does not fit.
        NotFound: there is no such folder.
        InvalidData: a file cannot be read.
        Refused: the folder holds more files than ``limit``.
    """
    if pipeline is not None and not pipeline.strip():
        raise BadInput("the pipeline has an empty name; give --pipeline a name, or leave it out")
    if run_id is not None:
        validate_run_id(run_id)
    tree = scan(folder, store.root, limit=limit)
    chosen = _choose(tree, layout)
    found: Found = chosen.read(tree, datetime.now(UTC))
    if run_id is not None and len(found.runs) + len(found.broken) != 1:
        count = len(found.runs) + len(found.broken)
        raise BadInput(
            f"{tree.root.name} holds {count} runs, which keep their ids; --run-id is for a folder that is one run"
        )
    digest_tree(tree, tree.files, progress)
    remarks = [*found.remarks]
    remarks += [
        f"{text(link)} is a link and was not followed; the backup keeps the link" for link in tree.links
    ]
    remarks += [
        f"{text(other)} is no file but a pipe, socket or device; it was left out" for other in tree.others
    ]
    taken: set[str] = set()
    by_time = sorted(found.runs, key=lambda r: (r.when.created, r.old_id or ""))
    runs = [PlannedRun(old=old, run_id="", digest=_digest(tree, old)) for old in by_time]
    mark_known(runs, store)
    for run in runs:
        if not run.there:
            _give_id(store.root, run, run_id, taken)
        taken.add(run.run_id)
    used = {name for run in found.runs for name in run.all_files}
    return Plan(
        tree=tree,
        found=found,
        pipeline=pipeline or found.pipeline,
        runs=runs,
        backup_only=[name for name in tree.files if name not in used],
        remarks=remarks,
    )


def _choose(tree: Tree, layout: str | None) -> ModuleType:
    known = [m for m in LAYOUTS.values() if m is not generic]
    if layout is not None:
        chosen = LAYOUTS[layout]
        if chosen is not generic and not chosen.recognise(tree):
            raise BadInput(
                f"{tree.root.name} is not of the {layout} layout, which is {chosen.SHAPE}; nothing was changed"
            )
        return chosen
    fitting = [m for m in known if m.recognise(tree)]
    if len(fitting) > 1:
        names = " and ".join(m.NAME for m in fitting)
        raise BadInput(f"{tree.root.name} fits the layouts {names}; say with --as which one it is")
    if not fitting:
        shapes = "; ".join(f"{m.NAME} ({m.SHAPE})" for m in known)
        raise BadInput(
            f"{tree.root.name} is of no known layout. Known are: {shapes}. --as generic makes one run of any folder, "
            "with every file as an artifact"
        )
    return fitting[0]


def mark_known(runs: Iterable[PlannedRun], store: Store) -> None:
    """Mark the runs that the store, or its trash, has already, with the ids that they have there."""
    known = _adopted_before(store)
    for run in runs:
        if not run.there and run.digest in known:
            run.there = True
            run.run_id, run.in_trash = known[run.digest]


def _give_id(root: Path, run: PlannedRun, asked_for: str | None, taken: Iterable[str]) -> None:
    old = run.old
    if asked_for is not None:
        run.run_id, run.exact = asked_for, True
        return
    wanted = allowed_id(old.old_id) if old.old_id is not None else generated_id(old.when.created, None)
    name, number = wanted, 1
    while name in taken or not is_free(root, name):
        number += 1
        name = f"{wanted[: MAX_LENGTH - 8]}-{number}"
    if old.old_id is not None and wanted != old.old_id:
        old.warnings.append(f"its id {text(old.old_id)} is not allowed here; it became {wanted}")
    if name != wanted:
        old.warnings.append(f"the store has another run {wanted}; this one became {name}")
    run.run_id = name


def allowed_id(old_id: str) -> str:
    """Return an id that corrida allows, for one that another program gave.

    An allowed id stays. Else accents are folded, other characters become ``_``, and what stands before the first letter
    or digit goes. A reserved name gets ``run_`` before it; an id of more than 128 characters is cut, and gets 8 digits of
    its SHA-256; of one that has no letter or digit of ASCII only these are left, after ``run_``.
    """
    with contextlib.suppress(InvalidName):
        return validate_run_id(old_id)
    short = hashlib.sha256(os.fsencode(old_id)).hexdigest()[:8]
    folded = "".join(c for c in unicodedata.normalize("NFKD", old_id) if not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", folded)
    name = re.sub(r"^[^A-Za-z0-9]+", "", name).rstrip("_")
    if not name:
        return f"run_{short}"
    if len(name) > MAX_LENGTH - 8:
        name = f"{name[: MAX_LENGTH - 20]}_{short}"
    with contextlib.suppress(InvalidName):
        return validate_run_id(name)
    return f"run_{name}"


def _digest(tree: Tree, old: OldRun) -> str:
    """Return the digest of an old run: of its id, and of the names and digests of its files below its folder."""
    start = f"{old.base}/" if old.base else ""
    lines = sorted(f"{tree.digests[name]} {text(name[len(start) :])}" for name in old.all_files)
    content = "\n".join([text(old.old_id or ""), *lines])
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def _adopted_before(store: Store) -> dict[str, tuple[str, bool]]:
    """Return the digests of adopted runs, each with the id that it has in the store and whether it lies in the trash."""
    found: dict[str, tuple[str, bool]] = {}
    for run_id in store.trashed():
        with contextlib.suppress(CorridaError):
            tags = read_run_file(store.root / store_layout.PRIVATE / store_layout.TRASH / run_id).tags
            if DIGEST_TAG in tags:
                found[tags[DIGEST_TAG]] = (run_id, True)
    for run in store.runs(filter=f"tags.{DIGEST_TAG} is not null", status="finished"):
        found[run.tags[DIGEST_TAG]] = (run.id, False)
    return found


def where_files_went(plan: Plan) -> list[tuple[str, str, int]]:
    """Return what became of the files, by kind: the old place, the new place, and how many files.

    The id of a run is written ``RUN``; files of one folder are counted together.
    """
    counted: Counter[tuple[str, str]] = Counter()
    for run in plan.runs:
        old_id = run.old.old_id
        pairs = [*run.old.files.items(), *((n, f"config/… of {o}") for n, o in run.old.configs.items())]
        for name, place in pairs:
            target = place
            if place.startswith("config/… of "):
                origin = place.removeprefix("config/… of ")
                target = "config/" + origin.removeprefix("config/")
            counted[_kind(name, old_id), _kind(target, old_id)] += 1
    for name in plan.backup_only:
        counted[_kind(name, None), "the backup only"] += 1
    return sorted((old, new, count) for (old, new), count in counted.items())


def _kind(name: str, old_id: str | None) -> str:
    shown = text(name).replace(old_id, "RUN") if old_id else text(name)
    parts = shown.split("/")
    if len(parts) == 1 or (len(parts) == 2 and parts[0] in {"RUN", "adopted"}):
        return shown
    keep = next(
        (i for i, part in enumerate(parts[:-1]) if part not in {"RUN", "runs", "metrics", "adopted"}), None
    )
    return shown if keep is None else "/".join(parts[: keep + 1]) + "/"
