"""From matched detections to numbers: counts first, everything else from the counts.

==================  ===============================================================================
``counting``        decisions and counts per item and cell
``resampling``      intervals of a grid: the cluster bootstrap
``grid``            cells, means, labels, topics
``contrasts``       matchers in pairs, the best cell against the others
``calibration``     confidence against being right
``agreement``       kappas of the models
``sweep``           thresholds chosen on one half of the clusters, reported on the other
==================  ===============================================================================
"""
