"""The catalog: a SQLite cache over the run folders of one store, in the user's cache folder.

Delete it and nothing is lost. Writers of runs never touch it; readers bring it up to date first. They look at

1. the time of change of the store's folder: while it stands, no run folder has come or gone;
2. runs that have not ended;
3. the run.json and the folder of every run, in a large store of the newest and of a part of the others that
   moves on with each call, so that a change by hand is noticed soon and listing stays quick.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from corrida.errors import InvalidFilter, StoreError
from corrida.runs.folders import RACY_NS, Found, read_folder, signature
from corrida.runs.ids import is_run_id
from corrida.runs.index_file import index_line
from corrida.runs.numbers import metrics_from_file
from corrida.runs.query import Sql, compile_filter, compile_order, field_expression
from corrida.runs.record import flatten
from corrida.runs.run_file import (
    SEALED,
    Column,
    ConfigCopy,
    Failure,
    Git,
    PrimaryMetric,
    RunHeader,
)
from corrida.runs.user_cache import cache_folder

T = TypeVar("T")
SCHEMA_VERSION = 1
CHECK_ALL_UP_TO = 5_000
NEWEST_CHECKED = 2_000
OTHERS_CHECKED = 1_000
_LOST = (
    "disk I/O", "malformed", "not a database", "no such table", "no such column", "no such index", "has no column",
    "full", "readonly", "read-only", "closed", "unable to open", "deleted",
)  # fmt: skip

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS runs (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, signature TEXT NOT NULL, sealed INTEGER NOT NULL,
    pipeline TEXT, status TEXT, created TEXT, finished TEXT, duration REAL, ord INTEGER, source TEXT,
    description TEXT, notes TEXT, seed INTEGER, parent TEXT, git_commit TEXT, git_branch TEXT,
    params TEXT, tags TEXT, findings TEXT, header BLOB NOT NULL, line BLOB
);
CREATE INDEX IF NOT EXISTS runs_order ON runs (ord, id);
CREATE INDEX IF NOT EXISTS runs_pipeline ON runs (pipeline, ord);
CREATE INDEX IF NOT EXISTS runs_open ON runs (sealed) WHERE sealed = 0;
CREATE TABLE IF NOT EXISTS metrics (
    run INTEGER NOT NULL REFERENCES runs (n) ON DELETE CASCADE, name TEXT NOT NULL, value REAL,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS metrics_value ON metrics (name, value, run);
CREATE TABLE IF NOT EXISTS configs (
    sha256 TEXT NOT NULL, run INTEGER NOT NULL REFERENCES runs (n) ON DELETE CASCADE,
    PRIMARY KEY (sha256, run)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS configs_run ON configs (run);
"""
_COLUMNS = (
    "id", "signature", "sealed", "pipeline", "status", "created", "finished", "duration", "ord", "source",
    "description", "notes", "seed", "parent", "git_commit", "git_branch", "params", "tags", "findings", "header",
    "line",
)  # fmt: skip
_UPSERT = (
    f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - constants
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _COLUMNS[1:])} RETURNING n"
)


@functools.cache
def _encoders() -> tuple[msgspec.msgpack.Encoder, msgspec.msgpack.Decoder[RunHeader]]:
    return msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(RunHeader)


@functools.cache
def header_shape() -> str:
    """Return a short digest of the fields of a header: versions of corrida whose headers differ share no catalog."""
    kinds = (RunHeader, ConfigCopy, Git, Failure, PrimaryMetric, Column)
    fields = [(kind.__name__, kind.__struct_fields__, sorted(kind.__annotations__.items())) for kind in kinds]
    return hashlib.sha256(repr(fields).encode()).hexdigest()[:8]


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
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:20]
        self.path: Path | None = cache_folder() / f"catalog-v{SCHEMA_VERSION}-{header_shape()}-{name}.sqlite"
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        if self.path is not None:
            for _ in range(2):
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    return self._connect(str(self.path))
                except sqlite3.OperationalError:
                    break  # not writable, or locked for very long
                except sqlite3.DatabaseError:  # damaged: it is only a cache
                    self._discard()
                except OSError:
                    break
            self.path = None
        return self._connect(":memory:")

    def _connect(self, name: str) -> sqlite3.Connection:
        db = sqlite3.connect(name, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            if name != ":memory:" and db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")  # a cache: speed before durability
            db.execute("PRAGMA foreign_keys = ON")
            db.create_function(
                "folded", 1, lambda v: None if v is None else str(v).casefold(), deterministic=True
            )
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'configs_run'").fetchone():
                db.executescript(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

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
                    return work()
                except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
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
        self._refresh()

    def recheck(self, run_ids: Iterable[str]) -> None:
        """Look at these runs at once; whoever changes an old run of a large store calls this."""
        chosen = dict.fromkeys(run_ids, "")
        self._healing(lambda: self._apply(chosen, frozenset()))

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
        scanned = time.time_ns()
        if meta.get("scanned") != state.st_mtime_ns:
            names = self._folders()
            known = {row[0] for row in self._db.execute("SELECT id FROM runs")}
            gone = known - names
            candidates |= dict.fromkeys(names - known, "")
            meta["scanned"] = state.st_mtime_ns if scanned - state.st_mtime_ns > RACY_NS else 0
            meta["inode"] = inode
            with self._writing():
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
        candidates |= {
            k: v for k, v in self._sample(int(meta.get("next") or 0)).items() if k not in candidates
        }
        self._apply(candidates, gone, str(meta.get("strays") or "[]"))

    def _reset(self) -> None:
        with self._writing():
            for table in ("metrics", "configs", "runs", "meta"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - constants

    def _folders(self) -> set[str]:
        try:
            with os.scandir(self._root) as entries:
                return {e.name for e in entries if is_run_id(e.name) and e.is_dir()}
        except OSError as error:
            raise StoreError(f"the store {self._root.name} cannot be read: {error.strerror}") from None

    def _sample(self, start: int) -> dict[str, str]:
        count = self._db.execute("SELECT count(*) FROM runs").fetchone()[0]
        if count <= CHECK_ALL_UP_TO:
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
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('next', ?)", (following,))
        return sample

    def _apply(self, candidates: dict[str, str], gone: Iterable[str], strays: str | None = None) -> None:
        """Read the candidates whose signature differs, and write what changed in one transaction."""
        rows: list[Found] = []
        vanished, without_run = set(gone), set()
        now = time.time()
        for run_id, seen in candidates.items():
            found = signature(self._root, run_id)
            if found is None:
                vanished.add(run_id)
            elif found != seen:
                read = read_folder(self._root / run_id, found, now)
                if read is None:
                    vanished.add(run_id)
                    without_run.add(run_id)
                else:
                    rows.append(read)
        strays_now = msgspec.json.encode(sorted(without_run)).decode()
        if rows or vanished or strays_now != (strays or strays_now):
            with self._writing():
                if strays is not None:
                    self._db.execute("INSERT OR REPLACE INTO meta VALUES ('strays', ?)", (strays_now,))
                self._write(rows, vanished)

    def _write(self, rows: Sequence[Found], vanished: Iterable[str]) -> None:
        """Write runs and remove others; index.json is out of date when a line of it comes, goes or changes."""
        changed = False
        for run_id in vanished:
            changed |= self._db.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount > 0
        for found in rows:
            run_id, sealed = found.header.id, found.header.status in SEALED
            line = index_line(found.content) if found.content and sealed else None
            before = self._db.execute("SELECT line FROM runs WHERE id = ?", (run_id,)).fetchone()
            changed |= (before[0] if before else None) != line
            self._put(found, line)
        if changed:
            self._db.execute("DELETE FROM meta WHERE key = 'index'")

    def index_is_current(self, state: str) -> bool:
        """Tell whether index.json, whose ``state`` is given, is what the runs of the catalog make it."""
        row = self._healing(lambda: self._db.execute("SELECT value FROM meta WHERE key = 'index'").fetchone())
        return row is not None and row[0] == state

    def note_index(self, state: str) -> None:
        """Remember that index.json, whose ``state`` is given, says what the catalog says."""
        self._healing(lambda: self._db.execute("INSERT OR REPLACE INTO meta VALUES ('index', ?)", (state,)))

    def _put(self, found: Found, line: bytes | None) -> None:
        header = found.header
        encode = _encoders()[0].encode
        sealed = header.status in SEALED
        git = header.git
        n = self._db.execute(
            _UPSERT,
            (
                header.id, found.signature, int(sealed), header.pipeline, header.status, header.created, header.finished,
                header.duration, _integer(header.order), header.source, header.description, found.notes, _integer(header.seed),
                header.parent, git.commit if git else None, git.branch if git else None,
                msgspec.json.encode(flatten(header.params)).decode(), msgspec.json.encode(header.tags).decode(),
                msgspec.json.encode(header.findings).decode(),
                encode(header), line,
            ),
        ).fetchone()[0]  # fmt: skip
        self._db.execute("DELETE FROM metrics WHERE run = ?", (n,))
        self._db.execute("DELETE FROM configs WHERE run = ?", (n,))
        values = metrics_from_file(header.metrics).items()
        # SQLite turns NaN into NULL: it then sorts with the missing.
        self._db.executemany("INSERT INTO metrics VALUES (?, ?, ?)", [(n, k, v) for k, v in values])
        self._db.executemany(
            "INSERT OR IGNORE INTO configs VALUES (?, ?)", [(c.sha256, n) for c in header.configs]
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

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
        if (limit is not None and limit < 0) or offset < 0:
            raise InvalidFilter(
                f"limit and offset count runs: {limit if offset >= 0 else offset} is below zero"
            )
        return self._healing(lambda: self._query(filter, order_by, limit, offset, where))

    def _query(
        self,
        text_of_filter: str | None,
        order_by: str | None,
        limit: int | None,
        offset: int,
        where: Sequence[Sql],
    ) -> list[RunHeader]:
        conditions = list(where)
        if text_of_filter is not None:
            conditions.append(compile_filter(text_of_filter, _Names(self)))
        order = compile_order(order_by, _Names(self)) if order_by else []
        text = " AND ".join(c.text for c in conditions) or "1"
        values = [v for c in conditions for v in c.values]
        if len(order) == 1 and order[0][0].startswith("metrics.") and limit is not None:
            return self._top(order[0], text, values, limit, offset)
        keys: list[str] = []
        key_values: list[Any] = []
        for name, descending in order:
            expression = field_expression(name)
            keys.append(f"{expression.text} {'DESC' if descending else 'ASC'} NULLS LAST")
            key_values += expression.values
        keys += ["ord DESC", "id DESC"]
        sql = f"SELECT header FROM runs WHERE {text} ORDER BY {', '.join(keys)} LIMIT ? OFFSET ?"  # noqa: S608 - built from constants
        return self._headers(sql, [*values, *key_values, -1 if limit is None else limit, offset])

    def _top(
        self, order: tuple[str, bool], text: str, values: list[Any], limit: int, offset: int
    ) -> list[RunHeader]:
        """Answer 'the best n by a metric' from the index on its values, without sorting every run."""
        name = order[0].removeprefix("metrics.")
        way = "DESC" if order[1] else "ASC"
        sql = (
            f"SELECT header FROM metrics x INDEXED BY metrics_value JOIN runs ON runs.n = x.run "  # noqa: S608
            f"WHERE x.name = ? AND x.value IS NOT NULL AND {text} ORDER BY x.value {way}, ord DESC, id DESC LIMIT ? OFFSET ?"
        )
        found = self._headers(sql, [name, *values, limit, offset])
        if len(found) < limit:
            with_value = self._db.execute(
                f"SELECT count(*) FROM metrics x JOIN runs ON runs.n = x.run "  # noqa: S608
                f"WHERE x.name = ? AND x.value IS NOT NULL AND {text}",
                [name, *values],
            ).fetchone()[0]
            rest = (
                f"SELECT header FROM runs WHERE {text} AND NOT EXISTS (SELECT 1 FROM metrics x WHERE "  # noqa: S608
                "x.run = runs.n AND x.name = ? AND x.value IS NOT NULL) ORDER BY ord DESC, id DESC LIMIT ? OFFSET ?"
            )
            found += self._headers(rest, [*values, name, limit - len(found), max(0, offset - with_value)])
        return found

    def _headers(self, sql: str, values: Sequence[Any]) -> list[RunHeader]:
        decode = _encoders()[1].decode
        return [decode(row[0]) for row in self._db.execute(sql, values)]

    def count(self) -> int:
        """Return the number of runs."""
        return self._healing(lambda: int(self._db.execute("SELECT count(*) FROM runs").fetchone()[0]))

    def ids_with_prefix(self, prefix: str, limit: int) -> list[str]:
        """Return at most ``limit`` ids that start with ``prefix``."""
        sql = "SELECT id FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
        return self._healing(lambda: [row[0] for row in self._db.execute(sql, (len(prefix), prefix, limit))])

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
        metrics = [f"metrics.{row[0]}" for row in self._db.execute("SELECT DISTINCT name FROM metrics")]
        for group in ("params", "tags", "findings"):
            sql = f"SELECT DISTINCT key FROM runs, json_each(runs.{group})"  # noqa: S608 - constants
            metrics += [f"{group}.{row[0]}" for row in self._db.execute(sql)]
        return metrics

    def index_lines(self) -> list[bytes]:
        """Return the lines of index.json, in the order of the runs."""
        sql = "SELECT line FROM runs WHERE line IS NOT NULL ORDER BY ord, id"
        return self._healing(lambda: [row[0] for row in self._db.execute(sql)])


def _integer(value: int | None) -> int | float | None:
    """Return an integer as SQLite holds it: of 64 bits with a sign."""
    return value if value is None or -(2**63) <= value < 2**63 else float(value)


class _Names(Iterable[str]):
    """The names that occur, asked for only when a filter names an unknown field."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog.names())
