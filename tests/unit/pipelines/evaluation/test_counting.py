"""The unit is (item, label); what a detection is worth is counted by hand here."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corrida.errors import InvalidData
from corrida.pipelines.evaluation.match import Matched
from corrida.pipelines.evaluation.score.counting import Said, decide, tally
from corrida.pipelines.evaluation.truth import Truth

from .conftest import detection

CELL = "fuzzy+s+m"


def test_a_label_found_ten_times_is_one_true_positive(classroom):
    classroom.detections = [detection("a", "off by one") for _ in range(10)]
    assert classroom.counts() == {CELL: (1, 0, 4)}


def test_a_hit_in_a_clean_item_is_a_false_positive(classroom):
    classroom.detections = [detection("b", "off by one")]
    assert classroom.counts() == {CELL: (0, 1, 5)}
    cell = classroom.evaluation.cells[0]
    assert (cell.clean_items, cell.clean_fp, cell.clean_flagged) == (2, 1, 1)
    assert cell.clean_fp_rate == 0.5


def test_a_detection_without_label_is_a_false_positive_for_each_distinct_name(classroom):
    classroom.detections = [
        detection("a", "zebra crossing"),
        detection("a", "  Zebra   CROSSING "),
        detection("a", "xylophone"),
        detection("b", "zebra crossing"),
    ]
    assert classroom.counts() == {CELL: (0, 3, 5)}


def test_an_item_that_is_not_in_the_truth_is_an_error_not_clean(classroom):
    classroom.detections = [detection("a", "off by one"), detection("ghost", "off by one")]
    with pytest.raises(InvalidData, match=r"line 2: .*has no item 'ghost'; what is not known is not clean"):
        classroom.run()


def test_items_without_detections_belong_to_every_cell_of_the_pair(classroom):
    classroom.detections = [
        detection("a", "off by one"),
        detection("f", "off by one", strategy="t"),
    ]
    assert classroom.counts() == {CELL: (1, 0, 4), "fuzzy+t+m": (1, 0, 4)}


def test_a_row_that_says_nothing_means_that_nothing_was_found(classroom):
    classroom.detections = [detection("a", "off by one"), detection("b", "", strategy="t")]
    outcome = classroom.run()
    assert outcome.metrics["cell.fuzzy+t+m.recall"] == 0
    assert "cell.fuzzy+t+m.precision" not in outcome.metrics
    assert outcome.dataset["answers_without_finding"] == 1


def test_without_any_true_label_recall_and_f1_are_absent(classroom):
    classroom.truth = [row | {"labels": []} for row in classroom.truth]
    outcome = classroom.run()
    assert outcome.metrics["cell.fuzzy+s+m.precision"] == 0
    assert not [name for name in outcome.metrics if name.endswith(("recall", "f1"))]
    assert "no F1" in outcome.summary
    assert outcome.findings == {}


def test_without_clean_items_there_is_no_rate_of_false_positives_in_them(classroom):
    classroom.truth = [row for row in classroom.truth if row["labels"]]
    metrics = classroom.run().metrics
    assert metrics["seeded_pct"] == 100
    assert "clean_fp_rate" not in metrics


def test_the_rows_of_the_items_add_up_to_the_cells(classroom):
    classroom.detections = [
        detection("a", "off by one", confidence=0.9),
        detection("a", "copied list"),
        detection("b", "zebra crossing", confidence=0.2),
        detection("d", "copied list", strategy="t"),
    ]
    outcome = classroom.run()
    items = outcome.items
    assert items["item_id"].n_unique() == items.height == 12
    a = items.row(by_predicate=pl.col("item_id") == f"a|{CELL}", named=True)
    assert a == {
        "item_id": f"a|{CELL}", "item": "a", "cell": CELL, "matcher": "fuzzy", "strategy": "s", "model": "m",
        "cluster": "s1", "topic": "loops", "expected": "L1, L2", "output": "L1, L3", "tp": 1, "fp": 1, "fn": 1,
        "correct": False, "seeded": True, "confidence": 0.9,
    }  # fmt: skip
    b = items.row(by_predicate=pl.col("item_id") == f"b|{CELL}", named=True)
    assert (b["expected"], b["output"], b["correct"], b["seeded"], b["confidence"]) == (
        None,
        None,
        False,
        False,
        0.2,
    )
    e = items.row(by_predicate=pl.col("item_id") == f"e|{CELL}", named=True)
    assert e["correct"] is True
    for cell, group in items.group_by("cell"):
        for of in ("tp", "fp", "fn"):
            assert group[of].sum() == outcome.metrics[f"cell.{cell[0]}.{of}"]


def test_the_metrics_follow_from_the_items_as_their_measures_say(classroom):
    from corrida.analysis.measures import parse_measure
    from corrida.analysis.paired_items import PairedItems

    classroom.detections = [detection("a", "off by one"), detection("d", "copied list", strategy="t")]
    outcome = classroom.run()
    paired = PairedItems(outcome.items, outcome.items)
    assert "best_f1" in outcome.measures
    for name, measure in outcome.measures.items():
        assert paired.value(parse_measure(measure), "a") == pytest.approx(outcome.metrics[name]), name


def test_an_item_that_was_not_answered_is_not_counted_at_all():
    frame = pl.DataFrame(
        {"item": ["x"], "model": ["m"], "strategy": ["s"], "name": ["n"], "description": [None],
         "topic": [None], "confidence": [None]}
    )  # fmt: skip
    truth = Truth(None, frame, ["x", "y"], [(0,), (0,)], [None, None], ["x", "y"], clustered=False)
    said = Said(frame, truth, 1, [("s", "m")], [("y", "s", "m")])
    matched = Matched(np.array([0]), np.array([0.9], dtype=np.float32))
    counts = tally(said, decide(said, matched, 0.5), matched, 0.5)
    assert (counts.tp.tolist(), counts.fp.tolist(), counts.fn.tolist()) == ([[1, 0]], [[0, 0]], [[0, 0]])


NAMES = ["one", "One ", "two", "three"]
ONE_DETECTION = st.tuples(
    st.integers(0, 3), st.integers(0, 1), st.sampled_from(NAMES), st.integers(0, 2),
    st.sampled_from([0.1, 0.5, 0.9]), st.one_of(st.none(), st.floats(0, 1)),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sets(st.integers(0, 2)), min_size=4, max_size=4), st.lists(ONE_DETECTION, max_size=12))
def test_counts_are_those_of_plain_sets(labels, rows):
    items, pairs = ["w", "x", "y", "z"], [("s", "m"), ("t", "m")]
    frame = pl.DataFrame(
        [(items[i], pairs[p][1], pairs[p][0], name, None, None, sure) for i, p, name, _, _, sure in rows],
        schema={"item": str, "model": str, "strategy": str, "name": str, "description": str, "topic": str,
                "confidence": pl.Float64},
        orient="row",
    )  # fmt: skip
    truth = Truth(
        None, frame, items, [tuple(sorted(one)) for one in labels], [None] * 4, items, clustered=False
    )
    said = Said(frame, truth, 3, pairs)
    matched = Matched(
        np.array([label for _, _, _, label, _, _ in rows], dtype=np.int64),
        np.array([score for _, _, _, _, score, _ in rows], dtype=np.float32),
    )
    counts = tally(said, decide(said, matched, 0.5), matched, 0.5)
    for p in range(2):
        for i in range(4):
            here = [row for row in rows if row[0] == i and row[1] == p]
            got = {label for *_, label, score, _ in here if score >= 0.5}
            nameless = {name.strip().lower() for _, _, name, _, score, _ in here if score < 0.5}
            expected = (len(got & labels[i]), len(got - labels[i]) + len(nameless), len(labels[i] - got))
            assert (counts.tp[p, i], counts.fp[p, i], counts.fn[p, i]) == expected


class Answering:
    """Answers all items but one under one model."""

    def columns(self):
        return ["topic"]

    def files(self):
        return {}

    def detect(self, request):
        from corrida.pipelines.evaluation.detect import Detected, Failed

        rows = [
            detection("a", "off by one"),
            detection("a", "off by one", model="n"),
            detection("b", "?", model="n"),
        ]
        frame = pl.DataFrame(
            rows, schema_overrides={"description": pl.String, "topic": pl.String, "confidence": float}
        )
        failed = [Failed("f", "s", "n", "the answer was no JSON", 3)]
        return Detected(frame, [("s", "m"), ("s", "n"), ("t", "m")], failed, {"tokens": 12})


def test_what_a_detector_could_not_answer_is_neither_clean_nor_missed(classroom, monkeypatch):
    del classroom.config["detections"]
    classroom.config["detectors"] = [{"kind": "retrieval", "strategies": {"s": ["topic"]}}]
    monkeypatch.setattr("corrida.pipelines.evaluation.detect.settings.make_detector", lambda _: Answering())
    outcome = classroom.run()
    found = {cell.name: cell for cell in classroom.evaluation.cells}
    m, n, t = (found[f"fuzzy+{pair}"] for pair in ("s+m", "s+n", "t+m"))
    assert [(c.counts.tp, c.counts.fp, c.counts.fn) for c in (m, n, t)] == [(1, 0, 4), (1, 1, 3), (0, 0, 5)]
    assert [(c.items, c.failed) for c in (m, n, t)] == [(6, 0), (5, 1), (6, 0)]
    assert "f|fuzzy+s+n" not in outcome.items["item_id"].to_list()
    assert outcome.items.height == 17
    assert classroom.recorder.tables["failed.csv"]["reason"].to_list() == ["the answer was no JSON"]
    assert any("1 item was not answered" in warning for warning in classroom.recorder.warnings)
    assert outcome.dataset["detector"] == {"tokens": 12}
    contrast = next(c for c in classroom.evaluation.best.contrasts if {c.a, c.b} == {m.name, n.name})
    # Compared on the five items that both answered: m finds 1 of 4 there, as n does, with one fault less.
    f1 = {contrast.a: contrast.f1_a, contrast.b: contrast.f1_b}
    assert f1[m.name] == pytest.approx(2 / 5)
    assert f1[n.name] == pytest.approx(2 / 6)
    (agreement,) = classroom.evaluation.agreement
    assert agreement.units == 5 * 3
