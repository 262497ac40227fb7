"""The state of the project's git repository: commit, branch, and the difference from the commit."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import IO, TYPE_CHECKING

from corrida.runs.run_file import Git

if TYPE_CHECKING:
    import subprocess

MAX_DIFF_BYTES = 4 * 1024 * 1024
_UNTRACKED_SHOWN = 100
_TIMEOUT = 20.0


def find_repository(folder: Path) -> Path | None:
    """Return the top of the git work tree that ``folder`` lies in, or None."""
    place = os.fspath(folder)
    while not os.path.exists(os.path.join(place, ".git")):  # noqa: PTH110, PTH118 - a dozen looks for each run
        above = os.path.dirname(place)  # noqa: PTH120
        if above == place:
            return None
        place = above
    return Path(place)


class GitCapture:
    """Asks git while the run starts, so that no run waits for it; :meth:`result` collects the answer."""

    def __init__(self, root: Path, ignore: Collection[Path]) -> None:
        """Start asking.

        Args:
            root: a folder of the work tree.
            ignore: files and folders that do not count as untracked (the store, copied configurations).
        """
        top = find_repository(root)
        self._top = top
        self._ignore = ignore
        self._status: subprocess.Popen[bytes] | None = None
        self._diff: subprocess.Popen[bytes] | None = None
        self._missing = False
        if top is None:
            return
        exclude = [
            f":(exclude,top){p.relative_to(top).as_posix()}"
            for p in ignore
            if p.is_relative_to(top) and p.is_dir()
        ]
        try:
            self._status = self._ask(
                "status",
                "--porcelain=v2",
                "--branch",
                "-z",
                "--untracked-files=all",
                "--",
                ":(top)",
                *exclude,
            )
            self._diff = self._ask(
                "diff",
                "HEAD",
                "--binary",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--",
                ":(top)",
                *exclude,
            )
        except OSError:
            self._missing = True

    def _ask(self, *arguments: str) -> subprocess.Popen[bytes]:
        import subprocess  # here: where there is no repository, nobody is asked

        return subprocess.Popen(
            # Without optional locks: asking must not disturb a commit that runs at the same time.
            ["git", "--no-optional-locks", "-C", str(self._top), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def result(self) -> tuple[Git | None, bytes]:
        """Return what git said, and the difference from the commit (empty when clean or too large)."""
        if self._top is None:
            return None, b""
        if self._missing or self._status is None or self._diff is None:
            return Git(note="git is not installed; commit and changes are unknown"), b""
        import subprocess

        try:
            diff = _read_limited(self._diff)
            status, _ = self._status.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            return Git(note=f"git did not answer within {_TIMEOUT:.0f} s"), b""
        finally:
            for process in (self._status, self._diff):
                if process.poll() is None:
                    process.kill()
                process.wait()
                if process.stdout:
                    process.stdout.close()
        if self._status.returncode != 0:
            return Git(note="git could not read the repository; commit and changes are unknown"), b""
        return self._parse(status, diff)

    def _parse(self, status: bytes, diff: bytes | None) -> tuple[Git, bytes]:
        commit: str | None = None
        branch: str | None = None
        untracked: list[str] = []
        ignored = {str(p) for p in self._ignore}
        for entry in status.decode("utf-8", "replace").split("\0"):
            if entry.startswith("# branch.oid "):
                commit = entry.removeprefix("# branch.oid ")
                commit = None if commit.startswith("(") else commit
            elif entry.startswith("# branch.head "):
                branch = entry.removeprefix("# branch.head ")
                branch = None if branch.startswith("(") else branch
            elif entry.startswith("? ") and str(self._top) + "/" + entry[2:] not in ignored:
                untracked.append(entry[2:])
        note = None
        if diff is None:
            note, diff = f"the difference is larger than {MAX_DIFF_BYTES // 2**20} MB and was not kept", b""
        dirty = bool(diff) or bool(untracked) or note is not None
        shown = tuple(sorted(untracked)[:_UNTRACKED_SHOWN])
        return Git(commit=commit, branch=branch, dirty=dirty, untracked=shown, note=note), diff


def _read_limited(process: subprocess.Popen[bytes]) -> bytes | None:
    """Return the output, or None when it is larger than the limit."""
    stream: IO[bytes] | None = process.stdout
    assert stream is not None  # noqa: S101 - opened with PIPE
    data = stream.read(MAX_DIFF_BYTES + 1)
    return None if len(data) > MAX_DIFF_BYTES else data


def committed_bytes(path: Path) -> bytes | None:
    """Return the content of ``path`` in the last commit of its repository, or None when it is not in it."""
    top = find_repository(path.parent)
    if top is None:
        return None
    import subprocess

    try:
        answer = subprocess.run(
            ["git", "-C", str(top), "show", f"HEAD:{path.relative_to(top).as_posix()}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None
