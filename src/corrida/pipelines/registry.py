"""From a name to a pipeline: built in, installed by entry point, or ``module:object`` of the project."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from corrida.errors import CorridaError, InvalidConfig, PipelineNotFound
from corrida.pipelines.contract import Column, ConfigFile, Data, Direction, Outcome, Pipeline, Recorder

ENTRY_POINTS = "corrida.pipelines"
BUILT_IN = {
    "evaluation": "corrida.pipelines.evaluation:pipeline",
    "forecasting": "corrida.pipelines.forecasting:pipeline",
    "matching": "corrida.pipelines.matching:pipeline",
    "model_search": "corrida.pipelines.model_search:pipeline",
    "risk": "corrida.pipelines.risk:pipeline",
}


class Known(NamedTuple):
    """A pipeline that can be named: where it comes from, and what it says of itself."""

    name: str
    origin: str
    description: str


def load_pipeline(name: str, root: Path | None = None) -> Pipeline[Any]:
    """Return the pipeline called ``name``.

    Args:
        name: ``matching``, the name of an installed entry point, or ``module:object`` where the object is a
            Pipeline or a function ``run(data, config, recorder)``.
        root: the project folder, from which ``module`` may be imported.

    Raises:
        PipelineNotFound: nothing has that name, or the module cannot be imported.
    """
    target = BUILT_IN.get(name) or (name if ":" in name else _entry_points().get(name))
    if target is None:
        names = sorted({*BUILT_IN, *_entry_points()})
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"built in or installed are {', '.join(names)}."
        raise PipelineNotFound(
            f"there is no pipeline {name!r}; {hint} A pipeline of your own is named in corrida.toml: "
            f'[pipelines.{name}] uses = "module:object"'
        )
    found = _import(target, root)
    if hasattr(found, "run") and hasattr(found, "configure"):
        return cast("Pipeline[Any]", found() if isinstance(found, type) else found)
    if callable(found):
        return FunctionPipeline(target.partition(":")[2], found)
    raise PipelineNotFound(f"{target} is neither a pipeline nor a function run(data, config, recorder)")


def known_pipelines() -> list[Known]:
    """Return the pipelines that are built in or installed, by name."""
    found = []
    for name, target in sorted({**_entry_points(), **BUILT_IN}.items()):
        origin = "built in" if name in BUILT_IN else target.partition(":")[0]
        try:
            found.append(Known(name, origin, load_pipeline(name).description))
        except PipelineNotFound as error:
            found.append(Known(name, origin, f"cannot be loaded: {error}"))
    return found


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {e.name: e.value for e in entry_points(group=ENTRY_POINTS)}


def _import(target: str, root: Path | None) -> Any:
    module_name, _, attribute = target.partition(":")
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise PipelineNotFound(
                f"there is no module {module_name!r} for the pipeline {target}; it is looked for in the project folder"
            ) from None
        raise _import_failed(module_name, target, error) from error
    except CorridaError:
        raise
    except Exception as error:
        raise _import_failed(module_name, target, error) from error
    for part in (attribute or "pipeline").split("."):
        if not hasattr(found, part):
            raise PipelineNotFound(f"the module {module_name!r} has no {attribute or 'pipeline'!r}")
        found = getattr(found, part)
    return found


def _import_failed(module: str, target: str, error: Exception) -> PipelineNotFound:
    where = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
    text = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}{where}"
    return PipelineNotFound(
        f"the module {module!r} of the pipeline {target} cannot be imported: {text}; mend it first"
    )


class FunctionPipeline:
    """A function as a pipeline; its configuration is the merged content of the files, unchecked.

    The function takes ``(data, config, recorder)``, or fewer of them from the left, and returns an
    :class:`Outcome`, a mapping of metrics, or nothing.
    """

    columns: Sequence[Column] = ()
    primary_metric = ""
    directions: Mapping[str, Direction] = {}

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        """Wrap ``function``."""
        self.name = name
        self.description = (function.__doc__ or "").strip().split("\n")[0] or "a function of the project"
        self._function = function

    def configure(self, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the files merged in their order, with the overrides set."""
        return merge_configs(files, overrides)

    def data_files(self, config: dict[str, Any]) -> Mapping[str, str]:
        """Return nothing: a function opens what it needs."""
        del config
        return {}

    def run(self, data: Data, config: dict[str, Any], recorder: Recorder) -> Outcome:
        """Call the function."""
        import inspect

        wanted = [
            p
            for p in inspect.signature(self._function).parameters.values()
            if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}
        ]
        result = self._function(*(data, config, recorder)[: len(wanted)])
        if isinstance(result, Outcome):
            return result
        if result is None:
            return Outcome(metrics={})
        if isinstance(result, Mapping):
            return Outcome(metrics=dict(result))
        kind = type(result).__name__
        raise TypeError(f"{self.name} returned {kind}; return an Outcome, a mapping of metrics, or nothing")


def merge_configs(files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return configuration files merged into one mapping: later files win, mappings are merged in depth.

    Args:
        files: each an object at its top.
        overrides: values by dotted key.

    Raises:
        InvalidConfig: a file is not an object, or an override goes through something that is none.
    """
    merged: dict[str, Any] = {}
    for file in files:
        if not isinstance(file.content, dict):
            raise InvalidConfig(
                f"{file.path} is a {type(file.content).__name__} at its top; it must be an object"
            )
        _merge(merged, file.content)
    for key, value in overrides.items():
        place = merged
        *folders, last = key.split(".")
        if not all([*folders, last]):
            raise InvalidConfig(
                f"--set {key}: a name is missing beside a dot; write it as in retrieval.top_k=5"
            )
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise InvalidConfig(f"--set {key}: {folder} holds a value, not further keys")
        place[last] = value
    return merged


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Merge in depth; every mapping of ``into`` is its own, so that what was read stays as it was."""
    for key, value in other.items():
        if isinstance(value, dict):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            _merge(into[key], value)
        else:
            into[key] = value
