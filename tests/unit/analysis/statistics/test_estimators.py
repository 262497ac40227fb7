"""Metrics as functions of sums are those of their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from corrida.analysis.statistics.estimators import Determination, LabelAverage, Ratio, RootRatio

# Three labels: hits, then outputs, then expected answers. The third label is expected and never given, a fourth unknown.
SUMS = np.array([8.0, 3, 0, 0, 10, 6, 0, 0, 9, 4, 5, 0])


def test_ratios():
    assert Ratio()(np.array([[3.0, 4], [0, 2]])).tolist() == [0.75, 0.0]
    assert np.isnan(Ratio()(np.array([0.0, 0.0])))
    assert RootRatio()(np.array([8.0, 2.0])) == 2.0


def test_averages_over_labels():
    assert LabelAverage("precision")(SUMS) == pytest.approx((0.8 + 0.5 + 0) / 3)
    assert LabelAverage("recall")(SUMS) == pytest.approx((8 / 9 + 3 / 4 + 0) / 3)
    assert LabelAverage("f1")(SUMS) == pytest.approx((16 / 19 + 6 / 10 + 0) / 3)
    assert LabelAverage("recall", weighted=True)(SUMS) == pytest.approx(11 / 18)
    only_given = np.array([1.0, 0, 1, 2, 1, 0])  # the second label is given and never expected
    assert LabelAverage("recall")(only_given) == 0.5
    assert LabelAverage("recall", expected_only=True)(only_given) == 1.0


def test_determination():
    y, given = np.array([1.0, 2, 3, 5]), np.array([1.1, 1.9, 3.5, 4.4])
    sums = np.array([((y - given) ** 2).sum(), (y**2).sum(), y.sum(), 4.0])
    expected = 1 - ((y - given) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert Determination()(sums) == pytest.approx(expected)
    assert np.isnan(Determination()(np.array([1.0, 4.0, 4.0, 4.0])))  # y does not vary
