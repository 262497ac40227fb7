"""The catalog's database: where it lies, its tables, and how it is opened."""

from __future__ import annotations

import functools
import os
import sqlite3
from binascii import crc32
from pathlib import Path
from urllib.parse import quote

from corrida.runs.files import digest_bytes
from corrida.runs.run_file import Column, ConfigCopy, Failure, Git, MlflowFacts, PrimaryMetric, RunHeader
from corrida.runs.user_cache import cache_folder

SCHEMA_VERSION = 2
_LONGEST_NAME = 150
_PAGES_KB = 64 * 1024
"""What a connection keeps in memory at most. Indexes of a large store that are built with less are written many times."""

# Both orders of runs hold what a table is sorted by: a row with its header is some thirty times as large.
_NARROW = "status, created, finished, duration, seed, parent, source, resumed_from, git_commit, git_branch"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS runs (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, signature TEXT NOT NULL, sealed INTEGER NOT NULL,
    pipeline TEXT, status TEXT, created TEXT, finished TEXT, duration REAL, ord INTEGER, source TEXT,
    description TEXT, notes TEXT, seed INTEGER, parent TEXT, resumed_from TEXT, git_commit TEXT, git_branch TEXT,
    params TEXT, tags TEXT, findings TEXT, header BLOB NOT NULL, line BLOB
);
CREATE INDEX IF NOT EXISTS runs_order ON runs (ord, id, pipeline, {narrow});
CREATE INDEX IF NOT EXISTS runs_pipeline ON runs (pipeline, ord, id, {narrow});
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
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_parent ON runs (parent) WHERE parent IS NOT NULL;
"""


def catalog_file(root: Path) -> Path:
    """Return the file of the catalog of the store at ``root``; from its name a person can tell the store."""
    place = os.fsencode(os.path.realpath(root))
    name = quote(place.strip(b"/"), safe="")
    if len(name) > _LONGEST_NAME:
        name = f"{name[-_LONGEST_NAME:]}-{digest_bytes(place).sha256[7:27]}"
    return cache_folder() / f"catalog-v{SCHEMA_VERSION}-{header_shape()}-{name}.sqlite"


@functools.cache
def header_shape() -> str:
    """Return a short digest of the fields of a header: versions of corrida whose headers differ share no catalog."""
    kinds = (RunHeader, ConfigCopy, Git, Failure, PrimaryMetric, Column, MlflowFacts)
    fields = [(kind.__name__, kind.__struct_fields__, sorted(kind.__annotations__.items())) for kind in kinds]
    return f"{crc32(repr(fields).encode()):08x}"


def connect(name: str) -> sqlite3.Connection:
    """Open the database ``name`` (a path, or ``:memory:``), with its tables.

    Raises:
        sqlite3.Error: it is damaged, locked for very long, or cannot be written.
    """
    db = sqlite3.connect(name, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        if name != ":memory:" and db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")  # a cache: speed before durability
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"PRAGMA cache_size = -{_PAGES_KB}")
        db.create_function(
            "folded", 1, lambda v: None if v is None else str(v).casefold(), deterministic=True
        )
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs_parent'").fetchone():
            db.executescript(_SCHEMA.format(narrow=_NARROW))
    except BaseException:
        db.close()
        raise
    return db
