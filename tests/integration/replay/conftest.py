"""A small project whose rules break items alone, and in twos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PIPELINE = '''
"""Texts to codes by prioritised rules."""

import os
import random
import time
from pathlib import Path

import polars as pl

from corrida import Outcome
from corrida.errors import InvalidConfig


class Codes:
    name = "codes"
    description = "texts to codes"
    columns = ()
    primary_metric = "accuracy"
    directions = {"accuracy": "max", "drawn": "max"}

    def configure(self, files, overrides):
        config = {"labels": ["A", "B", "C", "D", "E"]}
        for file in files:
            config |= file.content
        config |= overrides
        for rule in config["rules"]:
            if rule["answer"] not in config["labels"]:
                raise InvalidConfig(f"rules.json: {rule['id']} names the unknown label {rule['answer']}")
        return config

    def data_files(self, config):
        return {"stop words": config["stop"]} if config.get("stop") else {}

    def run(self, data, config, recorder):
        frame = pl.read_csv(data.files[0], infer_schema=False)
        if data.item_ids is not None:
            frame = frame.filter(pl.col("id").is_in(list(data.item_ids)))
        time.sleep(config.get("sleep", 0))
        stop = data.named["stop words"].read_text().split() if data.named else []
        noise = Path("noise.txt").read_text() if Path("noise.txt").exists() else ""
        rules = sorted((r for r in config["rules"] if r["active"]), key=lambda r: r["priority"])
        rows = []
        for row in recorder.progress(frame.to_dicts(), label="coding"):
            words = [w for w in row["text"].split() if w not in stop]
            output = next((r["answer"] for r in rules if set(r["words"]) & set(words)), None)
            rows.append({"item_id": row["id"], "text": row["text"], "output": output,
                         "score": len(words) + float(noise or 0), "expected": row["gold"], "correct": output == row["gold"]})
        metrics = {"accuracy": sum(r["correct"] for r in rows) / max(1, len(rows)),
                   "drawn": random.Random(data.seed).random(), "threads": pl.thread_pool_size()}
        recorder.save_text("hash.txt", str(hash("text")))
        return Outcome(metrics=metrics, items=pl.DataFrame(rows), summary=f"{len(rows)} coded")


pipeline = Codes()
'''


def rule(
    rule_id: str, priority: int, words: list[str], answer: str, *, active: bool = True
) -> dict[str, Any]:
    return {"id": rule_id, "priority": priority, "words": words, "answer": answer, "active": active}


GOOD_RULES = [
    rule("R5", 30, ["cook"], "C"),
    rule("R7", 5, ["head"], "D"),
    rule("R8", 20, ["head"], "D"),
    rule("R9", 50, ["waiter"], "A"),
    rule("R61", 40, ["cook", "head"], "B"),
]
"""Before the others, R61 breaks the cooks; the heads it breaks only where R7, which comes first, is off."""


class Shop:
    """The project, with the rules that are all right."""

    good = GOOD_RULES

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "config").mkdir()
        (root / "data").mkdir()
        (root / "codes.py").write_text(PIPELINE, encoding="utf-8")
        (root / "corrida.toml").write_text(
            '[pipelines.jobs]\nuses = "codes:pipeline"\nconfigs = ["config/*.json"]\ndata = ["data/texts.csv"]\n',
            encoding="utf-8",
        )
        rows = [f"c{n},cook {n},C" for n in range(12)] + ["h1,head one,D", "h2,head two,D"]
        rows += [f"w{n},waiter {n},A" for n in range(6)]
        (root / "data" / "texts.csv").write_text("\n".join(["id,text,gold", *rows]) + "\n", encoding="utf-8")
        self.rules(GOOD_RULES)

    def rules(self, rules: list[dict[str, Any]], **more: Any) -> None:
        (self.root / "config" / "rules.json").write_text(
            json.dumps({"rules": rules, **more}, indent=1), encoding="utf-8"
        )

    def changed(
        self, *, drop: tuple[str, ...] = (), add: tuple[dict[str, Any], ...] = (), **changes: dict[str, Any]
    ) -> None:
        """Write the good rules with fields of some of them changed."""
        rules = [{**r, **changes.get(r["id"], {})} for r in GOOD_RULES if r["id"] not in drop]
        self.rules([*rules, *add])


@pytest.fixture
def shop(project: Path) -> Shop:
    """A project with prioritised rules, whose folder is the working folder."""
    return Shop(project)
