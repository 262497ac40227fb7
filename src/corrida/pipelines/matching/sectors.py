"""Which codes go with which sectors."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from corrida.errors import InvalidConfig
from corrida.pipelines.inputs import suggest
from corrida.pipelines.matching.text import contains, phrase, searchable

if TYPE_CHECKING:
    from corrida.pipelines.matching.classification import Classification
    from corrida.pipelines.matching.settings import MatchingConfig, SectorRule


class SectorCompatibility:
    """Says which codes are incompatible with a sector.

    An entry names codes of any level and covers all below them. ``incompatible`` excludes its codes. When one or
    more ``compatible`` entries fit a sector, every code outside all of them is excluded. An item without sector,
    or with one that no entry names, excludes nothing.
    """

    def __init__(self, config: MatchingConfig, classification: Classification) -> None:
        """Check the codes of all entries against the classification.

        Raises:
            InvalidConfig: naming the file, the entry and the code that the classification lacks.
        """
        self._classification = classification
        self._incompatible = config.sectors.incompatible if config.sectors else []
        self._compatible = config.sectors.compatible if config.sectors else []
        for name, entries in (("incompatible", self._incompatible), ("compatible", self._compatible)):
            for position, entry in enumerate(entries):
                for number, code in enumerate(entry.codes):
                    if code not in classification:
                        raise InvalidConfig(
                            f"{config.files['sectors']}: {name}[{position}] ({entry.id}).codes[{number}]: "
                            f"{config.classification} has no code {code!r}.{suggest(code, classification.titles)}"
                        )
        self._excluded = lru_cache(maxsize=10_000)(self._find_excluded)

    def excluded(self, sector: str) -> frozenset[str]:
        """Return all codes of the classification that are incompatible with a sector."""
        return self._excluded(sector)

    def _find_excluded(self, sector: str) -> frozenset[str]:
        text = searchable(sector)
        if not text.strip():
            return frozenset()
        no = {code for entry in self._incompatible if _fits(entry, text) for code in entry.codes}
        whitelists = [set(entry.codes) for entry in self._compatible if _fits(entry, text)]
        yes = set[str]().union(*whitelists)
        return frozenset(
            code
            for code in self._classification.titles
            if not no.isdisjoint(path := self._classification.path(code))
            or (whitelists and yes.isdisjoint(path))
        )


def _fits(entry: SectorRule, text: str) -> bool:
    """Say whether an entry names a sector, given as searchable text."""
    if entry.match == "is":
        return any(f" {phrase(sector)} " == text for sector in entry.sectors)
    return any(contains(text, phrase(sector), entry.match) for sector in entry.sectors)
