"""What stands between a run and an alias: the rules of the project, judged against the run that carries it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.errors import BadInput, CorridaError, Refused, RunNotFound

if TYPE_CHECKING:
    from corrida.analysis.gate import GateResult
    from corrida.project import Settings
    from corrida.runs.alias import Promotion
    from corrida.runs.record import RunRecord
    from corrida.runs.store import Store


class Promoted:
    """A promotion, and what the rules said of it.

    Attributes:
        promotion: the line of aliases.jsonl.
        gate: the result of the rules; None when there was nothing to judge.
        why_no_gate: why not; None when there was.
    """

    def __init__(self, promotion: Promotion, gate: GateResult | None, why_no_gate: str | None) -> None:
        self.promotion = promotion
        self.gate = gate
        self.why_no_gate = why_no_gate

    @property
    def sentences(self) -> list[str]:
        """What was done, and what the rules said."""
        said = [f"@{self.promotion.alias} is {self.promotion.run}"]
        if self.gate is not None:
            said.append(f"{self.gate.sentence} (compared with {self.gate.base.id})")
        elif self.why_no_gate:
            said.append(f"the rules of the gate were not asked: {self.why_no_gate}")
        return said


def promote(
    store: Store,
    settings: Settings,
    reference: str,
    alias: str,
    reason: str | None = None,
    *,
    force: bool = False,
) -> Promoted:
    """Point an alias to a run when the rules let it pass.

    Args:
        store: that holds the run.
        settings: of the project, with its rules.
        reference: the run.
        alias: without ``@``.
        reason: why; kept with the alias.
        force: promote it also when the rules say no; then the reason is needed, and what they said is kept with it.

    Raises:
        BadInput: ``force`` without a reason, or a rule that cannot be used.
        Refused: the rules do not let the run pass, or it has not finished.
        InvalidName, RunNotFound, StoreError: as of ``Store.promote``.
    """
    if force and not (reason or "").strip():
        raise BadInput("promoting against the rules takes a reason; give it with --reason")
    new = store.get(reference)
    if new.status != "finished":
        return Promoted(store.promote(new.id, alias, reason), None, None)  # which refuses it
    try:
        gate, why = judge(store, settings, new, alias)
        said = gate.sentence if gate is not None and not gate.passed else None
    except CorridaError as error:
        if not force:
            raise
        gate, why, said = None, None, f"the rules could not be judged: {error}"
    if said is not None and not force:
        raise Refused(
            f"{new.id} is not promoted, {said}; see corrida compare @{alias} {new.id} --gate, or promote it with "
            "--force and a --reason"
        )
    if said is not None:
        reason = f"{reason} (forced: {said})"
    return Promoted(store.promote(new.id, alias, reason), gate, why)


def judge(
    store: Store, settings: Settings, new: RunRecord, alias: str
) -> tuple[GateResult | None, str | None]:
    """Return what the rules say of a run that is to carry an alias; or None, and why they were not asked.

    Raises:
        BadInput: a rule cannot be used.
        CorridaError: the runs cannot be compared.
    """
    rules = settings.gate_rules(new.pipeline)
    if not rules:
        return None, None
    now = store.aliases().get(alias)
    if now is None or now.run is None:
        return None, f"no run was @{alias}, so there was nothing to compare with"
    if now.run == new.id:
        return None, f"it was @{alias} already"
    try:
        base = store.get(now.run)
    except RunNotFound:
        return None, f"the run that was @{alias}, {now.run}, is gone, so there was nothing to compare with"
    from corrida.analysis.gate import check_rules

    return check_rules(base, new, rules, list_keys=settings.list_keys), None
