"""Rounds: each contestant once a round, in an order that is drawn anew."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.harness.place import ContestantFailed, Place

if TYPE_CHECKING:
    from bench.harness.case import Case, Sample


@dataclass
class Measured:
    """What the rounds of a case gave.

    Attributes:
        case: the case.
        samples: by entry, one sample a round; a round in which an entry failed is missing for it.
        failures: by entry, what it said when it failed.
    """

    case: Case
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def measure(place: Place, case: Case, *, contestants: Sequence[str], rounds: int) -> Measured:
    """Measure a case.

    A round before the first does not count: it fills caches and compiles modules; it is left out where everything is
    done small. A contestant that fails is out of the case, and the report says so.

    Args:
        place: where.
        case: what.
        contestants: who, by name; those of the case that are not among them are left out.
        rounds: how often.
    """
    measured = Measured(case)
    entries = [entry for entry in case.entries if entry.contestant in contestants]
    draw = random.Random(case.name)  # noqa: S311 - no secret
    _say(f"{case.name}: ", end="")
    started = time.perf_counter()
    for number in range(-1, rounds):
        draw.shuffle(entries)
        for entry in list(entries):
            try:
                if number < 0:
                    case.prepare(place, entry)
                    if not case.warm_up or place.tiny:
                        continue
                sample = case.measure(place, entry)
            except ContestantFailed as error:
                _say(f"\n{entry.label} failed: {error}")
                measured.failures[entry.label] = str(error)
                measured.samples.pop(entry.label, None)
                entries.remove(entry)
                continue
            if number >= 0:
                measured.samples.setdefault(entry.label, []).append(sample)
        _say(".", end="")
    _say(f" {time.perf_counter() - started:.0f} s")
    return measured


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
