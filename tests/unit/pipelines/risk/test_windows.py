"""History, against counting it out row by row."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from corrida.pipelines.risk.windows import DAY, Windows, time_order, within

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 400), st.integers(0, 10**14), st.integers(0, 2)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(ROWS, st.sampled_from([1, 7, 180]))
def test_counts_and_sums_are_of_what_came_before_and_of_nothing_else(rows, days):
    group, day, value, part = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    seconds = day * DAY
    order = time_order(group, seconds)
    windows = Windows(group[order], seconds[order])
    count, total = windows.count(days), windows.total(value[order], days)
    same, same_total = within(group[order], part[order], seconds[order], value[order], days)
    since = windows.since_last(seconds[order])
    for place, row in enumerate(order.tolist()):
        before = [
            r
            for r in range(len(rows))
            if group[r] == group[row]
            and (seconds[r], r) < (seconds[row], row)
            and seconds[row] - seconds[r] <= days * DAY
        ]
        assert count[place] == len(before)
        assert total[place] == sum(int(value[r]) for r in before)
        alike = [r for r in before if part[r] == part[row]]
        assert same[place] == len(alike)
        assert same_total[place] == sum(int(value[r]) for r in alike)
        last = [
            seconds[r]
            for r in range(len(rows))
            if group[r] == group[row] and (seconds[r], r) < (seconds[row], row)
        ]
        assert since[place] == min(seconds[row] - max(last), 180 * DAY) if last else since[place] == 180 * DAY


def test_a_sum_does_not_depend_on_what_stands_before_the_window():
    # Running sums of floats would give another last bit here.
    values = np.array([10**14 + 1, 3, 7], dtype=np.int64)
    seconds = np.array([0, 300, 301], dtype=np.int64) * DAY
    assert Windows(np.zeros(3, dtype=np.int64), seconds).total(values, 30)[2] == 3
