"""The evaluation pipeline: matching detections with labels beside the bare libraries, and the intervals of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.harness.budgets import at_most_seconds, at_most_times
from bench.harness.case import Case, Entry, Sample

if TYPE_CHECKING:
    from bench.harness.place import Place

_DETECTIONS = 10_000
_LABELS = 1_000
_ITEMS = 10_000
_RESAMPLES = 10_000


def _matching(place: Place, entry: Entry) -> Sample:
    detections, labels = place.size(_DETECTIONS, 200), place.size(_LABELS, 50)
    found = place.call(entry.contestant, "evaluation_matching", detections=detections, labels=labels)
    return {"value": found["seconds"]}


def _grid(place: Place, entry: Entry) -> Sample:
    items, resamples = place.size(_ITEMS, 400), place.size(_RESAMPLES, 200)
    found = place.call(entry.contestant, "evaluation_grid", items=items, resamples=resamples)
    return {"value": found["seconds"]}


CASES = [
    Case(
        name="evaluation_matching",
        title="fuzzy and semantic matching of 10,000 detections with 1,000 labels",
        entries=(Entry("floor"), Entry("corrida")),
        measure=_matching,
        budgets=(
            at_most_times(
                1.25,
                "plain Python",
                why_missed=(
                    "A third of the time goes outside of the libraries. rapidfuzz takes 0.15 s for ten million pairs of short "
                    "names and the model 0.5 s, so that little is left for the rest: about 0.08 s for the token Jaccard of "
                    "the same pairs, 0.06 s for their cosines, 0.04 s to bring the vectors to unit length and into order, "
                    "and a good 0.1 s for splitting words, finding the distinct texts and the best labels."
                ),
            ),
        ),
        note=(
            "All detections are distinct, and each is compared with all labels. The floor makes the bare calls of rapidfuzz "
            "(the ratios of all names) and of the static embedding model (names with descriptions) on the same texts, "
            "in batches of like length, which is quickest. The 1.25 leaves a fifth of the time for everything else: "
            "folding, token Jaccard, cosines, the best label of each. The second time in a process."
        ),
    ),
    Case(
        name="evaluation_grid",
        title="intervals of a grid of 3 × 4 × 2 cells over 10,000 items, 10,000 resamples",
        entries=(Entry("floor"), Entry("corrida")),
        measure=_grid,
        budgets=(at_most_seconds(2),),
        note=(
            "2,500 students with four items each are drawn as wholes. corrida gives precision, recall and F1 of 24 cells, and "
            "micro and macro means of each matcher, strategy and model, with BCa intervals; the floor draws the "
            "clusters with numpy, and gives the percentiles of F1 of the cells. The second time in a process."
        ),
    ),
]
