"""Business rules over items: which fires, and which would have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from corrida.errors import InvalidConfig
from corrida.pipelines.inputs import suggest
from corrida.pipelines.matching.conditions import Clause, column_of, compile_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corrida.pipelines.matching.classification import Classification
    from corrida.pipelines.matching.settings import MatchingConfig, Rule


@dataclass(frozen=True)
class CompiledRule:
    """A rule that is ready to be applied.

    Attributes:
        rule: as configured.
        code: the code it decides.
        clauses: its condition.
    """

    rule: Rule
    code: str
    clauses: tuple[Clause, ...]

    def holds(self, record: Mapping[str, str]) -> bool:
        """Say whether the condition holds for searchable texts by field."""
        return all(clause.holds(record) for clause in self.clauses)


class RuleSet:
    """The active rules in the order in which they are tried.

    The lowest priority number comes first; rules of equal priority keep the order of the file. The first rule
    that holds decides; the others that hold are reported.
    """

    def __init__(self, config: MatchingConfig, classification: Classification) -> None:
        """Resolve every rule's code, of inactive rules too.

        Raises:
            InvalidConfig: naming the rule whose code or label is not in the classification.
        """
        rules = config.rules.rules if config.rules else []
        self.all: tuple[CompiledRule, ...] = tuple(
            CompiledRule(rule, _resolve(rule, position, config, classification), tuple(compile_rule(rule)))
            for position, rule in enumerate(rules)
        )
        active = [compiled for compiled in self.all if compiled.rule.active]
        self.active: tuple[CompiledRule, ...] = tuple(
            sorted(active, key=lambda compiled: compiled.rule.priority)
        )
        # Inactive rules count too, so that switching one on cannot bring up a column that is not there.
        self.columns: dict[str, str] = {
            field: column_of(field, config.columns)
            for compiled in self.all
            for clause in compiled.clauses
            for field in clause.fields
        }
        self._path = config.files.get("rules", "")

    def holding(self, record: Mapping[str, str]) -> tuple[int, ...]:
        """Return the positions in :attr:`active` of the rules that hold, the one that decides first."""
        return tuple(position for position, compiled in enumerate(self.active) if compiled.holds(record))

    def check_columns(self, columns: Sequence[str], data_file: str) -> None:
        """Refuse a rule that asks for a column which the data lack.

        Raises:
            InvalidConfig: naming the rule, the field and the columns there are.
        """
        for position, compiled in enumerate(self.all):
            for clause in compiled.clauses:
                for field in clause.fields:
                    if self.columns[field] not in columns:
                        raise InvalidConfig(
                            f"{self._path}: rules[{position}] ({compiled.rule.id}).condition: {data_file} has no column "
                            f"{self.columns[field]!r}.{suggest(field, columns)} The columns are: {', '.join(columns)}."
                        )


def _resolve(rule: Rule, position: int, config: MatchingConfig, classification: Classification) -> str:
    """Return the code that a rule decides."""
    place = f"{config.files['rules']}: rules[{position}] ({rule.id}).action"
    code, label = rule.action.code, rule.action.label
    if code is not None and code not in classification:
        raise InvalidConfig(
            f"{place}.code: {config.classification} has no code {code!r}.{suggest(code, classification.titles)}"
        )
    if label is None:
        assert code is not None  # noqa: S101 - configure() has refused a rule with neither
        return code
    titled = classification.with_title(label)
    if not titled:
        raise InvalidConfig(
            f"{place}.label: {config.classification} has no title {label!r}.{suggest(label, classification.titles.values())}"
        )
    if code is None and len(titled) > 1:
        raise InvalidConfig(
            f'{place}.label: {label!r} is the title of the codes {", ".join(titled)}. Say which by "code".'
        )
    if code is not None and code not in titled:
        raise InvalidConfig(
            f"{place}: code {code!r} has the title {classification.titles[code]!r}, but the label is {label!r}. "
            "Correct one of the two."
        )
    return code or titled[0]
