"""Folding, and whole words in any script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.pipelines.matching.text import contains, phrase, searchable, singular
from corrida.pipelines.text import fold, tokens


def found(wanted, text, match="word"):
    return contains(searchable(text), phrase(wanted), match)


@given(st.text())
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)
    assert tokens(fold(text)) == tokens(text)
    assert phrase(phrase(text)) == phrase(text)


@given(st.text(), st.text(), st.text())
def test_matches_widen(before, wanted, after):
    text, wanted = searchable(before + wanted + after), phrase(wanted)
    if wanted and contains(text, wanted, "word"):
        assert contains(text, wanted, "prefix")
    if wanted and contains(text, wanted, "prefix"):
        assert contains(text, wanted, "substring")


def test_cajero_does_not_fire_in_encajero():
    assert found("cajero", "Cajero/a de banco")
    assert not found("cajero", "encajero")
    assert not found("cajero", "cajeros")
    assert found("cajero", "cajeros", "prefix")
    assert not found("cajero", "encajero", "prefix")
    assert found("cajero", "encajero", "substring")


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("TÉCNICO", "tecnico de redes"),
        ("Lodz", "Łódź"),
        ("strasse", "STRASSENBAHN Straße"),
        ("fund accountant", "Fund-Accountant, senior"),
        ("c++", "C++/Python"),
        ("12ab", "１２ＡＢ"),  # full width
        ("工程师", "软件工程师"),
        ("エンジニア", "Javaエンジニア"),
        ("エンジニア", "Java ｴﾝｼﾞﾆｱ"),  # half width
        ("ขาย", "พนักงานขาย"),
        ("개발자", "선임 개발자"),
        ("शिक्षक", "हिन्दी शिक्षक"),
        ("chef", "chef 👨‍🍳️"),
        ("software", "soft\u00adware"),
    ],
)
def test_found(wanted, text):
    assert found(wanted, text)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("c", "C++ developer"),
        ("c", "C# developer"),
        ("java", "JavaScript"),
        ("師工", "工程師"),
        ("か", "が"),  # the voicing mark makes another letter
        ("शिक्ष", "शिक्षक"),
        ("개발", "개발자"),
    ],
)
def test_not_found(wanted, text):
    assert not found(wanted, text)


def test_singular_keeps_a_stem():
    assert singular("accountants", ("s",)) == "accountant"
    assert singular("glass", ("s",)) == "glass"
    assert singular("bus", ("s",)) == "bus"
    assert singular("porters", ()) == "porters"
