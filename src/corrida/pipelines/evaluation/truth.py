"""The truth: items with their true labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidData
from corrida.pipelines.inputs import (
    id_column,
    read_table,
    require_columns,
    rows_named,
    shown,
    suggest,
    text_column,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import polars as pl

    from corrida.pipelines.evaluation.settings import TruthColumns
    from corrida.pipelines.evaluation.taxonomy import Taxonomy

NAMED_AT_MOST = 5


class Truth:
    """The items in the order of their file.

    Attributes:
        path: the file.
        frame: all of its columns.
        ids: unique.
        labels: the true labels of each item as positions in the taxonomy, ascending; empty for a clean item.
        topics: of each item; None where not known.
        clusters: of each item, such as the student; the item's own id where none is given.
        clustered: whether a column of clusters was read.
    """

    def __init__(
        self,
        path: Path,
        frame: pl.DataFrame,
        ids: list[str],
        labels: list[tuple[int, ...]],
        topics: list[str | None],
        clusters: list[str],
        *,
        clustered: bool,
    ) -> None:
        """Keep what was read; :func:`load_truth` checks it."""
        self.path, self.frame = path, frame
        self.ids, self.labels, self.topics, self.clusters = ids, labels, topics, clusters
        self.clustered = clustered
        self.index = {item: position for position, item in enumerate(ids)}

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.ids)

    def text(self, columns: Sequence[str]) -> list[str]:
        """Return some columns of each item, one below the other; empty cells are left out.

        Raises:
            InvalidData: a column is missing.
        """
        require_columns(self.frame, self.path, columns)
        parts = [text_column(self.frame, self.path, column).fill_null("").to_list() for column in columns]
        return ["\n".join(part for part in row if part) for row in zip(*parts, strict=True)]

    def only(self, chosen: Collection[str]) -> Truth:
        """Return some of the items.

        Args:
            chosen: ids of items, or of rows of items.parquet (``item|cell``).

        Raises:
            InvalidData: none is chosen, or one is not there.
        """
        wanted = {item if item in self.index else item.partition("|")[0] for item in chosen}
        unknown = sorted(wanted - self.index.keys())
        if unknown:
            more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
            raise InvalidData(
                f"{shown(self.path)}: there is no item {unknown[0]!r}{more}.{suggest(unknown[0], self.ids)}"
            )
        rows = [row for row, item in enumerate(self.ids) if item in wanted]
        if not rows:
            raise InvalidData(
                "No item was chosen. Name at least one id, or leave the choice out to process all."
            )
        return Truth(
            self.path,
            self.frame[rows],
            [self.ids[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.topics[row] for row in rows],
            [self.clusters[row] for row in rows],
            clustered=self.clustered,
        )


def load_truth(path: Path, columns: TruthColumns, taxonomy: Taxonomy) -> Truth:
    """Read the items.

    Args:
        path: a table with one row an item.
        columns: what its columns are called.
        taxonomy: what the labels must be in.

    Raises:
        InvalidData: a column or id is missing, an id occurs twice or holds ``|``, a label is not in the taxonomy, or a
            cluster is missing.
    """
    frame = read_table(path)
    require_columns(
        frame, path, [c for c in (columns.id, columns.labels, columns.topic, columns.cluster) if c]
    )
    ids: list[str] = id_column(frame, path, columns.id).to_list()
    odd = [row for row, item in enumerate(ids) if "|" in item or not item.isprintable()]
    if odd:
        raise InvalidData(
            f"{shown(path)}: the id {ids[odd[0]]!r} at {rows_named(path, odd)} holds a bar or an invisible character. "
            "The bar parts item and cell in the table of items; choose another id."
        )
    listed = _labels(frame, path, columns)
    unknown = [
        row for row, labels in enumerate(listed) if any(label not in taxonomy.index for label in labels)
    ]
    if unknown:
        label = next(label for label in listed[unknown[0]] if label not in taxonomy.index)
        raise InvalidData(
            f"{shown(path)}: the taxonomy has no label {label!r}, given at {rows_named(path, unknown)}; it could never be "
            f"found. Correct it, or add it to the taxonomy.{suggest(label, taxonomy.index)}"
        )
    topics: list[str | None] = [None] * frame.height
    if columns.topic:
        topics = text_column(frame, path, columns.topic).to_list()
    clusters = ids
    if columns.cluster:
        found = text_column(frame, path, columns.cluster)
        blank = found.is_null().arg_true().to_list()
        if blank:
            raise InvalidData(
                f"{shown(path)}: column {columns.cluster!r} is empty at {rows_named(path, blank)}. "
                "Say of every item to which cluster it belongs; one that stands alone is a cluster of its own."
            )
        clusters = found.to_list()
    positions = [tuple(sorted({taxonomy.index[label] for label in labels})) for labels in listed]
    return Truth(path, frame, ids, positions, topics, clusters, clustered=columns.cluster is not None)


def _labels(frame: pl.DataFrame, path: Path, columns: TruthColumns) -> list[list[str]]:
    """Return the labels of each item: from a list, from text with separators, or from text that is a JSON list."""
    import polars as pl

    series = frame[columns.labels]
    values: list[Any]
    if isinstance(series.dtype, pl.List | pl.Array):
        values = series.to_list()
    elif series.null_count() == frame.height:
        values = [None] * frame.height
    else:
        if series.dtype.is_nested() or series.dtype.is_object():
            row = series.is_not_null().arg_true()[0]
            raise InvalidData(
                f"{shown(path)}: column {columns.labels!r} holds {series.dtype} at {rows_named(path, [row])}; the labels of an "
                "item are a list of ids, empty for a clean item."
            )
        values = text_column(frame, path, columns.labels).to_list()
    return [_listed(value, columns.separator, path, row) for row, value in enumerate(values)]


def _listed(value: Any, separator: str, path: Path, row: int) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        if value.startswith("["):
            try:
                value = msgspec.json.decode(value)
            except msgspec.DecodeError:
                value = [value]
        else:
            value = value.split(separator)
    labels = []
    for label in value:
        if isinstance(label, float) and label.is_integer():
            label = int(label)  # noqa: PLW2901 - 12.0 is how a data frame writes 12
        if label is None or isinstance(label, bool) or not isinstance(label, str | int):
            raise InvalidData(
                f"{shown(path)}: {rows_named(path, [row])} has {label!r} among its labels; a label is the id of one "
                "in the taxonomy. Leave the list empty for a clean item."
            )
        if str(label).strip():
            labels.append(str(label).strip())
    return labels
