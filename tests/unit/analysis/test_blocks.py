"""Layout: what fits, what gives way first, and what never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.analysis.blocks import (
    Heading,
    Line,
    Table,
    display_width,
    fit,
    pad,
    shorten,
    table_lines,
    to_markdown,
    to_text,
    wrap,
)


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("abc", 3), ("ñ", 1), ("n\u0303", 1), ("規則", 4), ("a\u200db", 2), ("…→–", 3)],
)
def test_widths(text, width):
    assert display_width(text) == width


@given(st.text(max_size=80), st.integers(2, 60))
def test_shortened_text_is_never_wider(text, width):
    assert display_width(shorten(text, width)) <= width
    assert "\n" not in shorten(text, width)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=200), st.integers(20, 60))
def test_wrapped_lines_fit_unless_a_word_of_ascii_does_not(text, width):
    longest = max((len(w) for w in text.split() if w.isascii()), default=0)
    for line in wrap(text, width, "  ", "    ").split("\n"):
        assert display_width(line) <= max(width, longest + 4)


def test_wrapping_keeps_alignment_line_breaks_and_every_word():
    text = "notes        first second third\nnew line"
    assert wrap(text, 24, "  ", "               ") == (
        "  notes        first\n               second\n               third\n               new line"
    )
    assert wrap("x" * 50, 20) == "x" * 50  # an id stays in one piece
    assert all(display_width(line) <= 20 for line in wrap("規" * 50, 20).split("\n"))


TABLE = Table(
    ("id", "status", "f1", "source", "description"),
    [
        [
            "run_" + "x" * 20,
            "finished",
            "0.5",
            "gold set of a hundred",
            "what was changed this time, in words " * 3,
        ]
    ],
    right=frozenset({2}),
    whole=frozenset({0}),
    leave=(3,),
)


def test_texts_give_way_before_columns_and_ids_never():
    assert fit(TABLE, None).left_out == []
    wide = fit(TABLE, 120)
    assert wide.left_out == []
    assert wide.widths[0] == 24
    assert sum(wide.widths) + 8 == 120
    narrow = fit(TABLE, 64)
    assert narrow.left_out == [3]
    tiny = fit(TABLE, 20)
    assert tiny.shown == [0]
    assert tiny.widths == [24]
    assert "no room for status, f1, source, description" in table_lines(TABLE, 20)[-1]


@given(st.integers(1, 300))
def test_a_table_is_as_wide_as_it_may_be(width):
    found = fit(TABLE, width)
    total = sum(found.widths) + 2 * (len(found.widths) - 1)
    assert total <= max(width, 24)
    assert sorted([*found.shown, *found.left_out]) == list(range(5))


def test_numbers_are_aligned_and_never_cut():
    table = Table(("metric", "value"), [["a" * 60, "0.123456789"], ["b", "1"]], right=frozenset({1}))
    lines = table_lines(table, 40)
    assert [len(line) for line in lines] == [40, 40, 40]
    assert lines[1].endswith("…  0.123456789")
    assert pad("規", 4, right=True) == "  規"


def test_text_and_markdown():
    blocks = [
        Line("a → b"),
        Heading("Metrics"),
        Line("one\x1b[31m\ntwo", "plain", 1),
        Table(("x", "y|"), [["1", "a_b"]]),
    ]
    assert to_text(blocks) == "a → b\n\nMetrics\n  one\ufffd[31m\n    two\n  x  y|\n  1  a_b\n"
    text = to_markdown([*blocks, Line("see [x](http://e) ~1~ <b> `c` *d*", "plain", 1)])
    assert "### Metrics" in text
    assert "| x | y\\| |" in text
    assert "| 1 | a\\_b |" in text
    assert r"see \[x\](http://e) \~1\~ \<b> \`c\` \*d\*" in text
    assert "\n\n\n" not in text


def test_names_of_columns_cannot_steer_the_terminal():
    table = Table(("id", "x\x1b[31m\n"), [["a" * 30, "b"]], whole=frozenset({0}))
    for width in (None, 20):
        assert not {"\x1b", "\n"} & set("".join(table_lines(table, width)))
