"""Numbers of a column stand with their points under each other."""

from hypothesis import given
from hypothesis import strategies as st

from corrida.runs.numbers import format_number
from corrida.web.aligned import column_gaps, gaps


def test_what_a_number_lacks_is_its_gap():
    assert gaps(["0.4381", "0.354", "1", "12.5"]) == ["", " pad-1", " pad-4 no-point", " pad-3"]


def test_whole_numbers_alone_need_no_gap():
    assert gaps(["500", "1,000", "−3"]) == ["", "", ""]


def test_what_is_no_plain_number_has_no_gap_and_makes_none():
    assert gaps(["–", "NaN", "1.5e-07", "0.5", "2"]) == ["", "", "", "", " pad-1 no-point"]


def test_columns_of_text_are_left_alone():
    rows = [["a", "0.25", "1.5"], ["b", "0.5", "1"]]
    assert column_gaps(rows, [False, True, False]) == [["", "", ""], ["", " pad-1", ""]]
    assert column_gaps([], [True]) == []


@given(st.lists(st.floats(-1e5, 1e5, allow_nan=False), min_size=1))
def test_with_its_gap_every_number_is_as_wide_to_the_right_of_its_point(values):
    texts = [format_number(value) for value in values]
    plain = [(text, gap) for text, gap in zip(texts, gaps(texts), strict=True) if "e" not in text]
    widths = {
        len(text.partition(".")[2]) + int(gap.split()[0].removeprefix("pad-") if gap else 0)
        for text, gap in plain
    }
    assert len(widths) <= 1
