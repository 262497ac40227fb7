"""The figures of an evaluation."""

from __future__ import annotations

import json

import pytest

from corrida.analysis.charts.render import to_png
from corrida.pipelines.evaluation import charts
from corrida.pipelines.evaluation.charts.heat_maps import MOST_LABELS
from corrida.pipelines.evaluation.results import (
    Best,
    Calibration,
    Cell,
    Contrast,
    Counts,
    Estimate,
    Evaluation,
    LabelCount,
    LabelInfo,
    Mean,
    Rates,
    ReliabilityBin,
    Sweep,
    SweepPoint,
    TopicCount,
)

MATCHERS, STRATEGIES, MODELS = ("fuzzy", "semantic"), ("baseline", "rubric_only"), ("gpt", "模型")
NONE = Rates()


def rates(value):
    estimate = Estimate(value, value - 0.05, value + 0.05)
    return Rates(estimate, estimate, estimate)


def cell(matcher, strategy, model, value):
    return Cell(
        matcher=matcher, strategy=strategy, model=model, counts=Counts(3, 2, 1), rates=rates(value) if value else NONE,
        items=8, detections=5, unmatched=1, clean_items=4, clean_fp=1, clean_flagged=1,
    )  # fmt: skip


def evaluation(labels=55, **changes):
    pairs = [(s, m) for s in STRATEGIES for m in MODELS if (s, m) != ("rubric_only", "模型")]
    cells = [
        cell(matcher, s, m, None if (matcher, s, m) == ("fuzzy", "baseline", "gpt") else 0.3 + 0.1 * i)
        for matcher in MATCHERS
        for i, (s, m) in enumerate(pairs)
    ]
    infos = [
        LabelInfo(label=f"L{i}", name="a name that is the same at its beginning and long, " * 3, topic=f"topic {i % 3}", expected=i % 4 + 1)
        for i in range(labels)
    ]  # fmt: skip
    counts = [
        LabelCount(
            cell=c.name, label=one.label, expected=one.expected, found=i % (one.expected + 1), wrong=i % 3
        )
        for c in cells
        for i, one in enumerate(infos)
    ]
    best = cells[-1]
    contrast = Contrast(
        a=best.name, b=cells[-2].name, f1_a=0.5, f1_b=0.4, difference=-0.1, low=-0.2, high=0.01, p_value=0.2,
        p_adjusted=0.4, real=False, judgement="underpowered", clusters=4,
    )  # fmt: skip
    values = {
        "matchers": MATCHERS,
        "strategies": STRATEGIES,
        "models": MODELS,
        "thresholds": {"fuzzy": 0.5, "semantic": 0.4},
        "items": 8,
        "clean_items": 4,
        "clusters": 4,
        "labels": tuple(infos),
        "cells": tuple(cells),
        "means": (
            Mean(axis="matcher", name="fuzzy", cells=3, counts=Counts(3, 2, 1), micro=rates(0.4), macro=rates(0.4)),
            Mean(axis="matcher", name="semantic", cells=3, counts=Counts(0, 0, 0), micro=NONE, macro=NONE),
        ),
        "label_counts": tuple(counts),
        "topic_counts": tuple(
            TopicCount(cell=c.name, topic=f"topic {i}", expected=4, found=i, wrong=0) for c in cells for i in range(3)
        ),
        "calibration": tuple(
            Calibration(cell=c.name, decisions=9, without=0, ece=0.1, brier=0.2, bins=(ReliabilityBin(low=0.4, high=0.5, count=9, confidence=0.45, precision=0.6),))
            for c in cells
        ),
        "best": Best(cell=best.name, f1=Estimate(0.5, 0.4, 0.6), contrasts=(contrast,), tied=(cells[-2].name,)),
        "sweeps": tuple(
            Sweep(
                matcher=matcher, points=tuple(SweepPoint(threshold=t / 10, counts=Counts(10 - t, 2, t)) for t in range(1, 11)), chosen=0.3,
                configured=0.5, at_chosen=Counts(5, 1, 1), at_configured=Counts(4, 1, 2), clusters_choosing=2, clusters_reporting=2,
            )
            for matcher in MATCHERS
        ),
    }  # fmt: skip
    return Evaluation(**(values | changes))


def texts(spec):
    return json.dumps(spec, ensure_ascii=False)


@pytest.mark.parametrize(
    "name",
    [
        "matcher_ablation",
        "matcher_strategy_grid",
        "label_recall",
        "topic_heatmap",
        "calibration",
        "precision_recall",
    ],
)
def test_every_figure_is_drawn(name, capfd):
    picture = to_png(getattr(charts, name)(evaluation()), scale=0.5)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 3_000
    assert "WARN" not in capfd.readouterr().err


def test_what_is_not_defined_is_a_dash():
    ablation = charts.matcher_ablation(evaluation())
    row = next(r for r in ablation["data"]["values"] if r["matcher"] == "semantic")
    assert (row["text"], row["value"]) == ("–", None)
    grid = charts.matcher_strategy_grid(evaluation())
    unknown = next(layer for layer in grid["layer"] if layer["mark"].get("fill"))
    assert [v["told"] for v in unknown["data"]["values"]] == ["fuzzy+baseline+gpt"]
    assert {v["text"] for v in unknown["data"]["values"]} == {"–"}


def test_the_grid_frames_the_best_and_marks_what_is_tied():
    grid = charts.matcher_strategy_grid(evaluation())
    framed = next(layer for layer in grid["layer"] if layer["mark"].get("filled") is False)
    assert [v["told"] for v in framed["data"]["values"]] == ["semantic+rubric_only+gpt"]
    known = {v["told"]: v["text"] for v in grid["layer"][0]["data"]["values"]}
    assert known["semantic+baseline+模型"].endswith("0.35–0.45 •")
    assert "•" not in known["fuzzy+baseline+模型"]
    # a pair that does not occur has no row
    assert all(v["row"] != "rubric_only · 模型" for v in grid["layer"][0]["data"]["values"])


def test_labels_with_one_beginning_stay_apart():
    spec = charts.label_recall(evaluation())
    rows = {v["row"] for layer in spec["layer"] for v in layer["data"]["values"]}
    assert len(rows) == 55
    assert spec["height"]["step"] >= 18
    squares = [v for v in spec["layer"][0]["data"]["values"] if v["column"] == "best cell"]
    assert len(squares) == 55
    assert squares[0]["text"].count("/") == 1


def test_very_many_labels_are_cut_and_said_so():
    spec = charts.label_recall(evaluation(labels=300))
    assert len({v["row"] for v in spec["layer"][0]["data"]["values"]}) == MOST_LABELS
    assert "220 more stand in labels.csv" in texts(spec["title"])


def test_without_labels_topics_confidences_or_sweep_there_is_no_figure():
    nothing = evaluation(labels=0, label_counts=(), topic_counts=(), calibration=(), sweeps=(), best=None)
    for name in ("label_recall", "topic_heatmap", "calibration", "precision_recall"):
        assert getattr(charts, name)(nothing) is None
    assert to_png(charts.matcher_strategy_grid(nothing), scale=0.5)


def test_a_threshold_is_marked_where_it_lies():
    spec = charts.precision_recall(evaluation())
    marks = spec["hconcat"][0]["layer"][1]["data"]["values"]
    assert {(m["matcher"], m["what"], m["threshold"]) for m in marks} == {
        (matcher, what, at) for matcher in MATCHERS for what, at in (("chosen", 0.3), ("configured", 0.5))
    }
