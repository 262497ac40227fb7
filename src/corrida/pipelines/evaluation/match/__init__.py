"""Matchers: from a detection in free words to the label of the taxonomy that it most likely means, and how sure.

A matcher gives every detection its best label with a score; whether that is enough is the threshold's to say, so that
thresholds can be swept without matching again. Below the threshold a detection has no label.
"""

from corrida.pipelines.evaluation.match.matching import Matched, match_detections

__all__ = ["Matched", "match_detections"]
