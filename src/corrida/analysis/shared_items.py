"""The items that two runs share, side by side, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.items_values import are_measurements, correctness, equal_values, near_values
from corrida.errors import InvalidData

if TYPE_CHECKING:
    import polars as pl

# The kinds of items that differ, in the order in which a reader wants to see them.
KINDS = ("broken", "worse", "fixed", "better", "changed")


class SharedItems:
    """The items that both runs have, side by side; columns are gathered when they are asked for."""

    def __init__(self, a: pl.DataFrame, b: pl.DataFrame, ids_a: pl.Series, ids_b: pl.Series) -> None:
        import polars as pl

        self.a = a
        self.b = b
        # Two runs over one data set list its items in one order; then there is nothing to look up.
        self.aligned = ids_a.equals(ids_b)
        if self.aligned:
            self.rows_a = self.rows_b = pl.int_range(0, len(ids_a), eager=True, dtype=pl.UInt32)
        else:
            left = pl.DataFrame({"item_id": ids_a}).with_row_index("row_a")
            right = pl.DataFrame({"item_id": ids_b}).with_row_index("row_b")
            rows = left.join(right, on="item_id", how="inner", maintain_order="left")
            self.rows_a, self.rows_b = rows["row_a"], rows["row_b"]
        self.ids = ids_a if self.aligned else ids_a.gather(self.rows_a)
        self.size = len(self.ids)
        # Whole numbers in one of the runs may be chance: a regression is one in both.
        self.measured = are_measurements(a) or are_measurements(b)
        self.correct_a = self._correct(a, self.rows_a, "A")
        self.correct_b = self._correct(b, self.rows_b, "B")
        self.losses = self._losses()

    def column(self, side: str, name: str) -> pl.Series | None:
        """Return a column of one side for the shared items, or None when that side has none."""
        frame, rows = (self.a, self.rows_a) if side == "a" else (self.b, self.rows_b)
        if name not in frame.columns:
            return None
        return frame[name] if self.aligned else frame[name].gather(rows)

    def _correct(self, frame: pl.DataFrame, rows: pl.Series, side: str) -> pl.Series:
        """Return for every shared item whether one side has it right; null when that is not known."""
        known = correctness(frame.drop("output", strict=False) if self.measured else frame, side)
        return known if self.aligned else known.gather(rows)

    def _losses(self) -> pl.DataFrame | None:
        """Return for every shared item its losses ``a`` and ``b``, NaN as null; None when a run has none.

        ``worse`` is true where that of B is greater, false where it is less, null where they are equal or missing.
        """
        import polars as pl

        left, right = self.column("a", "loss"), self.column("b", "loss")
        if left is None or right is None:
            return None
        try:
            losses = pl.DataFrame({"a": left.cast(pl.Float64), "b": right.cast(pl.Float64)}).fill_nan(None)
        except pl.exceptions.PolarsError as error:
            raise InvalidData(f"The column 'loss' holds something else than numbers: {error}") from error
        near = near_values(losses["a"], losses["b"])
        return losses.with_columns(near=near).with_columns(
            worse=pl.when(~pl.col("near")).then(pl.col("b") > pl.col("a"))
        )

    def differ(self, name: str) -> pl.Series | None:
        """Return where a column differs; None when it is not in both runs."""
        left, right = self.column("a", name), self.column("b", name)
        if left is None or right is None:
            return None
        same = equal_values(left, right)
        if self.measured and name == "output":
            same = same | near_values(left, right).fill_null(False)
        return ~same

    def kinds(self) -> pl.Series:
        """Return what happened to every shared item."""
        import polars as pl

        outputs_differ = self.differ("output")
        expected_differ = self.differ("expected")
        no = pl.repeat(False, self.size, eager=True, dtype=pl.Boolean)
        unsaid = pl.repeat(None, self.size, eager=True, dtype=pl.Boolean)
        facts = pl.DataFrame(
            {
                "correct_a": self.correct_a,
                "correct_b": self.correct_b,
                "outputs_differ": no if outputs_differ is None else outputs_differ,
                "expected_differ": no if expected_differ is None else expected_differ,
                "worse": unsaid if self.losses is None else self.losses["worse"],
                "near": unsaid if self.losses is None else self.losses["near"],
            }
        )
        correct_a, correct_b = pl.col("correct_a"), pl.col("correct_b")
        unknown = correct_a.is_null() | correct_b.is_null()
        kind = pl.Enum([*KINDS, "same", "expected_changed", "not_comparable"])
        return facts.select(
            kind=pl.when(pl.col("expected_differ"))
            .then(pl.lit("expected_changed", dtype=kind))
            .when(correct_a & ~correct_b)
            .then(pl.lit("broken", dtype=kind))
            .when(~correct_a & correct_b)
            .then(pl.lit("fixed", dtype=kind))
            .when(unknown & pl.col("worse"))
            .then(pl.lit("worse", dtype=kind))
            .when(unknown & ~pl.col("worse"))
            .then(pl.lit("better", dtype=kind))
            .when(pl.col("outputs_differ"))
            .then(pl.lit("changed", dtype=kind))
            .when(unknown & pl.col("near").is_null() & pl.lit(outputs_differ is None))
            .then(pl.lit("not_comparable", dtype=kind))
            .otherwise(pl.lit("same", dtype=kind))
        )["kind"]
