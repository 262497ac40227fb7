"""The fuzzy likeness: the greater of sequence ratio and token Jaccard."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from corrida.pipelines.text import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Scores: TypeAlias = NDArray[np.float32]
    Integers: TypeAlias = NDArray[np.int64]

_ASCII_WORDS = re.compile(r"[a-z0-9]+[+#]*")


def words(text: str) -> Sequence[str]:
    """Return the folded words of a text; the quick way for ASCII gives what :func:`tokens` gives."""
    return _ASCII_WORDS.findall(text.lower()) if text.isascii() else tokens(text)


class Spelling:
    """Labels prepared for the comparison of spellings."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Prepare the texts of the labels, in their order."""
        import numpy as np

        split = [words(text) for text in labels]
        self._folded = [" ".join(found) for found in split]
        sets = [dict.fromkeys(found) for found in split]
        # At least 1, so that nothing is divided by 0: a label without words shares none.
        self._sizes: Scores = np.array([max(len(one), 1) for one in sets], dtype=np.float32)
        holders: dict[str, list[int]] = {}
        for place, one in enumerate(sets):
            for word in one:
                holders.setdefault(word, []).append(place)
        self._vocabulary = {word: number for number, word in enumerate(holders)}
        self._postings: Integers = np.fromiter(chain.from_iterable(holders.values()), dtype=np.int64)
        self._lengths: Integers = np.array([len(places) for places in holders.values()], dtype=np.int64)
        self._starts: Integers = np.cumsum(self._lengths) - self._lengths

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return the likeness of each text with each label, from 0 to 1: texts × labels.

        The sequence ratio is 2 M / T with M the characters in the longest common subsequence and T those of both texts
        (normalized indel similarity); the token Jaccard is the share of common words among all of both. Both see
        folded words: no case, accents or punctuation.

        Sources: Levenshtein, V. (1966), Soviet Physics Doklady 10 (distances of strings); Jaccard, P. (1901), Bulletin de
        la Société Vaudoise des Sciences Naturelles 37.
        """
        import numpy as np
        from rapidfuzz import fuzz, process

        split = [words(text) for text in texts]
        folded = [" ".join(found) for found in split]
        found: Scores = process.cdist(folded, self._folded, scorer=fuzz.ratio, dtype=np.float32, workers=1)
        found /= np.float32(100)
        # Two texts without a single letter are equal to rapidfuzz, and say nothing.
        silent = np.array([not text for text in folded])
        if silent.any():
            found[silent] = 0
        self._raise_to_jaccard(found, [set(one) for one in split])
        return found

    def _raise_to_jaccard(self, scores: Scores, sets: list[set[str]]) -> None:
        """Replace scores by the Jaccard where that is greater."""
        import numpy as np

        known = [
            [number for word in one if (number := self._vocabulary.get(word)) is not None] for one in sets
        ]
        numbers = np.fromiter(chain.from_iterable(known), dtype=np.int64)
        if not numbers.size:
            return
        rows = np.repeat(np.arange(len(sets)), [len(one) for one in known])
        # A word that many texts share with many labels is added to whole rows, any other to the labels that have it.
        often = np.bincount(numbers, minlength=self._lengths.size) * self._lengths > len(sets)
        frequent = often[numbers]
        common: Scores = np.zeros(scores.shape, dtype=np.float32)
        self._add_frequent(common, rows[frequent], numbers[frequent])
        self._add_rare(common, rows[~frequent], numbers[~frequent])
        sizes = np.array([len(one) for one in sets], dtype=np.float32)
        together = sizes[:, None] + self._sizes[None, :]
        together -= common
        np.divide(common, together, out=common)
        np.maximum(scores, common, out=scores)

    def _add_frequent(self, common: Scores, rows: Integers, numbers: Integers) -> None:
        """Add one for each word that a text shares with a label, word by word."""
        import numpy as np

        order = np.argsort(numbers, kind="stable")
        starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
        for part in np.split(order, starts[1:]) if order.size else []:
            word = numbers[part[0]]
            labels = np.zeros(common.shape[1], dtype=np.float32)
            labels[self._postings[self._starts[word] : self._starts[word] + self._lengths[word]]] = 1
            common[rows[part]] += labels

    def _add_rare(self, common: Scores, rows: Integers, numbers: Integers) -> None:
        """Add one for each word that a text shares with a label, place by place."""
        import numpy as np

        places = np.repeat(rows, self._lengths[numbers]) * common.shape[1] + self._holders(numbers)
        np.add.at(common.reshape(-1), places, np.float32(1))

    def _holders(self, numbers: Integers) -> Integers:
        """Return the labels that have each word, one word after the other."""
        import numpy as np

        lengths = self._lengths[numbers]
        ends = np.cumsum(lengths)
        inside = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
        return np.asarray(self._postings[np.repeat(self._starts[numbers], lengths) + inside])
