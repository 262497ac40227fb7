"""The options of a prediction: which ones a predictor knows is what its ``predict`` is declared with."""

from __future__ import annotations

import collections.abc
import difflib
import inspect
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidConfig
from corrida.pipelines.contract import Data, Prediction

if TYPE_CHECKING:
    from corrida.pipelines.contract import Predictor

_KNOWN_NAMES = {
    **{name: getattr(collections.abc, name) for name in collections.abc.__all__},
    **{name: getattr(typing, name) for name in typing.__all__},
    "Data": Data,
    "Prediction": Prediction,
    "Path": Path,
}
"""What annotations may name although the module imports it for type checkers alone."""


def known_options(predictor: Predictor) -> dict[str, Any] | None:
    """Return the options of a predictor with their types; None when it takes any.

    The type is ``Any`` where the annotation cannot be evaluated.
    """
    found = inspect.signature(predictor.predict)
    parameters = found.parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    try:
        evaluated = inspect.signature(predictor.predict, locals=_KNOWN_NAMES, eval_str=True).parameters
    except (NameError, TypeError, SyntaxError, AttributeError):
        evaluated = found.parameters
    kinds = {name: p.annotation for name, p in evaluated.items()}
    return {
        p.name: Any if isinstance(kinds[p.name], str) or kinds[p.name] is p.empty else kinds[p.name]
        for p in parameters
        if p.kind is p.KEYWORD_ONLY
    }


def checked_options(predictor: Predictor, pipeline: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the predictor wants them.

    Args:
        predictor: which knows them.
        pipeline: its name, for the sentence.
        given: the options by name.

    Raises:
        InvalidConfig: the predictor does not know one, or it is of another type.
    """
    known = known_options(predictor)
    if known is None:
        return dict(given)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise InvalidConfig(f"the prediction of {pipeline} has no option {name!r}; {has}.{hint}")
    return {name: _converted(name, value, known[name]) for name, value in given.items()}


def _converted(name: str, value: Any, kind: Any) -> Any:
    """Return a value as its type; a single value is a list of one where a list is wanted."""
    if isinstance(value, str | int | float) and typing.get_origin(kind) in _LISTS:
        value = [value]
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        said = str(error).partition(" - at")[0]
        raise InvalidConfig(f"the option {name} is {value!r}: {_in_words(said)}") from None
    except TypeError:  # a type that msgspec does not know: the predictor looks itself
        return value


_LISTS = (
    list,
    tuple,
    set,
    frozenset,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Set,
)
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
}


def _in_words(said: str) -> str:
    """Return msgspec's sentence in words of the command line."""
    said = said.replace("Expected", "it must be").replace(", got", ", not").replace(" | null", "")
    said = said.replace("Invalid enum value", "it cannot be")
    for word, plain in _WORDS.items():
        said = said.replace(f"`{word}`", plain)
    return said
