"""From configuration files and overrides to a checked :class:`ForecastingConfig`."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidConfig
from corrida.pipelines.forecasting.frequency import parse_frequency
from corrida.pipelines.forecasting.models import MODELS
from corrida.pipelines.forecasting.settings import ForecastingConfig
from corrida.pipelines.inputs import suggest
from corrida.pipelines.registry import merge_configs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.contract import ConfigFile

_ABOUT = frozenset({"version", "description"})  # a file may say of itself what it is


def configure(files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> ForecastingConfig:
    """Build the configuration; later files win over earlier ones, and overrides over all.

    Raises:
        InvalidConfig: naming the place and the mend.
        MissingExtra: a model needs a library that is not installed.
    """
    merged = merge_configs(files, overrides)
    for key in _ABOUT:
        merged.pop(key, None)
    if isinstance(models := merged.get("models"), str):
        merged["models"] = [name.strip() for name in models.split(",") if name.strip()]
    if isinstance(merged.get("levels"), int):
        merged["levels"] = [merged["levels"]]
    _refuse_unknown_keys(merged, ForecastingConfig, "", files)
    try:
        config = msgspec.convert(merged, ForecastingConfig)
    except msgspec.ValidationError as error:
        found = re.fullmatch(r"(.*?) - at `\$\.?(.*)`", str(error), re.DOTALL)
        text, place = (found[1], found[2]) if found else (str(error), "")
        said = text[:1].lower() + text[1:].replace("`", "")
        raise InvalidConfig(f"{_origin(place, files, overrides)}{place or 'the settings'}: {said}.") from None
    return _checked(config)


def _checked(config: ForecastingConfig) -> ForecastingConfig:
    names = []
    for name in config.models:
        exact = {known.casefold(): known for known in MODELS}.get(name.casefold())
        if exact is None:
            near = difflib.get_close_matches(name, list(MODELS), n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODELS)}"
            raise InvalidConfig(f"models: there is no model {name!r}; {hint}")
        names.append(exact)
    for name in names:
        MODELS[name].require()
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidConfig(f"models: {twice[0]} is named twice; leave one out.")
    if len(set(config.levels)) < len(config.levels):
        raise InvalidConfig(f"levels: {config.levels} names one twice; leave one out.")
    if config.freq is not None:
        parse_frequency(config.freq)
    _check_test_size(config)
    return msgspec.structs.replace(config, models=names, levels=sorted(config.levels))


def _check_test_size(config: ForecastingConfig) -> None:
    if config.test_size is None:
        return
    beyond = config.test_size - config.horizon
    if config.n_windows == 1:
        if beyond:
            raise InvalidConfig(
                f"test_size: with one window it is the horizon, {config.horizon}; leave it out, or set n_windows."
            )
        return
    if beyond < config.n_windows - 1 or beyond % (config.n_windows - 1):
        raise InvalidConfig(
            f"test_size: {config.test_size} does not hold {config.n_windows} windows of {config.horizon} steps at equal "
            f"distances; give {config.horizon} + a multiple of {config.n_windows - 1}, or leave it out."
        )


def _refuse_unknown_keys(
    document: Mapping[str, Any], kind: type[msgspec.Struct], inside: str, files: Sequence[ConfigFile]
) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in document.items():
        if key not in fields:
            where = f"{inside}{key}"
            origin = next((f"{f.path}: " for f in files if _holds(f.content, where)), "")
            raise InvalidConfig(f"{origin}{where}: there is no such setting.{suggest(str(key), fields)}")
        nested = fields[key]
        if isinstance(value, dict) and isinstance(nested, type) and issubclass(nested, msgspec.Struct):
            _refuse_unknown_keys(value, nested, f"{inside}{key}.", files)


def _holds(content: Any, place: str) -> bool:
    for part in place.split("."):
        if not isinstance(content, dict) or part not in content:
            return False
        content = content[part]
    return True


def _origin(place: str, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> str:
    plain = re.sub(r"\[.*", "", place)
    if any(plain == key or plain.startswith(f"{key}.") for key in overrides):
        return "--set "
    return next((f"{f.path}: " for f in reversed(files) if plain and _holds(f.content, plain)), "")
