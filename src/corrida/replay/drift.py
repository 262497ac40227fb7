"""What is not as it was when a run was made: code, packages, machine, threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida import __version__
from corrida.errors import BadInput
from corrida.launch import code_digests
from corrida.pipelines.registry import BUILT_IN
from corrida.runs import layout
from corrida.runs.snapshot.environment import RECORDED_VARIABLES, describe_environment
from corrida.runs.snapshot.git import GitCapture, find_repository

if TYPE_CHECKING:
    from corrida.project import Project
    from corrida.runs.record import RunRecord
    from corrida.runs.run_file import RunFile

DriftKind = Literal["code", "commit", "package", "python", "machine", "threads", "variable", "data", "seed"]
_SHOWN = 5


class Drift(msgspec.Struct, frozen=True):
    """One thing that is not as it was.

    Attributes:
        kind: what sort of thing.
        text: what, in words.
        refuses: whether the work is known to be another because of it; else it may be, or may not.
    """

    kind: DriftKind
    text: str
    refuses: bool = False


def find_drift(run: RunRecord, project: Project, source: str | None = None) -> list[Drift]:
    """Say what is not as it was when ``run`` was made.

    A source file that the run started from and that has other content now makes it other work: that refuses.
    The same holds for another corrida behind a built-in pipeline. A commit, a package or a machine may have changed
    without any effect: those warn, and are the suspects where the results differ.

    Args:
        run: a run that has ended.
        project: where its code lies.
        source: the file of its pipeline, when that is of the project.

    Returns:
        What refuses first.
    """
    file = run.run_file()
    now = describe_environment()
    found = [
        *_code(run, file, project, source),
        *_commit(run, project),
        *environment_drift(file.environment, now),
    ]
    return sorted(found, key=lambda drift: not drift.refuses)


def refuse_drift(run: RunRecord, drift: Iterable[Drift], *, allowed: bool) -> None:
    """Raise when the work is known to be another.

    Raises:
        BadInput: naming what changed, unless that is ``allowed``.
    """
    serious = [entry.text for entry in drift if entry.refuses]
    if serious and not allowed:
        raise BadInput(
            f"{run.id} was made by other code: {'; '.join(serious)}; go back to that code, "
            "or see with --allow-drift what the code of now makes of it"
        )


def _code(run: RunRecord, file: RunFile, project: Project, source: str | None) -> list[Drift]:
    asked = file.invocation
    if asked is None:
        return []
    found = []
    if asked.uses in BUILT_IN and asked.corrida and asked.corrida != __version__:
        found.append(Drift("code", f"corrida {asked.corrida} → {__version__}", refuses=True))
    data = {
        str(entry["path"]) for entry in run.manifest().get("data", ())
    }  # found by digest, wherever they are
    recorded = {name: digest for name, digest in asked.code.items() if name not in data}
    now = code_digests([source, *recorded], project.root)
    for name, digest in recorded.items():
        if name not in now:
            found.append(Drift("code", f"{name} is gone", refuses=True))
        elif now[name] != digest:
            found.append(Drift("code", f"{name} has other content", refuses=True))
    return found


def _commit(run: RunRecord, project: Project) -> list[Drift]:
    """Compare the commit and the uncommitted changes, but for what the run brings along: its configurations."""
    top = find_repository(project.root)
    if run.git is None or top is None:
        return []
    own = {(project.root / copy.origin).resolve() for copy in run.configs}
    own |= {(project.root / str(entry["path"])).resolve() for entry in run.manifest().get("data", ())}
    git, diff = GitCapture(project.root, [project.store_folder]).result()
    if git is None or git.commit is None or run.git.commit is None:
        return []
    recorded = (run.dir / layout.DIFF).read_bytes() if (run.dir / layout.DIFF).is_file() else b""
    before, after = _sections(recorded), _sections(diff)

    def told(names: Iterable[str]) -> list[str]:
        store = project.store_folder.resolve()
        paths = {name: (top / name).resolve() for name in names}
        return sorted(n for n, p in paths.items() if p not in own and not p.is_relative_to(store))

    if git.commit == run.git.commit:
        other = told(name for name in {*before, *after} if before.get(name) != after.get(name))
        return [Drift("commit", f"uncommitted changes differ in {_some(other)}")] if other else []
    commits = f"commit {run.git.commit[:10]} → {git.commit[:10]}"
    committed = _changed_between(top, run.git.commit, git.commit)
    if committed is None:
        return [Drift("commit", f"{commits}, and the old one is not in this repository")]
    other = told({*committed, *before, *after})
    return [Drift("commit", f"{commits}, with changes in {_some(other)}")] if other else []


def _sections(diff: bytes) -> dict[str, bytes]:
    """Return a git diff by file."""
    found = {}
    for section in b"\n".join([b"", diff]).split(b"\ndiff --git ")[1:]:
        name = section.split(b"\n", 1)[0].decode("utf-8", "replace").rpartition(" b/")[2]
        found[name.rstrip('"')] = section.rstrip(b"\n")
    return found


def _changed_between(top: Path, old: str, new: str) -> list[str] | None:
    try:
        answer = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(top), "diff", "--name-only", "-z", old, new],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = answer.stdout.decode("utf-8", "replace").split("\0")
    return [name for name in names if name] if answer.returncode == 0 else None


def environment_drift(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Drift]:
    """Say what differs between two environments, as ``describe_environment`` gives them."""
    found = [
        Drift(
            "python" if name in {"python", "implementation"} else "machine",
            f"{name} {before[name]} → {now[name]}",
        )
        for name in ("python", "implementation", "platform", "machine", "processors")
        if name in before and name in now and before[name] != now[name]
    ]
    found += threads_drift(before, now)
    threads = [(side.get("threads") or {}).get("polars") for side in (before, now)]
    told = (
        {"POLARS_MAX_THREADS"} if threads[0] == threads[1] is not None else set()
    )  # it only sets that number
    one, two = before.get("variables") or {}, now.get("variables") or {}
    found += [
        Drift("variable", f"{name} {one.get(name, 'not set')} → {two.get(name, 'not set')}")
        for name in sorted({*one, *two} - told)
        if one.get(name) != two.get(name)
    ]
    return found + _packages(before.get("packages") or {}, now.get("packages") or {})


def _packages(before: Mapping[str, str], now: Mapping[str, str]) -> list[Drift]:
    """Say which packages have another version or are gone; those that are new can hardly matter, and are told in one."""
    found = [
        Drift("package", f"{name} {version} → {now.get(name, 'not there')}")
        for name, version in before.items()
        if now.get(name) != version
    ]
    new = sorted(now.keys() - before.keys()) if before else []
    if new:
        found.append(Drift("package", f"{len(new)} new package{'s' if len(new) > 1 else ''}: {_some(new)}"))
    return found


def threads_drift(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Drift]:
    """Say which libraries use another number of threads; one that is not loaded has none to tell."""
    one, two = before.get("threads") or {}, now.get("threads") or {}
    return [
        Drift("threads", f"threads of {name} {one[name]} → {two[name]}")
        for name in sorted(one.keys() & two.keys())
        if one[name] != two[name]
    ]


def wanted_variables(file: RunFile, *, own_threads: bool = True) -> dict[str, str | None]:
    """Return the environment variables under which a run was made; None for those that were not set.

    Args:
        file: the run.
        own_threads: where polars counted its threads by the processors of then, ask for that number by its variable.
            Of a command only corrida's own threads are known, which do not matter.
    """
    recorded = file.environment.get("variables") or {}
    wanted: dict[str, str | None] = {name: recorded.get(name) for name in RECORDED_VARIABLES}
    threads = (file.environment.get("threads") or {}).get("polars")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if own_threads and threads and wanted["POLARS_MAX_THREADS"] is None and threads != usable:
        wanted["POLARS_MAX_THREADS"] = str(threads)
    return wanted


def variables_to_set(file: RunFile) -> dict[str, str | None]:
    """Return the recorded variables that are otherwise in this process; empty when all are as they were."""
    return {name: value for name, value in wanted_variables(file).items() if os.environ.get(name) != value}


def set_threads(file: RunFile) -> None:
    """Give torch the number of threads that the run had, when it is loaded: it can be told at any time."""
    count = (file.environment.get("threads") or {}).get("torch")
    torch = sys.modules.get("torch")
    if count and torch is not None and torch.get_num_threads() != count:
        torch.set_num_threads(count)


def imported_first(drift: Iterable[Drift]) -> list[Drift]:
    """Return drift with packages that this process has not imported last: they can hardly be to blame."""
    drift = list(drift)
    if not any(entry.kind == "package" for entry in drift):
        return drift
    from importlib.metadata import packages_distributions

    loaded = {
        name.lower().replace("_", "-")
        for module, names in packages_distributions().items()
        if module in sys.modules
        for name in names
    }
    return sorted(drift, key=lambda d: d.kind == "package" and d.text.split(" ")[0] not in loaded)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
