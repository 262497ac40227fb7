"""The tables: on the terminal, and as docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness import results
from bench.harness.contestants import CONTESTANTS
from bench.harness.machine import describe_machine
from bench.harness.units import quantity, times

if TYPE_CHECKING:
    from bench.harness.case import Entry
    from bench.harness.rounds import Measured

_HEAD = """# Benchmarks

Written by `make bench`. corrida beside plain Python that does the same writes and reads (the floor), and beside other
trackers of runs. All contestants of a table were measured in one sitting: every round runs each of them once, in an
order drawn anew. Given are the median of the rounds and, in brackets, the middle half of them. The ratios are taken
round by round, so that what slows the machine down for a while slows both sides. How it is done, and what is fair in
it and what is not, is in [bench/README.md](../bench/README.md).
"""


def summary(measured: Measured) -> str:
    """Return the table of a case for the terminal."""
    header, rows = _table(measured)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    budgets = [f"{name}: {came_out} ({verdict})" for name, came_out, verdict, _ in _budgets(measured)]
    return "\n".join(["", f"{measured.case.name}: {measured.case.title}", *lines, *budgets])


def report(done: Sequence[Measured], versions: Mapping[str, str], folder: Path) -> str:
    """Return the whole page.

    Args:
        done: what was measured, in order.
        versions: of the contestants, by name.
        folder: where it was measured, for the file system.
    """
    parts = [_HEAD, _circumstances(versions, folder), "## Budgets\n", _all_budgets(done)]
    for measured in done:
        header, rows = _table(measured)
        parts.append(f"## {measured.case.title[0].upper()}{measured.case.title[1:]}\n")
        if measured.case.note:
            parts.append(f"{measured.case.note}\n")
        parts.append(_markdown(header, rows))
    parts.append(_durability())
    return "\n".join(parts)


def _circumstances(versions: Mapping[str, str], folder: Path) -> str:
    names = [f"{CONTESTANTS[name].title} {version}" for name, version in versions.items() if name != "floor"]
    return f"{datetime.now(UTC):%Y-%m-%d}, {describe_machine(folder)}. {', '.join(names)}.\n"


def _table(measured: Measured) -> tuple[list[str], list[list[str]]]:
    case = measured.case
    entries = [entry for entry in case.entries if entry.label in measured.samples]
    base = case.entries[0].label
    best = results.best_peer(measured) if case.ratios else None
    rounds = max((len(found) for found in measured.samples.values()), default=0)
    header = ["", f"median of {rounds}", *([f"× {base}"] if case.ratios else [])]
    if best:
        header.append(f"× best peer ({best})")
    header += case.facts.values()
    rows = [_row(measured, entry, base, best) for entry in entries]
    rows += [
        [entry.label, "failed", *[""] * (len(header) - 2)]
        for entry in case.entries
        if entry.label in measured.failures
    ]
    return header, rows


def _row(measured: Measured, entry: Entry, base: str, best: str | None) -> list[str]:
    middle = results.middle(results.values(measured, entry.label))
    unit = measured.case.unit
    cells = [
        entry.label,
        f"{quantity(middle.median, unit)} ({quantity(middle.low, unit)} – {quantity(middle.high, unit)})",
    ]
    if measured.case.ratios:
        cells.append(_times(measured, entry.label, base))
    if best:
        cells.append(_times(measured, entry.label, best))
    for fact in measured.case.facts:
        found = results.median(measured, entry.label, fact)
        cells.append("" if found is None else f"{found:,.0f}")
    return cells


def _times(measured: Measured, label: str, base: str) -> str:
    found = results.ratio(measured, label, base)
    return "" if found is None else times(found)


def _budgets(measured: Measured) -> list[tuple[str, str, str, str]]:
    found = []
    for budget in measured.case.budgets:
        outcome = budget.judge(measured)
        verdict = {True: "met", False: "missed", None: "not measured"}[outcome.met]
        found.append(
            (budget.text, outcome.came_out, verdict, budget.why_missed if outcome.met is False else "")
        )
    return found


def _all_budgets(done: Sequence[Measured]) -> str:
    rows = [
        [measured.case.title, text, came_out, f"{verdict}{': ' if why else ''}{why}"]
        for measured in done
        for text, came_out, verdict, why in _budgets(measured)
    ]
    return _markdown(["work", "budget", "came out", ""], rows)


def _durability() -> str:
    rows = [[c.title, c.durable, c.used] for c in CONTESTANTS.values()]
    return "## Who keeps what, and how each was set up\n\n" + _markdown(
        ["", "safe against a power cut", "set up"], rows
    )


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
