"""Options of a prediction that come with a file: looked at before a job is made of it, and again before it is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import CorridaError, InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.inference.settings import Runner

_LONGEST = 8192


def read_options(text: str | None) -> dict[str, Any]:
    """Return options that were written as a JSON object.

    Raises:
        InvalidConfig: they are no object, or too long.
    """
    if not text:
        return {}
    if len(text) > _LONGEST:
        raise InvalidConfig(f"the options are longer than {_LONGEST:,} characters")
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise InvalidConfig('the options are no JSON object; write them as {"name": value}') from None


def check_options(runner: Runner, alias: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the run which scores now does not know, before a job is made.

    What cannot be told yet (no run is promoted, or its pipeline does not say its options) is told when the file is scored.

    Raises:
        InvalidConfig: an option is not known, or of another type.
    """
    if not options:
        return
    from corrida.execute.predictor_options import checked_options
    from corrida.inference.models import resolve_model
    from corrida.pipelines.registry import load_pipeline

    try:
        model = resolve_model(runner.store, f"@{alias}")
        pipeline = load_pipeline(model.uses, runner.root)
    except CorridaError:
        return
    kind = getattr(pipeline, "predictor_type", None)
    if kind is not None:
        checked_options(kind(), model.pipeline, options, served=True)
