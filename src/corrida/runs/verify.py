"""Is a run still what was written when it ended?"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from corrida.errors import CorridaError
from corrida.runs import layout
from corrida.runs.files import digest_entry, walk_files
from corrida.runs.folders import is_half_born
from corrida.runs.run_file import SEALED, read_run_file, seal_is_intact

Finding = Literal["altered", "missing", "added", "unreadable", "not ended"]


class Problem(msgspec.Struct, frozen=True):
    """One file that is not what it was; ``file`` is relative to the run folder."""

    file: str
    finding: Finding
    detail: str = ""


class Verification(msgspec.Struct, frozen=True):
    """The result for one run: how many files were looked at, and what is wrong.

    Attributes:
        run: the id.
        files: number of files whose digest was computed.
        problems: what is not as it was; and, of a run that has not ended, that nothing can be compared.
    """

    run: str
    files: int
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing differs from when the run ended; true of a run that has not, which may have crashed."""
        return all(p.finding == "not ended" for p in self.problems)


def verify_run(run_dir: Path) -> Verification:
    """Recompute every digest of a run and compare it with run.json.

    Args:
        run_dir: the run folder.

    Raises:
        RunNotFound: there is no such run.
    """
    if not (run_dir / layout.RUN).exists():
        finding: Finding = "not ended" if is_half_born(run_dir) else "missing"
        problem = Problem(layout.RUN, finding, "the process ended before it had written it")
        return Verification(run_dir.name, 0, (problem,))
    try:
        content = read_run_file(run_dir)
    except CorridaError as error:
        return Verification(run_dir.name, 0, (Problem(layout.RUN, "unreadable", str(error)),))
    if content.status not in SEALED:
        return Verification(
            run_dir.name,
            0,
            (Problem(layout.RUN, "not ended", "only an ended run has digests to compare with"),),
        )
    problems = []
    if not seal_is_intact((run_dir / layout.RUN).read_bytes()):
        problems.append(Problem(layout.RUN, "altered", "its seal does not fit its content"))
    there = walk_files(run_dir)
    for name, stored in content.files.items():
        if name not in there:
            problems.append(Problem(name, "missing"))
            continue
        try:
            size, sha256 = digest_entry(there[name])
        except OSError as error:
            problems.append(Problem(name, "unreadable", error.strerror or str(error)))
            continue
        if (size, sha256) != (stored.size, stored.sha256):
            detail = "same size" if size == stored.size else f"{stored.size} → {size} bytes"
            problems.append(Problem(name, "altered", detail))
    known = set(content.files) | layout.NOT_SEALED
    problems += [Problem(n, "added", "it was not there when the run ended") for n in there if n not in known]
    return Verification(run_dir.name, len(content.files), tuple(problems))
