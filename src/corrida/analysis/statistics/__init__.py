"""Paired statistics: is the difference of two runs on the same items more than chance?

Pure functions over numbers; they know nothing of runs, tables or files. They need numpy and the standard library, and
are imported only where items are compared.

==================  =========================================================================================
``pairs``           items (or clusters) of two runs as counted patterns of contributions
``estimators``      metrics as functions of sums over items: ratios, means, macro averages, R²
``bootstrap``       the interval of a difference: BCa over pattern counts
``randomization``   the p-value of a difference: label swapping; for a mean, sign flipping
``mcnemar``         the exact test and the score interval where every item is right or wrong
``multiplicity``    Holm; Benjamini–Hochberg and Benjamini–Yekutieli
``power``           how many items it would take, and what can be seen with those at hand
``difference``      all of it together: :func:`~corrida.analysis.statistics.difference.paired_difference`
==================  =========================================================================================
"""
