"""Labelled transactions to learn from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from corrida.errors import InvalidData
from corrida.pipelines.inputs import shown
from corrida.pipelines.risk.guardrails import folded
from corrida.pipelines.risk.settings import CLASSES
from corrida.pipelines.risk.transactions import open_transactions
from corrida.pipelines.table_stream import PROBLEM, ROW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from corrida.pipelines.risk.guardrails import Integers
    from corrida.pipelines.risk.settings import RiskConfig

_LEAST_ROWS = 100


@dataclass(frozen=True)
class Labelled:
    """Transactions that can be used, in the order of their files.

    Attributes:
        frame: rows of ``transactions.SCHEMA`` with ``id``.
        level: 0 to 3 by row; -1 without a label, which makes a row history and nothing else.
        left_out: rows that cannot be used, by reason.
        warnings: what a person should know.
        reading: how each file was read.
        has_label: whether there is a column of labels.
    """

    frame: pl.DataFrame
    level: Integers
    left_out: dict[str, int]
    warnings: list[str] = field(default_factory=list)
    reading: list[dict[str, str]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return facts for ``manifest.json``."""
        counts = Counter(self.level.tolist())
        labels = {name: counts[level] for level, name in enumerate(CLASSES) if counts[level]}
        facts: dict[str, Any] = {
            "transactions": self.frame.height,
            "clients": self.frame["client"].n_unique(),
            "labels": labels,
            "without_label": counts[-1],
            "first": str(_date(self.frame["seconds"].min())),
            "last": str(_date(self.frame["seconds"].max())),
        }
        if self.left_out:
            facts["left_out"] = self.left_out
        return facts


def read_labelled(paths: Sequence[Path], config: RiskConfig) -> Labelled:
    """Read files of transactions with labels.

    Raises:
        InvalidData: there are no labels, or a label is none of the four classes; rows that cannot be used are left out and counted.
    """
    frames: list[pl.DataFrame] = []
    left_out: Counter[str] = Counter()
    warnings: list[str] = []
    reading: list[dict[str, str]] = []
    words = {folded(word): level for level, word in enumerate(CLASSES)}
    words |= {folded(word): CLASSES.index(name) for word, name in config.reading.labels.items()}
    for number, path in enumerate(paths):
        file = open_transactions(path, config.columns, config.reading, trains=True)
        if "label" not in file.roles:
            raise InvalidData(
                f"{shown(path)}: there is no column of true classes (clasificacion), and without labels there is nothing to "
                "learn: classes made from the limits of the law would only teach the model the limits. "
                "Add the labels, or name their column with --set columns.label=NAME."
            )
        chunks = [_leveled(chunk, words, path) for chunk in file.chunks(("label", "id"))]
        frame = pl.concat(chunks)
        bad = frame.filter(pl.col(PROBLEM).is_not_null())
        left_out.update(bad[PROBLEM].to_list())
        frame = frame.filter(pl.col(PROBLEM).is_null())
        frames.append(_identified(frame, number if len(paths) > 1 else None, path, warnings))
        reading.append(file.how_read())
    frame = pl.concat(frames)
    if left_out:
        most = ", ".join(f"{reason} ({count:,})" for reason, count in left_out.most_common(3))
        warnings.append(f"{left_out.total():,} rows cannot be used and are left out: {most}")
    level = frame["level"].to_numpy().astype(np.int64)
    known = int((level >= 0).sum())
    if known < _LEAST_ROWS:
        raise InvalidData(
            f"there are {known:,} labelled transactions; at least {_LEAST_ROWS} are needed to learn from"
        )
    if len(np.unique(level[level >= 0])) < 2:
        raise InvalidData(
            f"every label is {CLASSES[level.max()]!r}; at least two classes are needed to learn from"
        )
    return Labelled(frame.drop("level"), level, dict(left_out), warnings, reading)


def _leveled(chunk: pl.DataFrame, words: dict[str, int], path: Path) -> pl.DataFrame:
    labels = chunk["label"].unique()
    known = {label: words.get(folded(label)) for label in labels.to_list() if label is not None}
    strange = sorted(label for label, level in known.items() if level is None)
    if strange:
        row = chunk.filter(chunk["label"] == strange[0])[ROW][0]
        raise InvalidData(
            f"{shown(path)}: the label {strange[0][:60]!r} of row {row:,} is none of {', '.join(CLASSES)}; "
            f'say which it is, as in reading.labels: {{"{strange[0][:60]}": "inusual"}}'
        )
    level = (
        chunk["label"].replace_strict(known, default=-1, return_dtype=pl.Int64).fill_null(-1).alias("level")
    )
    return chunk.with_columns(level).drop("label")


def _identified(frame: pl.DataFrame, number: int | None, path: Path, warnings: list[str]) -> pl.DataFrame:
    """Give every transaction an id: its own where all have one and no two the same, else the number of its row."""
    row = frame[ROW].cast(pl.String)
    ids = row if number is None else pl.Series([f"{path.name}:"]).new_from_index(0, frame.height) + row
    if "id" in frame.columns:
        if frame["id"].null_count() or frame["id"].is_duplicated().any():
            warnings.append(
                f"{shown(path)}: the ids of transactions are not all there or not unique; row numbers are used"
            )
        else:
            ids = frame["id"]
    return frame.with_columns(ids.alias("id"))


def _date(seconds: Any) -> Any:
    return pl.Series([int(seconds) // 86_400], dtype=pl.Int32).cast(pl.Date)[0]
