"""Vectors kept on disk, found by the digest of their text."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from corrida.runs.user_cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from corrida.pipelines.evaluation.embeddings import Vectors

_AT_ONCE = 500
_WAIT = 30.0


class VectorCache:
    """One file for each embedding in the user's cache folder; it may be deleted at any time, and shared by processes.

    A cache that cannot be read or written is one that knows nothing: the vectors are computed again.
    """

    def __init__(self, identity: str) -> None:
        """Open the cache of an embedding.

        Args:
            identity: name, version and digest; another identity is another cache.
        """
        digest = hashlib.sha256(identity.encode()).hexdigest()[:20]
        self.path = cache_folder() / "embeddings" / f"{digest}.sqlite"

    def get(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors of those texts that are known."""
        import numpy as np

        by_key = {_key(text): text for text in texts}
        found: dict[str, Vectors] = {}
        if not self.path.exists():
            return found
        try:
            with closing(self._open()) as database:
                for keys in _parts(list(by_key)):
                    marks = ",".join("?" * len(keys))
                    rows = database.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", keys)  # noqa: S608
                    for key, vector in rows:
                        found[by_key[key]] = np.frombuffer(vector, dtype="<f4").astype(np.float32)
        except (sqlite3.Error, OSError, ValueError):
            return {}
        return found

    def put(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Keep vectors."""
        rows = [
            (_key(text), vector.astype("<f4").tobytes()) for text, vector in zip(texts, vectors, strict=True)
        ]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as database, database:
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError):
            return

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=_WAIT)
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
        )
        return database


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _parts(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
