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


_OF_THE_RUNNER = frozenset({"history", "work", "max_bytes", "max_rows"})


def known_options(predictor: Predictor | type[Predictor], *, served: bool = False) -> dict[str, Any] | None:
    """Return the options of a predictor with their types; None when it takes any.

    The type is ``Any`` where the annotation cannot be evaluated.

    Args:
        predictor: or its class.
        served: only those that may come with a file that somebody sends: of a predictor that streams, those of ``score``; none
            that is a path on this machine.
    """
    method = getattr(predictor, "score", None) if served else None
    method = predictor.predict if method is None else method
    found = inspect.signature(method)
    parameters = found.parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    kinds = {p.name: _evaluated(p.annotation, method) for p in parameters}
    return {
        p.name: Any if isinstance(kinds[p.name], str) or kinds[p.name] is p.empty else kinds[p.name]
        for p in parameters
        if p.kind is p.KEYWORD_ONLY
        and not (served and (p.name in _OF_THE_RUNNER or "Path" in str(kinds[p.name])))
    }


def _evaluated(annotation: Any, method: Any) -> Any:
    """Return an annotation as what it names; the text of one that names what is not there."""
    if not isinstance(annotation, str):
        return annotation
    known = getattr(inspect.unwrap(method), "__globals__", {})
    try:
        return eval(annotation, known, {**_KNOWN_NAMES})  # noqa: S307 - source that was imported, and no data
    except Exception:  # noqa: BLE001 - whatever it names
        return annotation


def checked_options(
    predictor: Predictor | type[Predictor], pipeline: str, given: Mapping[str, Any], *, served: bool = False
) -> dict[str, Any]:
    """Return the options as the predictor wants them.

    Args:
        predictor: which knows them, or its class.
        pipeline: its name, for the sentence.
        given: the options by name.
        served: see :func:`known_options`.

    Raises:
        InvalidConfig: the predictor does not know one, or it is of another type.
    """
    known = known_options(predictor, served=served)
    if known is None:
        return dict(given)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            has = f"it has {', '.join(known)}" if known else "it has none"
            where = " for a file that is sent" if served else ""
            raise InvalidConfig(f"the prediction of {pipeline} has no option {name!r}{where}; {has}.{hint}")
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
