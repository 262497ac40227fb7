"""``python -m bench``: measures, and writes docs/benchmarks.md; or studies how good something is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.contestants import CONTESTANTS
from bench.harness.environments import ensure_environment
from bench.harness.place import ROOT, Place
from bench.harness.report import report, summary
from bench.harness.rounds import measure
from bench.studies import all_studies
from bench.workloads import all_cases

if TYPE_CHECKING:
    from bench.harness.case import Case


def main(arguments: list[str] | None = None) -> int:
    """Measure what the command line asks for."""
    options = _options(arguments)
    studies = [study for study in all_studies() if study.name == options.only]
    for study in studies:
        found = study.carry_out(options.tiny)
        print(f"{study.title}\n\n{found}")
        if options.output:
            page = options.output.read_text(encoding="utf-8")
            options.output.write_text(study.put_into(page, found), encoding="utf-8")
    if studies:
        return 0
    cases = _chosen(options.only)
    peers = _peers(options.peers)
    place = Place(options.folder, tiny=options.tiny)
    try:
        for peer in peers:
            ensure_environment(place.folder, peer)
        contestants = ["floor", "corrida", *peers]
        done = [
            measure(place, case, contestants=contestants, rounds=options.rounds or case.rounds)
            for case in cases
        ]
        versions = {name: str(place.call(name, "version")["version"]) for name in contestants}
    finally:
        place.close()
    for measured in done:
        print(summary(measured))
    if options.output:
        options.output.write_text(report(done, versions, place.folder), encoding="utf-8")
        print(f"written: {options.output}")
    return 1 if any(measured.failures for measured in done) else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        help="cases whose names start so, separated by commas; or a study: accuracy",
    )
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each case [default: its own]")
    parser.add_argument("--peers", default="all", help="all, none, or names separated by commas")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="environments and filled stores")
    parser.add_argument(
        "--output",
        type=Path,
        help="the page to write, of a study the page that has its block; without it tables are only shown",
    )
    parser.add_argument("--tiny", action="store_true", help="do everything small, to see that it works")
    return parser.parse_args(arguments)


def _chosen(only: str) -> list[Case]:
    cases = all_cases()
    starts = tuple(filter(None, only.split(",")))
    chosen = [case for case in cases if case.name.startswith(starts)] if starts else cases
    if not chosen:
        sys.exit(f"no case starts with {only}; there are {', '.join(case.name for case in cases)}")
    return chosen


def _peers(names: str) -> list[str]:
    peers = [name for name, contestant in CONTESTANTS.items() if contestant.is_peer]
    chosen = {"all": peers, "none": []}.get(names, names.split(","))
    if unknown := set(chosen) - set(peers):
        sys.exit(f"no peer is called {', '.join(sorted(unknown))}; there are {', '.join(peers)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
