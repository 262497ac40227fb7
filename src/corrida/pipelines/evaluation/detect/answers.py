"""What a model answered, read as findings; tolerant of wrapping, strict about what it says.

A model that was asked for JSON may put it in a fence, write before or after it, or answer with a list or one object
instead of an object with a list. All of that is read. What cannot be read is a *broken* answer: it is neither a finding
nor the statement that there is none.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.pipelines.evaluation.detect.prompts import AnswerKeys
    from corrida.pipelines.evaluation.taxonomy import Taxonomy

LONGEST_ANSWER = 200_000
_TRIES = 200
_BRACKET = re.compile(r"[\[{]")
_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[ \t]*[\w-]*[ \t]*\n(.*?)```", re.DOTALL)
_DECODER = json.JSONDecoder()
_NOTHING = object()


class BrokenAnswer(Exception):
    """An answer that cannot be read; the message says why."""


class Finding(NamedTuple):
    """One finding of an answer: name, description and topic (None where not said), and confidence.

    Attributes:
        confidence: in [0, 1], or None when none was given or it cannot be read as one.
    """

    name: str
    description: str | None
    topic: str | None
    confidence: float | None


def read_answer(text: str, keys: AnswerKeys) -> list[Finding]:
    """Return the findings in an answer; none when it says that there are none.

    Args:
        text: as the model wrote it.
        keys: what the keys are called.

    Raises:
        BrokenAnswer: there is no JSON in it, or JSON that says something else.
    """
    if len(text) > LONGEST_ANSWER:
        raise BrokenAnswer(f"the answer has {len(text):,} characters; at most {LONGEST_ANSWER:,} are read")
    text = _THOUGHT.sub("", text).strip()
    if not text:
        raise BrokenAnswer("the answer is empty")
    for part in [*_FENCE.findall(text), text]:
        found = _in_part(part.strip(), keys)
        if found is not None:
            return list(dict.fromkeys(found))
    raise BrokenAnswer(f"the answer holds no JSON with {keys.list!r}: {_start(text)}")


def _in_part(text: str, keys: AnswerKeys) -> list[Finding] | None:
    """Return the findings of the first JSON value that holds some, or says that there are none."""
    for number, bracket in enumerate(_BRACKET.finditer(text)):
        if number == _TRIES:
            break
        try:
            value, _ = _DECODER.raw_decode(text, bracket.start())
        except (ValueError, RecursionError):
            continue
        # Behind a bracket that could not be read may stand a part of an answer that was cut off: a list of texts or one
        # object there may be anything. Only what is unmistakable counts.
        entries = _entries(value, keys, first=number == 0, alone=bracket.start() == 0)
        if entries is not None:
            found = [_finding(entry, keys) for entry in entries]
            return [finding for finding in found if finding is not None]
    return None


def _entries(value: Any, keys: AnswerKeys, *, first: bool, alone: bool) -> list[Any] | None:
    """Return the entries of an answer; None when the value is no answer.

    Args:
        value: parsed.
        keys: what the keys are called.
        first: no bracket stands before it.
        alone: nothing does.
    """
    listed = value.get(keys.list, _NOTHING) if isinstance(value, dict) else value
    if listed is _NOTHING:
        return [value] if keys.name in value and _is_entry(value, keys) and first else None
    if listed is None and isinstance(value, dict):
        return []
    if isinstance(listed, dict) and isinstance(value, dict):
        listed = [listed]
    if not isinstance(listed, list) or not all(_is_entry(entry, keys) for entry in listed):
        return None
    named = bool(listed) and all(isinstance(entry, dict) and keys.name in entry for entry in listed)
    return listed if isinstance(value, dict) or named or alone else None


def _is_entry(entry: Any, keys: AnswerKeys) -> bool:
    if isinstance(entry, str):
        return True
    return isinstance(entry, dict) and any(
        key in entry and (entry[key] is None or isinstance(entry[key], str | int | float))
        for key in (keys.name, keys.description)
    )


def _finding(entry: str | Mapping[str, Any], keys: AnswerKeys) -> Finding | None:
    """Return an entry as a finding; None when it says nothing, such as ``{"name": null}``."""
    if isinstance(entry, str):
        entry = {keys.name: entry}
    name, description = _text(entry.get(keys.name)), _text(entry.get(keys.description))
    if not name and not description:
        return None
    return Finding(
        name or description or "",
        description,
        _text(entry.get(keys.topic)),
        _confidence(entry.get(keys.confidence)),
    )


def resolve(finding: Finding, taxonomy: Taxonomy) -> Finding:
    """Return a finding that names a label by its id with the name, description and topic of that label."""
    position = taxonomy.index.get(finding.name)
    if position is None:
        return finding
    label = taxonomy.labels[position]
    return Finding(label.name, label.description or None, label.topic, finding.confidence)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bool | dict | list):
        return None
    # A lone surrogate is valid JSON and no text.
    text = str(value).encode("utf-8", "replace").decode()
    return " ".join(text.split()) or None


def _confidence(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    scale = 1.0
    if isinstance(value, str):
        text = value.strip()
        if text.endswith("%"):
            text, scale = text[:-1], 100.0
        value = text
    try:
        number = float(value) / scale
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number <= 1 else None


def _start(text: str) -> str:
    start = " ".join(text[:400].split())
    return repr(start[:80] + ("…" if len(start) > 80 else ""))
