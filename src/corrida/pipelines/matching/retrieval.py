"""Lexical retrieval: the codes of the known titles that are most like a text.

1. BM25 (Robertson and Zaragoza, 2009, "The Probabilistic Relevance Framework: BM25 and Beyond") over folded words
   finds the candidate titles. Words are a bag, so "Accountant, fund" is "fund accountant". Words of the
   sector count too, apart from words of the title.
2. Each candidate gets a likeness in [0, 1]: the weighted mean of
   title (BM25 score, divided by the highest that any title could have for this text),
   spelling (normalised Indel similarity of the sorted words) and sector (token-set similarity of the sectors).
3. Each candidate votes for its code with likeness to the power ``sharpness``.
   The confidence of a code is sqrt(likeness of its best title * its share of the votes): high only when a title
   is near *and* the other near titles have the same code.

A title with exactly the words of the text settles its codes: then only such titles vote.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from corrida.errors import InvalidData
from corrida.pipelines.inputs import read_table, require_columns, rows_named, shown, suggest, text_column
from corrida.pipelines.matching.text import singular
from corrida.pipelines.text import tokens

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.pipelines.matching.classification import Classification
    from corrida.pipelines.matching.settings import MatchingConfig

# Between the likeness of the same sector (1) and of another (0): one of the two sectors is not known.
UNKNOWN_SECTOR = 0.5
# Makes a word of the sector another token than the same word in a title; no token contains it.
_SECTOR_MARK = "@"


class Entry(NamedTuple):
    """A known title of the index, as it is compared."""

    title: str
    code: str
    words: tuple[str, ...]
    spelling: str
    sector: str


class Ranked(NamedTuple):
    """A code that retrieval proposes.

    Attributes:
        code: the code.
        confidence: in [0, 1].
        evidence: the title of the index that is most like the text.
    """

    code: str
    confidence: float
    evidence: str


class Found(NamedTuple):
    """What retrieval proposes for one text.

    Attributes:
        ranked: codes by falling confidence; empty when no known title shares a word with the text.
        incompatible: codes of candidates that the sector excludes, best first.
    """

    ranked: list[Ranked]
    incompatible: list[str]


class TitleIndex:
    """An index of known titles, built once and searched for each text."""

    def __init__(self, path: Path, config: MatchingConfig, classification: Classification) -> None:
        """Read and index the titles; the same title, sector and code twice counts once.

        Raises:
            InvalidData: a title or code is missing, a code is unknown, or no title holds a word.
        """
        import bm25s  # type: ignore[import-untyped]
        import numpy as np

        self._settings = config.retrieval
        self._plurals = tuple(sorted(config.retrieval.plural_suffixes, key=len, reverse=True))
        self._uses_sector = config.columns.sector is not None and config.index_columns.sector is not None
        self._penalty = (
            config.sectors.penalty if config.sectors and config.sectors.mode == "penalise" else None
        )
        self.entries = self._read(path, config, classification)
        self._exact: dict[tuple[str, ...], list[int]] = {}
        for row, entry in enumerate(self.entries):
            self._exact.setdefault(entry.words, []).append(row)
        documents = [[*entry.words, *self._sector_tokens(entry.sector)] for entry in self.entries]
        self._vocabulary = {token for document in documents for token in document}
        self._bm25 = bm25s.BM25(backend="numpy")
        self._bm25.index(documents, show_progress=False)
        self._highest: dict[str, float] = {}
        self._np: Any = np

    def search(self, text: str, sector: str, excluded: frozenset[str]) -> Found:
        """Rank the codes for a text.

        Args:
            text: as it was written.
            sector: as it was written; empty when it is not known.
            excluded: codes that the sector excludes.
        """
        words = self._words(text)
        candidates = self._candidates(words, sector)
        likeness, incompatible = [], []
        for row, score in candidates:
            like = self._likeness(words, sector, self.entries[row], score)
            if self.entries[row].code in excluded:
                incompatible.append((like, row))
                if self._penalty is None:
                    continue
                like *= 1 - self._penalty
            likeness.append((like, row))
        # Ties go to the title that stands first in the index.
        likeness.sort(key=lambda pair: (-pair[0], pair[1]))
        incompatible.sort(key=lambda pair: (-pair[0], pair[1]))
        return Found(
            self._vote(likeness), list(dict.fromkeys(self.entries[row].code for _, row in incompatible))
        )

    def _vote(self, likeness: list[tuple[float, int]]) -> list[Ranked]:
        """Let candidates, best first, vote for their codes."""
        votes: dict[str, float] = {}
        best: dict[str, tuple[float, int]] = {}
        for like, row in likeness:
            code = self.entries[row].code
            votes[code] = votes.get(code, 0.0) + like**self._settings.sharpness
            best.setdefault(code, (like, row))
        total = sum(votes.values())
        if not total:
            return []
        ranked = [
            Ranked(
                code,
                math.sqrt(min(best[code][0] * votes[code] / total, 1.0)),
                self.entries[best[code][1]].title,
            )
            for code in votes
        ]
        return sorted(ranked, key=lambda item: -item.confidence)

    def _candidates(self, words: tuple[str, ...], sector: str) -> list[tuple[int, float]]:
        """Return rows of the index with their BM25 score, as a share of the highest possible for these words."""
        np = self._np
        known = [word for word in words if word in self._vocabulary]
        if not known:
            return []
        sector_tokens = [token for token in self._sector_tokens(sector) if token in self._vocabulary]
        highest = [self._highest_score(word) for word in [*known, *sector_tokens]]
        # A word that no title has could have counted as much as the rarest of the others.
        possible = sum(highest) + max(highest) * (len(words) - len(known))
        exact = self._exact.get(words)
        if exact is not None:
            return [(row, 1.0) for row in exact]
        scores = self._bm25.get_scores([*known, *sector_tokens])
        if sector_tokens:
            # A title of the same sector that shares no word with the text is no candidate.
            scores = np.where(self._bm25.get_scores(known) > 0, scores, 0.0)
        wanted = min(self._settings.candidates, len(self.entries))
        least = max(np.partition(scores, -wanted)[-wanted], np.finfo(scores.dtype).tiny)
        rows = np.flatnonzero(scores >= least)
        order = np.argsort(-scores[rows], kind="stable")[:wanted]
        return [(int(row), min(float(scores[row]) / possible, 1.0)) for row in rows[order]]

    def _likeness(self, words: tuple[str, ...], sector: str, entry: Entry, score: float) -> float:
        from rapidfuzz import fuzz

        weights = self._settings.weights
        total = weights.title + weights.spelling
        likeness = weights.title * score
        likeness += weights.spelling * fuzz.ratio(" ".join(sorted(words)), entry.spelling) / 100
        if self._uses_sector:
            total += weights.sector
            likeness += weights.sector * _sector_likeness(sector, entry.sector)
        return likeness / total if total else 0.0

    def _highest_score(self, token: str) -> float:
        """Return the highest score that the token alone gives any title."""
        if token not in self._highest:
            self._highest[token] = float(self._bm25.get_scores([token]).max())
        return self._highest[token]

    def _words(self, text: str) -> tuple[str, ...]:
        """Return the words of a text in one order, whatever the order they were written in."""
        return tuple(sorted(singular(token, self._plurals) for token in tokens(text)))

    def _sector_tokens(self, sector: str) -> list[str]:
        return [_SECTOR_MARK + token for token in tokens(sector)] if self._uses_sector else []

    def _read(self, path: Path, config: MatchingConfig, classification: Classification) -> list[Entry]:
        columns = config.index_columns
        frame = read_table(path)
        require_columns(
            frame, path, [columns.title, columns.code, *([columns.sector] if columns.sector else [])]
        )
        titles, codes = text_column(frame, path, columns.title), text_column(frame, path, columns.code)
        for name, series in ((columns.title, titles), (columns.code, codes)):
            blank = series.is_null().arg_true().to_list()
            if blank:
                raise InvalidData(
                    f"{shown(path)}: column {name!r} is empty at {rows_named(path, blank)}. Fill it in."
                )
        unknown = [row for row, code in enumerate(codes) if code not in classification]
        if unknown:
            code = codes[unknown[0]]
            raise InvalidData(
                f"{shown(path)}: {config.classification} has no code {code!r}, which stands at {rows_named(path, unknown)}."
                f"{suggest(code, classification.titles)}"
            )
        sectors = (
            text_column(frame, path, columns.sector).fill_null("").to_list()
            if columns.sector
            else [""] * len(titles)
        )
        entries: dict[tuple[tuple[str, ...], str, str], Entry] = {}
        for title, code, sector in zip(titles, codes, sectors, strict=True):
            words = self._words(title)
            folded = " ".join(tokens(sector))
            if words:
                entries.setdefault((words, folded, code), Entry(title, code, words, " ".join(words), folded))
        if not entries:
            raise InvalidData(f"{shown(path)}: no title in column {columns.title!r} holds a letter or digit.")
        return list(entries.values())


def _sector_likeness(sector: str, other: str) -> float:
    """Compare two sectors: 1 when both are the same or both unknown, in [0, 1]."""
    from rapidfuzz import fuzz

    folded = " ".join(tokens(sector))
    if not folded and not other:
        return 1.0
    if not folded or not other:
        return UNKNOWN_SECTOR
    return fuzz.token_set_ratio(folded, other) / 100


def describe(ranked: list[Ranked], most: int) -> str | None:
    """Write codes and confidences in short: "2136 0.71 · 2135 0.65"; None when there is none."""
    return " · ".join(f"{item.code} {item.confidence:.2f}" for item in ranked[:most]) or None
