"""What importing another MLflow would make of it: which runs, under which ids, and which of them are in the store already."""

from __future__ import annotations

import contextlib
import difflib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from corrida.adopt.plan import allowed_id
from corrida.adopt.tree import Progress, plain_progress
from corrida.bridges.mlflow.mapping import (
    IMPORT_DIGEST_TAG,
    PARENT_TAG,
    RUN_ID_TAG,
)
from corrida.errors import BadInput, CorridaError, NotFound
from corrida.runs import layout
from corrida.runs.adoption import is_free
from corrida.runs.annotations import values_had
from corrida.runs.files import digest_file
from corrida.runs.ids import MAX_LENGTH, child_id, generated_id, is_run_id
from corrida.runs.moves import trash_folder
from corrida.runs.plain import text
from corrida.runs.run_file import RunFile, read_run_file

if TYPE_CHECKING:
    from corrida.bridges.mlflow.foreign import ForeignExperiment, Head, Source
    from corrida.runs.store import Store

State = Literal["new", "there", "in the trash", "changed", "running"]
_ALIVE_MS = 24 * 3600 * 1000
"""A run without an end that gave a sign of life within a day is taken to be running still."""


class Known(NamedTuple):
    """A run of the store that was imported before: its record, and whether it lies in the trash."""

    file: RunFile
    in_trash: bool


@dataclass(kw_only=True)
class PlannedImport:
    """A run of another MLflow.

    Attributes:
        head: what it is there.
        run_id: the id that it gets, or has in the store.
        parent: the id of the run above it in the store.
        state: whether it will be made, and if not, why.
        new_tags: tags that were set there since the import.
        problem: why it could not be imported.
    """

    head: Head
    run_id: str = ""
    parent: str | None = None
    state: State = "new"
    new_tags: dict[str, str | None] = field(default_factory=dict)
    problem: str = ""


@dataclass(kw_only=True)
class ImportPlan:
    """What importing would do; ``remarks`` is what a person should know besides."""

    source: Source
    runs: list[PlannedImport]
    remarks: list[str]

    @property
    def new(self) -> list[PlannedImport]:
        """The runs that the store does not have yet."""
        return [run for run in self.runs if run.state == "new"]


def open_source(place: str, artifacts: Path | None = None) -> contextlib.AbstractContextManager[Source]:
    """Open a folder, a SQLite file or a server to import from.

    Args:
        place: a path, or an address.
        artifacts: a folder in which artifacts are looked for that are not where they were.

    Raises:
        BadInput, NotFound, InvalidData: nothing there can be read.
        MissingExtra: a server, or another database, and MLflow is not installed.
        TrackingError: the server does not answer.
    """
    from urllib.parse import unquote, urlparse

    if not place.strip() or "\0" in place:
        raise BadInput("the address of MLflow is empty; give a folder, a SQLite file or an address")
    scheme = urlparse(place).scheme.lower()
    if scheme in {"file", "sqlite"}:
        path = Path(unquote(urlparse(place).path))
        if scheme == "sqlite":
            path = Path(place.partition("?")[0].removeprefix("sqlite:///"))
        return _open_path(path, artifacts)
    if scheme == "corrida":
        raise BadInput(
            f"{text(place)} is a store of corrida already; work in it with --store, or copy its run folders to another store"
        )
    if len(scheme) > 1 or place == "databricks":
        from corrida.bridges.mlflow.read_client import ClientSource

        return contextlib.nullcontext(ClientSource(place))
    return _open_path(Path(place), artifacts)


def _open_path(path: Path, artifacts: Path | None) -> contextlib.AbstractContextManager[Source]:
    from corrida.bridges.mlflow.read_folder import FolderSource, is_mlruns
    from corrida.bridges.mlflow.read_sqlite import SqliteSource, is_sqlite

    if artifacts is not None and not artifacts.is_dir():
        raise NotFound(f"there is no folder {text(str(artifacts))!r} to look for artifacts in")
    try:
        if path.is_dir():
            inner = path / "mlruns"
            database = path / "mlflow.db"
            if is_mlruns(path):
                return contextlib.nullcontext(FolderSource(path.resolve(), artifacts))
            if database.is_file():
                return SqliteSource(database, artifacts)
            if is_mlruns(inner):
                return contextlib.nullcontext(FolderSource(inner.resolve(), artifacts))
            raise BadInput(
                f"{text(path.name)} is no folder of MLflow: it has neither experiments (folders with a meta.yaml) nor a "
                "mlflow.db"
            )
        if path.is_file():
            if is_sqlite(path):
                return SqliteSource(path, artifacts)
            raise BadInput(
                f"{text(path.name)} is no SQLite database; give an mlruns folder, a database or a server"
            )
    except PermissionError as error:
        raise BadInput(f"{text(path.name)} cannot be read: {error.strerror}") from None
    raise NotFound(
        f"there is no {text(str(path))!r}; give an mlruns folder, a SQLite file or the address of a server"
    )


def plan_import(
    source: Source,
    store: Store,
    *,
    experiments: Sequence[str] = (),
    unfinished: bool = False,
    progress: Progress[Any] = plain_progress,
) -> ImportPlan:
    """Say what would become of the runs of another MLflow; nothing is written.

    Args:
        source: to read from.
        store: where the runs shall go.
        experiments: only these, by name or id; all when empty.
        unfinished: also take runs that still seem to run.
        progress: shows how far the reading is.

    Raises:
        NotFound: no experiment has the name.
        TrackingError: the server does not answer.
    """
    there = source.experiments()
    chosen = _choose(there, experiments)
    heads = [
        head for experiment in progress(chosen, len(chosen), "looking") for head in source.heads(experiment)
    ]
    plan = ImportPlan(
        source=source, runs=[PlannedImport(head=head) for head in heads], remarks=source.remarks
    )
    for experiment in chosen:
        if said := [name for name in experiment.tags if not name.startswith("mlflow.")]:
            plan.remarks.append(
                f"tags of the experiment {text(experiment.name)} stayed there: {text(', '.join(sorted(said)[:5]))}"
            )
    known = imported_before(store)
    for run in progress(plan.runs, len(plan.runs), "comparing"):
        if not _is_own(run, source, store):
            _settle(run, source, known, unfinished=unfinished)
    _give_ids(plan, store, known)
    return plan


def _choose(there: Sequence[ForeignExperiment], wanted: Sequence[str]) -> list[ForeignExperiment]:
    if not wanted:
        return list(there)
    found = []
    for name in wanted:
        fitting = [e for e in there if e.name == name] or [e for e in there if e.id == name]
        if not fitting:
            names = [e.name for e in there]
            near = difflib.get_close_matches(name, names, n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"there are {', '.join(map(repr, names[:8])) or 'none'}"
            )
            raise NotFound(f"there is no experiment {name!r}; {hint}")
        found += [e for e in fitting if e not in found]
    return found


def imported_before(store: Store) -> dict[str, Known]:
    """Return the runs of the store that came from an MLflow, by their id there, those in the trash too."""
    found: dict[str, Known] = {}
    for run_id in store.trashed():
        with contextlib.suppress(CorridaError):
            file = read_run_file(store.root / layout.PRIVATE / layout.TRASH / run_id)
            if RUN_ID_TAG in file.tags:
                found[file.tags[RUN_ID_TAG]] = Known(file, in_trash=True)
    for run in store.runs(filter=f"tags.{RUN_ID_TAG} is not null"):
        with contextlib.suppress(CorridaError):
            file = read_run_file(run.dir)
            if RUN_ID_TAG in file.tags:
                found[file.tags[RUN_ID_TAG]] = Known(file, in_trash=False)
    return found


def _is_own(run: PlannedImport, source: Source, store: Store) -> bool:
    """Tell whether the store has the very run that was exported; then only its tags may be new."""
    if run.head.exported is None:
        return False
    run_id, digest = run.head.exported
    if not is_run_id(run_id):
        return False
    for folder, state in (
        (store.root / run_id, "there"),
        (trash_folder(store.root) / run_id, "in the trash"),
    ):
        path = folder / layout.RUN
        if path.is_file() and digest_file(path).sha256 == digest:
            run.run_id, run.state = run_id, state  # type: ignore[assignment]
            if state == "there":
                run.new_tags = news(source.load(run.head, histories=False).tags, folder)
            return True
    return False


def news(tags: Mapping[str, str], run_dir: Path) -> dict[str, str | None]:
    """Return those tags of a run in MLflow whose value it never had in the store."""
    had = values_had(run_dir)
    return {
        name: value
        for name, value in tags.items()
        if not name.startswith(("corrida.", "mlflow.")) and value not in had.get(name, set())
    }


def _settle(run: PlannedImport, source: Source, known: dict[str, Known], *, unfinished: bool) -> None:
    head = run.head
    before = known.get(head.run_id)
    if before is not None:
        run.run_id, run.parent = before.file.id, before.file.parent
        run.state = "in the trash" if before.in_trash else "there"
        if not before.in_trash:
            now = source.load(head, histories=False)
            if now.digest() != before.file.tags.get(IMPORT_DIGEST_TAG):
                run.state = "changed"
            run.new_tags = _changed_tags(now.tags, before.file.tags)
    elif head.status in {"RUNNING", "SCHEDULED"} and not unfinished and not head.deleted:
        last = source.load(head).last_sign()
        if time.time() * 1000 - last < _ALIVE_MS:
            run.state = "running"


def _changed_tags(now: dict[str, str], before: dict[str, str]) -> dict[str, str | None]:
    """Return what was done to the tags there since they were imported."""
    own = {RUN_ID_TAG, IMPORT_DIGEST_TAG}
    changed: dict[str, str | None] = {
        name: value
        for name, value in now.items()
        if name != PARENT_TAG and before.get(name) != value and not name.startswith("corrida.")
        and not (name not in before and name.startswith("mlflow."))
    }  # fmt: skip
    gone = [name for name in before if name not in now and name not in own and not name.startswith("mlflow")]
    return changed | dict.fromkeys(gone)


def _give_ids(plan: ImportPlan, store: Store, known: dict[str, Known]) -> None:
    """Give every new run a readable id, parents first; the order of the plan becomes that of the making."""
    by_id = {run.head.run_id: run for run in plan.runs}
    depth: dict[str, int] = {}

    def deep(run: PlannedImport) -> int:
        seen, level, at = set(), 0, run
        while at.head.parent in by_id and at.head.run_id not in seen:
            seen.add(at.head.run_id)
            at = by_id[at.head.parent]
            level += 1
        return level

    for run in plan.runs:
        depth[run.head.run_id] = deep(run)
    plan.runs.sort(key=lambda r: (depth[r.head.run_id], r.head.started or 0, r.head.run_id))
    taken = {run.run_id for run in plan.runs if run.run_id}
    for run in plan.runs:
        above = by_id.get(run.head.parent or "")
        if run.state != "new":
            continue
        if above is not None and above is not run and above.state != "running":
            run.parent = above.run_id or None
        elif run.head.parent in known:
            run.parent = known[run.head.parent].file.id
        run.run_id = _free(store.root, _wanted(run), taken)
        taken.add(run.run_id)


def _wanted(run: PlannedImport) -> str:
    head = run.head
    if run.parent is not None:
        return child_id(run.parent, head.name or head.run_id[:8])
    if head.name.strip():
        return allowed_id(text(head.name.strip()))
    started = datetime.fromtimestamp((head.started or 0) / 1000, UTC)
    return generated_id(started, None)


def _free(root: Path, wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken or not is_free(root, name):
        number += 1
        name = f"{wanted[: MAX_LENGTH - 8]}-{number}"
    return name
