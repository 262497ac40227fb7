"""The grammar of ids and references."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.errors import CorridaError, InvalidName, InvalidReference
from corrida.runs.ids import generated_id, id_from_tag, is_run_id, parse_reference, validate_run_id

BAD = [
    "", "../x", "a/b", "/etc", ".", "..", ".hidden", "-x", "_x", "a" * 129, "a" * 200, "latest", "LATEST", "con",
    "NUL", "com1", "con.txt", "index.json", "aliases.jsonl", "format_version", "a\0b", "ñandu", "a b", "a\n", "a~1",
    "@a", "日本", "a\\b", "a:b",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_names_outside_the_grammar_are_refused_in_one_sentence(name):
    with pytest.raises(InvalidName) as caught:
        validate_run_id(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", ["a", "0", "run_x", "A.b-c_d", "a" * 128, "latest2", "console", "a..b"])
def test_names_inside_the_grammar_are_taken_as_they_are(name):
    assert validate_run_id(name) == name
    assert is_run_id(name)


@pytest.mark.parametrize("name", [None, 5, b"run"])
def test_an_id_must_be_text(name):
    with pytest.raises(InvalidName):
        validate_run_id(name)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("baseline", "run_baseline"),
        ("run_baseline", "run_baseline"),
        ("más rápido!", "run_mas_rapido_"),
        ("v1.2-b", "run_v1.2-b"),
        ("a  b", "run_a_b"),
    ],
)
def test_a_tag_becomes_an_id(tag, expected):
    assert id_from_tag(tag) == expected


@pytest.mark.parametrize("tag", ["", "日本", "../x", "a/b", "a\\b", "a\0b", "...", "x" * 200, 5, None])
def test_a_tag_of_which_no_id_can_be_made_is_refused(tag):
    with pytest.raises(InvalidName):
        id_from_tag(tag)


@given(st.text(max_size=140))
def test_a_tag_gives_a_valid_id_or_an_error(tag):
    try:
        made = id_from_tag(tag)
    except InvalidName:
        return
    assert is_run_id(made)


def test_generated_ids_are_of_the_time_and_the_seed():
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert generated_id(now, None) == "run_20260102_030405"
    assert generated_id(now, 7) == "run_2026-01-02_seed7"
    assert generated_id(now, -7) == "run_2026-01-02_seed_minus7"


@pytest.mark.parametrize(
    ("text", "part", "value"),
    [
        ("latest", "back", 0),
        ("latest~0", "back", 0),
        ("latest~12", "back", 12),
        ("@production", "alias", "production"),
        ("run_x", "name", "run_x"),
        ("latestx", "name", "latestx"),
    ],
)
def test_references(text, part, value):
    assert getattr(parse_reference(text), part) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "@../x",
        "@latest",
        "latest~",
        "latest~x",
        "latest~-1",
        "latest~9999999999",
        "../x",
        "a b",
        "a\0",
        "ñ",
        None,
    ],
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(InvalidReference):
        parse_reference(text)


@given(st.text(max_size=30))
def test_any_text_is_a_reference_or_an_error(text):
    try:
        parsed = parse_reference(text)
    except CorridaError:
        return
    assert sum(part is not None for part in parsed) == 1
