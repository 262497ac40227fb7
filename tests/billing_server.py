"""A gateway that charges: a process of its own, which keeps in a file what took effect, once for each Idempotency-Key.

``python tests/billing_server.py FOLDER PORT``. What it is to do instead of answering well stands in FOLDER/next, a word for each call:
``500`` (answers so, nothing takes effect), ``429 2`` (with Retry-After), ``hang``, ``302 URL``; and, after it has taken effect,
``after 500``, ``after drop`` (the connection is cut) or ``after hang``. A word with ``!`` is for every call.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (number INTEGER PRIMARY KEY, key TEXT, did TEXT, secret TEXT, body TEXT);
"""


class Gateway:
    """The gateway as a test holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/charges"
        with self._file() as file:
            file.executescript(_TABLES)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, __file__, str(self.folder), str(self.port)])
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def next(self, *words: str) -> None:
        """Say what the next calls meet; afterwards all is well."""
        (self.folder / "next.new").write_text("\n".join(words), encoding="utf-8")
        (self.folder / "next.new").rename(self.folder / "next")

    def effects(self) -> dict[str, Any]:
        """Return what took effect, by key."""
        with self._file() as file:
            return {key: json.loads(body) for key, body in file.execute("SELECT key, body FROM effects")}

    def calls(self) -> list[tuple[str, str, str | None, str]]:
        """Return every call: its key, what was done, the header Authorization, and the body."""
        with self._file() as file:
            return list(file.execute("SELECT key, did, secret, body FROM calls ORDER BY number"))

    @contextlib.contextmanager
    def _file(self):
        with contextlib.closing(sqlite3.connect(self.folder / "effects.db", timeout=30)) as file, file:
            yield file


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    lock = threading.Lock()

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        content = self.rfile.read(length)
        if len(content) < length:  # who sent it was killed on the way
            self.close_connection = True
            return
        body = content.decode()
        key, word = self.headers["idempotency-key"], self._word()
        when, _, what = word.partition(" ") if word.startswith("after ") else ("instead", "", word)
        did = word
        if not word or when == "after":
            did += " took" if self._take(key, body) else " had"
        with self._file() as file:
            insert = "INSERT INTO calls (key, did, secret, body) VALUES (?, ?, ?, ?)"
            file.execute(insert, (key, did.strip(), self.headers["authorization"], body))
        if what == "hang":
            time.sleep(60)
        elif what == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif what == "drip":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while True:
                    self.wfile.write(b"X-Slow: 1\r\n")
                    time.sleep(0.1)
        elif what:
            status, _, more = what.partition(" ")
            self.send_response(int(status))
            if more:
                self.send_header("location" if status.startswith("3") else "retry-after", more)
            self.end_headers()
        else:
            self.send_response(200 if did.endswith("took") else 409)
            self.end_headers()

    def _take(self, key: str, body: str) -> bool:
        with self._file() as file:
            found = file.execute("SELECT body FROM effects WHERE key = ?", (key,)).fetchone()
            assert found is None or found[0] == body, "another body under the same key"
            file.execute("INSERT OR IGNORE INTO effects VALUES (?, ?)", (key, body))
            return found is None

    def _word(self) -> str:
        with self.lock:
            try:
                words = (self.folder / "next").read_text(encoding="utf-8").splitlines()
            except OSError:
                return ""
            if words and not words[0].endswith("!"):
                (self.folder / "next").write_text("\n".join(words[1:]), encoding="utf-8")
            return words[0].removesuffix("!") if words else ""

    @contextlib.contextmanager
    def _file(self):
        with (
            self.lock,
            contextlib.closing(sqlite3.connect(self.folder / "effects.db", timeout=30)) as file,
            file,
        ):
            yield file

    def log_message(self, *arguments: object) -> None:
        pass


if __name__ == "__main__":
    _Handler.folder = Path(sys.argv[1])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _Handler).serve_forever()
