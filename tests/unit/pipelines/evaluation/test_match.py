"""Fuzzy, semantic, hybrid: definitions, and that each can say "no label"."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Indel

from corrida.errors import InvalidConfig
from corrida.pipelines.evaluation.match.spelling import Spelling, words
from corrida.pipelines.text import tokens

from .conftest import detection

ALL = ["fuzzy", "semantic", "hybrid"]


@given(st.text(st.characters(max_codepoint=127)))
def test_the_quick_way_to_words_is_the_slow_one(text):
    assert tuple(words(text)) == tokens(text)


@settings(deadline=None)
@given(
    st.lists(st.text("ab cé中", max_size=8), min_size=1, max_size=5),
    st.lists(st.text("ab cé中", max_size=8), min_size=1, max_size=5),
)
def test_fuzzy_is_the_greater_of_sequence_ratio_and_token_jaccard(labels, texts):
    found = Spelling(labels).scores(texts)
    for row, text in enumerate(texts):
        for column, label in enumerate(labels):
            a, b = " ".join(tokens(text)), " ".join(tokens(label))
            ratio = Indel.normalized_similarity(a, b) if a else 0.0
            one, other = set(tokens(text)), set(tokens(label))
            jaccard = len(one & other) / len(one | other) if one | other else 0.0
            assert found[row, column] == pytest.approx(max(ratio, jaccard), abs=1e-6)


def test_words_that_many_share_are_counted_like_rare_ones():
    rng = np.random.default_rng(3)
    vocabulary = [f"w{i}" for i in range(30)]
    labels = [" ".join(rng.choice(vocabulary[:8], 4)) for _ in range(40)]
    texts = [" ".join(rng.choice(vocabulary, 5)) for _ in range(60)]
    found = Spelling(labels).scores(texts)
    for row, text in enumerate(texts):
        for column, label in enumerate(labels):
            one, other = set(text.split()), set(label.split())
            ratio = Indel.normalized_similarity(text, label)
            assert found[row, column] == pytest.approx(
                max(ratio, len(one & other) / len(one | other)), abs=1e-6
            )


def test_every_matcher_can_say_no_label(classroom):
    classroom.detections = [detection("a", "zebra crossing at noon", topic="loops")]
    counts = classroom.counts(matchers__use=ALL)
    assert counts == {f"{matcher}+s+m": (0, 1, 5) for matcher in ALL}
    assert {cell.unmatched for cell in classroom.evaluation.cells} == {1}


@pytest.mark.parametrize("matcher", ALL)
def test_a_threshold_of_0_is_refused_as_no_label_could_never_happen(classroom, matcher):
    with pytest.raises(InvalidConfig, match=rf"--set matchers.{matcher}.threshold: .*expected .*> 0"):
        classroom.run(**{f"matchers__{matcher}__threshold": 0})


def test_hybrid_is_the_weighted_sum_with_a_bonus_for_the_topic(classroom):
    import polars as pl

    from corrida.pipelines.evaluation.embeddings import make_embedder
    from corrida.pipelines.evaluation.match import match_detections
    from corrida.pipelines.evaluation.settings import EvaluationConfig, Hybrid, Matchers
    from corrida.pipelines.evaluation.taxonomy import Label, Taxonomy

    taxonomy = Taxonomy([Label("L1", "the loop is off by one", "", "Loops")])
    said = [
        ("off by one error", "", "loops"),
        ("off by one error", "", "lists"),
        ("off by one error", "", None),
    ]
    frame = pl.DataFrame(said, schema=["name", "description", "topic"], orient="row")
    config = EvaluationConfig(matchers=Matchers(hybrid=Hybrid(fuzzy=0.6, semantic=0.3, topic=0.08)))
    found = match_detections(
        frame, taxonomy, config, lambda: make_embedder(config.embedding), classroom.recorder
    )
    plain = 0.6 * found["fuzzy"].score + 0.3 * found["semantic"].score
    assert found["hybrid"].score == pytest.approx(plain + np.array([0.08, 0, 0]), abs=1e-6)


def test_a_topic_makes_the_difference_between_two_labels_that_are_alike(classroom):
    classroom.taxonomy = [
        {"id": "A", "name": "off by one", "description": "", "topic": "strings"},
        {"id": "B", "name": "off by one", "description": "", "topic": "loops"},
    ]
    classroom.truth = [{"id": "a", "labels": ["B"], "student": "s", "topic": "loops"}]
    classroom.detections = [detection("a", "off by one", topic="LOOPS")]
    counts = classroom.counts(matchers__use=["fuzzy", "hybrid"])
    assert counts == {"fuzzy+s+m": (0, 1, 1), "hybrid+s+m": (1, 0, 0)}


def test_texts_of_100_kb_and_mixed_scripts_are_matched(classroom):
    classroom.taxonomy += [{"id": "L4", "name": "误用赋值 как сравнение", "description": "", "topic": ""}]
    classroom.truth += [{"id": "日本 é", "labels": ["L4"], "student": "s9", "topic": "語"}]
    classroom.detections = [
        detection("日本 é", "误用赋值 как СРАВНЕНИЕ"),
        detection("a", "off by one", description="word " * 20_000),
        detection("a", "x" * 100_000),
        detection("c", "…!?"),
    ]
    assert classroom.counts(matchers__use=ALL)["fuzzy+s+m"] == (2, 2, 4)
    assert any("longest_text" in warning for warning in classroom.recorder.warnings)
    assert np.isfinite(list(classroom.run(matchers__use=ALL).metrics.values())).all()


def test_a_description_stands_in_for_a_name_that_is_missing(classroom):
    classroom.detections = [detection("a", None, description="Off by one")]
    assert classroom.counts() == {"fuzzy+s+m": (1, 0, 4)}


def test_the_threshold_is_inclusive(classroom):
    classroom.detections = [detection("a", "off by one")]
    assert classroom.counts(matchers__fuzzy__threshold=1.0) == {"fuzzy+s+m": (1, 0, 4)}
