"""What of a run is what in MLflow: one place for the store, the export, the import and the callback.

An experiment is a pipeline. The description is the tag ``mlflow.note.content``, the parent the tag
``mlflow.parentRunId``; all other tags are tags. MLflow knows a parameter as text, and a metric as points of step, time
and value, the latest of which is its value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from corrida.runs.record import flatten
from corrida.runs.run_file import Failure, Git

NAME_TAG = "mlflow.runName"
DESCRIPTION_TAG = "mlflow.note.content"
PARENT_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"
RUN_ID_TAG = "mlflow_run_id"
"""Tag of an imported run: its id in the MLflow it came from."""
IMPORT_DIGEST_TAG = "mlflow_digest"
"""Tag of an imported run: the digest of what it gave there, by which a later import notices a change."""
EXPORT_RUN_TAG = "corrida.run_id"
EXPORT_STORE_TAG = "corrida.store_id"
EXPORT_DIGEST_TAG = "corrida.digest"
EXPORT_STATE_TAG = "corrida.export"
"""Tags of an exported run: which run of which store it is, the digest of its run.json, and ``begun`` or ``complete``."""
SOURCE_NAME_TAG = "mlflow.source.name"
SOURCE_TYPE_TAG = "mlflow.source.type"
COMMIT_TAG = "mlflow.source.git.commit"
BRANCH_TAG = "mlflow.source.git.branch"
MODEL_HISTORY_TAG = "mlflow.log-model.history"

DATASETS = "datasets"
"""Under this name manifest.json has, among the facts of the dataset, the datasets as MLflow knows them."""

ARTIFACTS = "artifacts"
"""The folder of a run for the artifacts that came through MLflow; whatever they are called, they meet no file of corrida."""

LOGGED_MODELS = "logged_models"
"""The folder of a run for the models that MLflow 3 keeps beside its runs: one folder for each, by its id."""

MAX_PARAM = 6000
MAX_TAG = 8000
MAX_KEY = 250
MAX_DIGEST = 36
"""Lengths that every MLflow server takes."""

GREATEST = 1.7976931348623157e308
"""What MLflow's databases keep in place of infinity."""


class Point(NamedTuple):
    """A value of a metric: its step, milliseconds since the epoch, and the value."""

    step: int
    timestamp: int
    value: float


def param_text(value: Any) -> str:
    """Return a parameter as MLflow keeps it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def param_value(text: str) -> Any:
    """Return a parameter of MLflow as the number or truth value that it is the text of, else as text.

    Only where ``str`` of the value gives the very text: ``0.1`` is a number, ``0.10`` stays as it is.
    """
    if text in {"True", "False"}:
        return text == "True"
    if not text or len(text) > 40 or text[-1] not in "0123456789":
        return text
    try:
        whole = int(text)
    except ValueError:
        pass
    else:
        return whole if str(whole) == text and abs(whole) < 2**63 else text
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and str(number) == text else text


def flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a run as MLflow takes them: one level, dotted names, texts."""
    return {name: param_text(value) for name, value in flatten(params).items()}


def latest(points: Iterable[Point]) -> Point:
    """Return the point that MLflow takes for the value: of the highest step, then time, then value."""
    return max(points, key=lambda p: (p.step, p.timestamp, -math.inf if math.isnan(p.value) else p.value))


def finite_or_infinite(value: float) -> float:
    """Return a value of a metric; the greatest number stands for infinity in MLflow's databases."""
    return math.copysign(math.inf, value) if abs(value) >= GREATEST else value


def status_from_mlflow(status: str) -> tuple[str, Failure | None]:
    """Return the status of a run, and why it failed, for a status of MLflow."""
    if status == "FINISHED":
        return "finished", None
    if status == "FAILED":
        return "failed", Failure(type="Failed", message="MLflow has it as FAILED, and does not say why")
    if status == "KILLED":
        return "failed", Failure(type="Killed", message="MLflow has it as KILLED")
    return "running", None


def status_to_mlflow(status: str, error: Failure | None = None) -> str:
    """Return the status of MLflow for that of a run; one whose process went without a word failed."""
    if status == "finished":
        return "FINISHED"
    if status == "running":
        return "RUNNING"
    if error is not None and error.type in {"Killed", "KeyboardInterrupt"}:
        return "KILLED"
    return "FAILED"


def exported_as(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the id and the digest of the run that was exported from a store, for the tags of an exported run."""
    run_id, digest = tags.get(EXPORT_RUN_TAG), tags.get(EXPORT_DIGEST_TAG)
    return (run_id, digest) if run_id and digest else None


def git_from_tags(tags: Mapping[str, str]) -> Git | None:
    """Return the state of the code as MLflow recorded it."""
    commit, branch = tags.get(COMMIT_TAG), tags.get(BRANCH_TAG)
    return Git(commit=commit or None, branch=branch or None) if commit or branch else None


def git_to_tags(git: Git | None) -> dict[str, str]:
    """Return the tags that tell MLflow of the state of the code."""
    if git is None:
        return {}
    found = {COMMIT_TAG: git.commit, BRANCH_TAG: git.branch}
    return {name: value for name, value in found.items() if value}


def datasets_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what manifest.json says of the data as MLflow describes datasets.

    Returns:
        For each ``name``, ``digest``, ``source_type``, ``source``, ``schema``, ``profile`` and ``tags``; datasets that
        came from MLflow as they were, and the files that the run read.
    """
    found: list[dict[str, Any]] = []
    facts = manifest.get("dataset")
    told = facts.get(DATASETS) if isinstance(facts, Mapping) else None
    found += [dict(one) for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
    for file in manifest.get("data", ()):
        schema = {"columns": file["columns"]} if file.get("columns") else None
        profile = {key: file[key] for key in ("rows", "size", "sha256") if file.get(key) is not None}
        found.append(
            {
                "name": file["path"][-500:],
                "digest": str(file.get("sha256", "")).removeprefix("sha256:")[:32],
                "source_type": "local",
                "source": json.dumps({"uri": file["path"]}, ensure_ascii=False),
                "schema": json.dumps(schema, ensure_ascii=False) if schema else None,
                "profile": json.dumps(profile),
                "tags": {"mlflow.data.context": str(file.get("role") or "input")},
            }
        )
    return found
