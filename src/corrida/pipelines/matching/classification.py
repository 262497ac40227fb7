"""A classification: codes with titles, in levels from coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.inputs import (
    id_column,
    read_table,
    require_columns,
    rows_named,
    shown,
    suggest,
    text_column,
)
from corrida.pipelines.matching.text import phrase

if TYPE_CHECKING:
    from pathlib import Path

    from corrida.pipelines.matching.settings import MatchingConfig


@dataclass(frozen=True)
class Classification:
    """Codes, their titles, and what stands above each.

    Attributes:
        levels: the names of the levels, coarse to fine.
        titles: code to title.
        level_of: code to level.
        parents: code to the code above it, None at the top.
    """

    levels: tuple[str, ...]
    titles: dict[str, str]
    level_of: dict[str, str]
    parents: dict[str, str | None]

    def __contains__(self, code: str) -> bool:
        return code in self.titles

    def path(self, code: str) -> tuple[str, ...]:
        """Return the code and all above it, from the code to the top."""
        return self._paths[code]

    def at_level(self, code: str, level: str) -> str | None:
        """Return the code itself or the one above it that has this level, or None."""
        return next((above for above in self.path(code) if self.level_of[above] == level), None)

    def deepest_agreement(self, code: str, other: str) -> str | None:
        """Return the finest level at which two codes are the same, or None when they share nothing."""
        shared = set(self.path(other))
        return next((self.level_of[above] for above in self.path(code) if above in shared), None)

    def with_title(self, title: str) -> list[str]:
        """Return the codes with this title, whatever its case and accents."""
        return self._codes_by_title.get(phrase(title), [])

    @cached_property
    def _paths(self) -> dict[str, tuple[str, ...]]:
        paths = {}
        for code in self.titles:
            path = [code]
            while (above := self.parents[path[-1]]) is not None:
                path.append(above)
            paths[code] = tuple(path)
        return paths

    @cached_property
    def _codes_by_title(self) -> dict[str, list[str]]:
        codes: dict[str, list[str]] = {}
        for code, title in self.titles.items():
            codes.setdefault(phrase(title), []).append(code)
        return codes


def load_classification(path: Path, config: MatchingConfig) -> Classification:
    """Read a classification.

    Without a column of parents, the code above another is its longest beginning that is itself a code of a
    coarser level (2136 lies under 213). Without ``levels`` in the configuration, levels are ordered by their
    depth, or by the length of their codes, and then as they come in the file.

    Raises:
        InvalidData: a code is missing or occurs twice, a title or level is missing, a parent is unknown or circular.
        InvalidConfig: ``levels`` does not name the levels of the file.
    """
    columns = config.classification_columns
    frame = read_table(path)
    wanted = [columns.level, columns.code, columns.title, *([columns.parent] if columns.parent else [])]
    require_columns(frame, path, wanted)
    codes: list[str] = id_column(frame, path, columns.code).to_list()
    read = {name: text_column(frame, path, name) for name in wanted}
    for name in (columns.level, columns.title):
        blank = read[name].is_null().arg_true().to_list()
        if blank:
            raise InvalidData(
                f"{shown(path)}: column {name!r} is empty at {rows_named(path, blank)}. Fill it in."
            )
    level_of = dict(zip(codes, read[columns.level].to_list(), strict=True))
    titles = dict(zip(codes, read[columns.title].to_list(), strict=True))
    given = list(dict.fromkeys(level_of.values()))
    if columns.parent:
        parents = dict(zip(codes, read[columns.parent].to_list(), strict=True))
        _check_parents(path, parents, columns.parent)
        depth = {code: _depth(code, parents) for code in codes}
    else:
        depth = {code: len(code) for code in codes}
    levels = _ordered(config, given, level_of, depth)
    if not columns.parent:
        rank = {level: number for number, level in enumerate(levels)}
        parents = {code: _above(code, level_of, rank) for code in codes}
    return Classification(tuple(levels), titles, level_of, parents)


def _above(code: str, level_of: dict[str, str], rank: dict[str, int]) -> str | None:
    """Return the longest beginning of a code that is a code of a coarser level."""
    beginnings = (code[:end] for end in range(len(code) - 1, 0, -1))
    return next((b for b in beginnings if b in level_of and rank[level_of[b]] < rank[level_of[code]]), None)


def _ordered(
    config: MatchingConfig, given: list[str], level_of: dict[str, str], depth: dict[str, int]
) -> list[str]:
    """Return the levels from coarse to fine: as configured, else by least depth and then first appearance."""
    if not config.levels:
        return sorted(
            given, key=lambda level: min(depth[code] for code, its in level_of.items() if its == level)
        )
    place = f"{config.files['general']}: levels"
    unknown = [level for level in config.levels if level not in given]
    if unknown:
        raise InvalidConfig(
            f"{place}: {config.classification} has no level {unknown[0]!r}.{suggest(unknown[0], given)} It has: {', '.join(given)}."
        )
    absent = [level for level in given if level not in config.levels]
    if absent or len(set(config.levels)) < len(config.levels):
        raise InvalidConfig(
            f"{place}: name each level of {config.classification} once, coarse to fine: {', '.join(given)}."
        )
    return list(config.levels)


def _check_parents(path: Path, parents: dict[str, str | None], column: str) -> None:
    for code, parent in parents.items():
        if parent is not None and parent not in parents:
            raise InvalidData(
                f"{shown(path)}: column {column!r}: the parent {parent!r} of {code!r} is not a code of this file. "
                "Add it, or leave the parent of a top code empty."
            )
    for code, parent in parents.items():
        seen = {code}
        above = parent
        while above is not None:
            if above in seen:
                raise InvalidData(
                    f"{shown(path)}: column {column!r}: {code!r} lies under itself. Correct its parents."
                )
            seen.add(above)
            above = parents[above]


def _depth(code: str, parents: dict[str, str | None]) -> int:
    depth = 0
    above = parents[code]
    while above is not None:
        depth, above = depth + 1, parents[above]
    return depth
