"""The conditions of business rules: their grammar, their checks, and whether one holds.

A condition is an object of lists. Each key is ``<fields>_<operator>``, where ``<fields>`` is one field or several
joined by ``_or_``, and the operator is one of :data:`OPERATORS`; ``sector`` alone is short for ``sector_is_any``.
Keys are joined by AND, the entries of a list by OR (by AND in ``contains_all``, by NOR in ``not_contains_any``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from corrida.errors import InvalidConfig
from corrida.pipelines.inputs import suggest
from corrida.pipelines.matching.text import Match, contains, phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corrida.pipelines.matching.settings import Columns, MatchingConfig, Rule

# Longer names first: "not_contains_any" ends with "contains_any".
OPERATORS = ("not_contains_any", "contains_any", "contains_all", "is_any")
MATCHES = ("word", "prefix", "substring")


@dataclass(frozen=True)
class Clause:
    """One key of a condition.

    Attributes:
        fields: the fields it looks at; one of them is enough (for ``not_contains_any``: none of them may).
        operator: one of :data:`OPERATORS`.
        phrases: what is looked for, as :func:`~corrida.pipelines.matching.text.phrase` returns it.
        match: how phrases are found.
    """

    fields: tuple[str, ...]
    operator: str
    phrases: tuple[str, ...]
    match: Match

    def holds(self, record: Mapping[str, str]) -> bool:
        """Say whether it holds for searchable texts by field; a field without text contains nothing."""
        texts = [record[field] for field in self.fields]
        if self.operator == "is_any":
            return any(f" {wanted} " == text for wanted in self.phrases for text in texts)
        hits = (any(contains(text, wanted, self.match) for text in texts) for wanted in self.phrases)
        if self.operator == "contains_all":
            return all(hits)
        return any(hits) != (self.operator == "not_contains_any")


def check_rules(config: MatchingConfig) -> None:
    """Refuse rules that share an id, decide nothing, or have a condition that is malformed or can never hold.

    Raises:
        InvalidConfig: naming the file, the rule, the key and the mend.
    """
    if config.rules is None:
        return
    path = config.files["rules"]
    seen: dict[str, int] = {}
    for position, rule in enumerate(config.rules.rules):
        place = f"{path}: rules[{position}] ({rule.id})"
        if rule.id in seen:
            raise InvalidConfig(
                f"{place}.id: rules[{seen[rule.id]}] has the id {rule.id!r} too. Give each rule its own."
            )
        seen[rule.id] = position
        if rule.action.code is None and rule.action.label is None:
            raise InvalidConfig(
                f'{place}.action: neither "code" nor "label" is given. Say which code the rule decides.'
            )
        clauses = parse(rule.condition, f"{place}.condition")
        _refuse_impossible(clauses, f"{place}.condition")
        uses_sector = any("sector" in clause.fields for clause in clauses)
        if uses_sector and config.columns.sector is None and "sector" not in config.columns.fields:
            raise InvalidConfig(
                f"{place}.condition: it asks for the sector, but columns.sector is not set in {config.files['general']}. "
                'Name the column of sectors there, such as "sector": "industry".'
            )


def parse(condition: Mapping[str, Any], place: str) -> list[Clause]:
    """Read a condition.

    Args:
        condition: as it stands in the file.
        place: file, rule and key, for messages.

    Raises:
        InvalidConfig: the condition is empty, a key is unknown, or a list is empty or holds no words.
    """
    match = condition.get("match", "word")
    if match not in MATCHES:
        raise InvalidConfig(f"{place}.match: {match!r} is none of {', '.join(MATCHES)}.")
    clauses = []
    for key, values in condition.items():
        if key == "match":
            continue
        fields, operator = _split(key, place)
        if not isinstance(values, list):
            raise InvalidConfig(
                f'{place}.{key}: expected a list of texts, got {type(values).__name__}. Write ["..."].'
            )
        if not values:
            raise InvalidConfig(f"{place}.{key}: the list is empty. Add what to look for, or remove the key.")
        for position, value in enumerate(values):
            if not isinstance(value, str):
                raise InvalidConfig(
                    f"{place}.{key}[{position}]: expected text, got {type(value).__name__}. Write it in quotes."
                )
            if not phrase(value):
                raise InvalidConfig(
                    f"{place}.{key}[{position}]: {value!r} holds no letter or digit, so it can never be found. Remove it."
                )
        wanted = tuple(dict.fromkeys(phrase(value) for value in values))
        clauses.append(Clause(fields, operator, wanted, cast("Match", match)))
    if not clauses:
        raise InvalidConfig(
            f'{place}: the condition is empty. Add a key such as "text_contains_any", or remove the rule.'
        )
    return clauses


def column_of(field: str, columns: Columns) -> str:
    """Return the column of the data that a field of a condition means.

    A name in ``columns.fields`` wins, then ``text`` and ``sector``, then the column of that very name.
    """
    roles = {"text": columns.text, "sector": columns.sector or "sector"}
    return columns.fields.get(field) or roles.get(field) or field


def compile_rule(rule: Rule) -> list[Clause]:
    """Return the clauses of a rule that has been checked."""
    return parse(rule.condition, rule.id)


def _split(key: str, place: str) -> tuple[tuple[str, ...], str]:
    """Split ``title_or_tasks_contains_any`` into its fields and its operator."""
    if key == "sector":
        return ("sector",), "is_any"
    for operator in OPERATORS:
        if key.endswith(f"_{operator}") and all(fields := key.removesuffix(f"_{operator}").split("_or_")):
            return tuple(dict.fromkeys(fields)), operator
    names = [
        "match",
        "sector",
        *(f"text_{operator}" for operator in OPERATORS),
        *(f"title_{operator}" for operator in OPERATORS),
    ]
    raise InvalidConfig(
        f"{place}: unknown key {key!r}.{suggest(key, names)} A key is <field>_<operator>, "
        f"with one of the operators {', '.join(OPERATORS)}; or sector, or match."
    )


def _refuse_impossible(clauses: list[Clause], place: str) -> None:
    """Refuse a condition whose clauses exclude each other."""
    for forbidding in clauses:
        if forbidding.operator != "not_contains_any":
            continue
        for clause in clauses:
            # Text that contains the phrase contains all that the phrase contains.
            if not set(clause.fields) <= set(forbidding.fields) or clause.operator == "not_contains_any":
                continue
            dead = [
                wanted
                for wanted in clause.phrases
                if any(contains(_as_found(wanted, clause), no, forbidding.match) for no in forbidding.phrases)
            ]
            if dead and (clause.operator == "contains_all" or len(dead) == len(clause.phrases)):
                raise InvalidConfig(
                    f"{place}: it can never hold: {dead[0]!r} is required by {_key(clause)} and excluded by {_key(forbidding)}. "
                    "Remove it from one of the two."
                )
    for exact in clauses:
        if exact.operator != "is_any" or len(exact.fields) > 1:
            continue
        same = [clause for clause in clauses if clause.fields == exact.fields]
        if not any(
            all(clause.holds({exact.fields[0]: f" {value} "}) for clause in same) for value in exact.phrases
        ):
            raise InvalidConfig(
                f"{place}: it can never hold: no value of {_key(exact)} satisfies the other conditions on {exact.fields[0]}."
            )


def _as_found(wanted: str, clause: Clause) -> str:
    """Return what is certain to stand in a text where the phrase was found."""
    if clause.operator == "is_any" or clause.match == "word":
        return f" {wanted} "
    return f" {wanted}" if clause.match == "prefix" else wanted


def _key(clause: Clause) -> str:
    return f"{'_or_'.join(clause.fields)}_{clause.operator}"
