"""The items of one run, and what each adds to the sums of a measure."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from corrida.analysis.items_values import correctness, item_ids

if TYPE_CHECKING:
    import polars as pl

    from corrida.analysis.measures import Measure

# Between the labels of an item: no text that a person writes holds it.
SEPARATOR = "\x1f"
_FEW_LABELS = 1_000
LABELS = ("given", "wanted")


class RunItems:
    """The per-item table of a run.

    Args:
        frame: the items.
        side: how to call the run in an error message.
    """

    def __init__(self, frame: pl.DataFrame, side: str) -> None:
        self.frame = frame
        self._side = side
        self._known: dict[Measure, pl.DataFrame | None] = {}

    @cached_property
    def ids(self) -> pl.Series:
        """The ids of the items, as text."""
        return item_ids(self.frame["item_id"])

    @cached_property
    def labels(self) -> frozenset[str]:
        """The labels that are expected; none when they are too many to be the classes of a classification."""
        import polars as pl

        if "expected" not in self.frame.columns:
            return frozenset()
        column = self.frame["expected"]
        if isinstance(column.dtype, pl.List):
            column = column.explode()
        if (
            column.dtype.is_nested()
            or column.dtype == pl.Object
            or column.head(5_000).n_unique() > _FEW_LABELS
        ):
            return frozenset()
        found = column.cast(pl.String).drop_nulls().unique()
        return frozenset(found.to_list()) if len(found) <= _FEW_LABELS else frozenset()

    def contributions(self, measure: Measure) -> pl.DataFrame | None:
        """Return what each item adds to the sums of a measure.

        Args:
            measure: any; of an average over labels the columns are ``given`` and ``wanted``, the labels of an item
                joined.

        Returns:
            One row an item, null where it says nothing of the measure: its truth is not known, its loss is no
            number. None when the table lacks the columns.
        """
        if measure not in self._known:
            self._known[measure] = self._contributions(measure)
        return self._known[measure]

    def _contributions(self, measure: Measure) -> pl.DataFrame | None:
        import polars as pl

        made = self._label_sets() if measure.averages_labels else self._numbers(measure)
        if made is None:
            return None
        names, expressions, frame = made
        if measure.where is not None:
            inside = self.inside(measure.where)
            if inside is None:
                return None
            nothing = pl.lit("") if measure.averages_labels else pl.lit(0.0)
            frame = frame.with_columns(_inside=inside)
            expressions = [
                pl.when("_inside").then(e).otherwise(pl.when(e.is_not_null()).then(nothing))
                for e in expressions
            ]
        return frame.select(e.alias(name) for name, e in zip(names, expressions, strict=True))

    def inside(self, where: tuple[str, str]) -> pl.Series | None:
        """Return which items have a value in a column; None when there is no such column of single values."""
        import polars as pl

        column, value = where
        kind = self.frame.schema.get(column)
        if kind is None or kind.is_nested() or kind == pl.Object:
            return None
        return (self.frame[column].cast(pl.String) == value).fill_null(False)

    @cached_property
    def _facts(self) -> pl.DataFrame:
        """For every item: ``correct``, whether it has an output (``answered``), and an expected answer (``wanted``)."""
        import polars as pl

        yes = pl.repeat(True, self.frame.height, eager=True, dtype=pl.Boolean)
        columns = self.frame.columns
        return pl.DataFrame(
            {
                "correct": correctness(self.frame, self._side),
                "answered": self.frame["output"].is_not_null() if "output" in columns else yes,
                "wanted": self.frame["expected"].is_not_null() if "expected" in columns else yes,
            }
        )

    def _numbers(self, measure: Measure) -> tuple[list[str], list[pl.Expr], pl.DataFrame] | None:
        import polars as pl

        kind = measure.kind
        if kind == "coverage":
            if "output" not in self.frame.columns:
                return None
            return _ratio(pl.col("answered"), pl.lit(1.0), self._facts)
        if kind in {"accuracy", "error_rate"}:
            right = pl.col("correct") if kind == "accuracy" else ~pl.col("correct")
            return _ratio(right, pl.lit(1.0), self._facts) if self.has_truth else None
        if kind in {"mean", "root_mean", "rms", "ratio"}:
            return self._of_columns(measure)
        if kind in {"mae", "mse", "rmse", "r2"}:
            return self._errors(kind)
        return self._hits(measure)

    @property
    def has_truth(self) -> bool:
        """Tell whether any item is known to be right or wrong."""
        return self._facts["correct"].null_count() < self.frame.height

    def _hits(self, measure: Measure) -> tuple[list[str], list[pl.Expr], pl.DataFrame] | None:
        """Return numerator and denominator of precision, recall or F1 from hits, outputs and expected answers."""
        import polars as pl

        if measure.kind.startswith("counted_"):
            if not all(self._is_number(name) for name in ("tp", "fp", "fn")):
                return None
            frame, hits = self.frame, pl.col("tp").cast(pl.Float64)
            given, wanted = hits + pl.col("fp"), hits + pl.col("fn")
        elif measure.argument is not None:
            sets = self._label_sets()
            if sets is None:
                return None
            frame = sets[2].select(
                *(
                    pl.concat_str(pl.lit(SEPARATOR), name, pl.lit(SEPARATOR))
                    .str.contains(f"{SEPARATOR}{measure.argument}{SEPARATOR}", literal=True)
                    .alias(name)
                    for name in LABELS
                )
            )
            given, wanted = pl.col("given"), pl.col("wanted")
            hits = given & wanted
        elif self.is_multi_label:
            frame = self.frame.select(
                given=pl.col("output").fill_null([]).list.unique(), wanted=pl.col("expected").list.unique()
            )
            hits = pl.col("given").list.set_intersection("wanted").list.len()
            given, wanted = pl.col("given").list.len(), pl.col("wanted").list.len()
        elif self.has_truth:
            known = pl.col("correct").is_not_null()
            frame = self._facts
            hits = pl.col("correct") & pl.col("answered")
            given = pl.when(known).then(pl.col("answered"))
            wanted = pl.when(known).then(pl.col("wanted"))
        else:
            return None
        hits, given, wanted = (e.cast(pl.Float64) for e in (hits, given, wanted))
        if measure.rate == "f1":
            return _ratio(2 * hits, given + wanted, frame)
        return _ratio(hits, given if measure.rate == "precision" else wanted, frame)

    @property
    def is_multi_label(self) -> bool:
        """Tell whether outputs and expected answers are lists of labels."""
        import polars as pl

        return all(
            name in self.frame.columns and isinstance(self.frame.schema[name], pl.List)
            for name in ("output", "expected")
        )

    def _label_sets(self) -> tuple[list[str], list[pl.Expr], pl.DataFrame] | None:
        """Return outputs and expected labels as joined text; null where nothing is known to be expected."""
        import polars as pl

        if not {"output", "expected"} <= set(self.frame.columns):
            return None
        if self.is_multi_label:
            sets = [
                pl.col(c)
                .list.eval(pl.element().cast(pl.String))
                .list.unique()
                .list.sort()
                .list.join(SEPARATOR)
                for c in ("output", "expected")
            ]
        elif any(
            self.frame.schema[c].is_nested() or self.frame.schema[c] == pl.Object
            for c in ("output", "expected")
        ):
            return None
        else:
            # As ids are: 1, 1.0 and "1" are one label, whatever a file format made of them.
            texts = self.frame.select(item_ids(self.frame[c]).alias(c) for c in ("output", "expected"))
            sets = [pl.lit(texts["output"]), pl.lit(texts["expected"])]
        known = pl.col("expected").is_not_null()
        frame = self.frame.select(
            given=pl.when(known).then(sets[0].fill_null("")), wanted=pl.when(known).then(sets[1])
        )
        if frame["wanted"].null_count() == frame.height:
            return None
        return list(LABELS), [pl.col(name) for name in LABELS], frame

    def _of_columns(self, measure: Measure) -> tuple[list[str], list[pl.Expr], pl.DataFrame] | None:
        import polars as pl

        columns = [name.strip() for name in (measure.argument or "").split("/")]
        if not all(self._is_number(name) for name in columns):
            return None
        part = _finite(pl.col(columns[0]).cast(pl.Float64))
        if measure.kind == "ratio":
            return _ratio(part, _finite(pl.col(columns[1]).cast(pl.Float64)), self.frame)
        return _ratio(part**2 if measure.kind == "rms" else part, pl.lit(1.0), self.frame)

    def _errors(self, kind: str) -> tuple[list[str], list[pl.Expr], pl.DataFrame] | None:
        import polars as pl

        if not {"output", "expected"} <= set(self.frame.columns):
            return None
        if any(
            self.frame.schema[name].is_nested() or self.frame.schema[name] == pl.Object
            for name in ("output", "expected")
        ):
            return None
        frame = self.frame.select(
            y=_finite(pl.col("expected").cast(pl.Float64, strict=False)),
            given=_finite(pl.col("output").cast(pl.Float64, strict=False)),
        )
        if frame["y"].null_count() == frame.height:
            return None
        error = pl.col("given") - pl.col("y")
        if kind != "r2":
            return _ratio(error.abs() if kind == "mae" else error**2, pl.lit(1.0), frame)
        known = error.is_not_null()
        sums = [error**2, pl.col("y") ** 2, pl.col("y"), pl.lit(1.0)]
        return ["errors", "squares", "sum", "count"], [pl.when(known).then(e) for e in sums], frame

    def _is_number(self, name: str) -> bool:
        import polars as pl

        kind = self.frame.schema.get(name)
        return kind is not None and (kind.is_numeric() or kind == pl.Boolean)


def _ratio(
    part: pl.Expr, whole: pl.Expr, frame: pl.DataFrame
) -> tuple[list[str], list[pl.Expr], pl.DataFrame]:
    import polars as pl

    part = part.cast(pl.Float64)
    known = part.is_not_null() & whole.is_not_null()
    columns: list[pl.Expr] = [pl.when(known).then(part), pl.when(known).then(whole.cast(pl.Float64))]
    return ["part", "whole"], columns, frame


def _finite(column: pl.Expr) -> pl.Expr:
    import polars as pl

    return pl.when(column.is_finite()).then(column)
