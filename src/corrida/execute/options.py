"""What a run is asked for, what came of it, and the steps that pipelines and commands share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig
from corrida.launch import data_sources, enclosing_run
from corrida.runs.run_file import PrimaryMetric
from corrida.runs.snapshot.addresses import is_address
from corrida.runs.snapshot.configs import expand_patterns, read_configs, relative_name
from corrida.runs.store import check_tags
from corrida.runs.writer import RunSpec

if TYPE_CHECKING:
    from corrida.bridges.database import Stamped
    from corrida.project import PipelineSettings, Project
    from corrida.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What ``corrida run`` was asked for; empty values leave it to corrida.toml.

    Attributes:
        configs, data: paths or globs, relative to the project.
        items: a file of item ids.
        overrides: values by dotted key.
        run_id, run_tag, source, description, notes, seed, tags: as recorded.
        save: keep the run.
        stamp: write the id of the run onto the rows of the database; None leaves it to corrida.toml.
        add_column: add the column for it where the table lacks it.
        executor: where the tasks of a pipeline run; None leaves it to the pipeline.
        jobs: how many of them at once; 0 is the number of cores, None leaves it to the pipeline.
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
    stamp: bool | None = None
    add_column: bool = False
    executor: str | None = None
    jobs: int | None = None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a pipeline, whose run is kept as failed.

    Attributes:
        run_id: that run.
    """

    def __init__(self, run_id: str, said: str = "") -> None:
        super().__init__(said or "interrupted")
        self.run_id = run_id


@dataclass(frozen=True)
class Executed:
    """What came of a run.

    Attributes:
        run_id: its id.
        record: the finished run; None when it was not kept.
        metrics: final metrics.
        summary: the pipeline's sentence.
        warnings: what the run warned of.
        stamped: what came of stamping the database, where it was asked for and went well.
        not_stamped: why it did not go well.
    """

    run_id: str
    record: RunRecord | None
    metrics: Mapping[str, float]
    summary: str
    warnings: Sequence[str]
    stamped: Stamped | None = None
    not_stamped: str | None = None


def asked_for(
    project: Project, name: str, options: RunOptions, settings: PipelineSettings, *, argv: Sequence[str]
) -> RunSpec:
    """Return what the options ask for, and where they are silent what the project always uses.

    Raises:
        InvalidConfig, InvalidData: a file is missing or cannot be read.
        InvalidName: a tag cannot be used.
    """
    patterns = list(options.configs or settings.configs)
    return RunSpec(
        pipeline=name,
        root=project.root,
        run_id=options.run_id,
        run_tag=options.run_tag,
        source=options.source or settings.source,
        description=options.description or settings.description,
        notes=options.notes,
        tags=check_tags({**settings.tags, **options.tags}),
        seed=options.seed if options.seed is not None else settings.seed,
        parent=enclosing_run(project.store_folder),
        configs=read_configs(expand_patterns(patterns, project.root, "configuration"), project.root),
        config_patterns=[p for p in patterns if not os.path.isabs(p)],  # noqa: PTH117
        data=data_sources(project, options.data or settings.data),
        argv=argv,
    )


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
    if is_address(path):
        scheme, slashes, rest = path.partition(":///")
        if not scheme.startswith("sqlite") or rest.startswith(("/", "$")):
            return path
        file, mark, parameters = rest.partition("?")
        return scheme + slashes + relative_name(Path(os.path.abspath(file)), project.root) + mark + parameters  # noqa: PTH100
    if any(sign in path for sign in "*?["):
        return path if Path.cwd() == project.root else relative_name(Path.cwd() / path, project.root)
    return relative_name(Path(os.path.abspath(path)), project.root)  # noqa: PTH100
