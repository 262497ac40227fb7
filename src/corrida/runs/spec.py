"""What a run is started with."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import BadInput
from corrida.runs.history import check_metric_name
from corrida.runs.ids import validate_run_id
from corrida.runs.plain import plain

if TYPE_CHECKING:
    from corrida.runs.run_file import Column, Direction, Invocation, PrimaryMetric
    from corrida.runs.snapshot.data import DataSource


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What a run is started with.

    Attributes:
        pipeline: name under which its runs are listed.
        run_id: exactly this id; taken is an error.
        run_tag: else ``run_<tag>``.
        id_base: else this id, with a number where it is taken.
        source, description, notes, tags, seed, parent, resumed_from, params: as recorded.
        configs: configuration files as (place in the project, bytes).
        config_patterns: the globs that found them, for restore.
        data: data files, and tables of databases, of which the run keeps a copy.
        roles: what a data file is to the pipeline.
        resolved: the configuration that runs, for config.yaml; ``params`` when None.
        primary_metric, directions: which metric decides, and which way each is better.
        measures: how metrics come about from the items, by name.
        columns: what ``corrida list`` shows for runs of the pipeline.
        root: the project folder, to which paths are relative.
        invocation: what it takes to ask for the run again.
        argv: the command line.
        capture: copy what is printed to log.txt.
    """

    pipeline: str
    root: Path
    run_id: str | None = None
    run_tag: str | None = None
    id_base: str | None = None
    source: str | None = None
    description: str | None = None
    notes: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    parent: str | None = None
    resumed_from: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    configs: Sequence[tuple[str, bytes]] = ()
    config_patterns: Sequence[str] = ()
    data: Sequence[Path | DataSource] = ()
    roles: Mapping[Path, str] = field(default_factory=dict)
    resolved: Any = None
    primary_metric: PrimaryMetric | None = None
    directions: Mapping[str, Direction] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[Column] = ()
    invocation: Invocation | None = None
    argv: Sequence[str] = ()
    capture: bool = True


def checked(spec: RunSpec) -> RunSpec:
    """Return ``spec`` with values that run.json can hold.

    Raises:
        BadInput: a text or the seed is of another type.
        InvalidName: the parent is no run id.
    """
    for name in ("pipeline", "run_tag", "source", "description", "notes"):
        value = getattr(spec, name)
        if value is not None and not isinstance(value, str):
            raise BadInput(f"{name} must be text, not {type(value).__name__}; got {value!r}")
    seed = spec.seed
    if seed is not None:
        try:
            seed = operator.index(seed)
        except TypeError:
            raise BadInput(f"the seed must be a whole number, not {seed!r}") from None
        if not -(2**63) <= seed < 2**64:
            raise BadInput(f"the seed {str(seed)[:20]}… is too large; a seed has 64 bits")
    for run_id in (spec.run_id, spec.id_base, spec.parent, spec.resumed_from):
        if run_id is not None:
            validate_run_id(run_id)
    if spec.run_id is not None and spec.run_tag is not None:
        raise BadInput("a run has either an id or a tag from which its id is made; give one of them")
    _check_directions(spec)
    return replace(
        spec, seed=seed, tags={str(k): str(v) for k, v in spec.tags.items()}, params=plain(spec.params)
    )


def _check_directions(spec: RunSpec) -> None:
    ways = dict(spec.directions)
    if spec.primary_metric is not None:
        check_metric_name(spec.primary_metric.name)
        ways[spec.primary_metric.name] = spec.primary_metric.direction
    for name, way in ways.items():
        if way not in {"max", "min"}:
            raise BadInput(f"the direction of {name} is {way!r}; it is 'max' (more is better) or 'min'")
