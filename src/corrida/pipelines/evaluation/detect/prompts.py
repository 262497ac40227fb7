"""Prompt templates: what a strategy asks an endpoint about an item.

A template is YAML with the texts ``system`` and ``user``. ``{{item.COLUMN}}`` stands for a column of the truth,
``{{taxonomy}}`` for the labels, ``{{answer_format}}`` for how to answer. Texts are put in once: what an item itself holds
between braces stays as it is. Only the columns that a template names are read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from corrida.errors import InvalidConfig
from corrida.pipelines.contract import Config
from corrida.pipelines.inputs import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from corrida.pipelines.evaluation.taxonomy import Label, Taxonomy
    from corrida.pipelines.evaluation.truth import Truth

Name = Annotated[str, msgspec.Meta(min_length=1)]
LabelField = Literal["id", "name", "description", "topic"]
LabelFields = Annotated[list[LabelField], msgspec.Meta(min_length=1)]
Topics = Literal["any", "same"]

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_ITEM = "item."
_FIXED = {"taxonomy", "answer_format"}


class AnswerKeys(Config, frozen=True):
    """What the keys of an answer are called.

    Attributes:
        list: holds the findings.
        name, description, topic, confidence: of one finding.
        format: how to answer, in words; None writes it from the keys.
    """

    list: Name = "detections"
    name: Name = "name"
    description: Name = "description"
    topic: Name = "topic"
    confidence: Name = "confidence"
    format: str | None = None

    def wording(self) -> str:
        """Return the text for ``{{answer_format}}``."""
        if self.format is not None:
            return self.format
        return (
            f'Answer with one JSON object and nothing else: {{"{self.list}": [{{"{self.name}": "…", '
            f'"{self.description}": "…", "{self.topic}": "…", "{self.confidence}": 0.0}}]}}. '
            f'"{self.confidence}" is a number from 0 (a guess) to 1 (certain). '
            f'If there is nothing to report, answer {{"{self.list}": []}}.'
        )


class Prompt(Config, frozen=True):
    """One template.

    Attributes:
        user: the message of the user. How to answer is put at its end unless a text places it.
        system: the message that goes before it; empty for none.
        taxonomy: what of a label ``{{taxonomy}}`` shows.
        topic: ``same`` shows only labels of the item's topic; an item without a topic gets all.
        answer: what the keys of the answer are called.
        version, description: for people.
    """

    user: Name
    system: str = ""
    taxonomy: LabelFields = msgspec.field(default_factory=lambda: ["name", "description"])
    topic: Topics = "any"
    answer: AnswerKeys = AnswerKeys()
    version: str = ""
    description: str = ""

    def placeholders(self) -> list[str]:
        """Return what stands between double braces, each once."""
        return list(dict.fromkeys(_PLACEHOLDER.findall(f"{self.system}\n{self.user}")))

    def columns(self) -> list[str]:
        """Return the columns of the truth that the template reads."""
        return [name.removeprefix(_ITEM) for name in self.placeholders() if name.startswith(_ITEM)]


def load_prompt(path: Path, shown: str) -> Prompt:
    """Read a template.

    Args:
        path: a YAML file.
        shown: what it is called in messages.

    Raises:
        InvalidConfig: it is not a template.
    """
    from corrida.runs.documents import parse_document

    try:
        prompt = msgspec.convert(parse_document(shown, path.read_bytes()), Prompt)
    except (msgspec.ValidationError, OSError) as error:
        raise InvalidConfig(
            f"{shown}: this is not a prompt template ({error}). It needs the key user, and may have system, taxonomy, "
            "topic and answer."
        ) from None
    check_prompt(prompt, shown)
    return prompt


def check_prompt(prompt: Prompt, shown: str) -> None:
    """Refuse a template with an unknown placeholder, or one that reads nothing of the item.

    Raises:
        InvalidConfig: naming the placeholder.
    """
    for name in prompt.placeholders():
        if name not in _FIXED and not (name.startswith(_ITEM) and len(name) > len(_ITEM)):
            raise InvalidConfig(
                f"{shown}: the template has {{{{{name}}}}}, which stands for nothing. Write {{{{item.COLUMN}}}} for a "
                "column of the truth, {{taxonomy}} or {{answer_format}}."
            )
    if not prompt.columns():
        raise InvalidConfig(
            f"{shown}: the template reads nothing of the item, so every item would get the same question. "
            "Write {{item.COLUMN}} where a column of the truth belongs."
        )


def messages_for(
    prompt: Prompt, truth: Truth, taxonomy: Taxonomy, shown: str
) -> Callable[[int], list[dict[str, str]]]:
    """Return what makes the messages for the item at a position of the truth.

    Raises:
        InvalidConfig: a column is missing, or no item has the topic that the labels are chosen by.
    """
    missing = [column for column in prompt.columns() if column not in truth.frame.columns]
    if missing:
        raise InvalidConfig(
            f"{shown}: the template reads the column {missing[0]!r}, and the truth has "
            f"{', '.join(truth.frame.columns)}.{suggest(missing[0], truth.frame.columns)}"
        )
    cells = {f"{_ITEM}{column}": truth.text([column]) for column in prompt.columns()}
    listings = {
        topic: listing(labels, prompt.taxonomy)
        for topic, labels in choices(prompt.topic, truth, taxonomy, shown).items()
    }
    system, user = prompt.system, prompt.user
    wording = prompt.answer.wording()
    if "answer_format" not in prompt.placeholders() and wording:
        user = f"{user.rstrip()}\n\n{{{{answer_format}}}}"

    def fill(text: str, row: int, listed: str) -> str:
        fixed = {"taxonomy": listed, "answer_format": wording}
        return _PLACEHOLDER.sub(
            lambda found: cells[name][row] if (name := found[1]) in cells else fixed[name], text
        )

    def messages(row: int) -> list[dict[str, str]]:
        topic = truth.topics[row] if prompt.topic == "same" else None
        listed = listings.get(topic, listings[None])
        made = [{"role": "system", "content": fill(system, row, listed)}] if system else []
        return [*made, {"role": "user", "content": fill(user, row, listed)}]

    return messages


def choices(topic: Topics, truth: Truth, taxonomy: Taxonomy, shown: str) -> dict[str | None, Sequence[Label]]:
    """Return the labels to choose from by topic; under None all of them, for items whose topic has none.

    Raises:
        InvalidConfig: labels are chosen by topic, and no topic of an item is a topic of a label.
    """
    every: dict[str | None, Sequence[Label]] = {None: taxonomy.labels}
    if topic == "any":
        return every
    known = {label.topic for label in taxonomy.labels if label.topic}
    if not known.intersection(name for name in truth.topics if name):
        raise InvalidConfig(
            f"{shown}: 'topic: same' chooses labels by the topic of the item, and no item has the topic of a label. "
            "Name the column of topics in columns.truth.topic and columns.taxonomy.topic, or write 'topic: any'."
        )
    return every | {
        name: [label for label in taxonomy.labels if label.topic == name] for name in sorted(known)
    }


def listing(labels: Sequence[Label], fields: Sequence[LabelField]) -> str:
    """Write labels for a prompt, one a line."""
    lines = []
    for label in labels:
        parts = [value for name in fields if (value := getattr(label, name))]
        lines.append("- " + " | ".join(dict.fromkeys(parts)))
    return "\n".join(lines)


def label_texts(labels: Sequence[Label], fields: Sequence[LabelField]) -> list[str]:
    """Return what is read of each label, as one text; empty where those fields are."""
    return [". ".join(dict.fromkeys(v for name in fields if (v := getattr(label, name)))) for label in labels]
