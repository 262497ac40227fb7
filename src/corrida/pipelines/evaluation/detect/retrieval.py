"""Detectors that need no service: the labels that are most like what a strategy reads of an item.

*lexical*. BM25 (Robertson and Zaragoza, 2009, "The Probabilistic Relevance Framework: BM25 and Beyond") of the different
words of the item against each label. Confidence is the score of the label for the item over its score for itself: the share
of the label's words, weighted by how rare they are among the labels, that the item holds.

*embedding*. Confidence is (cosine - ground) / (1 - ground), where ground is the median cosine of the item to all labels: 0
for a label that is no nearer than labels usually are to this item, 1 for the same text. This takes away that some
embeddings put any two texts near each other. With fewer than three labels the ground is 0.

Both depend on the item and the taxonomy alone, not on the other items of a run. Neither is the probability of being right;
the calibration in the report says how far it is from that.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig
from corrida.pipelines.evaluation.detect import Detected
from corrida.pipelines.evaluation.detect.prompts import choices, label_texts
from corrida.pipelines.evaluation.detect.rows import Row, detections_table
from corrida.pipelines.evaluation.detect.settings import RetrievalStrategy
from corrida.pipelines.text import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from corrida.pipelines.evaluation.detect import Request
    from corrida.pipelines.evaluation.detect.settings import RetrievalDetector

    Confidences = NDArray[np.float64]

_ENOUGH = 3  # labels that have a median other than themselves
_AT_ONCE = 1000  # items whose likeness to every label is held at a time


class Retrieval:
    """Local retrieval under the strategies of its settings."""

    def __init__(self, settings: RetrievalDetector) -> None:
        """Detect as ``settings`` say."""
        self._settings = settings
        self._strategies = {
            name: given if isinstance(given, RetrievalStrategy) else RetrievalStrategy(item=given)
            for name, given in settings.strategies.items()
        }

    def columns(self) -> Sequence[str]:
        """Return the columns of the truth that any strategy reads."""
        return list(dict.fromkeys(c for strategy in self._strategies.values() for c in strategy.item))

    def files(self) -> Mapping[str, str]:
        """Return nothing: the settings hold all."""
        return {}

    def detect(self, request: Request) -> Detected:
        """Look up every item under every strategy.

        Raises:
            InvalidConfig: a strategy reads what no label has.
            InvalidData: a column is missing.
        """
        # Each once: ``by: [lexical, lexical]`` would say everything twice.
        work = [(name, by) for name in self._strategies for by in dict.fromkeys(self._settings.by)]
        for name, strategy in self._strategies.items():
            self._check(name, strategy, request)
        found: list[Row] = []
        for name, by in request.recorder.progress(work, total=len(work), label="detecting"):
            found += self._under(name, by, request)
        facts: dict[str, object] = {"kind": "retrieval"}
        if "lexical" in self._settings.by:
            facts["bm25s"] = version("bm25s")
        if "embedding" in self._settings.by:
            facts["embedding"] = request.embedder().facts()
        return Detected(detections_table(found), work, (), facts)

    def _check(self, name: str, strategy: RetrievalStrategy, request: Request) -> None:
        place = f"detectors, strategy {name!r}"
        choices(strategy.topic, request.truth, request.taxonomy, place)
        if not any(label_texts(request.taxonomy.labels, strategy.taxonomy)):
            raise InvalidConfig(
                f"{place}: it reads {', '.join(strategy.taxonomy)} of the labels, which none of them has. "
                "Name another field in taxonomy."
            )

    def _under(self, name: str, by: str, request: Request) -> Iterator[Row]:
        """Yield what one strategy finds by one likeness."""
        import numpy as np

        strategy, truth, labels = self._strategies[name], request.truth, request.taxonomy.labels
        most = strategy.most or self._settings.most
        threshold = self._settings.threshold if strategy.threshold is None else strategy.threshold
        texts, documents = truth.text(strategy.item), label_texts(labels, strategy.taxonomy)
        likeness = Lexical(documents) if by == "lexical" else Embedded(documents, request.embedder())
        open_to = _open_labels(strategy, request)
        for start in range(0, len(texts), _AT_ONCE):
            confidences = likeness.confidences(texts[start : start + _AT_ONCE])
            for row, line in enumerate(confidences, start):
                allowed = open_to.get(truth.topics[row], open_to[None])
                # Beyond six digits is what the number of items at a time makes of it.
                line = np.where(allowed, line, 0.0).round(6)  # noqa: PLW2901
                for column in np.argsort(-line, kind="stable")[:most]:
                    confidence = float(line[column])
                    if confidence <= 0 or confidence < threshold:
                        break
                    label = labels[column]
                    yield Row(
                        truth.ids[row],
                        by,
                        name,
                        label.name,
                        label.description or None,
                        label.topic,
                        confidence,
                    )


def _open_labels(strategy: RetrievalStrategy, request: Request) -> dict[str | None, NDArray[np.bool_]]:
    """Return by topic which labels a strategy may find; under None all of them."""
    import numpy as np

    labels = request.taxonomy.labels
    chosen = choices(strategy.topic, request.truth, request.taxonomy, strategy.topic)
    return {
        topic: np.array([topic is None or label.topic == topic for label in labels], dtype=bool)
        for topic in chosen
    }


class Lexical:
    """Labels by the words they share with a text."""

    def __init__(self, documents: Sequence[str]) -> None:
        """Index the text of each label."""
        import bm25s  # type: ignore[import-untyped]
        import numpy as np

        self._np: Any = np
        words = [list(dict.fromkeys(tokens(text))) for text in documents]
        self._known = {word for document in words for word in document}
        self._index = bm25s.BM25(backend="numpy")
        if self._known:
            self._index.index(words, show_progress=False)
        self._own = np.array(
            [self._scores(document)[row] if document else 0.0 for row, document in enumerate(words)]
        )

    def confidences(self, texts: Sequence[str]) -> Confidences:
        """Return texts × labels."""
        np = self._np
        found = np.zeros((len(texts), len(self._own)))
        for row, text in enumerate(texts):
            words = [word for word in dict.fromkeys(tokens(text)) if word in self._known]
            if words:
                found[row] = self._scores(words)
        return np.divide(found, self._own, out=np.zeros_like(found), where=self._own > 0).clip(0, 1)  # type: ignore[no-any-return]

    def _scores(self, words: list[str]) -> Any:
        return self._index.get_scores(words)


class Embedded:
    """Labels by how near their embedding is to that of a text."""

    def __init__(self, documents: Sequence[str], embedder: Any) -> None:
        """Embed the text of each label."""
        import numpy as np

        self._np: Any = np
        self._embedder = embedder
        self._vectors = embedder.vectors(documents, label="embedding labels")
        self._empty = np.array([not text for text in documents])

    def confidences(self, texts: Sequence[str]) -> Confidences:
        """Return texts × labels."""
        np = self._np
        cosines = (self._embedder.vectors(texts, label="embedding items") @ self._vectors.T).astype(
            np.float64
        )
        told = cosines[:, ~self._empty]
        ground = np.zeros((len(texts), 1))
        if told.shape[1] >= _ENOUGH:
            ground = np.median(told, axis=1, keepdims=True).clip(0, 1 - 1e-6)
        found = ((cosines - ground) / (1 - ground)).clip(0, 1)
        found[:, self._empty] = 0
        found[[not text for text in texts]] = 0
        return found  # type: ignore[no-any-return]
