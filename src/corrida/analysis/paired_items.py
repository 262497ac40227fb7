"""The items that two runs share, as the counted patterns that paired statistics take."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from corrida.analysis.items_values import equal_values
from corrida.analysis.run_items import LABELS, SEPARATOR, RunItems
from corrida.errors import InvalidData

if TYPE_CHECKING:
    import polars as pl

    from corrida.analysis.measures import Measure
    from corrida.analysis.statistics.pairs import Entries, Floats, Integers, Pairs

# Above this share of different rows among the first ones, counting patterns saves nothing.
_PROBE = 10_000
_CODES = 65_536


@dataclass(frozen=True)
class Measured:
    """A measure on the shared items.

    Attributes:
        pairs: what the items contribute in both runs.
        unknown: shared items that say nothing of the measure in at least one run: no truth, no finite loss.
        one_sided: those of them that say something in one run, such as a loss that became NaN.
    """

    pairs: Pairs
    unknown: int
    one_sided: int = 0


class PairedItems:
    """The items that two runs share and of which both have the same expected answer.

    Args:
        a: the items before, with unique ids (:func:`~corrida.analysis.items_diff.diff_items` makes sure).
        b: the items after.
        cluster: a column that says which items belong together, such as the student that wrote the texts.

    Attributes:
        shared: how many items both have.
        only_a: how many only A has.
        only_b: how many only B has.
        other_truth: how many shared ones have another expected answer; they are not compared.
        clustered_by: the column by which items belong together; None when each stands alone.

    Raises:
        InvalidData: there is no column ``cluster``, or it is not the same in both runs.
    """

    def __init__(self, a: pl.DataFrame, b: pl.DataFrame, cluster: str | None = None) -> None:
        import polars as pl

        self.a, self.b = RunItems(a, "A"), RunItems(b, "B")
        ids_a, ids_b = self.a.ids, self.b.ids
        self._aligned = ids_a.equals(ids_b)
        if self._aligned:
            rows = pl.DataFrame({"a": pl.int_range(0, len(ids_a), eager=True, dtype=pl.UInt32)})
            rows = rows.with_columns(b="a")
        else:
            left = pl.DataFrame({"item_id": ids_a}).with_row_index("a")
            right = pl.DataFrame({"item_id": ids_b}).with_row_index("b")
            rows = left.join(right, on="item_id", how="inner", maintain_order="left").select("a", "b")
        self.shared = rows.height
        self.only_a, self.only_b = len(ids_a) - self.shared, len(ids_b) - self.shared
        self._rows = rows
        self._keep(~self._differ("expected"))
        self.other_truth = self.shared - self._rows.height
        self.clustered_by = cluster
        self.cluster = None if cluster is None else self._clusters(cluster)

    def select(self, chosen: pl.Series) -> PairedItems:
        """Return some of the compared items, such as a segment of them.

        Args:
            chosen: whether each compared item belongs to them, in the order of :meth:`column`.
        """
        part = object.__new__(PairedItems)
        part.__dict__.update({k: v for k, v in self.__dict__.items() if k != "ids"})  # of other items
        if self.cluster is not None:
            part.cluster = self.cluster.filter(chosen)
        part._keep(chosen)
        part.shared, part.only_a, part.only_b, part.other_truth = part._rows.height, 0, 0, 0
        return part

    def across(self, in_a: tuple[str, str], in_b: tuple[str, str]) -> PairedItems | None:
        """Return the rows of A with one value in a column and those of B with another, where they are of the same item.

        Args:
            in_a: column and value that the rows of A have.
            in_b: the same of B.

        Returns:
            None when a table has no such column, or no column ``item`` that says once of which item a row is.
        """
        import polars as pl

        parts = []
        for side, where in ((self.a, in_a), (self.b, in_b)):
            inside = side.inside(where)
            if inside is None or "item" not in side.frame.columns:
                return None
            part = side.frame.filter(inside).with_columns(item_id=pl.col("item").cast(pl.String))
            if part["item_id"].null_count() or part["item_id"].is_duplicated().any():
                return None
            parts.append(part)
        return PairedItems(parts[0], parts[1], self.clustered_by)

    @property
    def size(self) -> int:
        """How many items are compared."""
        return self._rows.height

    @cached_property
    def ids(self) -> pl.Series:
        """The ids of the compared items."""
        return self.a.ids.gather(self._rows["a"])

    def column(self, name: str, side: str = "b") -> pl.Series | None:
        """Return a column of the compared items; None when that side has none."""
        frame = (self.a if side == "a" else self.b).frame
        return self._gather(frame[name], side) if name in frame.columns else None

    def value(self, measure: Measure, side: str) -> float | None:
        """Return a measure over *all* items of one run; None when the table lacks what it takes."""
        import math

        contributions = (self.a if side == "a" else self.b).contributions(measure)
        if contributions is None:
            return None
        known = contributions.drop_nulls()
        if known.is_empty():
            return None
        value = float(measure.estimator()(self._totals(known, measure)))
        return value if math.isfinite(value) else None

    def _totals(self, contributions: pl.DataFrame, measure: Measure) -> Floats:
        import numpy as np

        if measure.averages_labels:
            return _label_patterns(contributions, contributions, None).totals[0]
        return np.array(contributions.sum().row(0), dtype=np.float64)

    def measured(self, measure: Measure) -> Measured | None:
        """Return what the compared items contribute to a measure; None when a table lacks what it takes."""
        in_a, in_b = self.a.contributions(measure), self.b.contributions(measure)
        if in_a is None or in_b is None:
            return None
        if not (self._aligned and self.size == in_a.height):
            in_a, in_b = in_a[self._rows["a"]], in_b[self._rows["b"]]
        first = in_a.columns[0]
        known_a, known_b = in_a[first].is_not_null(), in_b[first].is_not_null()
        known, relevant = known_a & known_b, self._relevant(measure)
        one_sided = known_a ^ known_b
        unknown = int((~known if relevant is None else relevant & ~known).sum())
        one_sided = one_sided if relevant is None else relevant & one_sided
        counted = known if relevant is None else relevant & known
        cluster = self.cluster
        if not counted.all():
            in_a, in_b = in_a.filter(counted), in_b.filter(counted)
            cluster = None if cluster is None else cluster.filter(counted)
        if cluster is not None and cluster.n_unique() == len(cluster):
            cluster = None  # every item stands alone
        count = _label_patterns if measure.averages_labels else _patterns
        return Measured(count(in_a, in_b, cluster), unknown, int(one_sided.sum()))

    def _relevant(self, measure: Measure) -> pl.Series | None:
        """Return which compared items a measure counts in at least one run; None for all."""
        if measure.where is None:
            return None
        in_a, in_b = self.a.inside(measure.where), self.b.inside(measure.where)
        if in_a is None or in_b is None:
            return None
        return self._gather(in_a, "a") | self._gather(in_b, "b")

    def bounds(self, measure: Measure) -> tuple[float, float] | None:
        """Return between what the difference lies over the items of either run, whatever the missing answers are.

        An item that only one run has may be right or wrong in the other; of one with many labels nobody knows how
        many outputs it would have had, so that there is no such bound for their rates. Source: Manski, C. F. (2003), Partial
        Identification of Probability Distributions, chapter 1.

        Returns:
            The ends; None for a measure without ends, or one whose ends do not come from right and wrong alone.
        """
        import numpy as np

        if measure.whole is None or (measure.rate and (self.a.is_multi_label or self.b.is_multi_label)):
            return None
        sides = [self.a.contributions(measure), self.b.contributions(measure)]
        if sides[0] is None or sides[1] is None:
            return None
        totals = [self._totals(side, measure) for side in sides if side is not None]
        estimator = measure.estimator()
        least, most = np.array([0.0, measure.whole]), np.array([measure.whole, measure.whole])

        def value(side: int, missing: int, each: Floats) -> float:
            return float(estimator(totals[side] + missing * each))

        low = value(1, self.only_a, least) - value(0, self.only_b, most)
        return low, value(1, self.only_a, most) - value(0, self.only_b, least)

    def _gather(self, column: pl.Series, side: str) -> pl.Series:
        return column if self._aligned and self.size == len(column) else column.gather(self._rows[side])

    def _keep(self, chosen: pl.Series) -> None:
        if not chosen.all():
            self._rows = self._rows.filter(chosen)

    def _differ(self, name: str) -> pl.Series:
        """Return in which items a column is not the same in both runs; nowhere when a run does not have it."""
        import polars as pl

        left, right = self.column(name, "a"), self.column(name, "b")
        if left is None or right is None:
            return pl.repeat(False, self.size, eager=True, dtype=pl.Boolean)
        return ~equal_values(left, right)

    def _clusters(self, name: str) -> pl.Series:
        import polars as pl

        found = self.column(name, "b") if name in self.b.frame.columns else self.column(name, "a")
        if found is None:
            there = list(dict.fromkeys([*self.b.frame.columns, *self.a.frame.columns]))
            near = difflib.get_close_matches(name, there, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(there[:12])}"
            raise InvalidData(f"the items have no column {name!r} to cluster by; {hint}")
        moved = self._differ(name)
        if moved.any():
            places = moved.arg_true()
            raise InvalidData(
                f"the column {name!r} is not the same in both runs for {len(places)} items, such as "
                f"{self.ids[places[0]]!r}; cluster by what an item belongs to, not by what a run says of it"
            )
        if found.dtype.is_nested() or found.dtype == pl.Object:
            raise InvalidData(f"the column {name!r} holds {found.dtype}; cluster by text or numbers")
        keys = found.cast(pl.String)
        # Items that belong to no cluster stand alone.
        alone = pl.concat_str(pl.lit(SEPARATOR), pl.int_range(0, len(keys)).cast(pl.String))
        return pl.DataFrame({"cluster": keys}).select(pl.coalesce("cluster", alone))["cluster"]


def _patterns(in_a: pl.DataFrame, in_b: pl.DataFrame, cluster: pl.Series | None) -> Pairs:
    """Count the patterns of a metric with few sums."""
    import polars as pl

    from corrida.analysis.statistics.pairs import Pairs

    items = in_a.height
    width = in_a.width
    names = [*(f"a{i}" for i in range(width)), *(f"b{i}" for i in range(width))]
    frame = in_a.rename(dict(zip(in_a.columns, names[:width], strict=True))).hstack(
        in_b.rename(dict(zip(in_b.columns, names[width:], strict=True))).get_columns()
    )
    if cluster is not None:
        frame = (
            frame.with_columns(cluster)
            .group_by("cluster", maintain_order=True)
            .agg(pl.col(names).sum())
            .select(names)
        )
    counts = None
    probe = frame.head(_PROBE)
    if probe.n_unique() < probe.height / 2:
        frame, counts = _counted(frame)
    sides = [frame.select(part).to_numpy(order="c") for part in (names[:width], names[width:])]
    return Pairs.of(sides[0], sides[1], counts, items=items, clustered=cluster is not None)


def _counted(frame: pl.DataFrame) -> tuple[pl.DataFrame, Integers]:
    """Return the different rows in order, and how often each occurs."""
    import numpy as np
    import polars as pl

    names = frame.columns
    # Most contributions are 0, 1 or 2: then a row is a number, and numbers are counted much quicker than rows are grouped.
    facts = frame.select(
        pl.all().max().name.suffix(" most"),
        (pl.all().cast(pl.UInt8, strict=False).cast(pl.Float64) == pl.all())
        .fill_null(False)
        .all()
        .name.suffix(" small"),
    ).row(0, named=True)
    if all(facts[f"{name} small"] for name in names):
        shape = tuple(int(facts[f"{name} most"]) + 1 for name in names)
        steps = [int(np.prod(shape[place + 1 :])) for place in range(len(shape))]
        if steps[0] * shape[0] <= _CODES:
            code = pl.sum_horizontal(
                pl.col(name).cast(pl.UInt32) * step for name, step in zip(names, steps, strict=True)
            )
            found = np.bincount(frame.select(code).to_series().to_numpy())
            codes = np.flatnonzero(found)
            rows = np.unravel_index(codes, shape)
            columns = {name: row.astype(np.float64) for name, row in zip(names, rows, strict=True)}
            return pl.DataFrame(columns), found[codes]
    counted = frame.group_by(names).len("count").sort(names)
    return counted.select(names), counted["count"].to_numpy()


def _label_patterns(in_a: pl.DataFrame, in_b: pl.DataFrame, cluster: pl.Series | None) -> Pairs:
    """Count the patterns of an average over labels: which labels were given and expected."""
    import numpy as np
    import polars as pl

    from corrida.analysis.statistics.pairs import Pairs

    items = in_a.height
    frame = pl.DataFrame(
        {
            "given_a": in_a[LABELS[0]],
            "given_b": in_b[LABELS[0]],
            "wanted": in_a[LABELS[1]],
            "wanted_b": in_b[LABELS[1]],
        }
    )
    keys = frame.columns
    if cluster is None:
        counted = (
            frame.group_by(keys).len("count").sort(keys).with_columns(count=pl.col("count").cast(pl.Int64))
        )
        unit = pl.Series(range(counted.height), dtype=pl.Int64)
        counts = counted["count"].to_numpy()
        each = pl.repeat(1, counted.height, eager=True, dtype=pl.Int64)
    else:
        counted = (
            frame.with_columns(cluster).group_by(["cluster", *keys]).len("count").sort(["cluster", *keys])
        )
        unit = counted["cluster"].rank("dense").cast(pl.Int64) - 1
        counts = np.ones(counted["cluster"].n_unique(), dtype=np.int64)
        each = counted["count"].cast(pl.Int64)
    sets = [
        pl.DataFrame(
            {
                "entry": pl.Series(range(counted.height), dtype=pl.Int64),
                "label": counted[name].str.split(SEPARATOR),
            }
        )
        .explode("label")
        .filter(pl.col("label") != "")
        for name in keys
    ]
    labels = pl.concat(s["label"] for s in sets).unique().sort()
    codes = pl.DataFrame({"label": labels}).with_row_index("code")
    coded = [s.join(codes, on="label", how="left", maintain_order="left") for s in sets]
    shape = (counts.size, 3 * len(labels))
    units, weights = unit.to_numpy(), each.to_numpy()
    in_run_a = _entries(coded[0], coded[2], units, weights, shape)
    in_run_b = _entries(coded[1], coded[3], units, weights, shape)
    return Pairs(in_run_a, in_run_b, counts, items, cluster is not None)


def _entries(
    given: pl.DataFrame, wanted: pl.DataFrame, units: Integers, weights: Integers, shape: tuple[int, int]
) -> Entries:
    """Return hits, outputs and expected labels as contributions."""
    import numpy as np

    from corrida.analysis.statistics.pairs import Entries

    hits = given.join(wanted, on=["entry", "code"], how="semi")
    size = shape[1] // 3
    rows, columns, values = [], [], []
    for place, part in enumerate((hits, given, wanted)):
        entry = part["entry"].to_numpy()
        rows.append(units[entry])
        columns.append(part["code"].to_numpy().astype(np.int64) + place * size)
        values.append(weights[entry].astype(np.float64))
    return Entries(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), shape)
