"""The catalog: a SQLite cache over the run folders of one store, in the user's cache folder.

Delete it and nothing is lost. Writers of runs never touch it; readers bring it up to date first. They look at

1. the time of change of the store's folder: while it stands, no run folder has come or gone;
2. runs that have not ended;
3. the run.json and the folder of every run, in a large store of the newest, of a part of the others that moves on
   with each call, and of those that are the answer: so that a change by hand is noticed soon, is never shown as it
   was before, and listing stays quick.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from corrida.errors import StoreError
from corrida.runs.catalog_query import (
    Question,
    answer,
    counted_names,
    header_decoder,
    index_order,
    names,
    names_of,
    stored_expression,
)
from corrida.runs.catalog_schema import catalog_file, connect
from corrida.runs.folders import RACY_NS, Found, read_folder, signature
from corrida.runs.ids import is_run_id
from corrida.runs.index_file import index_line
from corrida.runs.numbers import metrics_from_file
from corrida.runs.record import flatten
from corrida.runs.run_file import SEALED, RunHeader
from corrida.runs.watch import watched

if TYPE_CHECKING:
    from corrida.runs.query import Sql

T = TypeVar("T")
CHECK_ALL_UP_TO = 2_000
NEWEST_CHECKED = 500
OTHERS_CHECKED = 500
_WRITTEN_AT_ONCE = 5_000
_WATCHED_FROM = 2_000
_INDEXED_FROM = 10_000
_MOST_INDEXES = 24
_LOST = (
    "disk I/O", "malformed", "not a database", "no such table", "no such column", "no such index", "has no column",
    "full", "readonly", "read-only", "closed", "unable to open", "deleted",
)  # fmt: skip

_COLUMNS = (
    "id", "signature", "sealed", "pipeline", "status", "created", "finished", "duration", "ord", "source",
    "description", "notes", "seed", "parent", "resumed_from", "git_commit", "git_branch", "params", "tags", "findings", "header",
    "line",
)  # fmt: skip
_INSERT = f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - constants
_UPDATE = f"UPDATE runs SET {', '.join(f'{c} = ?' for c in _COLUMNS)} WHERE n = ?"  # noqa: S608 - constants


def _is_lost(error: Exception) -> bool:
    """Tell whether an error says that the database is damaged, closed or gone, rather than asked too much of."""
    if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError):
        return any(sign in str(error) for sign in _LOST)
    return not isinstance(error, sqlite3.DataError)


class Catalog:
    """A cache over the runs of one store."""

    def __init__(self, root: Path) -> None:
        """Open, or make, the catalog of the store at ``root``; without a usable cache folder, one in memory."""
        self._root = root
        self._lock = threading.RLock()
        self._encode = msgspec.msgpack.Encoder().encode
        self._all_checked = False
        self.path: Path | None = catalog_file(root)
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        if self.path is not None:
            for _ in range(2):
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    return connect(str(self.path))
                except sqlite3.OperationalError:
                    break  # not writable, or locked for very long
                except sqlite3.DatabaseError:  # damaged: it is only a cache
                    self._discard()
                except OSError:
                    break
            self.path = None
        return connect(":memory:")

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self.path}{suffix}").unlink()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    # -- bringing it up to date -----------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the catalog up to date with the folders.

        Raises:
            StoreError: the store's folder cannot be read.
        """
        self._healing(self._refresh)

    def _healing(self, work: Callable[[], T]) -> T:
        """Do ``work`` alone; when the database is damaged or deleted under our hands, do it again on a new one.

        Raises:
            StoreError: the database refuses for a reason that a new one would not help against.
        """
        with self._lock:
            for attempt in range(3):
                try:
                    if attempt:  # in here: the new one may be harmed as well
                        self._refresh()
                    return work()
                except (sqlite3.DatabaseError, msgspec.DecodeError, UnicodeDecodeError) as error:
                    locked = "locked" in str(error)
                    if attempt == 2 or not (locked or _is_lost(error)):
                        raise StoreError(
                            f"the catalog of {self._root.name} cannot answer: {error}"
                        ) from error
                    # Somebody else holds it for very long, or the disk of the cache is full: do without it.
                    self._rebuild(in_memory=locked or attempt == 1, discard=not locked)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _rebuild(self, *, in_memory: bool, discard: bool) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        if self.path is not None and discard:
            self._discard()
        if in_memory:
            self.path = None
        self._db = self._open()

    def recheck(self, run_ids: Iterable[str]) -> None:
        """Read these runs anew; whoever changes an old run of a large store calls this."""
        chosen = dict.fromkeys(run_ids, "")
        self._healing(lambda: self._apply(chosen))

    def _refresh(self) -> None:
        try:
            state = os.stat(self._root)  # noqa: PTH116
        except FileNotFoundError:
            if self._db.execute("SELECT 1 FROM runs LIMIT 1").fetchone():
                self._reset()
            return
        except OSError as error:
            raise StoreError(f"the store {self._root.name} cannot be read: {error.strerror}") from None
        gone: set[str] = set()
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        inode = str(state.st_ino)  # as text: some file systems use all 64 bits
        if meta.get("inode") not in {None, inode}:
            self._reset()
            meta = {}
        candidates = dict(self._db.execute("SELECT id, signature FROM runs WHERE sealed = 0"))
        # Folders that hold no run yet: a copy may still be under way.
        candidates |= dict.fromkeys(msgspec.json.decode(meta.get("strays") or "[]"), "")
        now = time.time_ns()
        scanned = None
        if meta.get("scanned") != state.st_mtime_ns:
            # In this order: a run that another reader adds meanwhile must not seem to be gone.
            known = {row[0] for row in self._db.execute("SELECT id FROM runs")}
            folders = self._folders()
            gone = known - folders
            candidates |= dict.fromkeys(sorted(folders - known), "")
            scanned = state.st_mtime_ns if now - state.st_mtime_ns > RACY_NS else 0
        candidates |= {
            k: v for k, v in self._sample(int(meta.get("next") or 0)).items() if k not in candidates
        }
        without_run = self._apply(candidates, gone)
        # At the end: a reader that is interrupted must not leave behind that everything has been read.
        noted: dict[str, Any] = {"strays": msgspec.json.encode(sorted(without_run)).decode()}
        if scanned is not None:
            noted |= {"scanned": scanned, "inode": inode}
        self._note({k: v for k, v in noted.items() if meta.get(k) != v})

    def _note(self, facts: Mapping[str, Any]) -> None:
        if facts:
            with self._writing():
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())

    def _reset(self) -> None:
        with self._writing():
            for table in ("metrics", "configs", "names", "runs", "meta"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - constants

    def _folders(self) -> set[str]:
        try:
            with os.scandir(self._root) as entries:
                return {e.name for e in entries if is_run_id(e.name) and _is_folder(e)}
        except OSError as error:
            raise StoreError(f"the store {self._root.name} cannot be read: {error.strerror}") from None

    def _sample(self, start: int) -> dict[str, str]:
        count = self._db.execute("SELECT count(*) FROM runs").fetchone()[0]
        self._all_checked = count <= CHECK_ALL_UP_TO
        if self._all_checked:
            return dict(self._db.execute("SELECT id, signature FROM runs"))
        sample = dict(
            self._db.execute(
                "SELECT id, signature FROM runs ORDER BY ord DESC, id DESC LIMIT ?", (NEWEST_CHECKED,)
            )
        )
        rows = self._db.execute(
            "SELECT id, signature, n FROM runs WHERE n > ? ORDER BY n LIMIT ?", (start, OTHERS_CHECKED)
        ).fetchall()
        sample |= {row[0]: row[1] for row in rows}
        following = rows[-1][2] if len(rows) == OTHERS_CHECKED else 0
        self._note({"next": following})
        return sample

    def _apply(self, candidates: Mapping[str, str], gone: Iterable[str] = ()) -> set[str]:
        """Read the candidates whose signature differs, and write what changed.

        Of many, some thousands are written at a time: an interrupted reader has not worked for nothing, and others
        that want to write do not wait for long.

        Returns:
            Folders that hold no run.
        """
        vanished, without_run = set(gone), set()
        now = time.time()

        def changed() -> Iterator[Found]:
            for run_id, seen in candidates.items():
                found = signature(self._root, run_id)
                if found is None:
                    vanished.add(run_id)
                elif found != seen:
                    read = read_folder(self._root, run_id, found, now)
                    if read is None:
                        vanished.add(run_id)
                        without_run.add(run_id)
                    else:
                        yield read

        unread = sum(not seen for seen in candidates.values())
        runs: Iterable[Found] = changed()
        if unread > _WATCHED_FROM:
            runs = watched(runs, unread, "reading runs")
        reading = iter(runs)
        while rows := list(islice(reading, _WRITTEN_AT_ONCE)):
            with self._writing():
                self._write(rows, ())
        if vanished:
            with self._writing():
                self._write((), vanished)
        return without_run

    def _write(self, rows: Sequence[Found], vanished: Iterable[str]) -> None:
        """Write runs and remove others; index.json is out of date when a line of it comes, goes or changes."""
        outdated: set[str] = set()  # what is known beside the runs
        for run_id in vanished:
            if self._db.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount > 0:
                outdated = {"index", "names", "state"}
        metrics: list[tuple[Any, ...]] = []
        configs: list[tuple[Any, ...]] = []
        named: set[str] = set()
        for found in rows:
            header = found.header
            n, changed = self._put(found)
            outdated |= changed
            if "state" in changed:
                named |= names_of(header)
            # SQLite turns NaN into NULL: it then sorts with the missing.
            metrics += [(n, k, v) for k, v in metrics_from_file(header.metrics).items()]
            configs += [(copy.sha256, n) for copy in header.configs]
        self._db.executemany("INSERT INTO metrics VALUES (?, ?, ?)", metrics)
        self._db.executemany("INSERT OR IGNORE INTO configs VALUES (?, ?)", configs)
        self._db.executemany("INSERT OR IGNORE INTO names VALUES (?)", ((name,) for name in named))
        if "index" in outdated:
            self._db.execute("DELETE FROM meta WHERE key = 'index'")
        if "names" in outdated:  # counted anew when they are asked for
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('names', 'outdated')")
        if "state" in outdated:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('state', hex(randomblob(8)))")

    def _put(self, found: Found) -> tuple[int, set[str]]:
        """Write a run but its metrics and configurations.

        Returns:
            Its row, and what is out of date: ``index`` when the line of the run changed, ``names`` when a name may occur
            no more, ``state`` when anything that is shown changed.
        """
        header = found.header
        git = header.git
        line = index_line(found.content) if found.content and header.status in SEALED else None
        encoded = self._encode(header)
        row = (
            header.id, found.signature, int(header.status in SEALED), header.pipeline, header.status, header.created,
            header.finished, header.duration, _integer(header.order), header.source, header.description, found.notes,
            _integer(header.seed), header.parent, header.resumed_from,
            git.commit if git else None, git.branch if git else None,
            msgspec.json.encode(flatten(header.params)).decode(), msgspec.json.encode(header.tags).decode(),
            msgspec.json.encode(header.findings).decode(),
            encoded, line,
        )  # fmt: skip
        sql = "SELECT n, line, header, notes FROM runs WHERE id = ?"
        there = self._db.execute(sql, (header.id,)).fetchone()
        if there is None:
            n = self._db.execute(_INSERT, row).lastrowid or 0
            return n, {"state"} | ({"index"} if line else set())
        n, line_before, before, notes = there
        changed = {"index"} if line_before != line else set()
        if (before, notes) != (encoded, found.notes):
            changed.add("state")
            if not names_of(header_decoder()(before)) <= names_of(header):
                changed.add("names")
        self._db.execute(_UPDATE, (*row, n))
        self._db.execute("DELETE FROM metrics WHERE run = ?", (n,))
        self._db.execute("DELETE FROM configs WHERE run = ?", (n,))
        return n, changed

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # of a damaged file SQLite itself has given up the transaction
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def index_is_current(self, state: str) -> bool:
        """Tell whether index.json, whose ``state`` is given, is what the runs of the catalog make it."""
        row = self._healing(lambda: self._db.execute("SELECT value FROM meta WHERE key = 'index'").fetchone())
        return row is not None and row[0] == state

    def note_index(self, state: str) -> None:
        """Remember that index.json, whose ``state`` is given, says what the catalog says."""
        self._healing(lambda: self._db.execute("INSERT OR REPLACE INTO meta VALUES ('index', ?)", (state,)))

    # -- asking ---------------------------------------------------------------------------------------------

    def query(
        self,
        *,
        filter: str | None = None,  # noqa: A002 - the name that users type
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        where: Sequence[Sql] = (),
    ) -> list[RunHeader]:
        """Return runs; the newest first unless ``order_by`` says otherwise, and those without the field last.

        Raises:
            InvalidFilter: the filter or the order cannot be read.
        """
        question = Question(filter, order_by, limit, offset, where).checked()
        return self._healing(lambda: self._answer(question))

    def _answer(self, question: Question) -> list[RunHeader]:
        found = answer(self._db, question)
        if not self._all_checked and 0 < len(found) <= CHECK_ALL_UP_TO and self._are_outdated(found):
            return answer(self._db, question)
        return found

    def _are_outdated(self, headers: Sequence[RunHeader]) -> bool:
        """Look again at runs that are about to be shown; whether one has changed, and is now up to date."""
        ids = [header.id for header in headers]
        places = ", ".join("?" * len(ids))
        sql = f"SELECT id, signature FROM runs WHERE id IN ({places})"  # noqa: S608 - question marks
        seen = dict(self._db.execute(sql, ids))
        changed = {k: v for k, v in seen.items() if v and signature(self._root, k) != v}
        if changed:
            self._apply(changed)
        return bool(changed)

    def count(self) -> int:
        """Return the number of runs."""
        return self._healing(lambda: int(self._db.execute("SELECT count(*) FROM runs").fetchone()[0]))

    def children(self, run_ids: Sequence[str], pipeline: str | None = None) -> dict[str, int]:
        """Return how many children each of these runs has, those without any left out.

        Args:
            run_ids: the parents.
            pipeline: count only children of this one.
        """
        sql = """SELECT parent, count(*) FROM runs WHERE parent <> id AND (?2 IS NULL OR pipeline = ?2)
            AND parent IN (SELECT value FROM json_each(?1)) GROUP BY parent"""
        asked = (msgspec.json.encode(list(run_ids)).decode(), pipeline)
        return self._healing(lambda: dict(self._db.execute(sql, asked)))

    def pipelines(self) -> dict[str, tuple[str, str]]:
        """Return the pipelines of which there are runs, with the times of the first start and the last end."""
        sql = "SELECT pipeline, min(created), max(coalesce(finished, created)) FROM runs GROUP BY pipeline"
        return self._healing(lambda: {row[0]: (row[1], row[2]) for row in self._db.execute(sql) if row[0]})

    def newest_pipelines(self) -> list[str]:
        """Return the names of the pipelines of which there are runs, that of the newest run first: by an index alone."""
        # From one name to the next, and not over every run of it.
        sql = """WITH RECURSIVE known (name) AS (SELECT min(pipeline) FROM runs
                UNION ALL SELECT (SELECT min(pipeline) FROM runs WHERE pipeline > known.name) FROM known
                WHERE known.name IS NOT NULL)
            SELECT name FROM known WHERE name <> ''
            ORDER BY (SELECT max(ord) FROM runs WHERE pipeline = known.name) DESC"""
        return self._healing(lambda: [row[0] for row in self._db.execute(sql)])

    def ids_with_prefix(self, prefix: str, limit: int) -> list[str]:
        """Return at most ``limit`` ids that start with ``prefix``."""
        sql = "SELECT id FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
        return self._healing(lambda: [row[0] for row in self._db.execute(sql, (len(prefix), prefix, limit))])

    def notes(self, run_id: str) -> str:
        """Return the notes of a run, that with which it was started and those added since, one a line."""
        sql = "SELECT notes FROM runs WHERE id = ?"
        row = self._healing(lambda: self._db.execute(sql, (run_id,)).fetchone())
        return (row[0] or "") if row else ""

    def run_with_config(self, sha256: str) -> str | None:
        """Return a run that keeps a configuration with this digest, the newest, or None."""
        sql = (
            "SELECT id FROM configs c JOIN runs ON runs.n = c.run WHERE sha256 = ? ORDER BY ord DESC LIMIT 1"
        )
        row = self._healing(lambda: self._db.execute(sql, (sha256,)).fetchone())
        return row[0] if row else None

    def names(self) -> list[str]:
        """Return the names of metrics, params, tags and findings that occur, with their group."""
        return self._healing(self._names)

    def _names(self) -> list[str]:
        if self._db.execute("SELECT 1 FROM meta WHERE key = 'names'").fetchone():
            with self._writing():
                found = counted_names(self._db)
                self._db.execute("DELETE FROM names")
                self._db.executemany("INSERT INTO names VALUES (?)", ((name,) for name in found))
                self._db.execute("DELETE FROM meta WHERE key = 'names'")
        return names(self._db)

    def index_orders(self, fields: Iterable[str]) -> None:
        """Make sorting by parameters, tags, findings and words quick; of a small store, or where many are indexed, nothing.

        Args:
            fields: as in orders; those that are quick anyway are passed over.
        """
        self._healing(lambda: self._index_orders(fields))

    def _index_orders(self, fields: Iterable[str]) -> None:
        wanted = [name for name in fields if stored_expression(name) is not None]
        if not wanted or self._db.execute("SELECT count(*) FROM runs").fetchone()[0] < _INDEXED_FROM:
            return
        sql = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name LIKE 'runs\\_by\\_%' ESCAPE '\\'"
        for name in wanted:
            if self._db.execute(sql).fetchone()[0] < _MOST_INDEXES:
                index_order(self._db, name)

    def state(self) -> str:
        """Return what tells one state of the runs that are known from another."""
        sql = "SELECT value FROM meta WHERE key = 'state'"
        row = self._healing(lambda: self._db.execute(sql).fetchone())
        return str(row[0]) if row else ""

    def index_lines(self) -> list[bytes]:
        """Return the lines of index.json, in the order of the runs."""
        sql = "SELECT line FROM runs WHERE line IS NOT NULL ORDER BY ord, id"
        return self._healing(lambda: [row[0] for row in self._db.execute(sql)])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or leads to one; a link in a circle leads to none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _integer(value: int | None) -> int | float | None:
    """Return an integer as SQLite holds it: of 64 bits with a sign."""
    return value if value is None or -(2**63) <= value < 2**63 else float(value)
