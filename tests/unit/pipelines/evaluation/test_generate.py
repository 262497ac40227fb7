"""The synthetic classroom."""

from __future__ import annotations

import csv
import json

import pytest

from corrida.errors import BadInput
from corrida.pipelines.contract import ConfigFile, Data
from corrida.pipelines.evaluation import pipeline
from corrida.pipelines.evaluation.generate import READERS, Shape, generate_classroom, write_classroom
from corrida.pipelines.evaluation.generate_words import MISCONCEPTIONS

CONFIG = {
    "columns": {
        "truth": {"topic": "topic", "cluster": "student"},
        "taxonomy": {"description": "description", "topic": "topic"},
        "detections": {"description": "description", "topic": "topic", "confidence": "confidence"},
    },
    "matchers": {"use": ["fuzzy"]},
    "bootstrap": {"resamples": 200},
    "report": False,
}


def test_a_seed_gives_one_classroom_and_another_seed_another():
    assert generate_classroom(7) == generate_classroom(7)
    one, other = generate_classroom(7), generate_classroom(8)
    assert {row["id"] for row in one.truth}.isdisjoint(row["id"] for row in other.truth)
    assert [row["answer"] for row in one.truth] != [row["answer"] for row in other.truth]
    assert one.taxonomy == other.taxonomy


@pytest.mark.parametrize(("students", "questions", "planted"), [(60, 4, 0.225), (1, 1, 0), (5, 3, 1)])
def test_the_share_of_planted_answers_is_kept(students, questions, planted):
    found = generate_classroom(3, Shape(students, questions, planted))
    assert len(found.truth) == students * questions
    assert sum(bool(row["labels"]) for row in found.truth) == round(planted * students * questions)
    topics = {one.label: one.topic for one in MISCONCEPTIONS}
    assert all(topics[label] == row["topic"] for row in found.truth for label in row["labels"])
    assert all(len(set(row["labels"])) == len(row["labels"]) <= 2 for row in found.truth)


def test_near_misses_are_clean_and_tempt_the_readers():
    classroom = generate_classroom(1, Shape(students=200, near_miss=1))
    near = {one.near for one in MISCONCEPTIONS}
    clean = [row for row in classroom.truth if not row["labels"]]
    assert all(any(words in row["answer"] for words in near) for row in clean)
    ids = {row["id"] for row in clean}

    def flagged(reader):
        rows = [r for r in classroom.detections if r["model"] == reader and r["item"] in ids and r["topic"]]
        return len({r["item"] for r in rows if r["strategy"] == "baseline"}) / len(clean)

    for reader in READERS:
        assert flagged(reader.name) == pytest.approx(reader.near, abs=0.06)


def test_a_near_miss_is_never_what_somebody_says_who_holds_it():
    for one in MISCONCEPTIONS:
        assert one.near not in one.held
        assert len(one.described) == len(READERS[0].wording)


@pytest.mark.parametrize("shape", [{"students": 0}, {"questions": 5}, {"planted": 1.5}, {"near_miss": -0.1}])
def test_what_cannot_be_is_refused(shape):
    with pytest.raises(BadInput):
        Shape(**shape)


def test_the_files_are_what_the_pipeline_reads(tmp_path, recorder):
    classroom = generate_classroom(1)
    names = write_classroom(classroom, tmp_path / "data")
    assert names == ["truth.jsonl", "taxonomy.csv", "dataset.json", "detections.csv"]
    with (tmp_path / "data" / "detections.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(classroom.detections)
    assert json.loads((tmp_path / "data" / "dataset.json").read_text())["generator_seed"] == 1
    config = pipeline.configure([ConfigFile("e.yaml", CONFIG)], {})
    files = [tmp_path / "data" / name for name in names if name != "dataset.json"]
    outcome = pipeline.run(Data(files, {}), config, recorder)
    assert outcome.metrics["seeded_pct"] == 22.5
    assert outcome.metrics["items"] == 240
    # The careful reader is made to be the better one, and a fuzzy matcher misses free wordings.
    assert outcome.metrics["model.simulated_careful.f1"] > outcome.metrics["model.simulated_eager.f1"] > 0.1


def test_without_detections():
    assert generate_classroom(1, detections=False).detections == []
    assert generate_classroom(1, detections=False).truth == generate_classroom(1).truth
