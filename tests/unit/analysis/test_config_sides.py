"""Two texts side by side."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from corrida.analysis.config_sides import Piece, side_by_side, words_apart

LINES = st.lists(st.sampled_from(["a", "b", "c d", "c e", '"k": 1,', '"k": 2,', ""]), max_size=30)


def test_a_changed_word_is_marked_within_its_line() -> None:
    (row,) = side_by_side(['  "threshold": 0.6,'], ['  "threshold": 0.7,']) or []
    assert row.kind == "changed"
    assert row.a is not None
    assert row.b is not None
    assert [p.text for p in row.a.pieces if p.differs] == ["6"]
    assert [p.text for p in row.b.pieces if p.differs] == ["7"]


def test_equal_lines_far_away_are_left_out_and_counted() -> None:
    same = [f"line {n}" for n in range(1, 21)]
    rows = side_by_side([*same, "x"], [*same, "x", "new"]) or []
    assert [(row.kind, row.lines) for row in rows] == [
        ("left_out", 18), ("same", 0), ("same", 0), ("same", 0), ("added", 0),
    ]  # fmt: skip
    assert rows[1].a is not None
    assert rows[1].a.number == 19


def test_lines_with_nothing_in_common_are_one_gone_and_one_come() -> None:
    rows = side_by_side(["apples and pears"], ["{}"]) or []
    assert [row.kind for row in rows] == ["removed", "added"]


def test_the_same_text_has_no_rows_and_a_huge_one_is_refused() -> None:
    assert side_by_side(["a"], ["a"]) == []
    a, b = ([f"{side}{n}" for n in range(2_100)] for side in "ab")
    assert side_by_side(a, b) is None
    shared = [f"same {n}" for n in range(100_000)]
    assert side_by_side([*shared, "x"], [*shared, "y"]) is not None


def test_no_more_rows_than_asked_and_the_rest_is_counted() -> None:
    rows = side_by_side([], [f"line {n}" for n in range(500)], most=20) or []
    assert len(rows) == 21
    assert rows[-1].kind == "left_out"
    assert rows[-1].lines == 480


@given(LINES, LINES)
def test_both_texts_can_be_read_off_again(a: list[str], b: list[str]) -> None:
    rows = side_by_side(a, b, around=100) or []
    if a == b:
        assert rows == []
        return
    left = ["".join(p.text for p in row.a.pieces) for row in rows if row.a]
    right = ["".join(p.text for p in row.b.pieces) for row in rows if row.b]
    assert left == a
    assert right == b
    assert [row.a.number for row in rows if row.a] == list(range(1, len(a) + 1))
    assert [row.b.number for row in rows if row.b] == list(range(1, len(b) + 1))


@given(st.text(max_size=40), st.text(max_size=40))
def test_words_apart_keep_every_letter(a: str, b: str) -> None:
    left, right = words_apart(a, b)
    assert "".join(p.text for p in left) == a
    assert "".join(p.text for p in right) == b
    if a == b and a:
        assert left == (Piece(a),)


def test_a_line_of_a_megabyte_is_marked_as_a_whole() -> None:
    letters = "".join(random.Random(1).choices("ab ,", k=1_000_000))
    left, right = words_apart(letters, letters + "x")
    assert (len(left), len(right)) == (1, 1)
    assert left[0].differs
