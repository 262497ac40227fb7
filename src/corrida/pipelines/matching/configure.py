"""From configuration files and overrides to a checked :class:`MatchingConfig`.

A file is known by its keys, not by its name. Whatever is wrong is said with the file, the place in it and the
mend, such as ``config/rules.json: rules[3] (R7).priority: expected int, got str.``
"""

from __future__ import annotations

import copy
import typing
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidConfig
from corrida.pipelines.conversion import convert
from corrida.pipelines.inputs import suggest
from corrida.pipelines.matching.conditions import check_rules
from corrida.pipelines.matching.settings import General, MatchingConfig, RulesFile, SectorsFile
from corrida.pipelines.matching.text import phrase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.contract import ConfigFile

PARTS: dict[str, type[msgspec.Struct]] = {"general": General, "rules": RulesFile, "sectors": SectorsFile}
# A part's own keys: all of a struct's that no other part has.
_SHARED = {"version", "description"}
_SIGNATURES = {
    name: {field.encode_name for field in msgspec.structs.fields(part)} - _SHARED
    for name, part in PARTS.items()
}


def configure(files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> MatchingConfig:
    """Build the configuration; see :meth:`corrida.pipelines.contract.Pipeline.configure`.

    Args:
        files: one file of general settings and at most one each of rules and of sector compatibility.
        overrides: values by dotted key: ``threshold``, ``retrieval.candidates``, ``rules.<id>.active``,
            ``sectors.mode``, ``sectors.<id>.codes``.

    Raises:
        InvalidConfig: naming the file, the place in it and the mend.
    """
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for file in files:
        part = _part_of(file)
        if part in found:
            raise InvalidConfig(
                f"{file.path}: the {part} are already in {found[part][0]}. Name only one of the two files."
            )
        found[part] = (file.path, copy.deepcopy(file.content))
    if "general" not in found:
        raise InvalidConfig(
            'No file holds the general settings. Name a JSON file with at least "version" and "classification" '
            "with --config, or in corrida.toml."
        )
    for key, value in overrides.items():
        _override(found, key, value)
    parts = {name: convert(content, PARTS[name], path) for name, (path, content) in found.items()}
    general = parts.pop("general")
    config = MatchingConfig(
        **{name: getattr(general, name) for name in General.__struct_fields__},
        **parts,
        files={name: path for name, (path, _) in found.items()},
    )
    check_rules(config)
    _check_general(config)
    _check_sectors(config)
    return config


def _part_of(file: ConfigFile) -> str:
    """Say which part of the configuration a file holds."""
    if not isinstance(file.content, dict):
        raise InvalidConfig(f"{file.path}: the file must hold an object: {{...}}.")
    keys = [key for key in file.content if key not in _SHARED]
    claimed = [part for part, names in _SIGNATURES.items() if names.intersection(keys)]
    if len(claimed) > 1:
        raise InvalidConfig(
            f"{file.path}: this holds the parts {' and '.join(claimed)}. Keep each part in a file of its own."
        )
    if not claimed:
        near = suggest(keys[0], sorted(set.union(*_SIGNATURES.values()))) if keys else ""
        raise InvalidConfig(
            f"{file.path}: this is no part of a matching configuration (its keys: {', '.join(map(str, file.content)) or 'none'}).{near} "
            'General settings have "classification", rules have "rules", sector compatibility has "incompatible" or '
            '"compatible".'
        )
    return claimed[0]


def _override(found: dict[str, tuple[str, dict[str, Any]]], key: str, value: Any) -> None:
    """Set one value by its dotted key in the documents that were read."""
    steps = key.split(".")
    part = steps[0] if steps[0] in {"rules", "sectors"} else "general"
    if part not in found:
        raise InvalidConfig(f"--set {key}: there is no file of {part}, so there is nothing to set.")
    target: Any = found[part][1]
    kind: Any = PARTS[part]
    if part != "general":
        steps = steps[1:]
        if not steps:
            raise InvalidConfig(f"--set {key}: say what to set, such as {part}.<id>.<key>.")
        target, kind, steps = _listed(target, kind, steps, key, part)
    while steps:
        step, *rest = steps
        if typing.get_origin(kind) is dict:
            names, into = list(target), (typing.get_args(kind)[1])
            step, rest = ".".join(steps), []
        else:
            if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
                raise InvalidConfig(
                    f"--set {key}: nothing stands below {'.'.join(key.split('.')[: -len(steps)])!r}."
                )
            names = [field.encode_name for field in msgspec.structs.fields(kind)]
            into = next(
                (field.type for field in msgspec.structs.fields(kind) if field.encode_name == step), None
            )
            if into is None:
                raise InvalidConfig(
                    f"--set {key}: unknown key {step!r}.{suggest(step, names)} Known are: {', '.join(names)}."
                )
        if not rest:
            try:
                # Values from a command line may be text still: "30" is accepted where a number belongs.
                target[step] = msgspec.to_builtins(msgspec.convert(value, into, strict=False))
            except msgspec.ValidationError as error:
                raise InvalidConfig(
                    f"--set {key}: {str(error)[:1].lower()}{str(error)[1:].replace('`', '')}."
                ) from error
            return
        target, kind, steps = target.setdefault(step, {}), into, rest


def _listed(
    target: dict[str, Any], kind: Any, steps: list[str], key: str, part: str
) -> tuple[Any, Any, list[str]]:
    """Find the entry with the id that a dotted key names; ids may contain dots themselves."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    lists = ["rules"] if part == "rules" else ["incompatible", "compatible"]
    entries = {
        str(entry["id"]): (entry, name)
        for name in lists
        for entry in target.get(name) or []
        if isinstance(entry, dict) and "id" in entry
    }
    for length in range(len(steps) - 1, 0, -1):
        name = ".".join(steps[:length])
        if name in entries:
            entry, listed_in = entries[name]
            listed = next(
                field.type for field in msgspec.structs.fields(kind) if field.encode_name == listed_in
            )
            return entry, typing.get_args(listed)[0], steps[length:]
    if steps[0] in names and steps[0] not in lists:
        return target, kind, steps
    raise InvalidConfig(
        f"--set {key}: {part} have no entry {steps[0]!r} with a key to set.{suggest(steps[0], entries)} "
        f"Write {part}.<id>.<key>; the ids are: {', '.join(entries) or 'none'}."
    )


def _check_general(config: MatchingConfig) -> None:
    """Refuse settings that contradict each other."""
    path = config.files["general"]
    weights = config.retrieval.weights
    if not weights.title + weights.spelling + weights.sector:
        raise InvalidConfig(
            f"{path}: retrieval.weights: all weights are 0. Give at least one of them a number above 0."
        )
    if config.index is None and config.rules is None:
        raise InvalidConfig(
            f'{path}: there is neither an "index" nor a file of rules, so nothing could decide. Add one.'
        )
    if config.sectors is not None and config.columns.sector is None:
        raise InvalidConfig(
            f"{path}: columns.sector is not set, but {config.files['sectors']} needs it. "
            'Name the column of sectors, such as "sector": "industry".'
        )


def _check_sectors(config: MatchingConfig) -> None:
    """Refuse entries of sector compatibility that share an id or can never apply."""
    if config.sectors is None:
        return
    path = config.files["sectors"]
    seen: dict[str, str] = {}
    for name in ("incompatible", "compatible"):
        for position, entry in enumerate(getattr(config.sectors, name)):
            place = f"{path}: {name}[{position}] ({entry.id})"
            if entry.id in seen:
                raise InvalidConfig(f"{place}.id: {seen[entry.id]} has this id too. Give each entry its own.")
            seen[entry.id] = f"{name}[{position}]"
            for number, sector in enumerate(entry.sectors):
                if not phrase(sector):
                    raise InvalidConfig(
                        f"{place}.sectors[{number}]: {sector!r} holds no letter or digit, so it fits nothing."
                    )
