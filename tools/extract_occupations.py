"""Build the data of the matching demo from the tables of SOC 2010.

Writes ``classification.csv`` (level, code, title), ``index.csv`` (title, industry, code: the known titles) and
``titles.csv`` (id, title, industry, gold: the titles to be coded) into the target folder.

The titles to be coded are drawn with a seeded generator from those index titles that have at least two words and,
together with their industry, exactly one code. No two of them have the same words, and every row of the index with
the same words (whatever their order, case, accents and plural "s") is left out of ``index.csv``, so that no title
can be coded by looking it up. They are written as people write them, with the inversion of the index undone:
"Assistant, trials, clinical" becomes "clinical trials assistant". The column of qualifiers is left out.

Usage: python tools/extract_occupations.py SOURCE TARGET [--seed 2010] [--titles 500]
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from pathlib import Path

from corrida.pipelines.matching.text import singular
from corrida.pipelines.text import tokens

SEED = 2010
TITLES = 500


def words(title: str) -> tuple[str, ...]:
    """Return the words of a title in one order, without case, accents and plural "s"."""
    return tuple(sorted(singular(token, ("s",)) for token in tokens(title)))


def as_written(title: str) -> str:
    """Undo the inversion of an index title: "Driver, HGV" becomes "HGV driver".

    The parts between commas change their order; the word that came first loses its capital unless it is an
    abbreviation.
    """
    parts = [part.strip() for part in title.split(",") if part.strip()]
    if len(parts) > 1 and parts[0][1:2].islower():
        parts[0] = parts[0][0].lower() + parts[0][1:]
    return " ".join(reversed(parts))


def draw(rows: list[dict[str, str]], seed: int, count: int) -> list[dict[str, str]]:
    """Draw the rows to be held out.

    Args:
        rows: all rows of the source index, in their order.
        seed: of the generator.
        count: how many.
    """
    codes = defaultdict(set)
    for row in rows:
        codes[row["title"], row["industry"]].add(row["soc2010"])
    drawable = [
        row for row in rows if len(codes[row["title"], row["industry"]]) == 1 and len(words(row["title"])) > 1
    ]
    random.Random(seed).shuffle(drawable)  # noqa: S311 - a sample, not a secret
    drawn: dict[tuple[str, ...], dict[str, str]] = {}
    for row in drawable:
        if len(drawn) < count:
            drawn.setdefault(words(row["title"]), row)
    return list(drawn.values())


def write(path: Path, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    """Write a CSV file with Unix line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def extract(source: Path, target: Path, seed: int, count: int) -> None:
    """Write the three tables; the same source, seed and count give the same bytes."""
    with (source / "soc2010_structure.csv").open(encoding="utf-8", newline="") as file:
        structure = [(row["level"], row["code"], row["title"]) for row in csv.DictReader(file)]
    with (source / "soc2010_index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    held_out = draw(rows, seed, count)
    unseen = {words(row["title"]) for row in held_out}
    known = dict.fromkeys(
        (row["title"], row["industry"], row["soc2010"]) for row in rows if words(row["title"]) not in unseen
    )
    titles = [
        (f"T{number:03}", as_written(row["title"]), row["industry"], row["soc2010"])
        for number, row in enumerate(held_out, 1)
    ]
    target.mkdir(parents=True, exist_ok=True)
    write(target / "classification.csv", ["level", "code", "title"], structure)
    write(target / "index.csv", ["title", "industry", "code"], list(known))
    write(target / "titles.csv", ["id", "title", "industry", "gold"], titles)


def main() -> None:
    """Read the command line and extract."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, help="folder with soc2010_structure.csv and soc2010_index.csv")
    parser.add_argument("target", type=Path, help="folder to write to")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the sample (default {SEED})")
    parser.add_argument(
        "--titles", type=int, default=TITLES, help=f"how many titles to hold out (default {TITLES})"
    )
    given = parser.parse_args()
    extract(given.source, given.target, given.seed, given.titles)


if __name__ == "__main__":
    main()
