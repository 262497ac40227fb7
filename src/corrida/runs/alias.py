"""Aliases such as ``@production``: appended to aliases.jsonl with time, author and reason, never rewritten."""

from __future__ import annotations

from pathlib import Path

import msgspec

from corrida.errors import AliasNotFound
from corrida.runs import layout
from corrida.runs.annotations import author, utc_now
from corrida.runs.files import append_line, explained, read_lines
from corrida.runs.ids import validate_alias

DEFAULT_ALIAS = "production"


class Promotion(msgspec.Struct, frozen=True):
    """One line of aliases.jsonl; ``run`` is None when the alias was taken away."""

    alias: str
    run: str | None
    time: str
    author: str
    reason: str | None = None


def history(root: Path, alias: str | None = None) -> list[Promotion]:
    """Return all promotions of the store, or of one alias, oldest first."""
    found = []
    for row in read_lines(root / layout.ALIASES):
        try:
            promotion = msgspec.convert(row, Promotion)
        except msgspec.ValidationError:
            continue  # a line of a later version
        if alias is None or promotion.alias == alias:
            found.append(promotion)
    return found


def current(root: Path) -> dict[str, Promotion]:
    """Return where each alias points now."""
    latest = {promotion.alias: promotion for promotion in history(root)}
    return {alias: promotion for alias, promotion in sorted(latest.items()) if promotion.run is not None}


def resolve(root: Path, alias: str) -> str:
    """Return the run that ``alias`` points to.

    Raises:
        AliasNotFound: no run carries it.
    """
    promotion = current(root).get(alias)
    if promotion is None or promotion.run is None:
        known = ", ".join(f"@{name}" for name in current(root)) or "none"
        raise AliasNotFound(f"no run is @{alias}; aliases in use: {known}. `corrida promote RUN` sets one")
    return promotion.run


def promote(root: Path, run_id: str, alias: str = DEFAULT_ALIAS, reason: str | None = None) -> Promotion:
    """Point ``alias`` to a run.

    Raises:
        InvalidName: the alias is outside the grammar.
        StoreError: the store cannot be written.
    """
    promotion = Promotion(validate_alias(alias), run_id, utc_now(), author(), reason)
    _append(root, promotion)
    return promotion


def demote(root: Path, alias: str = DEFAULT_ALIAS, reason: str | None = None) -> Promotion:
    """Point ``alias`` back to the run that carried it before, or to none.

    Raises:
        AliasNotFound: no run carries it.
    """
    now = resolve(root, alias)
    stack: list[str] = []
    for promotion in history(root, alias):
        if promotion.run is None:
            stack.clear()
        elif len(stack) > 1 and promotion.run == stack[-2]:
            stack.pop()  # an earlier demotion, or the same run promoted again
        elif not stack or stack[-1] != promotion.run:
            stack.append(promotion.run)
    before = stack[-2] if len(stack) > 1 and stack[-1] == now else None
    promotion = Promotion(alias, before, utc_now(), author(), reason)
    _append(root, promotion)
    return promotion


def aliases_of(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the aliases that point to each run now."""
    found: dict[str, tuple[str, ...]] = {}
    for alias, promotion in current(root).items():
        if promotion.run:
            found[promotion.run] = (*found.get(promotion.run, ()), alias)
    return found


def _append(root: Path, promotion: Promotion) -> None:
    with explained("writing the alias"):
        append_line(root / layout.ALIASES, msgspec.to_builtins(promotion))
