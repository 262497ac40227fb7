"""The figures of an evaluation, each of which says the same in grey: numbers stand in the cells, lines differ in dash."""

from corrida.pipelines.evaluation.charts.bars import matcher_ablation
from corrida.pipelines.evaluation.charts.curves import calibration, precision_recall
from corrida.pipelines.evaluation.charts.heat_maps import label_recall, matcher_strategy_grid, topic_heatmap
from corrida.pipelines.evaluation.charts.words import ABSENT

__all__ = [
    "ABSENT",
    "calibration",
    "label_recall",
    "matcher_ablation",
    "matcher_strategy_grid",
    "precision_recall",
    "topic_heatmap",
]
