"""Which items flipped between two runs: fixed, broken, better, worse, changed, same.

Only items that both runs have are compared; the others are counted apart. Items whose expected answer is not
the same in both runs are counted apart too: what they show is a change of the gold set, not of the pipeline.
An item that is right or wrong in both runs is fixed or broken; one of which only the losses are known, as that of
a forecast, is better or worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from corrida.analysis.items_values import equal_values, item_ids
from corrida.analysis.shared_items import KINDS, SharedItems
from corrida.errors import InvalidData

if TYPE_CHECKING:
    import polars as pl

# Columns with a meaning of their own; any other text column may show a person what an item is.
STANDARD_COLUMNS = ("item_id", "output", "expected", "correct", "score", "loss")
_FAMILIAR = ("text", "title", "input", "question", "name")
_NAMED = 5


class LossDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The paired difference of the losses.

    Attributes:
        items: Shared items that have a finite loss in both runs and the same expected answer.
        ignored: Shared items, with the same expected answer, whose loss is missing or not finite in a run.
        mean_a: The mean loss in A over ``items``; None when there are none.
        mean_b: The mean loss in B over the same items.
        mean_difference: The mean of B minus A; below zero is better.
        better: Shared items, with the same expected answer, whose loss is less in B.
        worse: Those whose loss is greater in B.
        equal: Those whose losses agree to nine digits.
    """

    items: int
    ignored: int
    mean_a: float | None = None
    mean_b: float | None = None
    mean_difference: float | None = None
    better: int = 0
    worse: int = 0
    equal: int = 0


class ItemCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many items did what.

    ``shared`` is the sum of ``fixed``, ``broken``, ``better``, ``worse``, ``changed``, ``same``,
    ``expected_changed`` and ``not_comparable``.

    Attributes:
        shared: Items that both runs have.
        only_a: Items that only A has.
        only_b: Items that only B has.
        fixed: Wrong in A, right in B.
        broken: Right in A, wrong in B.
        changed: Another output, but none of the others.
        same: Nothing changed.
        expected_changed: The expected answer is not the same; not counted as any of the above.
        not_comparable: Neither outputs nor correctness nor losses are known in both runs.
        unknown_correctness: Shared items whose correctness is not known in at least one run; they are counted
            above as well.
        better: Not known to be right or wrong in both runs, and the loss is less in B.
        worse: The same, and the loss is greater in B.
        loss: The paired losses, also of items that are right or wrong; None when a run has none.
    """

    shared: int
    only_a: int
    only_b: int
    fixed: int
    broken: int
    changed: int
    same: int
    expected_changed: int
    not_comparable: int
    unknown_correctness: int
    better: int = 0
    worse: int = 0
    loss: LossDiff | None = None


@dataclass(frozen=True, eq=False)
class ItemsDiff:
    """Which items flipped.

    Attributes:
        counts: The numbers; can be written as JSON.
        differing: The shared items that differ: broken, worse (the greatest increase of the loss first), fixed, better
            (the greatest decrease first), changed; else in A's order. The columns:
            item_id, kind, output_a, output_b, expected, correct_a, correct_b, score_a, score_b, loss_a, loss_b,
            and the text columns that tell what an item is.
        expected_changed: The items with another expected answer: item_id, expected_a, expected_b, output_a,
            output_b, and the same text columns.
        only_a: The ids that only A has, in A's order.
        only_b: The ids that only B has, in B's order.
    """

    counts: ItemCounts
    differing: pl.DataFrame
    expected_changed: pl.DataFrame
    only_a: pl.Series
    only_b: pl.Series


def diff_items(a: pl.DataFrame, b: pl.DataFrame) -> ItemsDiff:
    """Say which items flipped between two item tables.

    A missing output is an answer like any other: the run abstained. Outputs of different types are compared as
    numbers where they are numbers.

    Args:
        a: The items before: ``item_id`` and, as far as known, ``output``, ``expected``, ``correct``, ``score``,
            ``loss`` and any other columns.
        b: The items after.

    Returns:
        The counts and the tables of what differs.

    Raises:
        InvalidData: ``item_id`` is missing, empty or not unique, or ``correct`` holds something else than truth
            values.
    """
    ids_a = _checked_ids(a, "A")
    ids_b = _checked_ids(b, "B", like=ids_a)
    shared = SharedItems(a, b, ids_a, ids_b)
    kinds = shared.kinds()
    counts = _count(shared, kinds, len(ids_a), len(ids_b))
    return ItemsDiff(
        counts=counts,
        differing=_differing(shared, kinds),
        expected_changed=_expected_changed(shared, kinds),
        only_a=_others(ids_a, shared.rows_a, counts.only_a),
        only_b=_others(ids_b, shared.rows_b, counts.only_b),
    )


def _checked_ids(frame: pl.DataFrame, side: str, *, like: pl.Series | None = None) -> pl.Series:
    """Return the item ids as text, or say what is wrong with them; ``like`` are ids that have been checked."""
    if "item_id" not in frame.columns:
        raise InvalidData(f"The items of {side} have no column 'item_id'; their columns: {frame.columns}.")
    ids = item_ids(frame["item_id"])
    if like is not None and ids.equals(like):
        return ids
    if missing := ids.null_count():
        raise InvalidData(f"{missing} of {len(ids)} items of {side} have no item_id.")
    if not _are_unique(ids):
        repeated = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
        named = ", ".join(map(repr, repeated.head(_NAMED).to_list()))
        more = f" and {len(repeated) - _NAMED} more" if len(repeated) > _NAMED else ""
        raise InvalidData(
            f"Several items of {side} have the same item_id: {named}{more}. Give each item one row."
        )
    return ids


def _are_unique(ids: pl.Series) -> bool:
    """Tell whether no id is there twice; the cheap ways to see that it is so come first."""
    rising = (ids.slice(1) > ids.head(max(len(ids) - 1, 0))).all()
    return bool(rising) or ids.hash().n_unique() == len(ids) or ids.n_unique() == len(ids)


def _count(shared: SharedItems, kinds: pl.Series, size_a: int, size_b: int) -> ItemCounts:
    """Count what happened."""
    found = dict(kinds.value_counts().iter_rows())
    return ItemCounts(
        shared=shared.size,
        only_a=size_a - shared.size,
        only_b=size_b - shared.size,
        fixed=found.get("fixed", 0),
        broken=found.get("broken", 0),
        better=found.get("better", 0),
        worse=found.get("worse", 0),
        changed=found.get("changed", 0),
        same=found.get("same", 0),
        expected_changed=found.get("expected_changed", 0),
        not_comparable=found.get("not_comparable", 0),
        unknown_correctness=int((shared.correct_a.is_null() | shared.correct_b.is_null()).sum()),
        loss=_losses(shared, kinds),
    )


def _losses(shared: SharedItems, kinds: pl.Series) -> LossDiff | None:
    """Compare the losses of the items that can be compared."""
    import polars as pl

    if shared.losses is None:
        return None
    comparable = shared.losses.filter(kinds != "expected_changed")
    usable = comparable.filter(pl.col("a").is_finite() & pl.col("b").is_finite())
    sides = LossDiff(
        items=len(usable),
        ignored=len(comparable) - len(usable),
        better=int((~comparable["worse"]).sum()),
        worse=int(comparable["worse"].sum()),
        equal=int(comparable["near"].sum()),
    )
    if usable.is_empty():
        return sides
    means = usable.select(
        a=pl.col("a").mean(), b=pl.col("b").mean(), difference=(pl.col("b") - pl.col("a")).mean()
    ).row(0)
    return msgspec.structs.replace(sides, mean_a=means[0], mean_b=means[1], mean_difference=means[2])


def _differing(shared: SharedItems, kinds: pl.Series) -> pl.DataFrame:
    """Return the table of the items that differ."""
    import polars as pl

    picks = pl.concat([_of_kind(shared, kinds, kind) for kind in KINDS])
    columns = {"item_id": shared.ids.gather(picks), "kind": kinds.gather(picks).cast(pl.String)}
    columns |= _both(shared, picks, "output")
    columns["expected"] = _either(shared, picks, "expected")
    columns["correct_a"] = shared.correct_a.gather(picks)
    columns["correct_b"] = shared.correct_b.gather(picks)
    columns |= _both(shared, picks, "score") | _both(shared, picks, "loss")
    return pl.DataFrame(columns | _descriptions(shared, picks, set(columns)))


def _of_kind(shared: SharedItems, kinds: pl.Series, kind: str) -> pl.Series:
    """Return the places of the items of a kind; by how much the loss moved where that is what they are."""
    import polars as pl

    picks = (kinds == kind).arg_true()
    if shared.losses is None or kind not in {"worse", "better"}:
        return picks
    moved = shared.losses[picks].select((pl.col("b") - pl.col("a")).abs().alias("moved"))
    # Equal moves stay in A's order, so that a comparison prints the same each time.
    order = pl.arg_sort_by("moved", descending=True, nulls_last=True, maintain_order=True)
    return picks.gather(moved.select(order)["moved"])


def _expected_changed(shared: SharedItems, kinds: pl.Series) -> pl.DataFrame:
    """Return the table of the items with another expected answer."""
    import polars as pl

    picks = (kinds == "expected_changed").arg_true()
    columns = {"item_id": shared.ids.gather(picks)}
    columns |= _both(shared, picks, "expected") | _both(shared, picks, "output")
    return pl.DataFrame(columns | _descriptions(shared, picks, set(columns)))


def _picked(shared: SharedItems, side: str, picks: pl.Series, name: str) -> pl.Series | None:
    """Return some rows of a column of one side, or None when that side has no such column."""
    frame, rows = (shared.a, shared.rows_a) if side == "a" else (shared.b, shared.rows_b)
    return frame[name].gather(rows.gather(picks)) if name in frame.columns else None


def _both(shared: SharedItems, picks: pl.Series, name: str) -> dict[str, pl.Series]:
    """Return some rows of a column of both sides; nulls where a side has no such column."""
    import polars as pl

    nothing = pl.repeat(None, len(picks), eager=True)
    found = {f"{name}_{side}": _picked(shared, side, picks, name) for side in ("a", "b")}
    return {key: nothing if column is None else column for key, column in found.items()}


def _either(shared: SharedItems, picks: pl.Series, name: str) -> pl.Series:
    """Return some rows of a column that is the same on both sides, or that only one side has."""
    columns = _both(shared, picks, name)
    return columns[f"{name}_b"] if name in shared.b.columns else columns[f"{name}_a"]


def _descriptions(shared: SharedItems, picks: pl.Series, taken: set[str]) -> dict[str, pl.Series]:
    """Return the text columns that tell a person what the picked items are: those that do not differ."""
    import polars as pl

    text_types = (pl.String, pl.Categorical, pl.Enum)
    known = [*_FAMILIAR, *shared.a.columns, *shared.b.columns]
    found: dict[str, pl.Series] = {}
    for name in dict.fromkeys(known):
        if name in STANDARD_COLUMNS or name in taken:
            continue
        sides = [column for side in ("a", "b") if (column := _picked(shared, side, picks, name)) is not None]
        if not sides or any(not isinstance(column.dtype, text_types) for column in sides):
            continue
        if len(sides) == 1 or bool(equal_values(sides[0], sides[1]).all()):
            found[name] = sides[0].cast(pl.String)
    return found


def _others(ids: pl.Series, rows: pl.Series, count: int) -> pl.Series:
    """Return the ids that the other run does not have."""
    import polars as pl

    if not count:
        return ids.clear()
    mine = pl.int_range(0, len(ids), eager=True, dtype=pl.UInt32)
    return ids.filter(~mine.is_in(rows.implode()))
