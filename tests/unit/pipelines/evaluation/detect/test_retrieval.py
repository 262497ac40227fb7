"""Local retrieval under strategies."""

import msgspec
import numpy as np
import pytest

from corrida.errors import InvalidConfig
from corrida.pipelines.evaluation.detect.retrieval import Embedded, Lexical
from corrida.pipelines.evaluation.detect.settings import DetectorSettings, make_detector
from corrida.pipelines.evaluation.taxonomy import Label

from .conftest import LABELS


class Words:
    """An embedder whose vectors are counts of words, to unit length: real cosines without a model."""

    def __init__(self):
        self.places = {}

    def vectors(self, texts, *, label=""):
        del label
        rows = np.zeros((len(texts), 500), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(".", " ").split():
                row[self.places.setdefault(word, len(self.places))] += 1
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(length > 0, length, 1)

    def facts(self):
        return {"provider": "words"}


def settings(**more):
    return {"kind": "retrieval", "strategies": {"minimal": ["answer"]}, "by": ["lexical"], **more}


def said(detected, model="lexical", strategy="minimal"):
    rows = detected.detections.iter_rows(named=True)
    return {r["item"]: r["name"] for r in rows if (r["model"], r["strategy"]) == (model, strategy)}


def test_the_likest_label_is_found_or_none(detect):
    answers = ["the list is copied by b = a", "One EQUALS sign, not two", "nothing of all that", ""]
    detected = detect(settings(by=["lexical", "embedding"]), answers, embedder=Words)
    assert detected.pairs == [("minimal", "lexical"), ("minimal", "embedding")]
    assert said(detected) == {"i0": "copied list", "i1": "assignment as comparison"}
    assert said(detected, "embedding")["i0"] == "copied list"
    assert "i3" not in said(detected, "embedding")
    assert detected.detections["confidence"].is_between(0, 1).all()
    assert detected.facts["embedding"] == {"provider": "words"}
    first = detected.detections.row(0, named=True)
    assert (first["description"], first["topic"]) == ("b = a does not copy a list", "lists")


def test_strategies_read_what_they_may(detect):
    strategies = {"minimal": ["answer"], "baseline": ["question", "answer"]}
    labels = [*LABELS, Label("L4", "why", "", None)]
    detected = detect(settings(strategies=strategies, threshold=0.5), ["no such word"], labels=labels)
    assert said(detected) == {}
    assert said(detected, strategy="baseline") == {"i0": "why"}
    detector = make_detector(msgspec.convert(settings(strategies=strategies), DetectorSettings))
    assert detector.columns() == ["answer", "question"]
    assert detector.files() == {}


def test_a_strategy_may_read_names_or_descriptions_alone(detect):
    by_name = {"item": ["answer"], "taxonomy": ["name"]}
    by_description = {"item": ["answer"], "taxonomy": ["description"]}
    detected = detect(
        settings(strategies={"n": by_name, "d": by_description}), ["equals sign where two belong"]
    )
    assert said(detected, strategy="n") == {}
    assert said(detected, strategy="d") == {"i0": "assignment as comparison"}
    with pytest.raises(
        InvalidConfig, match="strategy 'd': it reads description of the labels, which none of them has"
    ):
        detect(settings(strategies={"d": by_description}), ["a"], labels=[Label("L", "x", "", None)])


def test_only_labels_of_the_topic(detect):
    strategies = {"free": ["answer"], "rubric": {"item": ["answer"], "topic": "same"}}
    answers = ["the loop runs once too often"] * 3
    detected = detect(settings(strategies=strategies), answers, topics=["loops", "lists", None])
    assert said(detected, strategy="free") == dict.fromkeys(("i0", "i1", "i2"), "off by one")
    assert said(detected, strategy="rubric") == {"i0": "off by one", "i2": "off by one"}
    with pytest.raises(InvalidConfig, match="no item has the topic of a label"):
        detect(settings(strategies=strategies), answers, topics=[None] * 3)


def test_how_many_and_how_sure(detect):
    answer = ["the loop copies a list with one equals sign"]
    many = detect(settings(most=3, threshold=0), answer).detections
    assert many.height == 3
    assert many["confidence"].is_sorted(descending=True)
    least = many["confidence"][1]
    assert detect(settings(most=3, threshold=least), answer).detections.height == 2
    assert detect(settings(most=1, threshold=0), answer).detections.height == 1
    own = {"minimal": {"item": ["answer"], "most": 2, "threshold": 0}}
    assert detect(settings(strategies=own, threshold=1), answer).detections.height == 2


def test_the_text_of_a_label_is_certain_and_foreign_words_are_nothing():
    texts = ["off by one", "copied list", "リストの複製"]
    lexical = Lexical([*texts, ""])
    found = lexical.confidences([*texts, "quite other things", "", "off off off by by one one"])
    assert np.allclose(found[:3, :3].diagonal(), 1)
    assert found[3:5].sum() == 0
    assert found[5, 0] == pytest.approx(1)
    assert (found[:, 3] == 0).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_lexical_confidence_is_the_share_of_a_label():
    lexical = Lexical(["alpha beta", "gamma delta"])
    assert lexical.confidences(["alpha", "alpha zzz"])[:, 0] == pytest.approx([0.5, 0.5])


def test_what_labels_have_in_common_anyway_is_no_likeness():
    documents = ["common alpha", "common beta", "common gamma"]
    found = Embedded(documents, Words()).confidences(["common alpha", "common zeta", "zeta", ""])
    assert found[0] == pytest.approx([1, 0, 0], abs=1e-6)
    assert found[1:].max() == pytest.approx(0, abs=1e-6)


def test_few_labels_have_no_ground():
    assert Embedded(["one label"], Words()).confidences(["one label", "label"])[:, 0] == pytest.approx(
        [1, 0.5**0.5]
    )
    same = Embedded(["x", "x", "x", ""], Words()).confidences(["x", "y"])
    assert np.isfinite(same).all()
    assert same[:, 3].tolist() == [0, 0]


def test_confidence_does_not_depend_on_the_other_items(detect):
    one = "the loop runs one time too often"
    both = settings(by=["lexical", "embedding"], threshold=0)
    alone = detect(both, [one], embedder=Words).detections
    among = detect(both, [one, *["list " * n for n in range(1, 40)]], embedder=Words).detections
    assert among.filter(among["item"] == "i0").equals(alone)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"strategies": {}}, "length"),
        ({"strategies": {"s": []}}, "length"),
        ({"strategies": {"s": {"item": ["a"], "taxonomy": ["labels"]}}}, "labels"),
        ({"strategies": {"s": {"item": ["a"], "topics": "same"}}}, "topics"),
        ({"threshold": 1.5}, "<= 1"),
        ({"most": 0}, ">= 1"),
        ({"kind": "guess"}, "guess"),
    ],
)
def test_settings_that_are_refused(change, why):
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(settings(**change), DetectorSettings)
