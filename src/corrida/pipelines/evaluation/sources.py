"""Where an evaluation finds its tables: named by the configuration, or given as data files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidData
from corrida.pipelines.evaluation.configure import detection_files
from corrida.pipelines.inputs import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.contract import Data
    from corrida.pipelines.evaluation.settings import EvaluationConfig

_SINGLE = ("taxonomy", "truth")
_ROLES = (*_SINGLE, "detections")


@dataclass
class Sources:
    """The files of a run.

    Attributes:
        truth, taxonomy: one file each.
        detections: any number of files.
        facts: of the dataset; None when there is no such file.
    """

    truth: Path
    taxonomy: Path
    detections: list[Path] = field(default_factory=list)
    facts: Path | None = None


def named_files(config: EvaluationConfig) -> dict[str, str]:
    """Return the files that the configuration names: role to path."""
    found = {role: path for role in (*_SINGLE, "facts") if (path := getattr(config, role))}
    listed = detection_files(config)
    return found | {_role(number): path for number, path in enumerate(listed)}


def find_sources(data: Data, config: EvaluationConfig) -> Sources:
    """Sort out which file is what; a data file says it with its name, such as ``truth.jsonl`` or ``detections_gpt.csv``.

    Raises:
        InvalidData: a file is missing or cannot be told, or there are two of what there is only one of.
    """
    found: dict[str, list[Path]] = {role: [] for role in _ROLES}
    for role in _SINGLE:
        if role in data.named:
            found[role].append(data.named[role])
    found["detections"] = [data.named[_role(number)] for number in range(len(detection_files(config)))]
    for path in data.files:
        role = next((role for role in _ROLES if path.name.casefold().startswith(role)), "")
        if not role:
            raise InvalidData(
                f"{shown(path)}: is this the truth, the taxonomy or detections? Let its name begin with one of these, or name "
                'it in the configuration, as in "truth": "data/…".'
            )
        if path not in found[role]:
            found[role].append(path)
    for role in _SINGLE:
        if len(found[role]) != 1:
            said = " and ".join(shown(path) for path in found[role])
            raise InvalidData(
                f"There are two files for the {role}: {said}. Name one of them."
                if said
                else f'There is no file for the {role}. Name it in the configuration, as in "{role}": "data/{role}.csv", or with '
                f"--data data/{role}.csv."
            )
    if not found["detections"] and not config.detectors:
        raise InvalidData(
            'There are no detections. Name a file of them in the configuration ("detections") or with --data, or a '
            'detector that makes them ("detectors").'
        )
    return Sources(found["truth"][0], found["taxonomy"][0], found["detections"], data.named.get("facts"))


def read_facts(path: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the dataset: those of a JSON or YAML file, and over them those of the configuration.

    Raises:
        InvalidData: the file is no object.
        InvalidConfig: it cannot be read.
    """
    facts: dict[str, Any] = {}
    if path is not None:
        from corrida.runs.documents import parse_document

        content = parse_document(shown(path), path.read_bytes())
        if not isinstance(content, dict):
            raise InvalidData(
                f'{shown(path)}: facts of the dataset are an object, such as {{"assignment": "A2"}}.'
            )
        facts = {str(name): value for name, value in content.items()}
    return facts | dict(given)


def _role(number: int) -> str:
    return "detections" if number == 0 else f"detections_{number + 1}"


def disagreements(given: Mapping[str, Any], counted: Mapping[str, Any]) -> Sequence[str]:
    """Return what the facts that were given say otherwise than what was counted."""
    return [
        f"the dataset says {name} is {given[name]!r}, and counted were {value!r}"
        for name, value in counted.items()
        if name in given and given[name] != value
    ]
