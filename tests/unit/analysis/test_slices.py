"""Segments of the items: how columns are cut, which are tested, and how sure what is said of them is."""

from __future__ import annotations

import datetime as dt
import itertools

import msgspec
import numpy as np
import polars as pl
import pytest
from scipy.stats import false_discovery_control

from corrida.analysis.blocks import to_text
from corrida.analysis.charts.slices import slices_chart
from corrida.analysis.measures import parse_measure
from corrida.analysis.metric_tests import VerdictOptions
from corrida.analysis.paired_items import PairedItems
from corrida.analysis.segments import find_segments
from corrida.analysis.slices import find_slices, without_parts
from corrida.analysis.slices_report import slice_blocks
from corrida.analysis.statistics.difference import paired_difference
from corrida.errors import BadInput

SIZE = 1_500


def _columns(seed=0, size=SIZE):
    rng = np.random.default_rng(seed)
    return {
        "item_id": [f"i{n}" for n in range(size)],
        "expected": rng.choice(["x", "y", "ñ"], size).tolist(),
        "sector": rng.choice(["retail", "médico", "法律", "food"], size, p=[0.4, 0.3, 0.1, 0.2]).tolist(),
        "words": rng.gamma(2, 30, size).astype(int).tolist(),
        "text": [f"text {n}" for n in range(size)],
    }


def _pair(drop=0.0, gain=0.0, *, seed=1, columns=None, where="food", cluster=None):
    """Two runs that are alike, but for a segment that got worse and one that got better."""
    columns = columns or _columns()
    rng = np.random.default_rng(seed)
    sector = np.array(columns["sector"])
    size = len(sector)
    frames = []
    for later in (False, True):
        chance = np.full(size, 0.75)
        if later:
            chance[sector == where] -= drop
            chance[sector == "retail"] += gain
        right = rng.random(size) < chance
        output = np.where(right, columns["expected"], "?")
        loss = np.where(right, 0.2, 1.0) * rng.gamma(20, 1 / 20, size)
        frames.append(pl.DataFrame({**columns, "output": output.tolist(), "loss": loss}))
    return PairedItems(*frames, cluster)


def _cut(values, *, name="c", size=None, min_items=1, auto=False, **more):
    frame = pl.DataFrame(
        {"item_id": [str(n) for n in range(len(values))], name: values, **more}, strict=False
    )
    segments = find_segments(
        PairedItems(frame, frame), ["auto"] if auto else [name], min_items=min_items, limit=100
    )
    return {" & ".join(s.labels): len(s.rows) for s in segments.found}, segments


def test_a_segment_that_got_worse_is_found_and_comes_first():
    found = find_slices(_pair(drop=0.3, gain=0.15), "accuracy", ["sector"], direction="max")
    assert [s.segment for s in found.worse] == ["sector = food"]
    assert [s.segment for s in found.better] == ["sector = retail"]
    assert found.found[0] == found.worse[0]
    assert found.found[-1] == found.better[-1]
    assert found.looked_at == 4
    assert found.method == "Benjamini–Hochberg"
    worst = found.worse[0]
    assert worst.high < 0
    assert worst.b - worst.a == pytest.approx(worst.difference)
    assert worst.items == _columns()["sector"].count("food")


@pytest.mark.parametrize("measure", ["accuracy", "f1", "f1_macro", "mean(loss)"])
def test_a_segment_is_tested_as_a_comparison_of_its_items_is(measure):
    paired = _pair(drop=0.1)
    found = {s.segment: s for s in find_slices(paired, measure, ["sector"], direction="max").found}
    for name in ("food", "médico"):
        part = paired.select(paired.column("sector") == name)
        alone = paired_difference(
            part.measured(parse_measure(measure)).pairs, parse_measure(measure).estimator(), resamples=1_000
        )
        row = found[f"sector = {name}"]
        assert (row.a, row.b, row.low, row.high) == pytest.approx((alone.a, alone.b, alone.low, alone.high))
        assert row.items == alone.items


@pytest.mark.parametrize(
    ("specs", "method", "scipys"),
    [(["sector"], "Benjamini–Hochberg", "bh"), (["sector", "words"], "Benjamini–Yekutieli", "by")],
)
def test_q_values_agree_with_scipy(specs, method, scipys):
    found = find_slices(_pair(drop=0.1), "accuracy", specs, direction="max")
    assert found.method == method
    p, q = zip(*((s.p_value, s.q_value) for s in found.found), strict=True)
    assert q == pytest.approx(false_discovery_control(p, method=scipys))


def test_a_p_value_near_the_least_is_found_again_with_more_swaps():
    found = find_slices(_pair(drop=0.5), "mean(loss)", ["auto"], direction="min")
    food = next(s for s in found.found if s.segment == "sector = food")
    assert food.p_value < 1 / 1_001  # the least that the first look can give
    assert food.outcome == "worse"  # by its q-value, although it is one of many


def test_a_loss_that_rises_is_worse():
    found = find_slices(_pair(drop=0.3), "mean(loss)", ["sector"], direction="min")
    assert found.worse[0].segment == "sector = food"
    assert found.worse[0].difference > 0
    unknown = find_slices(_pair(drop=0.3), "mean(loss)", ["sector"])
    assert [s.segment for s in unknown.changed] == ["sector = food"]
    assert "no better side is known" in to_text(slice_blocks(unknown))


def test_runs_that_are_alike_rarely_raise_an_alarm():
    alarms = 0
    for seed in range(80):
        paired = _pair(seed=seed, columns=_columns(seed, 400))
        found = find_slices(paired, "accuracy", ["sector"], direction="max")
        alarms += bool(found.worse or found.better)
    # 5 % of 80 are 4; with more than 9 the level is not kept (P < 0.01).
    assert alarms <= 9


def test_clusters_are_drawn_as_wholes_and_may_lie_in_several_segments():
    columns = {**_columns(), "author": [f"a{n // 10}" for n in range(SIZE)]}
    paired = _pair(drop=0.3, columns=columns, cluster="author")
    options = VerdictOptions(cluster="author")
    found = find_slices(paired, "accuracy", ["sector"], direction="max", options=options)
    assert found.method == "Benjamini–Yekutieli"
    assert found.worse[0].clusters < found.worse[0].items
    everything = find_slices(paired, "accuracy", ["auto"], direction="max", options=options)
    assert "author" not in everything.columns
    assert "author" not in {s.column for s in everything.skipped}


def test_numbers_are_cut_at_readable_edges():
    values = np.random.default_rng(0).gamma(2, 437.77, 5_000).tolist()
    names, _ = _cut(values)
    assert list(names) == sorted(names, key=lambda n: -names[n])
    edges = {
        int(part) for name in names for part in name.replace("≤", "<").split("<") if part.strip().isdigit()
    }
    assert len(edges) in {2, 3}
    assert all(edge % 10 == 0 for edge in edges)
    assert sum(names.values()) == 5_000
    assert all(abs(size - 1_250) <= 0.07 * 5_000 for size in names.values())


def test_every_number_lies_where_its_label_says():
    for seed, scale in itertools.product(range(6), (1e-6, 1, 1e9)):
        values = (np.random.default_rng(seed).normal(size=300) * scale).tolist()
        frame = pl.DataFrame({"item_id": [str(n) for n in range(300)], "c": values})
        segments = find_segments(PairedItems(frame, frame), ["c"], min_items=1, limit=100)
        assert len(segments.found) == 4
        for segment in segments.found:
            inside = [values[row] for row in segment.rows]
            label = segment.labels[0]
            if "≤" in label:
                low, _, high = label.replace("≤", "<").split(" < ")
                assert float(low) <= min(inside)
                assert max(inside) < float(high)
            elif "<" in label:
                assert max(inside) < float(label.split(" < ")[1])
            else:
                assert min(inside) >= float(label.split(" ≥ ")[1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b", None, "a"], {"c = a": 2, "c = b": 1, "c = –": 1}),
        (["a", "", "a"], {"c = a": 2, "c = ''": 1}),
        ([True, False, None, True], {"c = true": 2, "c = false": 1, "c = –": 1}),
        ([1, 2, 2, None], {"c = 2": 2, "c = 1": 1, "c = –": 1}),
        ([0.5, float("nan"), 0.5, 1.0], {"c = 0.5": 2, "c = 1": 1, "c = –": 1}),
        ([["a", "b"], ["a"], [], None], {"c has a": 2, "c = –": 2, "c has b": 1}),
        ([["a", "a"], ["b"], ["b"]], {"c has b": 2, "c has a": 1}),
        ([0] * 60 + list(range(1, 11)), {"c < 1": 60, "c ≥ 1": 10}),
        (
            [dt.date(2024, 1, 1) + dt.timedelta(days=3 * n) for n in range(244)],
            {"2024-07-01 ≤ c < 2025-01-01": 61, "c < 2024-07-01": 61, "2025-01-01 ≤ c < 2025-07-01": 61,
             "c ≥ 2025-07-01": 61},
        ),
    ],
)  # fmt: skip
def test_columns_of_every_kind_are_cut(values, expected):
    names, _ = _cut(values)
    assert names == expected


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([f"t{n}" for n in range(60)], "every item has another value"),
        (["same"] * 9, "it has one value, same"),
        ([None] * 9, "it has one value, –"),
        ([7.0] * 9, "it has one value, 7"),
        ([["a"]] * 9, "it has one label, a"),
        ([{"a": 1}] * 9, "it holds Struct"),
        ([dt.timedelta(seconds=n) for n in range(9)], "it holds Duration"),
    ],
)
def test_columns_that_make_no_segments_are_said(values, reason):
    names, segments = _cut(values)
    assert not names
    assert [(s.column, s.reason.startswith(reason)) for s in segments.skipped] == [("c", True)]


def test_unasked_columns_of_many_values_or_of_one_run_are_skipped_and_said():
    values = [f"v{n % 51}" for n in range(102)]
    assert len(_cut(values)[0]) == 51
    names, segments = _cut(values, auto=True)
    assert not names
    assert segments.skipped[0].reason == "it has 51 values, more than 50"
    a, b = (pl.DataFrame({"item_id": list("1234"), name: list("xxyy")}) for name in ("old", "new"))
    found = find_segments(PairedItems(a, b), ["auto"], min_items=1, limit=100)
    assert {(s.column, s.reason) for s in found.skipped} == {
        ("new", "only B has it"),
        ("old", "only A has it"),
    }
    assert len(find_segments(PairedItems(a, b), ["old"], min_items=1, limit=100).found) == 2


def test_what_a_run_says_of_an_item_is_no_segment():
    a = pl.DataFrame({"item_id": ["1", "2", "3", "4"], "rule": ["r", "r", "s", "s"], "correct": [True] * 4})
    b = a.with_columns(rule=pl.Series(["r", "s", "s", "s"]))
    found = find_segments(PairedItems(a, b), ["rule"], min_items=1, limit=100)
    assert not found.found
    assert found.skipped[0].reason.startswith("it is not the same in both runs (1 item)")
    assert "correct" not in {
        s.column for s in find_segments(PairedItems(a, a), ["auto"], min_items=1, limit=9).skipped
    }


def test_combinations_of_columns():
    paired = _pair(drop=0.3)
    found = find_slices(paired, "accuracy", ["sector,words"], direction="max")
    assert found.columns == ("sector and words",)
    assert found.method == "Benjamini–Hochberg"  # no item lies in two of them
    assert sum(s.items for s in found.found) <= SIZE
    assert all(s.segment.startswith("sector = ") and "words" in s.segment for s in found.found)
    comma = pl.DataFrame({"item_id": list("1234"), "a,b": list("xxyy"), "a": list("ppqq")})
    one = find_segments(PairedItems(comma, comma), ["a,b"], min_items=1, limit=9)
    assert one.found[0].columns == ("a,b",)


def test_auto_looks_at_pairs_and_keeps_its_limit():
    found = find_slices(_pair(drop=0.4), "accuracy", ["auto"], direction="max", limit=40)
    assert found.columns == ("expected", "sector", "words")
    assert [s.column for s in found.skipped] == ["text"]
    assert found.pairs == 2
    assert found.pairs_beyond == 1
    assert found.looked_at <= 40
    assert found.worse[0].columns == ("sector",) or "sector" in found.worse[0].columns
    said = to_text(slice_blocks(found))
    assert "2 pairs of columns looked at too" in said
    assert "1 pair of columns not looked at" in said
    few = find_slices(_pair(), "accuracy", ["sector"], direction="max", limit=2)
    assert (few.looked_at, few.beyond) == (2, 2)


def test_the_same_items_are_tested_once():
    columns = _columns()
    columns["twin"] = [{"food": "F"}.get(s, "other") for s in columns["sector"]]
    found = find_slices(_pair(columns=columns), "accuracy", ["sector", "twin"], direction="max")
    assert found.repeated == 1
    assert found.looked_at == 5


def test_segments_with_too_few_items_are_counted_and_not_tested():
    found = find_slices(_pair(), "accuracy", ["sector"], direction="max", min_items=200)
    assert found.too_small == 1
    assert "1 segment with fewer than 200 items not tested" in to_text(slice_blocks(found))
    none = find_slices(_pair(), "accuracy", ["sector"], direction="max", min_items=5_000)
    assert none.reason == "no segment has 5000 items to test"
    assert "not looked at: no segment has 5000 items" in to_text(slice_blocks(none))
    only = find_slices(_pair(), "accuracy", ["text"], direction="max")
    assert only.reason == "no column could be cut into segments"
    with pytest.raises(BadInput, match="at least 2 items"):
        find_slices(_pair(), "accuracy", ["sector"], min_items=1)


def test_a_metric_that_is_not_defined_in_a_segment_is_counted():
    paired = _pair()
    unknown = paired.b.frame.with_columns(
        loss=pl.when(pl.col("sector") == "food").then(None).otherwise("loss")
    )
    found = find_slices(PairedItems(unknown, unknown), "mean(loss)", ["sector"], direction="min")
    assert found.undefined == 1
    assert found.looked_at == 3
    assert {s.outcome for s in found.found} == {"tied"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sectr", "no column 'sectr' to slice by; did you mean sector"),
        ("zzz", "there are item_id"),
        ("sector,wrds", "no column 'wrds' to slice by; did you mean words"),
        ("sector,sector", "name a column twice"),
        ("", "no column '' to slice by"),
    ],
)
def test_columns_that_are_not_there(spec, message):
    with pytest.raises(BadInput, match=message):
        find_slices(_pair(), "accuracy", [spec])


def test_what_is_said_when_nothing_stands_out():
    said = to_text(slice_blocks(find_slices(_pair(), "accuracy", ["sector"], direction="max")))
    assert "4 segments: 0 worse, 0 better, 4 within noise" in said
    assert "within noise  sector = " in said


def test_parts_of_a_segment_that_moved_as_it_did_are_counted_and_not_listed():
    slices = find_slices(_pair(drop=0.5), "accuracy", ["auto"], direction="max")
    apart = without_parts(slices.worse)
    assert apart[0].segment == "sector = food"
    assert not any(len(row.conditions) > 1 and "sector = food" in row.conditions for row in apart)
    parts = len(slices.worse) - len(apart)
    assert parts > 2
    said = to_text(slice_blocks(slices))
    assert f"{parts} others lie inside these" in said
    assert said.count("\n  worse  ") == len(apart)
    assert to_text(slice_blocks(slices, 0)).count("\n  worse  ") == len(slices.worse)
    far = msgspec.structs.replace(slices.worse[0], conditions=("sector = food", "x"), low=-0.99, high=-0.98)
    assert without_parts([*apart, far]) == [*apart, far]  # worse than the whole it is part of


def test_the_figure_shows_what_is_sure_first():
    slices = find_slices(_pair(drop=0.4, gain=0.2), "accuracy", ["sector", "words"], direction="max")
    spec = slices_chart(slices, most=3)
    rows = spec["data"]["values"]
    assert [row["state"] for row in rows if row["segment"].startswith("sector = ")] == ["worse", "better"]
    assert len(rows) == 3
    assert "(3 of 8 shown)" in spec["title"]["text"]
    assert rows[0]["segment"] == slices.found[0].segment
    assert slices_chart(find_slices(_pair(), "accuracy", ["text"])) is None


def test_a_long_segment_leaves_room_for_the_numbers():
    columns = {"sector " + "of a long name " * 5: _columns()["sector"]}
    paired = _pair(drop=0.4, columns={**_columns(), **columns})
    said = to_text(slice_blocks(find_slices(paired, "accuracy", list(columns), direction="max")), 80)
    (row,) = [line for line in said.splitlines() if line.startswith("  worse")]
    assert "…" in row
    assert row.count(".") == 4  # A, B, difference, q
    assert len(row) <= 80


@pytest.mark.slow
def test_a_hundred_thousand_items_take_about_a_second():
    import time

    rng = np.random.default_rng(0)
    columns = {
        **_columns(size=100_000),
        "country": rng.choice([f"c{n}" for n in range(24)], 100_000).tolist(),
    }
    paired = _pair(columns=columns)
    start = time.process_time()
    found = find_slices(paired, "f1", ["sector", "country", "words"], direction="max")
    assert found.looked_at == 32
    assert time.process_time() - start < 3  # about 0.3 s of one core on a machine with nothing else to do
