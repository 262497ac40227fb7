"""The project: whether what corrida.toml names is there and can be run."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from corrida.analysis.directions import direction_of
from corrida.doctor.finding import Finding, Subject
from corrida.errors import CorridaError, InvalidConfig
from corrida.project import STORE_VARIABLE
from corrida.runs.snapshot.addresses import is_address, without_password
from corrida.runs.snapshot.configs import expand_optional, expand_patterns, looks_secret, read_configs

if TYPE_CHECKING:
    from corrida.pipelines.contract import Pipeline
    from corrida.project import PipelineSettings


def settings(subject: Subject) -> Iterator[Finding]:
    """Whether the settings can be read, and whether the environment overrules them."""
    if subject.problem:
        file, _, reason = subject.problem.partition(": ")
        yield Finding(
            "error", file, reason or subject.problem, "mend it in an editor; every command refuses until then"
        )
    named = os.environ.get(STORE_VARIABLE)
    own = subject.project.settings.store
    if named and own and subject.store_option is None:
        what = f"{STORE_VARIABLE} is {named}, and wins over store = {own!r} of the project"
        yield Finding("note", "environment", what, f"`unset {STORE_VARIABLE}` if that is not meant")


def patterns(subject: Subject) -> Iterator[Finding]:
    """Configurations and data that are named and not there, and configurations that cannot be read."""
    root = subject.project.root
    for name, pipeline in subject.project.settings.pipelines.items():
        for key, what in (("configs", "configuration"), ("data", "data file")):
            for pattern in getattr(pipeline, key):
                if key == "data" and is_address(pattern):  # a table of a database, which may be far away
                    if without_password(pattern) != pattern:
                        yield Finding(
                            "warning",
                            f"pipeline {name}",
                            f"the password of {without_password(pattern)} stands in the settings",
                            "write ${NAME} in its place, set that variable, and change the password",
                        )
                    continue
                try:
                    expand_patterns([pattern], root, what)
                except InvalidConfig as error:
                    then = f"mend {key} in [pipelines.{name}]; `corrida run {name}` refuses until then"
                    yield Finding("error", f"pipeline {name}", str(error), then)


def configurations(subject: Subject) -> Iterator[Finding]:
    """Configurations that cannot be parsed, or that seem to hold a secret."""
    from corrida.runs.documents import parse_document

    root = subject.project.root
    named = [p for pipeline in subject.project.settings.pipelines.values() for p in pipeline.configs]
    for file in dict.fromkeys(expand_optional(named, root)):
        try:
            ((place, data),) = read_configs([file], root)
            if file.suffix.lower() in {".json", ".yaml", ".yml", ".toml"}:
                parse_document(place, data)
        except InvalidConfig as error:
            yield Finding("error", "configuration", str(error), "mend the file")
            continue
        if secret := looks_secret(data):
            what = f"it seems to hold a secret ({secret}), and every run copies it"
            yield Finding(
                "warning", place, what, "keep secrets in environment variables, and rotate this one"
            )


def pipelines(subject: Subject) -> Iterator[Finding]:
    """Pipelines of the project that cannot be loaded, or of whose runs nobody could say which is better."""
    from corrida.pipelines.registry import load_pipeline

    for name, chosen in subject.project.settings.pipelines.items():
        noise = io.StringIO()  # what the project's own code prints when it is imported
        try:
            with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
                loaded = load_pipeline(chosen.uses or name, subject.project.root)
        except (CorridaError, SystemExit) as error:
            what = (
                str(error) if isinstance(error, CorridaError) else "its module ends the process when imported"
            )
            yield Finding("error", f"pipeline {name}", what, f"mend uses in [pipelines.{name}]")
            continue
        yield from _primary_metric(name, chosen, loaded)


def _primary_metric(name: str, chosen: PipelineSettings, loaded: Pipeline[Any]) -> Iterator[Finding]:
    metric = chosen.primary_metric or loaded.primary_metric
    where = f"pipeline {name}"
    if not metric:
        what = "no primary metric is named, so a comparison cannot say which run is better"
        yield Finding("note", where, what, f'primary_metric = "…" in [pipelines.{name}]')
    elif chosen.direction is None and direction_of(metric, loaded.directions) is None:
        what = f"nobody says whether more or less of {metric} is better"
        yield Finding("note", where, what, f'direction = "max" or "min" in [pipelines.{name}]')
