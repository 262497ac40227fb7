"""From parsed documents to structs, with what does not fit said in a sentence."""

from __future__ import annotations

import re
import typing
from typing import Any

import msgspec

from corrida.errors import InvalidConfig
from corrida.pipelines.inputs import suggest


def convert(content: Any, kind: type[msgspec.Struct], path: str) -> Any:
    """Convert a parsed document into a struct, and say in a sentence what does not fit.

    Raises:
        InvalidConfig: ``path: place: what is wrong``, with the nearest name for an unknown key.
    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`").lstrip(".")
        unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
        missing = re.fullmatch(r"Object missing required field `(.*)`", message)
        if unknown:
            known = [field.encode_name for field in msgspec.structs.fields(_struct_at(kind, place))]
            message = f"unknown key {unknown[1]!r}.{suggest(unknown[1], known)} Known are: {', '.join(known)}"
        elif missing:
            message = f"the key {missing[1]!r} is missing; add it"
        else:
            message = message[:1].lower() + message[1:].replace("`", "")
            if place == "version":
                message += '; a version is text in quotes, such as "1.0"'
        where = f"{_with_id(content, place)}: " if place else ""
        raise InvalidConfig(f"{path}: {where}{message}.") from error


def _struct_at(kind: Any, place: str) -> type[msgspec.Struct]:
    """Return the struct at a place such as ``rules[0].action`` below ``kind``."""
    for name in re.findall(r"[^.\[\]]+", re.sub(r"\[[^\]]*\]", "", place)):
        kind = next(field.type for field in msgspec.structs.fields(kind) if field.encode_name == name)
        while typing.get_args(kind):
            kind = typing.get_args(kind)[0]
    return typing.cast("type[msgspec.Struct]", kind)


def _with_id(content: Any, place: str) -> str:
    """Write the id of a list entry behind its position: ``rules[3] (R7).priority``."""
    found = re.match(r"(\w+)\[(\d+)\]", place)
    if not found:
        return place
    entry = content[found[1]][int(found[2])]
    name = entry.get("id") if isinstance(entry, dict) else None
    return f"{found[0]} ({name}){place[found.end() :]}" if isinstance(name, str) else place
