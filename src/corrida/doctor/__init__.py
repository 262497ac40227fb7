"""What to mend: a store, a project and the installation, looked at without changing any of them.

Nothing here recomputes a digest (``corrida verify`` does), and nothing mends: what can be mended safely, every
command mends by itself. Each finding names the command that does the rest.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from corrida.doctor import (
    files_checks,
    git_checks,
    installation_checks,
    place_checks,
    project_checks,
    runs_checks,
)
from corrida.doctor.finding import Check, Finding, Severity, Subject, sorted_findings
from corrida.errors import InvalidConfig
from corrida.project import Project, Settings, find_project

__all__ = ["CHECKS", "Finding", "Severity", "Subject", "examine", "subject_of"]

CHECKS: Final[tuple[Check, ...]] = (
    place_checks.store_folder,
    place_checks.writing,
    place_checks.room,
    place_checks.file_system,
    place_checks.order_clock,
    runs_checks.unreadable,
    files_checks.aliases,
    runs_checks.half_written,
    runs_checks.stale_heartbeats,
    runs_checks.in_the_future,
    runs_checks.parents,
    runs_checks.broken_notes,
    files_checks.interrupted_restores,
    files_checks.interrupted_moves,
    files_checks.index,
    files_checks.foreign,
    files_checks.leftovers,
    files_checks.trash,
    git_checks.store_in_git,
    project_checks.settings,
    project_checks.patterns,
    project_checks.configurations,
    project_checks.pipelines,
    git_checks.repository,
    installation_checks.python,
    installation_checks.packages,
    installation_checks.needed_extras,
    installation_checks.installed_pipelines,
    installation_checks.cache,
    installation_checks.on_path,
    installation_checks.encoding,
)


def subject_of(store: str | None = None, start: Path | None = None) -> Subject:
    """Return what is to be examined.

    Args:
        store: the store as it was named; else that of the project.
        start: a folder of the project; the working folder when None.
    """
    try:
        return Subject(find_project(start, store=store), time.time(), store_option=store)
    except InvalidConfig as error:
        here = Path(start or Path.cwd()).absolute()
        # The settings cannot be read: their store is not known, and the rest can still be looked at.
        bare = here / (store or "runs")
        return Subject(Project(here, None, Settings(), bare), time.time(), str(error), store)


def examine(subject: Subject) -> list[Finding]:
    """Carry out every check.

    Returns:
        What was found, the worst first. A check that the system refuses is a finding of its own.
    """
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(subject)
        except OSError as error:
            name = check.__name__.replace("_", " ")
            what = f"could not be looked at: {error.strerror or error}"
            place = f" ({Path(error.filename).name})" if isinstance(error.filename, str) else ""
            found.append(Finding("error", name + place, what, "check rights, and that the store is a folder"))
    return sorted_findings(found)
