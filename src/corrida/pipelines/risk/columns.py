"""Which column of a file is what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from corrida.errors import InvalidData
from corrida.pipelines.inputs import shown, suggest
from corrida.pipelines.risk.guardrails import folded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from corrida.pipelines.risk.settings import Columns

# The first name that a file has is taken. Capitals, accents, blanks and hyphens make no difference.
UNDERSTOOD: Final[Mapping[str, tuple[str, ...]]] = {
    "client": ("cliente_id", "id_cliente", "cliente", "client_id", "client", "customer_id", "customer"),
    "amount": ("monto", "monto_mxn", "importe", "amount", "amount_mxn"),
    "date": ("fecha", "fecha_operacion", "fecha_transaccion", "date", "timestamp"),
    "operation": ("tipo_operacion", "tipo", "operacion", "operation_type", "operation", "type"),
    "sector": ("sector_actividad", "sector", "actividad", "activity"),
    "section": ("fraccion", "fraccion_lfpiorpi", "section"),
    "label": ("clasificacion", "clasificacion_lfpiorpi", "etiqueta", "label", "class"),
    "id": ("transaccion_id", "id_transaccion", "folio", "transaction_id", "item_id", "id"),
}
NEEDED: Final = ("client", "amount", "date", "operation", "sector")
_WORDS = {
    "client": "the client",
    "amount": "the amount",
    "date": "the date",
    "operation": "the type of operation",
    "sector": "the sector",
    "label": "the true class",
}


def find_columns(
    header: Sequence[str],
    path: Path,
    columns: Columns,
    *,
    needed: Sequence[str] = NEEDED,
    trains: bool = False,
) -> dict[str, str]:
    """Return the name of the column for each role that the file has.

    Args:
        header: the names of the columns.
        path: the file, named in errors.
        columns: names that the configuration gives; they are taken as they stand.
        needed: the roles without which the file cannot be used.
        trains: whether the configuration may still name other columns; a trained model reads those that it knows.

    Raises:
        InvalidData: naming what is missing and the columns there are.
    """
    asked: dict[str, str | None] = msgspec.structs.asdict(columns)
    by_name: dict[str, str] = {}
    for name in header:
        by_name.setdefault(folded(name), name)
    found: dict[str, str] = {}
    for role, names in UNDERSTOOD.items():
        wanted = asked[role]
        if wanted is not None:
            if wanted in header:
                found[role] = wanted
            elif role in needed:
                raise InvalidData(
                    f"{shown(path)}: there is no column {wanted!r} (columns.{role}). "
                    f"The columns are: {_listed(header)}.{suggest(wanted, header)}"
                )
            continue
        hit = next((by_name[name] for name in names if name in by_name), None)
        if hit is not None:
            found[role] = hit
    missing = [role for role in needed if role not in found]
    if missing:
        said = ", ".join(f"{_WORDS[role]} ({UNDERSTOOD[role][0]})" for role in missing)
        raise InvalidData(
            f"{shown(path)}: there is no column for {said}. The columns are: {_listed(header)}. "
            f"{_hint(header, missing[0], asked, needed, trains=trains)}"
        )
    return found


def _hint(
    header: Sequence[str],
    missing: str,
    asked: Mapping[str, str | None],
    needed: Sequence[str],
    *,
    trains: bool,
) -> str:
    if len(header) == 1:
        return "Is the delimiter right?"
    if trains:
        return f"Name it with --set columns.{missing}=NAME."
    names = ", ".join(asked[role] or UNDERSTOOD[role][0] for role in needed)
    return f"The file must have the columns {names}, or others by which these are known."


def _listed(header: Sequence[str]) -> str:
    few = ", ".join(name[:40] for name in header[:12])
    return few if len(header) <= 12 else f"{few} and {len(header) - 12:,} more"
