"""Is a run still what was written when it ended?

The digests and the seal find every change of a file. They are no signature: whoever changes a file, its digest and
the seal alike is not found. index.json kept in git, or a copy of the store elsewhere, is what tells then.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from corrida.errors import CorridaError
from corrida.runs import layout
from corrida.runs.additions import added_files
from corrida.runs.alias import Promotion
from corrida.runs.annotations import read_annotations
from corrida.runs.files import digest_entry, entry_name, safe_join
from corrida.runs.folders import is_half_born
from corrida.runs.ids import is_run_id
from corrida.runs.plain import JSON_ERRORS
from corrida.runs.predictions import (
    FORMATS,
    is_cut_off,
    prediction_files,
    prediction_ids,
    prediction_problem,
)
from corrida.runs.run_file import SEALED, RunFile, read_run_file, seal_is_intact

Finding = Literal["altered", "missing", "added", "unreadable", "broken line", "not ended", "left over"]
_HARMLESS: Final = ("not ended", "left over")
_SIGNS: Final = (layout.OWN_FILES | layout.OWN_FOLDERS) - {layout.CONFIG_DIR}


class Problem(msgspec.Struct, frozen=True):
    """One file that is not what it was; ``file`` is relative to the run folder."""

    file: str
    finding: Finding
    detail: str = ""


class Verification(msgspec.Struct, frozen=True):
    """The result for one run: how many files were looked at, and what is wrong.

    Attributes:
        run: the id; None for the files of the store itself.
        files: number of files whose digest was computed.
        problems: what is not as it was; of a run that has not ended, that nothing can be compared; and what a kill
            left of a prediction.
    """

    run: str | None
    files: int
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing differs from when the run ended; true of a run that has not, which may have crashed."""
        return all(p.finding in _HARMLESS for p in self.problems)


def verify_run(run_dir: Path, *, ended: str | None = None) -> Verification:
    """Recompute every digest of a run and compare it with run.json.

    Args:
        run_dir: the run folder.
        ended: when the run was started that has ended by what index.json says; see :func:`known_to_have_ended`.
    """
    content = _run_file(run_dir, ended)
    if isinstance(content, Problem):
        return Verification(run_dir.name, 0, (content,))
    problems = [*_problems_of_run_file(run_dir / layout.RUN, content), *_problems_of_files(run_dir, content)]
    later = [name for name in prediction_ids(run_dir) if _prediction(name) not in content.files]
    return Verification(run_dir.name, len(content.files) + len(later), tuple(problems))


def _run_file(run_dir: Path, ended: str | None) -> RunFile | Problem:
    """Return the run.json of an ended run, or why there is nothing to compare with."""
    path = run_dir / layout.RUN
    if not os.path.lexists(path):
        if is_half_born(run_dir) and ended is None:
            return Problem(layout.RUN, "not ended", "the process ended before it had written it")
        return Problem(layout.RUN, "missing", "the folder is a run that has lost it")
    if not path.is_file():
        return Problem(layout.RUN, "unreadable", f"{_kind_of(path)} is in its place")
    try:
        content = read_run_file(run_dir)
    except CorridaError as error:
        return Problem(layout.RUN, "unreadable", str(error))
    return content if content.status in SEALED else _not_sealed(content, ended)


def _not_sealed(content: RunFile, ended: str | None) -> Problem:
    over = ended == content.created or content.seal or content.files or content.finished
    if not over:
        return Problem(layout.RUN, "not ended", "only an ended run has digests to compare with")
    return Problem(layout.RUN, "altered", f"it says {content.status}, though the run has ended")


def _problems_of_run_file(path: Path, content: RunFile) -> Iterator[Problem]:
    if path.is_symlink():
        yield Problem(layout.RUN, "altered", "a link is in its place")
    if not seal_is_intact(path.read_bytes()):
        yield Problem(layout.RUN, "altered", "its seal does not fit its content")
    for copy in content.configs:
        stored = content.files.get(copy.file)
        if stored is None or stored.sha256 != copy.sha256:
            yield Problem(layout.RUN, "altered", f"it contradicts itself on the digest of {copy.file}")


def _problems_of_files(run_dir: Path, content: RunFile) -> Iterator[Problem]:
    there, unreadable = _walk(run_dir)
    yield from unreadable
    for name, stored in content.files.items():
        path = there.get(name)
        if path is None:
            if not any(name.startswith(f"{p.file}/") for p in unreadable):
                folder = name not in layout.NOT_SEALED and _is_folder(run_dir, name)
                yield Problem(name, "missing", "a folder is in its place" if folder else "")
            continue
        if not path.is_symlink() and not path.is_file():
            yield Problem(name, "altered", f"{_kind_of(path)} is in its place")
            continue
        try:
            size, sha256 = digest_entry(path)
        except OSError as error:
            yield Problem(name, "unreadable", error.strerror or str(error))
            continue
        if (size, sha256) != (stored.size, stored.sha256):
            detail = "same size" if size == stored.size else f"{stored.size} → {size} bytes"
            yield Problem(name, "altered", "a link is in its place" if path.is_symlink() else detail)
    yield from _problems_of_added(run_dir, content, [*there])
    yield from _problems_of_lines(run_dir / layout.ANNOTATIONS, dict)


def _problems_of_added(run_dir: Path, content: RunFile, there: Sequence[str]) -> Iterator[Problem]:
    """Yield what came after the end of the run and is not as it was then, or belongs to nothing."""
    known = {*content.files} | layout.NOT_SEALED
    added = {n: d for n, d in added_files(read_annotations(run_dir)).items() if n not in known}
    for name, digest in added.items():
        path = safe_join(run_dir, name)
        if not path.exists():
            yield Problem(name, "missing", "it was added after the end of the run")
        elif tuple(digest_entry(path)) != digest:
            yield Problem(name, "altered", "it was added after the end of the run")
    later = [one for one in prediction_ids(run_dir) if _prediction(one) not in known | {*added}]
    for prediction_id in later:
        problem = prediction_problem(run_dir, prediction_id, content.seal)
        if problem is not None:
            yield Problem(*problem)
            stem = _prediction(prediction_id).removesuffix("json")
            known |= {f"{stem}{kind}" for kind in FORMATS}  # what belongs to it is not told apart
    known |= {*added, *prediction_files(run_dir), *map(_prediction, later)}
    for name in there:
        if name in known:
            continue
        folder, _, file = name.rpartition("/")
        if folder == layout.PREDICTIONS_DIR and is_cut_off(file):
            yield Problem(name, "left over", "a kill cut a prediction off; delete it")
        else:
            yield Problem(name, "added", "it was not there when the run ended")


def _prediction(prediction_id: str) -> str:
    return f"{layout.PREDICTIONS_DIR}/{prediction_id}.json"


def _walk(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """Return all that is below ``folder`` and is no folder, by name; and the folders that cannot be read."""
    unreadable: list[Problem] = []

    def note(error: OSError) -> None:
        name = entry_name(folder, Path(error.filename))
        unreadable.append(Problem(name, "unreadable", error.strerror or str(error)))

    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder, onerror=note):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in (*links, *names):
            path = Path(parent, name)
            found[entry_name(folder, path)] = path
    return dict(sorted(found.items())), unreadable


def _is_folder(run_dir: Path, name: str) -> bool:
    """Tell whether a folder has the name of a listed file; a name that leads out of the run folder has none."""
    return ".." not in name.split("/") and not name.startswith("/") and (run_dir / name).is_dir()


def _kind_of(path: Path) -> str:
    mode = path.lstat().st_mode
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a link to no file"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((kind for fits, kind in kinds if fits(mode)), "something that is no file")


def _problems_of_lines(path: Path, kind: type) -> Iterator[Problem]:
    """Yield what is wrong with a file of JSON lines, to which lines are added and of which none is changed."""
    name = path.name
    if path.is_symlink():
        yield Problem(name, "altered", "a link is in its place")
    elif path.exists() and not path.is_file():
        yield Problem(name, "altered", f"{_kind_of(path)} is in its place")
        return
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        yield Problem(name, "unreadable", error.strerror or str(error))
        return
    for number in broken_lines(data, kind):
        yield Problem(name, "broken line", f"line {number} cannot be read and is left out")


def broken_lines(data: bytes, kind: type) -> list[int]:
    """Return the numbers, from 1, of the lines of JSON that are no ``kind``; empty lines count for nothing."""
    decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(kind)
    found = []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            if line.strip():
                decoder.decode(line)
        except JSON_ERRORS:
            found.append(number)
    return found


def verify_store_files(root: Path) -> Verification | None:
    """Look at what belongs to no run: the promotions. None when nothing is wrong.

    index.json is no part of it: it is a cache, which every reader mends.
    """
    problems = tuple(_problems_of_lines(root / layout.ALIASES, Promotion))
    return Verification(None, 0, problems) if problems else None


def lost_runs(root: Path, known: Collection[str]) -> list[str]:
    """Return the folders of a store that hold files of a run but no run.json, besides those that are ``known``."""
    try:
        names = sorted(os.listdir(root))  # noqa: PTH208 - names are all we need
    except OSError:
        return []
    return [name for name in names if name not in known and is_lost_run(root, name)]


def is_lost_run(root: Path, name: str) -> bool:
    """Tell whether the folder ``name`` of a store was a run: files of one lie in it, but no run.json."""
    if not is_run_id(name):
        return False
    try:
        names = {entry.name for entry in (root / name).iterdir()}
    except OSError:
        return False
    return layout.RUN not in names and not _SIGNS.isdisjoint(names)


def is_worth_telling(result: Verification, running: Collection[str]) -> bool:
    """Tell whether a result says anything: that a ``running`` run has not ended goes without saying."""
    return not (result.intact and result.problems and result.run in running)


class _IndexLine(msgspec.Struct):
    created: str = ""


def known_to_have_ended(root: Path) -> dict[str, str]:
    """Return the runs that have ended by what index.json says, with the time when each was started.

    Readers mend index.json, so whoever wants to know of a run that lost its run.json asks before anything else.
    """
    try:
        index = msgspec.json.decode((root / layout.INDEX).read_bytes(), type=dict[str, msgspec.Raw])
        index.pop("format_version", None)
        return {run: msgspec.json.decode(line, type=_IndexLine).created for run, line in index.items()}
    except (OSError, *JSON_ERRORS):
        return {}
