"""What is to be said of a scored file, in sentences; the same of every pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from corrida.pipelines.streaming import DRIFTED, LEAST_ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMED = 5
_MOVED = 3.0  # usual changes from one season to the next


def unit_of(report: str | None) -> str | None:
    """Return what a report, as JSON, counts: rows of the file, or other answers."""
    return None if report is None else str(msgspec.json.decode(report).get("unit", "rows"))


def counted(scored: int | None, rows: int | None, unit: str | None) -> str:
    """Say how many answers there are."""
    return (
        f"{scored or 0:,} of {rows or 0:,} rows scored"
        if unit in {None, "rows"}
        else f"{scored or 0:,} {unit}"
    )


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return what a person should know of a scored file.

    Args:
        report: a :class:`corrida.pipelines.streaming.ScoreReport` as builtins.
    """
    found = [f"{_rows(count)} not scored: {reason}" for reason, count in report.get("not_scored", {}).items()]
    if len(found) > _NAMED:
        found = [*found[:_NAMED], f"{len(found) - _NAMED:,} more reasons; the rows say them"]
    if classes := report.get("classes"):
        found.insert(0, f"classes: {_some([f'{name} {count:,}' for name, count in classes.items()])}")
    aligned: Mapping[str, Any] = report.get("alignment", {})
    found += [
        f"{_rows(one['rows'])} with {_a(column)} that training had not seen ({_some(list(one['most']))})"
        for column, one in aligned.get("unseen", {}).items()
    ]
    if filled := aligned.get("filled"):
        found.append(
            f"filled as in training: {_some([f'{name} {count:,}' for name, count in filled.items()])}"
        )
    if ignored := aligned.get("ignored_columns"):
        found.append(f"columns that were not used: {_some(ignored)}")
    found += [str(note) for note in aligned.get("notes", [])]
    if (far := far_from_training(report)) is not None:
        found.append(far)
    return found


def far_from_training(report: Mapping[str, Any]) -> str | None:
    """Return which features stand far from training, in a sentence; None when none does, or there are too few rows to tell."""
    drift: Mapping[str, float] = report.get("drift", {})
    if report.get("drift_measure", "psi") == "level":
        far = [f"{name} {moved:+.1f}" for name, moved in drift.items() if abs(moved) > _MOVED]
        said = f"level moved by more than {_MOVED:g} usual changes of a season since training"
    else:
        enough = report.get("scored", 0) >= LEAST_ROWS
        ranked = sorted(drift.items(), key=lambda item: -item[1])
        far = [f"{name} {psi:.2f}" for name, psi in ranked if psi > DRIFTED] if enough else []
        said = f"far from training (PSI above {DRIFTED:g})"
    return f"{said}: {_some(far)}" if far else None


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in set('aeio') else 'a'} {noun}"


def _some(names: Sequence[str]) -> str:
    few = ", ".join(names[:_NAMED])
    return few if len(names) <= _NAMED else f"{few} and {len(names) - _NAMED:,} more"
