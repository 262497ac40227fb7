"""The matching demo: two versions of the rules, what changed, and how to get back."""

from __future__ import annotations

from corrida.demos.story import Command, Demo, Replace

MATCHING = Demo(
    "matching",
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
