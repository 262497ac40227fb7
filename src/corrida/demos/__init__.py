"""Small projects with real data, each with the story that ``corrida demo`` plays."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from corrida.errors import AlreadyExists, NotFound
from corrida.runs.files import explained


class Replace(NamedTuple):
    """A step: somebody edits a file of the project; the new content comes from the demo's ``steps`` folder."""

    told: str
    source: str
    target: str


class Command(NamedTuple):
    """A step: a command of corrida, typed in the project folder."""

    told: str
    arguments: tuple[str, ...]


class Demo(NamedTuple):
    """A demo: its folder in this package, what it shows, its steps, and what to try next."""

    name: str
    title: str
    steps: tuple[Replace | Command, ...]
    next_steps: tuple[str, ...]


DEMOS = {
    "matching": Demo(
        "matching",
        "500 real job titles, to be coded by rules and a lexical index (SOC 2010)",
        (
            Command(
                "The first rules.",
                ("run", "jobs", "--run-tag", "rules_1.1", "--description", "first rules"),
            ),
            Command(
                "What it got wrong; this is what the next rules are written from.",
                (
                    "items",
                    "latest",
                    "--wrong",
                    "-n",
                    "8",
                    "--columns",
                    "item_id,text,output_title,expected,decided_by",
                ),
            ),
            Replace(
                "Somebody adds rules R14 to R17 and edits two word lists:",
                "matching_rules_business_1.2.json",
                "config/matching_rules_business.json",
            ),
            Command(
                "The same titles with the new rules.",
                (
                    "run",
                    "jobs",
                    "--run-tag",
                    "rules_1.2",
                    "--description",
                    "rules R14 to R17 from the misses",
                ),
            ),
            Command("Both runs.", ("list",)),
            Command("What changed, and which titles flipped.", ("compare", "--latest")),
            Command("How to get back: first look.", ("restore", "latest~1", "--dry-run")),
        ),
        (
            "edit a rule in config/matching_rules_business.json, then:",
            'corrida run jobs --description "what I changed"',
            "corrida compare --latest",
            "corrida restore latest~1        # and: corrida undo",
        ),
    )
}


def find_demo(name: str) -> Demo:
    """Return a demo by name.

    Raises:
        NotFound: there is none of that name.
    """
    if name not in DEMOS:
        raise NotFound(f"there is no demo {name!r}; there are {', '.join(DEMOS)}")
    return DEMOS[name]


def lay_out(demo: Demo, folder: Path) -> None:
    """Copy the project of a demo into ``folder``, which is empty or does not exist.

    Raises:
        AlreadyExists: there is something in the folder, or it is a file.
        StoreError: the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise AlreadyExists(f"{folder.name} is a file; choose another folder with --to")
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyExists(
            f"{folder.name} is not empty; choose another folder with --to, or remove it first"
        )
    with (
        explained(f"laying out the demo in {folder.name}", "go to another folder"),
        as_file(files(__name__) / demo.name) as source,
    ):
        shutil.copytree(
            source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("steps", "__pycache__")
        )


def read_step(demo: Demo, name: str) -> bytes:
    """Return a file of the demo's ``steps`` folder."""
    return (files(__name__) / demo.name / "steps" / name).read_bytes()
