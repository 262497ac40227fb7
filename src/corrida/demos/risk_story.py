"""The risk demo: synthetic payments with schemes hidden in them, thresholds learned from costs, and a file that is scored."""

from __future__ import annotations

from corrida.demos.evaluation_story import FIGURES
from corrida.demos.story import Command, Demo, Generate, Optional, Replace

_LAYERS = Optional(
    ("sklearn", "skops"), "the demo risk needs scikit-learn and skops; pip install 'corrida[risk]'"
)


def _run(told: str, name: str, description: str) -> Command:
    return Command(
        told, ("run", "payments", "--run-id", name, "--description", description), optional=(FIGURES,)
    )


RISK = Demo(
    "risk",
    "risk",
    "Synthetic payments: which are preocupante, inusual, relevante or limpio, by learned layers and the limits of the law",
    (
        Generate(
            "260 made-up clients with salaries, rents and shopping; some split cash, collect transfers or bring cash in bursts.",
            1,
            "data/transactions.csv",
            kind="labelled transactions",
        ),
        Generate(
            "Payments of other made-up clients, to be scored later.", 2, "data/new.csv", kind="transactions"
        ),
        _run(
            "Three layers are trained, and measured on clients that they have not seen.",
            "first",
            "thresholds between 0.45 and 0.65",
        ),
        Replace(
            "A missed alarm costs far more than a false one. Somebody lets learning look below 0.45:",
            "risk_1.1.yaml",
            "config/risk.yaml",
        ),
        _run("And again.", "wider", "a wider grid of thresholds"),
        Command("Both runs.", ("list",)),
        Command("Is it cheaper, really?", ("compare", "first", "wider", "--only-changed", "--items", "4")),
        Command(
            "What it missed or accused wrongly.",
            (
                "items",
                "wider",
                "--wrong",
                "-n",
                "6",
                "--columns",
                "item_id,amount,operation,sector,output,expected,decided_by",
            ),
        ),
        Command(
            "The run that scores from now on.", ("promote", "wider", "--reason", "a missed alarm is dear")
        ),
        Command("The new payments, each with its reasons.", ("predict", "--data", "data/new.csv")),
    ),
    (
        "open runs/wider/report.md or report.html",
        "change a cost in config/risk.yaml, or a limit in config/guardrails.json, then:",
        'corrida run payments --description "what I changed"',
        "corrida compare --latest",
        "corrida serve     # @production scores files that come over HTTP or lie in spool/pending; corrida[serve]",
    ),
    needs=(_LAYERS,),
)
