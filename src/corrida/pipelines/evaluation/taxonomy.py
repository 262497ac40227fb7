"""The taxonomy: the labels that items can have."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from corrida.errors import InvalidData
from corrida.pipelines.inputs import (
    id_column,
    read_table,
    require_columns,
    rows_named,
    shown,
    text_column,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from corrida.pipelines.evaluation.settings import Compared, TaxonomyColumns

# Between the labels of an item in items.parquet.
BETWEEN = ", "


class Label(NamedTuple):
    """A label: id, name, description (empty when there is none) and topic (None when there is none)."""

    id: str
    name: str
    description: str
    topic: str | None


class Taxonomy:
    """The labels in the order of their file.

    Attributes:
        labels: all of them.
        index: id to position.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        """Keep the labels; their ids are unique."""
        self.labels = list(labels)
        self.index = {label.id: position for position, label in enumerate(labels)}

    def __len__(self) -> int:
        """Return how many labels there are."""
        return len(self.labels)

    @cached_property
    def topics(self) -> list[str]:
        """The topics in their order, ``""`` among them when a label has none."""
        return list(dict.fromkeys(label.topic or "" for label in self.labels))

    def texts(self, compared: Compared) -> list[str]:
        """Return of each label what a matcher compares."""
        return [compared_text(label.name, label.description, compared) for label in self.labels]


def compared_text(name: str, description: str, compared: Compared) -> str:
    """Return name, description or both; where the wanted one is empty, the other."""
    if compared == "both":
        return (
            name
            if not description or description == name
            else f"{name}. {description}"
            if name
            else description
        )
    return (name or description) if compared == "name" else (description or name)


def load_taxonomy(path: Path, columns: TaxonomyColumns) -> Taxonomy:
    """Read the taxonomy.

    Args:
        path: a table with one row a label; ``name`` may be missing where there is a description, and the other way.
        columns: what its columns are called.

    Raises:
        InvalidData: a column is missing; an id is missing, occurs twice, or holds ``, ``; or a label says nothing.
    """
    frame = read_table(path)
    named = [c for c in (columns.name, columns.description, columns.topic) if c]
    if not columns.name and not columns.description:
        raise InvalidData(
            f"{shown(path)}: columns.taxonomy has neither a name nor a description, so there is nothing to compare with."
        )
    require_columns(frame, path, [columns.id, *named])
    ids: list[str] = id_column(frame, path, columns.id).to_list()
    for row, label in enumerate(ids):
        if BETWEEN.strip() in label or not label.isprintable():
            raise InvalidData(
                f"{shown(path)}: the id {label!r} at {rows_named(path, [row])} holds a comma or an invisible "
                "character. Labels are listed with commas between them; choose another id."
            )
    parts = {
        role: text_column(frame, path, column).fill_null("").to_list() if column else [""] * frame.height
        for role, column in (
            ("name", columns.name),
            ("description", columns.description),
            ("topic", columns.topic),
        )
    }
    silent = [
        row
        for row, (name, said) in enumerate(zip(parts["name"], parts["description"], strict=True))
        if not name and not said
    ]
    if silent:
        raise InvalidData(
            f"{shown(path)}: the label at {rows_named(path, silent)} has neither name nor description, so nothing could "
            "match it. Add one."
        )
    return Taxonomy(
        [
            Label(label, name or said, said, topic or None)
            for label, name, said, topic in zip(
                ids, parts["name"], parts["description"], parts["topic"], strict=True
            )
        ]
    )
