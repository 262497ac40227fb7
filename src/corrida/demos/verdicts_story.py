"""The verdicts demo: a rule that helps, one that is noise, and two harmless changes that harm together."""

from __future__ import annotations

from corrida.demos.story import Command, Demo, Replace

_RULES = "config/matching_rules_business.json"


def _run(told: str, tag: str, description: str) -> Command:
    return Command(told, ("run", "jobs", "--run-id", tag, "--description", description))


def _compare(told: str, a: str, b: str, *options: str, code: int = 0) -> Command:
    return Command(told, ("compare", a, b, "--only-changed", *options), code)


VERDICTS = Demo(
    "verdicts",
    "matching",
    "Is it better, really? Three edits of the rules that code 500 real job titles (SOC 2010)",
    (
        _run("The rules as they are.", "base", "rules 1.1"),
        Replace(
            "The index knows words of food, drink and tobacco. Somebody makes a rule of them:",
            "matching_rules_business_1.2.json",
            _RULES,
        ),
        _run("The same titles with that rule.", "food", "rule R14 for food"),
        _compare("Is it better?", "base", "food"),
        Replace("Next, a rule for fitters:", "matching_rules_business_1.3.json", _RULES),
        _run("And again.", "fitters", "rule R15 for fitters"),
        _compare("More titles are right. Is that more than chance?", "food", "fitters"),
        Replace(
            "A rule for quarries, and the priorities are put in order on the way:",
            "matching_rules_business_1.4.json",
            _RULES,
        ),
        _run("And again.", "quarries", "rule R16 for quarries; priorities in order"),
        _compare(
            "Something got worse. In which industry?",
            "fitters",
            "quarries",
            "--slices",
            "sector",
            "--slice-min",
            "8",
        ),
        Command(
            "What is wrong with the coal mines now?",
            (
                "items",
                "quarries",
                "--wrong",
                "--where",
                "sector = 'coal mine'",
                "--columns",
                "item_id,text,output_title,expected,rule",
            ),
        ),
        Command("One of them, over all runs.", ("item", "T110")),
        Command(
            "Six changes were made at once. Which of them did it? Mixtures of both versions tell.",
            ("bisect", "fitters", "quarries"),
        ),
        Command(
            "Was the run with the rule for food no accident? Once more, from its folder.", ("rerun", "food")
        ),
        _compare(
            "A gate in front of the main branch would have stopped it: the exit code is 1.",
            "fitters",
            "quarries",
            "--gate",
            "--metric",
            "f1",
            "--max-drop",
            "0.005",
            "--items",
            "3",
            code=1,
        ),
    ),
    (
        "corrida report base food        # one HTML file with the charts",
        "corrida compare base food --cluster sector",
        "edit a rule in config/matching_rules_business.json, then:",
        'corrida run jobs --description "what I changed"',
        "corrida compare base latest",
        "corrida restore fitters         # and: corrida undo",
    ),
)
