"""The typed configuration of matching: what each file may say, and the whole that runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from corrida.pipelines.contract import Config

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
Names = Annotated[list[Name], msgspec.Meta(min_length=1)]


class Columns(Config, frozen=True):
    """The columns of the data.

    Attributes:
        id: identifies an item.
        text: what is matched.
        sector: where the text comes from, for sector conditions and compatibility; None when there is none.
        expected: the right code; None when it is not known.
        fields: further names for columns, to be used in rule conditions.
    """

    id: Name = "id"
    text: Name = "text"
    sector: Name | None = None
    expected: Name | None = None
    fields: dict[str, Name] = msgspec.field(default_factory=dict)


class ClassificationColumns(Config, frozen=True):
    """The columns of the classification; without ``parent`` the hierarchy follows from the codes."""

    level: Name = "level"
    code: Name = "code"
    title: Name = "title"
    parent: Name | None = None


class IndexColumns(Config, frozen=True):
    """The columns of the index of known titles."""

    title: Name = "title"
    code: Name = "code"
    sector: Name | None = None


class Weights(Config, frozen=True):
    """How much each likeness counts; they are divided by their sum, so only their ratio matters."""

    title: Annotated[float, msgspec.Meta(ge=0)] = 0.6
    spelling: Annotated[float, msgspec.Meta(ge=0)] = 0.2
    sector: Annotated[float, msgspec.Meta(ge=0)] = 0.2


class Retrieval(Config, frozen=True):
    """How the index is searched.

    Attributes:
        candidates: how many index titles vote.
        sharpness: a title votes with its likeness to this power; more listens more to the best titles.
        weights: the parts of the likeness.
        plural_suffixes: endings that are cut from words, in the index and in the texts.
        runners_up: how many codes are listed after the best.
    """

    candidates: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    sharpness: Annotated[float, msgspec.Meta(gt=0, le=100)] = 8.0
    weights: Weights = Weights()
    plural_suffixes: list[Name] = msgspec.field(default_factory=lambda: ["s"])
    runners_up: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3


class General(Config, frozen=True):
    """The general settings.

    Attributes:
        version: of this file.
        classification: the file of the classification, relative to the project.
        index: the file of known titles; None for rules alone.
        threshold: the least confidence with which retrieval decides.
        levels: the levels from coarse to fine; empty to derive them from the classification.
    """

    version: str
    classification: Name
    index: Name | None = None
    threshold: Share = 0.45
    levels: list[Name] = msgspec.field(default_factory=list)
    columns: Columns = Columns()
    classification_columns: ClassificationColumns = ClassificationColumns()
    index_columns: IndexColumns = IndexColumns()
    retrieval: Retrieval = Retrieval()
    description: str = ""


class Action(Config, frozen=True):
    """What a rule decides: a code, or the title of a code, or both (which must then agree)."""

    code: Name | None = None
    label: Name | None = None


class Rule(Config, frozen=True):
    """A business rule; ``condition`` is checked by :mod:`corrida.pipelines.matching.conditions`."""

    id: Name
    name: Name
    priority: int
    active: bool
    condition: dict[str, Any]
    action: Action
    note: str = ""
    gold_case: str = ""


class RulesFile(Config, frozen=True):
    """The business rules."""

    version: str
    rules: list[Rule]
    description: str = ""


class SectorRule(Config, frozen=True):
    """Which codes, with all below them, go or do not go with which sectors."""

    id: Name
    sectors: Names
    codes: Names
    match: Literal["is", "word", "prefix", "substring"] = "is"
    note: str = ""


class SectorsFile(Config, frozen=True):
    """The compatibility of sectors with codes.

    Attributes:
        mode: ``filter`` takes incompatible candidates out, ``penalise`` weakens them.
        penalty: with ``penalise``, the share of its likeness that an incompatible candidate loses.
        incompatible: in these sectors these codes do not occur.
        compatible: in these sectors only these codes occur.
    """

    version: str
    mode: Literal["filter", "penalise"] = "filter"
    penalty: Share = 0.5
    incompatible: list[SectorRule] = msgspec.field(default_factory=list)
    compatible: list[SectorRule] = msgspec.field(default_factory=list)
    description: str = ""


class MatchingConfig(General, frozen=True):
    """The configuration that runs: the general settings and the two optional parts.

    Attributes:
        rules: None when there is no file of rules.
        sectors: None when there is no file of sector compatibility.
        files: the part (general, rules, sectors) to the file it came from, for messages.
    """

    rules: RulesFile | None = None
    sectors: SectorsFile | None = None
    files: dict[str, str] = msgspec.field(default_factory=dict)
