"""A store inside a git repository: what is committed of it, and what git does to its bytes."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

from corrida.doctor.finding import Finding, Subject, size_text, some
from corrida.runs import layout
from corrida.runs.snapshot.git import find_repository

_LARGE = 50_000_000
_TIMEOUT = 30


def repository(subject: Subject) -> Iterator[Finding]:
    """Whether git can tell the state of the project's code."""
    root = subject.project.root
    if find_repository(root) is None:
        if subject.project.file is None:
            return  # a folder that nobody made a project of
        what = "not in a git repository: runs do not say which code they ran"
        yield Finding("note", "project", what, "`git init`, and commit the code")
        return
    try:
        answer = _git(root, "status", "--porcelain", "--untracked-files=no")
    except FileNotFoundError:
        what = "in a git repository, but git is not installed: runs do not say which code they ran"
        yield Finding("warning", "project", what, "install git")
        return
    if answer.returncode:
        reason = answer.stderr.strip().split("\n")[0].removeprefix("fatal: ")
        yield Finding(
            "warning", "project", f"git cannot read the repository: {reason}", "`git status` says more"
        )
        return
    unmerged = [
        line[3:]
        for line in answer.stdout.splitlines()
        if line[:2] in {"UU", "AA", "DD", "AU", "UA", "DU", "UD"}
    ]
    if unmerged:
        yield Finding(
            "warning", some(unmerged), "a merge with conflicts is under way", "`git status` lists them"
        )
    if _git(root, "rev-parse", "--verify", "-q", "HEAD").returncode:
        what = "the git repository has no commit yet: runs do not say which code they ran"
        yield Finding("note", "project", what, "`git add -A && git commit`")


def store_in_git(subject: Subject) -> Iterator[Finding]:
    """What git keeps of the store."""
    root = subject.root
    if not root.is_dir() or find_repository(root) is None:
        return
    try:
        listed = _git(root, "ls-files", "-z", "--", ".")
    except FileNotFoundError:
        return
    tracked = [name for name in listed.stdout.split("\0") if name]
    private = [name for name in tracked if name.startswith(f"{layout.PRIVATE}/")]
    if private:
        what = f"{some(private, 2)} {'is' if len(private) == 1 else 'are'} committed: trash and journal of one machine"
        then = f"`git rm -r -q --cached {subject.file(layout.PRIVATE)}`"
        yield Finding("warning", layout.PRIVATE, what, then)
    kept = [name for name in tracked if name not in private]
    large = {name: size for name in kept if (size := _size(root / name)) > _LARGE}
    if large:
        what = f"{size_text(sum(large.values()))} in git; every clone carries them for ever, and many servers refuse them"
        then = (
            f"`git rm --cached {subject.file(next(iter(large)))}` and name it in .gitignore, or use git-lfs"
        )
        yield Finding("warning", some(large), what, then)
    if kept:
        yield from _attributes(subject, kept)


def _attributes(subject: Subject, kept: list[str]) -> Iterator[Finding]:
    attributes = subject.file(".gitattributes")
    merged = [name for name in (layout.INDEX, layout.ALIASES) if name in kept]
    if merged:
        answer = _git(subject.root, "check-attr", "-z", "merge", "--", *merged).stdout.split("\0")
        bare = [name for name, value in zip(answer[::3], answer[2::3], strict=False) if value != "union"]
        if bare:
            what = f"git does not know how to merge {'it' if len(bare) == 1 else 'them'}: two branches with runs conflict"
            line = "; ".join(f"echo '{name} merge=union' >> {attributes}" for name in bare)
            yield Finding("warning", some(bare), what, f"`{line}`")
    sample = next((name for name in kept if name.endswith(f"/{layout.RUN}")), None)
    if sample is None:
        return
    converting = _git(subject.root, "config", "core.autocrlf").stdout.strip() in {"true", "input"}
    value = _git(subject.root, "check-attr", "-z", "text", "--", sample).stdout.split("\0")[2:3]
    if value in (["set"], ["auto"]) or (converting and value == ["unspecified"]):
        what = "git may change the line ends of files in runs, which then no longer fit their digests"
        yield Finding("warning", ".gitattributes", what, f"`echo '* -text' >> {attributes}`")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"git did not answer within {_TIMEOUT} s") from None


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
