"""The evaluation demo: a made-up classroom under two seeds, and what holds over both."""

from __future__ import annotations

from corrida.demos.story import Command, Demo, Generate, Optional

_EMBEDDINGS = Optional(
    ("wordllama",),
    "wordllama is not installed, so only the fuzzy matcher runs; pip install 'corrida[evaluation]' adds semantic and hybrid.",
    without=("--set", "matchers.use=[fuzzy]"),
)
FIGURES = Optional(
    ("vl_convert", "jinja2"),
    "vl-convert-python and jinja2 are not both installed, so reports are text only; pip install 'corrida[report]' adds "
    "pictures and pages.",
)
_PAGE = FIGURES._replace(there=("--to", "reports/seeds"))

EVALUATION = Demo(
    "evaluation",
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
            optional=(_EMBEDDINGS, FIGURES),
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
            optional=(_EMBEDDINGS, FIGURES),
        ),
        Command("Both runs.", ("list",)),
        Command(
            "What differs. The answers are others, so nothing is tested item by item.",
            ("compare", "--latest", "--items", "3"),
        ),
        Command("What holds over the seeds.", ("aggregate", "--tag", "sweep=seeds"), optional=(_PAGE,)),
    ),
    (
        "open runs/run_seed1/report.md (and report.html, with the extra report)",
        "edit config/evaluation.yaml, as by a line  sweep: {over: threshold}  then:",
        "corrida run classroom --seed 2",
        "corrida compare --latest",
    ),
)
