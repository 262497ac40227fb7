"""What a run is asked for, what came of it, and the steps that pipelines and commands share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig
from corrida.launch import begin
from corrida.runs.run_file import PrimaryMetric
from corrida.runs.snapshot.configs import relative_name

if TYPE_CHECKING:
    from corrida.project import PipelineSettings, Project
    from corrida.runs.record import RunRecord
    from corrida.runs.writer import RunSpec, RunWriter


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What ``corrida run`` was asked for; empty values leave it to corrida.toml.

    Attributes:
        configs, data: paths or globs, relative to the project.
        items: a file of item ids.
        overrides: values by dotted key.
        run_id, run_tag, source, description, notes, seed, tags: as recorded.
        save: keep the run.
    """

    configs: Sequence[str] = ()
    data: Sequence[str] = ()
    items: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    run_tag: str | None = None
    source: str | None = None
    description: str | None = None
    notes: str | None = None
    seed: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    save: bool = True


@dataclass(frozen=True)
class Executed:
    """What came of a run.

    Attributes:
        run_id: its id.
        record: the finished run; None when it was not kept.
        metrics: final metrics.
        summary: the pipeline's sentence.
        warnings: what the run warned of.
    """

    run_id: str
    record: RunRecord | None
    metrics: Mapping[str, float]
    summary: str
    warnings: Sequence[str]


@contextlib.contextmanager
def open_writer(project: Project, spec: RunSpec, *, save: bool) -> Iterator[RunWriter]:
    """Start a run in the store of the project, or in a folder that goes with it, and end it."""
    with begin(project.store() if save else None, spec) as writer:
        yield writer


def working_folder(project: Project) -> str:
    """Return the working folder relative to the project."""
    return relative_name(Path.cwd(), project.root)


def primary_metric(
    name: str, directions: Mapping[str, Any], settings: PipelineSettings
) -> PrimaryMetric | None:
    """Return the metric that decides: that of the project's settings, else ``name``.

    Raises:
        InvalidConfig: nobody says whether more or less of it is better.
    """
    from corrida.analysis.directions import direction_of

    name = settings.primary_metric or name
    if not name:
        return None
    direction = settings.direction or direction_of(name, directions)
    if direction is None:
        raise InvalidConfig(
            f'whether more or less of {name} is better is not known; add direction = "max" or "min" to corrida.toml'
        )
    return PrimaryMetric(name, direction)


def relative_to_project(project: Project, path: str) -> str:
    """Return a path given on the command line, relative to the working folder, as the project sees it."""
    if any(sign in path for sign in "*?["):
        return path if Path.cwd() == project.root else relative_name(Path.cwd() / path, project.root)
    return relative_name(Path(os.path.abspath(path)), project.root)  # noqa: PTH100
