"""Aliases such as ``@production``: appended to aliases.jsonl with time, author and reason, never rewritten."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from corrida.errors import AliasNotFound, DamagedRun, RunNotFound
from corrida.runs import layout
from corrida.runs.annotations import author, timestamp, utc_now
from corrida.runs.files import atomic_write, explained, locked, read_lines
from corrida.runs.ids import validate_alias
from corrida.runs.journal import journal_folder, lock_file

DEFAULT_ALIAS = "production"


class Promotion(msgspec.Struct, frozen=True):
    """One line of aliases.jsonl.

    Attributes:
        alias, run: what points where; ``run`` is None when the alias was taken away.
        time, author, reason: when, by whom and why.
        demotion: it is on the way back.
        digest: the seal of the run's run.json, which stands for all its files; None of lines that do not say it.
    """

    alias: str
    run: str | None
    time: str
    author: str
    reason: str | None = None
    demotion: bool = False
    digest: str | None = None


def history(root: Path, alias: str | None = None) -> list[Promotion]:
    """Return all promotions of the store, or of one alias, oldest first.

    Raises:
        StoreError: the file cannot be read; without it nobody knows what is in production.
    """
    found = []
    with explained("reading the aliases"):
        rows = read_lines(root / layout.ALIASES)
    for row in rows:
        try:
            promotion = msgspec.convert(row, Promotion)
        except msgspec.ValidationError:
            continue  # a line of a later version
        if alias is None or promotion.alias == alias:
            found.append(promotion)
    # A merge in git puts the lines of one side after those of the other.
    return sorted(found, key=lambda p: p.time)


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
        RunNotFound: the run was removed in this moment.
        StoreError: the store cannot be written.
    """
    promotion = Promotion(validate_alias(alias), run_id, utc_now(), author(), reason)
    with _alone(root):
        if not (root / run_id).is_dir():
            raise RunNotFound(f"the run {run_id} was removed in this moment; promote another")
        return _append(root, msgspec.structs.replace(promotion, digest=_seal_of(root / run_id)))


def demote(root: Path, alias: str = DEFAULT_ALIAS, reason: str | None = None) -> Promotion:
    """Point ``alias`` back to the run that carried it before and is still there, or to none.

    Raises:
        AliasNotFound: no run carries it.
    """
    with _alone(root):
        run = _before(root, alias)
        # What was promoted then is what comes back, and not what became of the run since.
        digest = (
            next((p.digest for p in reversed(history(root, alias)) if p.run == run), None) if run else None
        )
        return _append(root, Promotion(alias, run, utc_now(), author(), reason, demotion=True, digest=digest))


def _seal_of(run_dir: Path) -> str | None:
    from corrida.runs.run_file import read_run_file

    with contextlib.suppress(DamagedRun):
        return read_run_file(run_dir).seal
    return None


def _before(root: Path, alias: str) -> str | None:
    """Return the run that carried ``alias`` before the one that does now, and is still there."""
    now = resolve(root, alias)
    stack: list[str] = []
    for promotion in history(root, alias):
        if promotion.run is None:
            stack.clear()
        elif promotion.demotion:
            while stack and stack[-1] != promotion.run:
                stack.pop()
            stack = stack or [promotion.run]
        elif not stack or stack[-1] != promotion.run:
            stack.append(promotion.run)
    return next((run for run in reversed(stack) if run != now and (root / run).is_dir()), None)


def aliases_of(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the aliases that point to each run now."""
    found: dict[str, tuple[str, ...]] = {}
    for alias, promotion in current(root).items():
        if promotion.run:
            found[promotion.run] = (*found.get(promotion.run, ()), alias)
    return found


def before(root: Path, alias: str) -> str | None:
    """Return the run that ``alias`` would point back to; None for none.

    Raises:
        AliasNotFound: no run carries it.
    """
    return _before(root, alias)


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep others from changing aliases or moving runs; an alias never points to a run that just went."""
    journal_folder(root)
    with explained("writing the alias"), locked(lock_file(root)):
        yield


def _append(root: Path, promotion: Promotion) -> Promotion:
    earlier = history(root)
    if earlier and earlier[-1].time >= promotion.time:  # a clock that was set back
        with contextlib.suppress(ValueError):
            later = datetime.fromisoformat(earlier[-1].time) + timedelta(microseconds=1)
            promotion = msgspec.structs.replace(promotion, time=timestamp(later))
    path = root / layout.ALIASES
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    # Replaced as a whole, so that a kill leaves no half of a line.
    atomic_write(path, before + msgspec.json.encode(promotion) + b"\n", scratch=root / layout.PRIVATE)
    return promotion
