"""Adjusted p-values are those of statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from corrida.analysis.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm

WAYS = {"holm": holm, "fdr_bh": benjamini_hochberg, "fdr_by": benjamini_yekutieli}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 2, 3, 17, 200])
def test_adjusted_as_by_statsmodels(way, size):
    rng = np.random.default_rng(size)
    p = (rng.random(size) ** 3).round(2).tolist()  # with ties
    assert WAYS[way](p) == pytest.approx(multipletests(p, method=way)[1])


@pytest.mark.parametrize("way", WAYS)
def test_no_tests(way):
    assert WAYS[way]([]) == []
