"""Shared items as counted patterns."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from corrida.analysis.measures import parse_measure
from corrida.analysis.paired_items import PairedItems, _counted
from corrida.analysis.statistics.difference import paired_difference
from corrida.errors import InvalidData


def _frame(seed, size=200, **more):
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).choice(["a", "b", "c", "ñ"], size)
    output = np.where(rng.random(size) < 0.7, truth, "a")
    return pl.DataFrame(
        {"item_id": [f"i{n}" for n in range(size)], "output": output, "expected": truth,
         "loss": rng.gamma(1, 1, size), "author": [f"w{n // 5}" for n in range(size)], **more}
    )  # fmt: skip


MEASURES = ["accuracy", "f1", "precision(a)", "f1_macro", "recall_weighted", "mean(loss)", "rms(loss)"]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("cluster", [None, "author"])
def test_the_order_of_the_items_does_not_matter(measure, cluster):
    a, b = _frame(1), _frame(2)
    measure = parse_measure(measure)
    found = []
    for left, right in ((a, b), (a, b.sample(fraction=1.0, shuffle=True, seed=3))):
        paired = PairedItems(left, right, cluster)
        measured = paired.measured(measure)
        found.append([float(measure.estimator()(total)) for total in measured.pairs.totals])
        assert found[-1] == pytest.approx([paired.value(measure, "a"), paired.value(measure, "b")])
        assert measured.pairs.units == (40 if cluster else 200)
        assert measured.pairs.items == 200
    assert found[0] == pytest.approx(found[1])


def test_items_are_counted_by_pattern():
    pairs = PairedItems(_frame(1), _frame(2)).measured(parse_measure("accuracy")).pairs
    assert pairs.patterns == 4
    assert pairs.units == 200


def test_what_is_not_shared_or_has_another_truth_is_left_out():
    a, b = _frame(1), _frame(2)
    b = b[20:].with_columns(
        expected=pl.when(pl.col("item_id").is_in(["i50", "i51"])).then(pl.lit("z")).otherwise("expected")
    )
    paired = PairedItems(a[:190], b)
    assert (paired.shared, paired.only_a, paired.only_b, paired.other_truth, paired.size) == (
        170,
        20,
        10,
        2,
        168,
    )
    assert paired.ids[0] == "i20"
    assert paired.column("author")[0] == "w4"
    measured = paired.measured(parse_measure("accuracy"))
    assert measured.pairs.units == 168


def test_a_segment_is_paired_items_again():
    paired = PairedItems(_frame(1), _frame(2), "author")
    assert len(paired.ids) == 200
    part = paired.select(paired.column("expected") == "ñ")
    truth = _frame(1).filter(pl.col("expected") == "ñ")
    assert part.size == truth.height
    assert part.ids.to_list() == truth["item_id"].to_list()
    measured = part.measured(parse_measure("accuracy"))
    assert float(measured.pairs.totals[0][0]) == (truth["output"] == "ñ").sum()
    nothing = paired.select(paired.column("expected") == "none")
    assert (
        paired_difference(nothing.measured(parse_measure("accuracy")).pairs, parse_measure("f1").estimator())
        is None
    )
    assert (
        paired_difference(
            nothing.measured(parse_measure("f1_macro")).pairs, parse_measure("f1_macro").estimator()
        )
        is None
    )


def test_losses_that_are_no_numbers_are_counted_and_left_out():
    a = _frame(1).with_columns(loss=pl.when(pl.col("item_id") == "i3").then(float("nan")).otherwise("loss"))
    b = _frame(2).with_columns(loss=pl.when(pl.col("item_id") == "i4").then(float("inf")).otherwise("loss"))
    measured = PairedItems(a, b).measured(parse_measure("mean(loss)"))
    assert (measured.unknown, measured.pairs.units) == (2, 198)


def test_clusters():
    a, b = _frame(1), _frame(2)
    with pytest.raises(InvalidData, match="no column 'autor' to cluster by; did you mean author"):
        PairedItems(a, b, "autor")
    moved = b.with_columns(author=pl.when(pl.col("item_id") == "i7").then(pl.lit("x")).otherwise("author"))
    with pytest.raises(InvalidData, match="not the same in both runs for 1 items, such as 'i7'"):
        PairedItems(a, moved, "author")
    with pytest.raises(InvalidData, match="cluster by text or numbers"):
        PairedItems(a, b.with_columns(many=pl.concat_list("author")), "many")
    alone = PairedItems(
        a, b.with_columns(only=pl.lit(None, dtype=pl.Int64)), "only"
    )  # nobody belongs together
    pairs = alone.measured(parse_measure("accuracy")).pairs
    assert not pairs.clustered
    assert pairs.units == 200
    one = PairedItems(a, b.with_columns(only=1), "only").measured(parse_measure("accuracy")).pairs
    assert (one.units, one.items) == (1, 200)


def test_what_the_items_left_out_may_hide():
    a, b = _frame(1), _frame(2)
    paired = PairedItems(a[:160], b[40:])
    measure = parse_measure("accuracy")
    low, high = paired.bounds(measure)
    # By brute force: B's answers to the 40 items of A alone all wrong or all right, and the other way round.
    in_a, in_b = ((f["output"] == f["expected"]).sum() for f in (a[:160], b[40:]))
    assert low == pytest.approx((in_b + 0) / 200 - (in_a + 40) / 200)
    assert high == pytest.approx((in_b + 40) / 200 - (in_a + 0) / 200)
    truth = PairedItems(a, b)
    assert low <= truth.value(measure, "b") - truth.value(measure, "a") <= high
    assert paired.bounds(parse_measure("mean(loss)")) is None
    assert paired.bounds(parse_measure("f1_macro")) is None
    lists = PairedItems(
        *(f.with_columns(pl.concat_list("output"), pl.concat_list("expected")) for f in (a[:160], b))
    )
    assert lists.bounds(parse_measure("f1")) is None
    assert lists.bounds(parse_measure("accuracy")) is not None


@pytest.mark.parametrize(
    "first", [(0, 1, 2), (0, 300, 600), (0, 0.5, 1), (0, -1, -2), (-0.0,), (0, np.nan, 2)]
)
def test_rows_are_counted_as_a_group_by_counts_them(first):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.choice(np.array(first, dtype=float), 2_000)}).with_columns(
        pl.Series(name, rng.integers(0, 3, 2_000).astype(float)) for name in "bcd"
    )
    rows, counts = _counted(frame)
    expected = frame.group_by(frame.columns).len().sort(frame.columns)
    assert rows.equals(expected.select(frame.columns))
    assert counts.tolist() == expected["len"].to_list()


def test_a_condition_leaves_the_other_items_out():
    group = ["x" if n < 50 else "y" for n in range(200)]
    a, b = _frame(1, group=group), _frame(2, group=group)
    b = b.with_columns(
        expected=pl.when(pl.col("item_id").is_in(["i0", "i199"])).then(None).otherwise("expected")
    )
    a = a.with_columns(expected=b["expected"])
    part = PairedItems(a, b).measured(parse_measure("accuracy where group=x"))
    assert (part.pairs.units, part.unknown) == (49, 1)
    alone = PairedItems(a[:50], b[:50]).measured(parse_measure("accuracy"))
    assert part.pairs.totals[0].tolist() == alone.pairs.totals[0].tolist()
    moved = b.with_columns(group=pl.when(pl.col("item_id") == "i60").then(pl.lit("x")).otherwise("group"))
    assert PairedItems(a, moved).measured(parse_measure("accuracy where group=x")).pairs.units == 50
