"""Small projects, each with the story that ``corrida demo`` plays."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from corrida.errors import AlreadyExists, NotFound
from corrida.runs.files import explained


class Replace(NamedTuple):
    """A step: somebody edits a file of the project; the new content comes from the demo's ``steps`` folder."""

    told: str
    source: str
    target: str


class Generate(NamedTuple):
    """A step: a synthetic classroom is written to a folder of the project (see the evaluation pipeline)."""

    told: str
    seed: int
    target: str


class Optional(NamedTuple):
    """What is not part of the base installation, and what a demo does without it.

    Attributes:
        modules: all of them are needed.
        missing: the sentence that says what is left out, and what to install.
        there: arguments that a command gets when they are installed.
        without: arguments that it gets when they are not.
    """

    modules: tuple[str, ...]
    missing: str
    there: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Tell whether all modules are there, without importing them."""
        return all(find_spec(module) is not None for module in self.modules)


class Command(NamedTuple):
    """A step: a command of corrida, typed in the project folder; ``optional`` adds to its arguments."""

    told: str
    arguments: tuple[str, ...]
    optional: tuple[Optional, ...] = ()

    @property
    def typed(self) -> tuple[str, ...]:
        """The arguments, with those that go with what is installed."""
        more = (
            argument for one in self.optional for argument in (one.there if one.installed else one.without)
        )
        return (*self.arguments, *more)


class Demo(NamedTuple):
    """A demo: its folder in this package, what it shows, its steps, and what to try next."""

    name: str
    title: str
    steps: tuple[Replace | Command | Generate, ...]
    next_steps: tuple[str, ...]

    def left_out(self) -> list[str]:
        """Return a sentence for everything that the demo leaves out, as it is not installed."""
        wanted = [one for step in self.steps if isinstance(step, Command) for one in step.optional]
        return list(dict.fromkeys(one.missing for one in wanted if not one.installed))


_EMBEDDINGS = Optional(
    ("wordllama",),
    "wordllama is not installed, so only the fuzzy matcher runs; pip install 'corrida[evaluation]' adds semantic and hybrid.",
    without=("--set", "matchers.use=[fuzzy]"),
)
_FIGURES = Optional(
    ("vl_convert", "jinja2"),
    "vl-convert-python and jinja2 are not both installed, so reports are text only; pip install 'corrida[report]' adds "
    "pictures and pages.",
)
_PAGE = _FIGURES._replace(there=("--to", "reports/seeds"))

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
    ),
    "evaluation": Demo(
        "evaluation",
        "A made-up classroom: which matcher, strategy and model finds the planted misconceptions, and whether it holds",
        (
            Generate(
                "60 students answer 4 questions; 22.5 % of the answers hold a planted misconception. All of it is made up.",
                1,
                "data",
            ),
            Command(
                "Every finding of every reader is matched to the taxonomy and counted against the truth.",
                ("run", "classroom", "--seed", "1", "--run-tag", "seed1", "--tag", "sweep=seeds"),
                (_EMBEDDINGS, _FIGURES),
            ),
            Command(
                "Answers in which one cell was wrong.",
                (
                    "items",
                    "latest",
                    "--wrong",
                    "--where",
                    "cell = 'fuzzy+rubric_only+simulated_careful'",
                    "-n",
                    "8",
                    "--columns",
                    "item,topic,expected,output,tp,fp,fn",
                ),
            ),
            Generate("Other students, from another seed.", 2, "data"),
            Command(
                "The same once more.",
                ("run", "classroom", "--seed", "2", "--run-tag", "seed2", "--tag", "sweep=seeds"),
                (_EMBEDDINGS, _FIGURES),
            ),
            Command("Both runs.", ("list",)),
            Command(
                "What differs. The answers are others, so nothing is tested item by item.",
                ("compare", "--latest", "--items", "3"),
            ),
            Command("What holds over the seeds.", ("aggregate", "--tag", "sweep=seeds"), (_PAGE,)),
        ),
        (
            "open runs/run_seed1/report.md or report.html",
            "edit config/evaluation.yaml, as by a line  sweep: {over: threshold}  then:",
            "corrida run classroom --seed 2",
            "corrida compare --latest",
        ),
    ),
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
    with explained(f"laying out the demo in {folder.name}"), as_file(files(__name__) / demo.name) as source:
        shutil.copytree(
            source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("steps", "__pycache__")
        )


def read_step(demo: Demo, name: str) -> bytes:
    """Return a file of the demo's ``steps`` folder."""
    return (files(__name__) / demo.name / "steps" / name).read_bytes()
