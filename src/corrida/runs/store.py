"""Store: the door to the runs in one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import (
    AmbiguousReference,
    InvalidName,
    InvalidReference,
    Refused,
    RunNotFound,
    RunSealed,
)
from corrida.runs import alias as aliases
from corrida.runs import journal, layout, moves
from corrida.runs.alias import DEFAULT_ALIAS, Promotion
from corrida.runs.catalog import Catalog
from corrida.runs.files import explained
from corrida.runs.ids import is_run_id, parse_reference
from corrida.runs.index_file import index_lock, index_state, write_index
from corrida.runs.own_runs import no_child, own_runs
from corrida.runs.query import Sql
from corrida.runs.reading import read_header, record_of
from corrida.runs.record import RunRecord, Runs

if TYPE_CHECKING:
    from corrida.runs.journal import Operation
    from corrida.runs.restore import RestorePlan
    from corrida.runs.spec import RunSpec
    from corrida.runs.verify import Verification
    from corrida.runs.writer import RunWriter

DEFAULT_FOLDER = "runs"


class Store:
    """The runs in one folder. The folder is the truth; it may be moved, merged and pruned by hand.

    Any number of processes may read and write at once. Opening a store completes a restore that a kill
    interrupted, and changes nothing else; a folder that does not exist is an empty store.

    Example:
        >>> import corrida
        >>> store = corrida.Store("runs")
        >>> best = store.runs(filter="status = 'finished'", order_by="-metrics.f1", limit=1)
    """

    def __init__(self, folder: str | os.PathLike[str] = DEFAULT_FOLDER) -> None:
        """Open the store at ``folder``.

        Raises:
            InvalidReference: ``folder`` is empty or a file.
        """
        if not os.fspath(folder) or "\0" in os.fspath(folder):
            raise InvalidReference(f"{os.fspath(folder)!r} names no folder; name one with --store")
        self.root: Path = Path(os.path.abspath(folder))  # noqa: PTH100 - keeps the user's symlinks
        with explained("opening the store"):
            is_file = self.root.exists() and not self.root.is_dir()
        if is_file:
            raise InvalidReference(f"{os.fspath(folder)} is a file, not a store; name a folder with --store")
        self._catalog: Catalog | None = None
        self._pid = 0
        journal.complete_interrupted(self.root)
        moves.complete_interrupted(self.root)

    # -- reading --------------------------------------------------------------------------------------------

    def runs(
        self,
        filter: str | None = None,  # noqa: A002 - the name that users type
        order_by: str | None = None,
        limit: int | None = None,
        *,
        offset: int = 0,
        pipeline: str | None = None,
        status: str | None = None,
        children: bool = True,
        refresh: bool = True,
    ) -> Runs:
        """Return runs, the newest first.

        Args:
            filter: as in ``metrics.precision > 0.6 and source = 'gold_set_100'``; see docs/filters.md.
            order_by: fields separated by commas, ``-`` before one for the greatest first; runs without the
                field come last.
            limit: at most so many.
            offset: leave out so many first.
            pipeline: only of this pipeline.
            status: only with this status.
            children: False leaves out those whose parent is in the store (with ``pipeline``, and is of this one too).
            refresh: False answers by what the catalog knows, without a look at the folders.

        Raises:
            InvalidFilter: the filter or the order cannot be read.
            StoreError: the folder cannot be read.
        """
        where = [
            Sql(f"runs.{column} = ?", (value,))
            for column, value in (("pipeline", pipeline), ("status", status))
            if value is not None
        ]
        if not children:
            where.append(no_child(same_pipeline=pipeline is not None))
        if refresh:
            self.refresh()
        headers = self.catalog.query(
            filter=filter, order_by=order_by, limit=limit, offset=offset, where=where
        )
        carried = aliases.aliases_of(self.root)
        return Runs(record_of(self.root / header.id, header, carried) for header in headers)

    def get(self, reference: str, *, pipeline: str | None = None) -> RunRecord:
        """Return one run.

        Args:
            reference: an id, a unique prefix of one, ``latest`` (the newest finished run that is no part of
                another), ``latest~1`` (the one before it), or ``@alias``. A path to a folder of the store works too.
            pipeline: count ``latest`` among the runs of this pipeline.

        Raises:
            InvalidReference, AmbiguousReference: the reference cannot be read, or fits several runs.
            RunNotFound, AliasNotFound: nothing fits.
            DamagedRun, NewerFormat: the run cannot be read.
        """
        return self._read(self.resolve(reference, pipeline=pipeline))

    def resolve(self, reference: str, *, pipeline: str | None = None) -> str:
        """Return the id that a reference stands for; see :meth:`get`."""
        if "/" in str(reference).strip("/") and os.path.isdir(reference):  # noqa: PTH112 - takes any text
            folder = Path(reference).resolve()
            if folder.parent == self.root.resolve():
                reference = folder.name
        parsed = parse_reference(str(reference).rstrip("/"))
        if parsed.alias is not None:
            run_id = aliases.resolve(self.root, parsed.alias)
            if not is_run_id(run_id) or not (self.root / run_id).is_dir():
                raise RunNotFound(
                    f"@{parsed.alias} is the run {run_id}, which is not in the store; promote another"
                )
            return run_id
        if parsed.back is not None:
            return self._latest(parsed.back, pipeline)
        name = parsed.name or ""
        return name if name in self else self._by_prefix(name)

    def before(self, run: RunRecord, *, refresh: bool = True) -> RunRecord | None:
        """Return what to compare a run with: the newest finished run of its pipeline that is older; None without one.

        Runs that are parts of others do not count, as of ``latest``; but a rerun is compared with its original, and
        a model of a search with the same model of an earlier search.

        Args:
            run: any.
            refresh: False answers by what the catalog knows, without a look at the folders.
        """
        if refresh:
            self.refresh()
        if run.tags.get("replay") == "rerun" and run.parent in self:
            return self.get(str(run.parent))
        older = own_runs(self.catalog, self.root, pipeline=run.pipeline, before=run)
        child = run.tags.get("child")
        if child is None or run.parent not in self:
            found = next(older, None)
            return None if found is None else self.get(found.id)
        where = [Sql("runs.parent IN (SELECT id FROM runs WHERE id <> ?)", (run.parent,))]
        where += [Sql("runs.pipeline = ?", (run.pipeline,)), Sql("runs.status = 'finished'")]
        where += [Sql("""json_extract(runs.tags, '$."child"') = ?""", (child,))]
        where += [Sql("(runs.ord, runs.id) < (?, ?)", (run.order, run.id))]
        same = self.catalog.query(limit=1, where=where)
        return self.get(same[0].id) if same else None

    def _latest(self, back: int, pipeline: str | None) -> str:
        self.refresh()
        found = next(islice(own_runs(self.catalog, self.root, pipeline=pipeline), back, None), None)
        if found is not None:
            return found.id
        count = sum(1 for _ in own_runs(self.catalog, self.root, pipeline=pipeline))
        of = f" of {pipeline}" if pipeline else ""
        have = (
            f"the store has {count} finished run{'s' if count != 1 else ''}{of}"
            if count
            else f"no run{of} has finished"
        )
        more = len(self.runs(pipeline=pipeline, status="finished", limit=count + 1)) > count
        aside = ", parts of others not counted" if more else ""
        raise RunNotFound(
            f"there is no latest{f'~{back}' if back else ''}: {have} in {self.root.name}{aside}; see corrida list"
        )

    def _by_prefix(self, prefix: str) -> str:
        self.refresh()
        found = self.catalog.ids_with_prefix(prefix, 6)
        if prefix in found:
            return prefix
        from corrida.runs import trash

        # Before any longer id: else removing a run twice would remove its neighbour.
        if prefix in trash.trashed(self.root):
            raise RunNotFound(
                f"the run {prefix} is in the trash; `corrida trash --restore {prefix}` brings it back"
            )
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(found[:5]) + (" and more" if len(found) > 5 else "")
            raise AmbiguousReference(f"{prefix!r} fits several runs: {shown}; give more of the id")
        if not self.catalog.count():
            raise RunNotFound(
                f"there is no run {prefix!r}: the store {self.root.name} is empty; start with corrida run"
            )
        raise RunNotFound(
            f"there is no run {prefix!r} in {self.root.name}; `corrida list` shows those that are there"
        )

    def _read(self, run_id: str) -> RunRecord:
        folder = self.root / run_id
        carried = aliases.aliases_of(self.root)
        if not (folder / layout.RUN).exists():
            self.refresh()
            for header in self.catalog.query(where=[Sql("runs.id = ?", (run_id,))]):
                return record_of(folder, header, carried)
        return record_of(folder, read_header(folder), carried)

    @property
    def catalog(self) -> Catalog:
        """The cache over the run folders."""
        if self._catalog is None or self._pid != os.getpid():  # SQLite does not survive a fork
            self._catalog, self._pid = Catalog(self.root), os.getpid()
        return self._catalog

    def refresh(self) -> None:
        """Bring the catalog up to date, and index.json with it when runs came, went or changed.

        Raises:
            StoreError: the folder cannot be read.
        """
        self.catalog.refresh()
        state = index_state(self.root)
        if not self.catalog.index_is_current(state) and (state or self.catalog.count()):
            self.write_index()

    def write_index(self) -> bool:
        """Make index.json say what the folders say; a store that cannot be written keeps what it has.

        Returns:
            Whether the file changed.
        """
        from corrida.runs.claim import ensure_store

        try:
            ensure_store(self.root)
            with index_lock(self.root):
                self.catalog.refresh()  # a run may have ended while the lock was waited for
                changed = write_index(self.root, self.catalog.index_lines())
                self.catalog.note_index(index_state(self.root))
        except OSError:
            return False
        return changed

    def __bool__(self) -> bool:
        """Return True: a store without runs is a store, and asking must not count them."""
        return True

    def __len__(self) -> int:
        self.refresh()
        return self.catalog.count()

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self.runs())

    def __contains__(self, run_id: object) -> bool:
        return isinstance(run_id, str) and is_run_id(run_id) and (self.root / run_id / layout.RUN).exists()

    def __repr__(self) -> str:
        return f"<corrida store {self.root.name}>"

    # -- writing --------------------------------------------------------------------------------------------

    def start(self, spec: RunSpec) -> RunWriter:
        """Start a run; see :class:`RunWriter` for what it raises."""
        from corrida.runs.writer import RunWriter

        return RunWriter(self.root, spec)

    def note(self, reference: str, text: str) -> RunRecord:
        """Append a note to a run, with time and author.

        Raises:
            InvalidName: the text is empty.
            RunNotFound, StoreError: no such run; the store cannot be written.
        """
        if not text.strip():
            raise InvalidName("the note is empty; write what you want to remember")
        return self._annotate(reference, {"note": text})

    def tag(self, reference: str, tags: Mapping[str, str | None]) -> RunRecord:
        """Set tags of a run, or remove those whose value is None.

        Raises:
            InvalidName: a name is empty or holds control characters.
            RunNotFound, StoreError: no such run; the store cannot be written.
        """
        check_tags(tags)
        return self._annotate(reference, {"tags": dict(tags)})

    def _annotate(self, reference: str, change: Mapping[str, Any]) -> RunRecord:
        from corrida.runs.annotations import annotate

        record = self.get(reference)
        if record.status in {"running", "unreadable"}:
            raise RunSealed(f"the run {record.id} is {record.status}; wait until it has ended")
        if record.id not in self:
            raise RunSealed(f"the run {record.id} was killed before it had written anything; remove it")
        annotate(record.dir, change)
        self.catalog.recheck([record.id])
        return self.get(record.id)

    def promote(self, reference: str, alias: str = DEFAULT_ALIAS, reason: str | None = None) -> Promotion:
        """Point ``@alias`` to a finished run.

        Raises:
            Refused: the run has not finished.
            InvalidName, RunNotFound, StoreError: the alias or the run cannot be used; the store cannot be written.
        """
        record = self.get(reference)
        if record.status != "finished":
            raise Refused(f"the run {record.id} is {record.status}; only a finished run can be promoted")
        return aliases.promote(self.root, record.id, alias, reason)

    def demote(self, alias: str = DEFAULT_ALIAS, reason: str | None = None) -> Promotion:
        """Point ``@alias`` back to the run that carried it before, or to none.

        Raises:
            AliasNotFound: no run carries it.
        """
        return aliases.demote(self.root, alias, reason)

    def aliases(self) -> dict[str, Promotion]:
        """Return where each alias points now, with when, by whom and why."""
        return aliases.current(self.root)

    def alias_history(self, alias: str | None = None) -> list[Promotion]:
        """Return all promotions, or those of one alias, oldest first."""
        return aliases.history(self.root, alias)

    def remove(self, references: Sequence[str], *, force: bool = False) -> list[str]:
        """Move runs, each with its children, to the trash; :meth:`undo` brings them back.

        Args:
            references: which.
            force: also those that an alias points to or that still run.

        Returns:
            The ids that were moved.

        Raises:
            Refused: one runs, or carries an alias.
            RunNotFound, StoreError: no such run; the store cannot be written.
        """
        self.refresh()
        chosen = list(dict.fromkeys(self.resolve(reference) for reference in references))
        for run_id in chosen:  # grows while it is gone through: children, and theirs
            children = self.catalog.query(where=[Sql("runs.parent = ?", (run_id,))])
            chosen += [child.id for child in children if child.id not in chosen]
        from corrida.runs import trash

        trash.remove(self.root, chosen, check=None if force else lambda: self._refuse_needed(chosen))
        self.refresh()
        return chosen

    def _refuse_needed(self, run_ids: Sequence[str]) -> None:
        carried = aliases.aliases_of(self.root)
        for run_id in run_ids:
            if run_id in carried:
                raise Refused(
                    f"the run {run_id} is @{carried[run_id][0]}; promote another first, or use --force"
                )
            found = self.catalog.query(where=[Sql("runs.id = ?", (run_id,))])
            if found and found[0].status == "running":
                raise Refused(f"the run {run_id} still runs; wait, or use --force")

    def trashed(self) -> list[str]:
        """Return the ids in the trash."""
        from corrida.runs import trash

        return trash.trashed(self.root)

    def bring_back(self, run_ids: Sequence[str]) -> list[str]:
        """Move runs from the trash back, each with its children that lie there too.

        Returns:
            The ids that came back.

        Raises:
            RunNotFound: one is not in the trash.
            AlreadyExists: the store has a run of that id again.
        """
        there = set(self.trashed())
        if missing := [r for r in run_ids if r not in there]:
            raise RunNotFound(f"{', '.join(missing)} is not in the trash; `corrida trash` lists it")
        from corrida.runs import trash

        back = trash.bring_back(self.root, trash.with_children(self.root, run_ids))
        self.refresh()
        return back

    def empty_trash(self, run_ids: Sequence[str] | None = None) -> list[str]:
        """Delete runs in the trash for good, all or these."""
        from corrida.runs import trash

        return trash.empty(self.root, run_ids)

    # -- going back -----------------------------------------------------------------------------------------

    def plan_restore(
        self, reference: str, project: Path, *, to: Path | None = None, exact: bool = False
    ) -> RestorePlan:
        """Say what putting back the configurations of a run would change; see :func:`restore.plan_restore`."""
        from corrida.runs.restore import plan_restore

        self.refresh()
        return plan_restore(
            self.get(reference), project, to=to, exact=exact, run_with_config=self.catalog.run_with_config
        )

    def restore(self, plan: RestorePlan, *, force: bool = False) -> str | None:
        """Carry a plan out, all or nothing; see :func:`restore.carry_out`."""
        from corrida.runs.claim import ensure_store
        from corrida.runs.restore import carry_out

        ensure_store(self.root)
        return carry_out(self.root, plan, force=force)

    def undo(self) -> tuple[Operation, list[str]]:
        """Take back the last restore or removal that was not taken back yet.

        Returns:
            The operation, and the files (of a restore) or runs (of a removal) that are as before.

        Raises:
            Refused: there is nothing to undo, or a file was changed since.
            AlreadyExists: a removed id is taken again.
        """
        operation = journal.last_undoable(self.root)
        if operation is None:
            raise Refused("there is nothing left to undo: no restore or removal of this store stands")
        if operation.kind == "restore":
            from corrida.runs.restore import undo_restore

            return operation, undo_restore(self.root, operation)
        from corrida.runs import trash

        back = trash.undo_removal(self.root, operation)
        self.refresh()
        return operation, back

    def verify(self, references: Sequence[str] | None = None) -> list[Verification]:
        """Recompute the digests of runs, all or these.

        Raises:
            RunNotFound: no such run.
        """
        from corrida.runs.verify import is_worth_telling, known_to_have_ended, lost_runs, verify_run

        if references is not None:
            return [verify_run(self.root / self.resolve(reference)) for reference in references]
        ended = known_to_have_ended(self.root)  # first: refreshing mends what says so
        self.refresh()
        statuses = {header.id: header.status for header in self.catalog.query()}
        running = {run_id for run_id, status in statuses.items() if status == "running"}
        chosen = [*statuses, *lost_runs(self.root, statuses)]
        results = [verify_run(self.root / run_id, ended=ended.get(run_id)) for run_id in chosen]
        return [result for result in results if is_worth_telling(result, running)]


def check_tags(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Return tags when their names are usable.

    Raises:
        InvalidName: a name is empty, longer than 100 characters, or holds control characters or quotes.
    """
    for name in tags:
        if (
            not isinstance(name, str)
            or not name.strip()
            or len(name) > 100
            or not name.isprintable()
            or '"' in name
        ):
            raise InvalidName(f"{name!r} cannot name a tag; use 1 to 100 printable characters without quotes")
    return {name: str(value) for name, value in tags.items()}
