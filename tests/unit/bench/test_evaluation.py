"""The evaluation workloads: the material is what it says, and the grid that is timed is the right one."""

import pytest

from bench.contestants import classroom, corrida, floor


def test_detections_are_distinct_and_near_their_label():
    known = classroom.labels(40)
    said, meant = classroom.detections(500, known)
    assert len(set(known)) == 40
    assert len(set(said)) == 500
    shared = [
        len(set(text.lower().split()) & set(known[label][1].lower().split()))
        for (_, text), label in zip(said, meant, strict=True)
    ]
    assert sum(shared) / len(shared) > 5
    assert classroom.detections(500, known) == (said, meant)


def test_both_contestants_give_the_same_f1_and_nearly_the_same_interval():
    sizes = {"items": "800", "resamples": "2000"}
    plain, own = floor.evaluation_grid(**sizes), corrida.evaluation_grid(**sizes)
    assert own["f1"] == pytest.approx(plain["f1"], abs=1e-12)
    assert own["low"] < own["f1"] < own["high"]
    assert own["low"] == pytest.approx(plain["low"], abs=0.02)
    assert own["high"] == pytest.approx(plain["high"], abs=0.02)
