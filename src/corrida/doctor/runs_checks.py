"""The runs of a store: those that never ended, that cannot be read, or that point to nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from corrida.doctor.finding import Finding, Subject, plural, seconds_text, some
from corrida.runs import layout
from corrida.runs.liveness import STALE_SECONDS, is_local
from corrida.runs.trash import trashed
from corrida.runs.verify import broken_lines

if TYPE_CHECKING:
    from corrida.doctor.scan import SeenRun

_JUST_BORN = 10.0
_SKEW = 60.0


def half_written(subject: Subject) -> Iterator[Finding]:
    """Runs whose process ended without a word; what they had logged can be read."""
    born = [n for n, changed in subject.scan.half_born.items() if subject.now - changed > _JUST_BORN]
    if born:
        yield Finding(
            "warning",
            f"run {some(born)}",
            "killed at the very start, before anything was written; the folder holds nothing but copies",
            f"{subject.command(f'rm {born[0]}')} moves it to the trash",
        )
    crashed = [run for run in subject.scan.runs.values() if run.status == "crashed"]
    here = [run.id for run in crashed if _is_local(run)]
    if here:
        yield Finding(
            "warning",
            f"run {some(here)}",
            f"{'its process' if len(here) == 1 else 'their processes'} ended without a word (status crashed); "
            "all that was logged until then can be read",
            f"look with {subject.command(f'show {here[0]}')}, remove with {subject.command(f'rm {here[0]}')}",
        )


def stale_heartbeats(subject: Subject) -> Iterator[Finding]:
    """Runs of other machines, of which only the heartbeat tells whether they live."""
    for run in subject.scan.runs.values():
        if run.content is None or run.content.status != "running" or _is_local(run):
            continue
        process, age = run.content.process, subject.now - run.heartbeat
        host = process.host if process else "unknown"
        place = f"on {host}" if host != socket.gethostname() else "before a restart, or in another container"
        if age < -_SKEW:
            yield Finding(
                "warning",
                f"run {run.id}",
                f"it runs {place}, and its last sign of life lies {seconds_text(-age)} in the future: the clocks "
                "differ, and it counts as running until then",
                f"set the clocks (`timedatectl`); if it is dead, {subject.command(f'rm {run.id} --force')}",
            )
        elif age > STALE_SECONDS:
            yield Finding(
                "warning",
                f"run {run.id}",
                f"started {place}, last sign of life {seconds_text(age)} ago: it counts as crashed, and nobody "
                "here can ask its machine",
                f"look there; {subject.command(f'rm {run.id}')} moves it to the trash",
            )


def _is_local(run: SeenRun) -> bool:
    """Tell whether the kernel of this machine knows the process of a run."""
    return run.content is not None and run.content.process is not None and is_local(run.content.process)


def unreadable(subject: Subject) -> Iterator[Finding]:
    """Runs that no command can read."""
    newer = [run for run in subject.scan.runs.values() if run.newer]
    if newer:
        yield Finding(
            "error",
            f"run {some(run.id for run in newer)}",
            "written by a later version of corrida, which this one cannot read",
            "`pip install -U corrida`",
        )
    for run in subject.scan.runs.values():
        if run.error and not run.newer:
            yield Finding("error", f"run {run.id}", run.error, subject.command(f"verify {run.id}"))
    for name in subject.scan.lost:
        yield Finding(
            "error",
            f"run {name}",
            f"it has lost its {layout.RUN}, so no list shows it; bring that back from a copy or from git",
            subject.command(f"verify {name}"),
        )
    for name in subject.scan.unnamed:
        yield Finding(
            "warning",
            f"folder {name}",
            "it holds a run, but its name is no run id, so no list shows it",
            "give it the name that its run.json says (`id`)",
        )


def in_the_future(subject: Subject) -> Iterator[Finding]:
    """Runs that were started later than now: a clock is wrong, here or there."""
    late = []
    for run in subject.scan.runs.values():
        if run.content is None:
            continue
        try:
            created = datetime.fromisoformat(run.content.created)
        except ValueError:
            continue
        created = created if created.tzinfo else created.replace(tzinfo=UTC)
        if created.timestamp() > subject.now + _SKEW:
            late.append((created.timestamp() - subject.now, run.id))
    if late:
        ahead, _ = max(late)
        yield Finding(
            "warning",
            f"run {some(run_id for _, run_id in late)}",
            f"started up to {seconds_text(ahead)} in the future: this clock is behind, or that of its machine was "
            "ahead. The order of runs holds; times and ages do not",
            "compare `date -u` here and there, and set the clock (`timedatectl`)",
        )


def parents(subject: Subject) -> Iterator[Finding]:
    """Children whose parent is not in the store."""
    runs = subject.scan.runs
    orphans: dict[str, list[str]] = {}
    for run in runs.values():
        parent = run.content.parent if run.content else None
        if parent and parent not in runs:
            orphans.setdefault(parent, []).append(run.id)
    in_trash = set(trashed(subject.root))
    for parent, children in orphans.items():
        if parent in in_trash:
            what, then = "is in the trash", f"{subject.command(f'trash --restore {parent}')} brings it back"
        else:
            what = "is not in the store"
            then = "copy it here as well, or leave them: they are listed on lines of their own"
        yield Finding("note", f"run {some(children)}", f"the parent {parent} {what}", then)
    for run in runs.values():
        if run.content and run.content.parent == run.id:
            yield Finding(
                "warning", f"run {run.id}", "it names itself as its parent", _verify(subject, run.id)
            )


def broken_notes(subject: Subject) -> Iterator[Finding]:
    """Notes and tags that cannot be read."""
    for run in subject.scan.runs.values():
        if not run.annotated:
            continue
        where = f"{run.id}/{layout.ANNOTATIONS}"
        try:
            broken = broken_lines((subject.root / where).read_bytes(), dict)
        except OSError as error:
            yield Finding("warning", where, f"cannot be read: {error.strerror}", _verify(subject, run.id))
            continue
        if broken:
            lines = some(map(str, broken))
            what = f"{plural(len(broken), 'line')} cannot be read and {'is' if len(broken) == 1 else 'are'} left out"
            yield Finding("warning", where, f"{what} (line {lines})", "mend the lines in an editor")


def _verify(subject: Subject, run_id: str) -> str:
    return subject.command(f"verify {run_id}")
