"""From configuration files and overrides to a checked :class:`ModelSearchConfig`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidConfig
from corrida.pipelines.inputs import suggest
from corrida.pipelines.model_search.settings import ModelSearchConfig
from corrida.pipelines.registry import merge_configs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.contract import ConfigFile

_ABOUT = frozenset({"version", "description"})  # a file may say of itself what it is
_LISTS = ("models", "features", "ignore", "categories", "calendar", "slices")
# What people of other tools write, and what it is called here.
_SYNONYMS = {
    "cv_folds": "cv",
    "folds": "cv",
    "label": "target",
    "y": "target",
    "search": "method",
    "test_fraction": "test_size",
    "time": "date",
    "specs": "models",
    "jobs": "n_jobs",
}


def configure(files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> ModelSearchConfig:
    """Build the configuration; later files win over earlier ones, and overrides over all.

    Raises:
        InvalidConfig: naming the place and the mend.
    """
    merged = merge_configs(files, overrides)
    for key in _ABOUT:
        merged.pop(key, None)
    for key in _LISTS:
        if isinstance(text := merged.get(key), str):
            merged[key] = [name.strip() for name in text.split(",") if name.strip()]
    fields = [field.encode_name for field in msgspec.structs.fields(ModelSearchConfig)]
    for key in merged:
        if key not in fields:
            origin = next((f"{f.path}: " for f in files if key in f.content), "")
            hint = f" Did you mean {_SYNONYMS[key]!r}?" if key in _SYNONYMS else suggest(str(key), fields)
            raise InvalidConfig(f"{origin}{key}: there is no such setting.{hint or _all(fields)}")
    if merged.get("target") is None:
        raise InvalidConfig("no target is named; say which column is to be predicted: --set target=COLUMN")
    try:
        config = msgspec.convert(_as_names(merged), ModelSearchConfig)
    except msgspec.ValidationError as error:
        raise InvalidConfig(_sentence(error, files, overrides)) from None
    return _checked(config)


def _all(fields: Sequence[str]) -> str:
    return f" There are {', '.join(sorted(fields))}."


def _as_names(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Return values where names of columns that look like numbers or dates are text: a column may be called 2019."""
    found = dict(merged)
    for key in ("target", "date", "group", "id", "test_from"):
        value = found.get(key)
        if value is not None and not isinstance(value, str | dict | list | bool):
            found[key] = str(value)
    for key in ("features", "ignore", "categories", "slices"):
        if isinstance(values := found.get(key), list):
            found[key] = [v if isinstance(v, str | dict | list | bool) else str(v) for v in values]
    return found


def _sentence(
    error: msgspec.ValidationError, files: Sequence[ConfigFile], overrides: Mapping[str, Any]
) -> str:
    found = re.fullmatch(r"(.*?) - at `\$\.?(.*)`", str(error), re.DOTALL)
    text, place = (found[1], found[2]) if found else (str(error), "")
    key = re.sub(r"\[.*|\..*", "", place)
    origin = "--set " if key in overrides else next((f"{f.path}: " for f in files if key in f.content), "")
    if "Invalid enum value" in text:
        kind = next(f.type for f in msgspec.structs.fields(ModelSearchConfig) if f.encode_name == key)
        words = list(dict.fromkeys(re.findall(r"'(\w+)'", str(kind))))
        given = re.search(r"'(.*)'", text)
        value = given[1] if given else "that"
        return f"{origin}{place}: {value!r} is none of {', '.join(words)}.{suggest(value, words)}"
    return f"{origin}{place or 'the settings'}: {text[:1].lower()}{text[1:].replace('`', '')}."


def _checked(config: ModelSearchConfig) -> ModelSearchConfig:
    """Refuse settings that contradict each other; the columns themselves are looked for when the data are read."""
    named = config.models or []
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise InvalidConfig(f"models: {twice[0]} is named twice; leave one out.")
    roles = {"target": config.target, "id": config.id, "group": config.group}
    for role, column in roles.items():
        if column is None:
            continue
        if column in config.ignore:
            raise InvalidConfig(
                f"ignore: {column!r} is the {role}; take it out of ignore, or name another {role}."
            )
        if role == "target" and config.features is not None and column in config.features:
            raise InvalidConfig(f"features: {column!r} is the target; it cannot be learnt from.")
    if config.target in (config.id, config.group, config.date):
        raise InvalidConfig(
            f"target: {config.target!r} is also named as id, group or date; name another column."
        )
    if config.split == "group" and config.group is None:
        raise InvalidConfig("split: a split by groups needs the column of the groups: --set group=COLUMN")
    if config.test_from is not None and config.split not in ("auto", "time"):
        raise InvalidConfig("test_from: only a split by time has a first time of the test rows.")
    if config.gap and config.split not in ("auto", "time"):
        raise InvalidConfig("gap: only a split by time has a gap; leave it out.")
    return config
