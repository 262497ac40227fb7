"""The table of items: one row for each item and cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from corrida.pipelines.evaluation.results import cell_name
from corrida.pipelines.evaluation.taxonomy import BETWEEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from corrida.pipelines.evaluation.score.counting import Said
    from corrida.pipelines.evaluation.score.grid import Column
    from corrida.pipelines.evaluation.taxonomy import Taxonomy
    from corrida.pipelines.evaluation.truth import Truth


def items_frame(said: Said, columns: Sequence[Column], truth: Truth, taxonomy: Taxonomy) -> pl.DataFrame:
    """Lay every item of every cell out as a row.

    Items that the detector could not answer have no row in that cell.

    Returns:
        ``item_id`` (``item|cell``), ``item``, ``cell``, ``matcher``, ``strategy``, ``model``, ``cluster``, ``topic``,
        ``expected`` and ``output`` (labels in the order of their ids, null for none), ``tp``, ``fp``, ``fn``,
        ``correct`` (whether all labels were found and nothing else), ``seeded`` (whether it has labels) and
        ``confidence`` (the greatest of its decisions; the column is missing where there is none at all).
    """
    import polars as pl

    ids = [label.id for label in taxonomy.labels]
    expected = [
        BETWEEN.join(sorted(ids[label] for label in labels)) if labels else None for labels in truth.labels
    ]
    facts = pl.DataFrame(
        {
            "_item": np.arange(len(truth)),
            "item": truth.ids,
            "cluster": truth.clusters,
            "topic": pl.Series(truth.topics, dtype=pl.String),
            "expected": pl.Series(expected, dtype=pl.String),
            "seeded": [bool(labels) for labels in truth.labels],
        }
    )
    names = pl.DataFrame({"_label": np.arange(len(ids)), "_name": pl.Series(ids, dtype=pl.String)})
    parts = []
    for column in columns:
        given = _given(column, names)
        for pair, (strategy, model) in enumerate(said.pairs):
            counted = np.flatnonzero(said.included[pair])
            counts = {
                name: values[pair][counted]
                for name, values in (
                    ("tp", column.counts.tp),
                    ("fp", column.counts.fp),
                    ("fn", column.counts.fn),
                )
            }
            cell = cell_name(column.matcher, strategy, model)
            parts.append(
                pl.DataFrame({"_item": counted, **counts})
                .join(facts, on="_item", how="left", maintain_order="left")
                .join(
                    given.filter(pl.col("_pair") == pair).drop("_pair"),
                    on="_item",
                    how="left",
                    maintain_order="left",
                )
                .select(
                    item_id=pl.concat_str("item", pl.lit("|"), pl.lit(cell)),
                    item="item",
                    cell=pl.lit(cell),
                    matcher=pl.lit(column.matcher),
                    strategy=pl.lit(strategy),
                    model=pl.lit(model),
                    cluster="cluster",
                    topic="topic",
                    expected="expected",
                    output="output",
                    tp="tp",
                    fp="fp",
                    fn="fn",
                    correct=(pl.col("fp") == 0) & (pl.col("fn") == 0),
                    seeded="seeded",
                    confidence="confidence",
                )
            )
    frame = pl.concat(parts)
    return frame.drop("confidence") if frame["confidence"].null_count() == frame.height else frame


def _given(column: Column, names: pl.DataFrame) -> pl.DataFrame:
    """Return per pair and item the labels given, joined in the order of their ids, and the greatest confidence."""
    import polars as pl

    decisions = column.decisions
    return (
        pl.DataFrame(
            {
                "_pair": decisions.pair,
                "_item": decisions.item,
                "_label": decisions.label,
                "confidence": pl.Series(decisions.confidence).fill_nan(None),
            }
        )
        .join(names, on="_label", how="left", maintain_order="left")
        .group_by("_pair", "_item", maintain_order=True)
        .agg(
            pl.col("_name").drop_nulls().sort().str.join(BETWEEN).alias("output"), pl.col("confidence").max()
        )
        .with_columns(pl.when(pl.col("output") != "").then("output").alias("output"))
    )
