"""The files of a store that belong to no run: index, aliases, journal, trash, and what does not belong there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from corrida.doctor.finding import Finding, Subject, plural, seconds_text, size_text, some
from corrida.errors import CorridaError
from corrida.runs import alias, journal, layout
from corrida.runs.alias import Promotion
from corrida.runs.index_file import index_line, index_text
from corrida.runs.run_file import SEALED
from corrida.runs.trash import trash_folder, trashed
from corrida.runs.verify import broken_lines

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp$")
_MARKERS = re.compile(rb"^(?:<{7}|={7}|>{7})", re.MULTILINE)
_CONFLICT = re.compile(r"conflict|\(\d+\)\.jsonl?$", re.IGNORECASE)
_OWN_PRIVATE = frozenset(
    {
        ".gitignore",
        "index.lock",
        layout.TRASH,
        layout.JOURNAL,
        layout.DRAFTS,
        layout.EMPTIED,
        layout.CLOCK,
        layout.STORE_FILE,
    }
)
_ABANDONED = 3600.0
_MOVES = ".moves"
_MUCH_TRASH = 100_000_000


def index(subject: Subject) -> Iterator[Finding]:
    """index.json: whether it says what the folders say. It is a cache, which readers mend where they may write."""
    path = subject.root / layout.INDEX
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        yield Finding("warning", layout.INDEX, f"cannot be read: {error.strerror}", subject.command("index"))
        return
    if _MARKERS.search(data):
        what = "holds the conflict markers of a merge; it is only a cache, so nothing is lost"
        yield Finding("warning", layout.INDEX, what, f"{subject.command('index')} writes it anew")
        return
    runs = [r.content for r in subject.scan.runs.values() if r.content and r.status in SEALED]
    # In any order: runs that end side by side are appended as they end, and sorted by the next reader.
    right = sorted(index_text(index_line(content) for content in runs).split(b"\n"))
    if sorted(data.split(b"\n")) != right and (data or runs):
        what = "does not say what the run folders say; any command that reads writes it anew where it may"
        yield Finding("warning", layout.INDEX, what, subject.command("index"))


def aliases(subject: Subject) -> Iterator[Finding]:
    """aliases.jsonl: lines that cannot be read, and aliases that point to nothing that can be served."""
    path = subject.root / layout.ALIASES
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        what = f"cannot be read ({error.strerror}), so nobody knows what is in production"
        yield Finding("error", layout.ALIASES, what, f"look with `ls -l {subject.file(layout.ALIASES)}`")
        return
    if broken := broken_lines(data, Promotion):
        markers = "; some are conflict markers of a merge" if _MARKERS.search(data) else ""
        count = "counts" if len(broken) == 1 else "count"
        what = (
            f"{plural(len(broken), 'line')} cannot be read and {count} for nothing "
            f"(line {some(map(str, broken))}){markers}"
        )
        yield Finding("warning", layout.ALIASES, what, "delete or mend them in an editor")
    in_trash = set(trashed(subject.root))
    for name, promotion in alias.current(subject.root).items():
        run = subject.scan.runs.get(promotion.run or "")
        promote = subject.command(f"promote RUN --alias {name}")
        if promotion.run in in_trash and run is None:
            back = subject.command(f"trash --restore {promotion.run}")
            what = f"points to {promotion.run}, which is in the trash"
            yield Finding("error", f"@{name}", what, f"{back} brings it back, or {promote}")
        elif run is None:
            yield Finding(
                "error", f"@{name}", f"points to {promotion.run}, which is not in the store", promote
            )
        elif run.status != "finished":
            yield Finding("error", f"@{name}", f"points to {run.id}, which is {run.status}", promote)


def interrupted_restores(subject: Subject) -> Iterator[Finding]:
    """Restores that a kill cut off, and a log of them that cannot be read."""
    folder = subject.root / layout.PRIVATE / layout.JOURNAL
    for entry in _folders(folder):
        draft = entry.name.startswith(".")
        if not (entry / "old").is_dir() or (not draft and (entry / "done").exists()):
            continue
        try:
            here = journal.read_plan(entry).place == journal.place_of(subject.root)
        except CorridaError:
            here = False
        where = f"{layout.PRIVATE}/{layout.JOURNAL}/{entry.name}"
        if draft:
            what = "a restore that was cut off before it had changed anything"
        elif here:
            what = "a restore that was cut off half way: some files may be old and some new"
        else:
            what = "a restore that was begun in another copy of the store; nothing of it is carried out here"
        then = f"{subject.command('list')} {'completes it' if here and not draft else 'clears it away'}"
        yield Finding("warning" if here else "note", where, what, f"{then}, as any command does")
    try:
        broken = broken_lines((folder / "log.jsonl").read_bytes(), dict)
    except OSError:
        broken = []
    if broken:
        what = f"{plural(len(broken), 'line')} cannot be read: undo does not know of what they said"
        yield Finding(
            "warning", f"{layout.PRIVATE}/{layout.JOURNAL}/log.jsonl", what, "delete them in an editor"
        )


def interrupted_moves(subject: Subject) -> Iterator[Finding]:
    """Removals and adoptions that a kill cut off."""
    folder = subject.root / layout.PRIVATE / layout.JOURNAL
    for plan in sorted(folder.glob(f"*{_MOVES}")):
        where = f"{layout.PRIVATE}/{layout.JOURNAL}/{plan.name}"
        what = "runs were being moved into the trash or out of it, and that was cut off half way"
        yield Finding("warning", where, what, f"{subject.command('list')} completes it, as any command does")
    emptied = subject.root / layout.PRIVATE / layout.EMPTIED
    if emptied.is_dir() and any(emptied.iterdir()):
        what = "the trash was being emptied, and that was cut off; what is left takes room"
        then = f"{subject.command('list')} deletes the rest, as any command does"
        yield Finding("note", f"{layout.PRIVATE}/{layout.EMPTIED}", what, then)
    drafts = subject.root / layout.PRIVATE / layout.DRAFTS
    if left := [d.name for d in _folders(drafts) if _age(d, subject.now) > _ABANDONED]:
        what = f"{plural(len(left), 'draft')} of runs whose adoption or copy was cut off; nothing needs them"
        then = f"the next `corrida adopt` clears them away, or `rm -r {subject.file(f'{layout.PRIVATE}/{layout.DRAFTS}')}`"
        yield Finding("note", f"{layout.PRIVATE}/{layout.DRAFTS}", what, then)


def foreign(subject: Subject) -> Iterator[Finding]:
    """Files and folders that are not corrida's."""
    scan = subject.scan
    copies = [
        n for n in scan.files if _CONFLICT.search(n) and n.startswith(("aliases", "index", "annotations"))
    ]
    for name in copies:
        own = layout.ALIASES if name.startswith("aliases") else layout.INDEX
        what = f"a second version of {own} that a syncing program made; what it says counts for nothing"
        then = (
            f"add its lines to {own}, then delete it"
            if own == layout.ALIASES
            else f"`rm {subject.file(name)}`"
        )
        yield Finding("warning", name, what, then)
    if scan.folders:
        what = f"{'holds' if len(scan.folders) == 1 else 'hold'} no run; corrida leaves {'it' if len(scan.folders) == 1 else 'them'} alone"
        then = "move what is no run out of the store; results of other programs come in by `corrida adopt`"
        yield Finding("warning", f"folder {some(scan.folders)}", what, then)
    rest = [n for n in scan.files if n not in copies and not _TEMPORARY.search(n)]
    if rest:
        what = f"{'is' if len(rest) == 1 else 'are'} not corrida's; it leaves {'it' if len(rest) == 1 else 'them'} alone"
        yield Finding("note", f"file {some(rest)}", what, "move what does not belong there")


def leftovers(subject: Subject) -> Iterator[Finding]:
    """Temporary files of writers that were killed."""
    private = subject.root / layout.PRIVATE
    names = [n for n in subject.scan.files if _TEMPORARY.search(n)]
    strange = []
    try:
        for name in sorted(os.listdir(private)):  # noqa: PTH208 - names are all we need
            if _TEMPORARY.search(name):
                names.append(f"{layout.PRIVATE}/{name}")
            elif name not in _OWN_PRIVATE:
                strange.append(f"{layout.PRIVATE}/{name}")
    except OSError:
        pass
    old = [n for n in names if _age(subject.root / n, subject.now) > _ABANDONED]
    if old:
        what = f"temporary, and {seconds_text(_ABANDONED)} old at least: left by a writer that was killed"
        then = "`rm " + " ".join(subject.file(n) for n in old[:3]) + "`"
        yield Finding("note", f"file {some(old)}", what, then)
    if strange:
        what = "unknown in the private folder: of a later version of corrida, or of another program"
        yield Finding("note", some(strange), what, "leave it if a later corrida works here, else delete it")


def trash(subject: Subject) -> Iterator[Finding]:
    """Room that the trash takes."""
    names = trashed(subject.root)
    if not names:
        return
    used = sum(_used(trash_folder(subject.root) / name) for name in names)
    free = shutil.disk_usage(subject.root).free
    if used > _MUCH_TRASH or used > free:
        what = f"{plural(len(names), 'run')} in the trash take {size_text(used)}; {size_text(free)} are free"
        then = f"{subject.command('trash --empty')} deletes them for good"
        yield Finding("warning" if used > free else "note", "trash", what, then)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
    except OSError:
        return []


def _age(path: Path, now: float) -> float:
    try:
        return now - path.lstat().st_mtime
    except OSError:
        return 0.0


def _used(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512  # noqa: PTH118
            except OSError:
                continue
    return total
