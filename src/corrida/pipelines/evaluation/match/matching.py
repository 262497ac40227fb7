"""All matchers over all detections, each distinct text compared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from corrida.pipelines.evaluation.match.spelling import Spelling
from corrida.pipelines.evaluation.taxonomy import compared_text
from corrida.pipelines.text import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.evaluation.embeddings import TextEmbedder, Vectors
    from corrida.pipelines.evaluation.match.spelling import Integers, Scores
    from corrida.pipelines.evaluation.settings import EvaluationConfig, MatcherName
    from corrida.pipelines.evaluation.taxonomy import Taxonomy

_CELLS = 500_000  # scores held at a time: as many as a processor keeps close by
_TOGETHER = 8  # blocks whose cosines are one matrix product: where threads contend, small products are slow


@dataclass(frozen=True)
class Matched:
    """What a matcher made of the detections.

    Attributes:
        label: the best label of each detection, as its position in the taxonomy; the first of several.
        score: how good it is; a detection has the label when this is at least the threshold.
    """

    label: Integers
    score: Scores


def match_detections(
    detections: pl.DataFrame,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
    embedder: Callable[[], TextEmbedder],
    recorder: Recorder,
) -> dict[MatcherName, Matched]:
    """Match every detection with every matcher in use.

    fuzzy: see :class:`Spelling`; semantic: the cosine, where negative 0; hybrid: their weighted sum, and the topic bonus
    where detection and label have the same topic (folded).

    Args:
        detections: as :func:`~corrida.pipelines.evaluation.detections.load_detections` returns them.
        taxonomy: the labels.
        config: which matchers, and what they compare.
        embedder: makes the embedder; called when a matcher needs it.
        recorder: for progress and warnings.
    """
    import numpy as np

    settings = config.matchers
    distinct = detections.select("name", "description", "topic").unique(maintain_order=True)
    rows = [_Said(name or "", said or "", topic) for name, said, topic in distinct.iter_rows()]
    rows = _shortened(rows, config.longest_text, recorder)
    spelling = vectors = None
    use = dict.fromkeys(settings.use)
    if use.keys() & {"fuzzy", "hybrid"}:
        spelling = Spelling(_cut(taxonomy.texts(settings.fuzzy.compare), config.longest_text))
    if use.keys() & {"semantic", "hybrid"}:
        compare = settings.semantic.compare
        source = embedder()
        vectors = (
            source.vectors([row.text(compare) for row in rows], label="embedding detections"),
            source.vectors(_cut(taxonomy.texts(compare), config.longest_text), label="embedding labels"),
        )
    topics = _topics(taxonomy)
    labels = {name: np.zeros(len(rows), dtype=np.int64) for name in use}
    scores = {name: np.zeros(len(rows), dtype=np.float32) for name in use}
    blocks = list(_blocks(len(rows), len(taxonomy)))
    meanings = _cosines(vectors, blocks)
    for start, stop in recorder.progress(blocks, total=len(blocks), label="matching"):
        found = _likeness(rows[start:stop], config, spelling, next(meanings), topics)
        for name in use:
            best = found[name].argmax(axis=1)
            labels[name][start:stop] = best
            scores[name][start:stop] = found[name][np.arange(stop - start), best]
    back = _back(detections, distinct)
    return {name: Matched(labels[name][back], scores[name][back]) for name in use}


class _Said(NamedTuple):
    """What a detection says."""

    name: str
    description: str
    topic: str | None

    def text(self, compared: str) -> str:
        return compared_text(self.name, self.description, compared)  # type: ignore[arg-type]


def _likeness(
    part: Sequence[_Said],
    config: EvaluationConfig,
    spelling: Spelling | None,
    cosines: Scores | None,
    topics: tuple[dict[str, int], Integers],
) -> dict[str, Scores]:
    """Return the scores of some detections with all labels, by matcher."""
    import numpy as np

    settings = config.matchers
    found: dict[str, Scores] = {}
    if spelling is not None:
        found["fuzzy"] = spelling.scores([row.text(settings.fuzzy.compare) for row in part])
    if cosines is not None:
        found["semantic"] = np.maximum(cosines, 0)
    if "hybrid" in settings.use:
        hybrid = settings.hybrid
        total = found["fuzzy"] * np.float32(hybrid.fuzzy)
        total += found["semantic"] * np.float32(hybrid.semantic)
        known, of_labels = topics
        # -2 is the topic of no label, and -1 that of labels without one.
        given = [known.get(fold(said.topic), -2) if said.topic else -2 for said in part]
        total += (np.array(given)[:, None] == of_labels[None, :]) * np.float32(hybrid.topic)
        found["hybrid"] = total
    return found


def _cosines(
    vectors: tuple[Vectors, Vectors] | None, blocks: Sequence[tuple[int, int]]
) -> Iterator[Scores | None]:
    """Yield the cosines of each block of detections with all labels, several blocks in one product."""
    for first in range(0, len(blocks), _TOGETHER):
        group = blocks[first : first + _TOGETHER]
        begin, end = group[0][0], group[-1][1]
        whole = None if vectors is None else vectors[0][begin:end] @ vectors[1].T
        for start, stop in group:
            yield None if whole is None else whole[start - begin : stop - begin]


def _topics(taxonomy: Taxonomy) -> tuple[dict[str, int], Integers]:
    """Return the folded topics with a number each, and the number of each label's topic, -1 without one."""
    import numpy as np

    known: dict[str, int] = {}
    numbers = [
        known.setdefault(fold(label.topic), len(known)) if label.topic else -1 for label in taxonomy.labels
    ]
    return known, np.array(numbers, dtype=np.int64)


def _shortened(rows: list[_Said], most: int, recorder: Recorder) -> list[_Said]:
    long = sum(len(row.name) > most or len(row.description) > most for row in rows)
    if not long:
        return rows
    recorder.warn(
        f"{f'{long:,} distinct detections have' if long > 1 else '1 detection has'} a text of more than {most:,} characters; matchers read its beginning only "
        "(longest_text)"
    )
    return [_Said(row.name[:most], row.description[:most], row.topic) for row in rows]


def _cut(texts: list[str], most: int) -> list[str]:
    return [text[:most] for text in texts]


def _blocks(rows: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CELLS // max(width, 1))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)


def _back(detections: pl.DataFrame, distinct: pl.DataFrame) -> Integers:
    """Return for each detection the row of its distinct text."""
    import numpy as np

    keys = ["name", "description", "topic"]
    numbered = distinct.with_row_index("_row")
    joined = detections.select(keys).join(
        numbered, on=keys, how="left", nulls_equal=True, maintain_order="left"
    )
    return np.asarray(joined["_row"].to_numpy(), dtype=np.int64)
