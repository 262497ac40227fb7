"""Answers of models, read tolerantly and never taken for clean when they are broken."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.pipelines.evaluation.detect.answers import LONGEST_ANSWER, BrokenAnswer, read_answer, resolve
from corrida.pipelines.evaluation.detect.prompts import AnswerKeys
from corrida.pipelines.evaluation.taxonomy import Label, Taxonomy

KEYS = AnswerKeys()
ONE = '{"detections": [{"name": "off by one", "confidence": 0.9}]}'


def names(text, keys=KEYS):
    return [finding.name for finding in read_answer(text, keys)]


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        f"```json\n{ONE}\n```",
        f"```\n{ONE}\n```",
        f"Here is what I found:\n```json\n{ONE}\n```\nI hope it helps.",
        f"{ONE}\n\nNote: the loop {{i}} is wrong [see above].",
        f"I looked at a[0] and at {{x}}. {ONE}",
        f'<think>perhaps {{"detections": [{{"name": "no"}}]}}</think>{ONE}',
        '[{"name": "off by one"}]',
        '["off by one"]',
        '{"name": "off by one", "confidence": 1}',
        '{"detections": {"name": "off by one"}}',
        '{"detections": ["off by one", "off by one"]}',
        '{"reasoning": "it loops", "detections": [{"name": "  off\\n by one "}]}',
    ],
)
def test_wrapped_answers_are_read(text):
    assert names(text) == ["off by one"]


@pytest.mark.parametrize(
    "text",
    ['{"detections": []}', "[]", '{"detections": null}', '{"name": null}', '{"detections": [{"name": ""}]}'],
)
def test_an_answer_may_say_that_there_is_nothing(text):
    assert names(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "no misconception found",
        "{}",
        "null",
        "true",
        '{"error": "overloaded"}',
        '{"detections": "none"}',
        '{"detections": [1, 2]}',
        '{"detections": [{"label": "x"}]}',
        '{"detections": [{"name": ["x"]}]}',
        '{"detections": [{"name": "a", "tags": ["x"]}, {"name": "b',  # cut off: what is inside is not the answer
        '{"detections": [{"name": "a"',
        "I saw [] and nothing else",
        "<think>only thoughts</think>",
        "[" * 5000,
        '{"a":' * 5000,
        "x" * (LONGEST_ANSWER + 1),
    ],
)
def test_what_is_no_answer_is_broken(text):
    with pytest.raises(BrokenAnswer):
        read_answer(text, KEYS)


@pytest.mark.parametrize(
    ("said", "confidence"),
    [
        (0.25, 0.25), (1, 1.0), (0, 0.0), ("0.5", 0.5), ("85%", 0.85), (" 85 % ", 0.85), (85, None), (-0.1, None),
        (True, None), ("high", None), (None, None), ([0.5], None), ("nan", None), (10**400, None),
    ],
)  # fmt: skip
def test_confidences(said, confidence):
    (finding,) = read_answer(json.dumps({"detections": [{"name": "x", "confidence": said}]}), KEYS)
    assert finding.confidence == confidence


def test_not_a_number_is_no_confidence():
    assert read_answer('{"detections": [{"name": "x", "confidence": NaN}]}', KEYS)[0].confidence is None


def test_keys_of_ones_own():
    keys = AnswerKeys(list="befunde", name="titel", confidence="p")
    (finding,) = read_answer('{"befunde": [{"titel": "Zähler", "p": 0.2}]}', keys)
    assert (finding.name, finding.confidence) == ("Zähler", 0.2)
    assert "befunde" in keys.wording()
    with pytest.raises(BrokenAnswer, match="befunde"):
        read_answer(ONE, keys)


def test_any_script_and_lone_surrogates():
    assert names('{"detections": [{"name": "リストの複製"}, {"name": "чужой 🐍"}]}') == [
        "リストの複製",
        "чужой 🐍",
    ]
    assert names('{"detections": [{"name": "a\\ud800b"}]}') == ["a?b"]


def test_an_id_stands_for_its_label():
    taxonomy = Taxonomy([Label("L1", "off by one", "too often", "loops")])
    (finding,) = read_answer('[{"name": "L1", "confidence": 0.5}]', KEYS)
    assert resolve(finding, taxonomy) == ("off by one", "too often", "loops", 0.5)
    (other,) = read_answer('["L9"]', KEYS)
    assert resolve(other, taxonomy) is other


@given(st.text(max_size=300))
def test_any_text_is_read_or_broken(text):
    with contextlib.suppress(BrokenAnswer):
        assert all(finding.name for finding in read_answer(text, KEYS))


@given(
    st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), max_size=5, unique=True),
    st.text(max_size=50).filter(lambda text: not set("[]{}<`") & set(text)),
)
def test_what_is_around_an_answer_does_not_matter(said, around):
    text = json.dumps({"detections": [{"name": name} for name in said]})
    assert names(f"{around}\n```json\n{text}\n```\n{around}") == said
    assert names(f"{around} {text} {around}") == said
