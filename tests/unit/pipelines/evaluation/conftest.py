"""A small classroom in a temporary folder."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from corrida.pipelines.contract import ConfigFile, Data
from corrida.pipelines.evaluation import pipeline

TAXONOMY = [
    {"id": "L1", "name": "off by one", "description": "the loop runs once too often", "topic": "loops"},
    {"id": "L2", "name": "assignment as comparison", "description": "one equals sign", "topic": "syntax"},
    {"id": "L3", "name": "copied list", "description": "b = a does not copy", "topic": "lists"},
]
TRUTH = [
    {"id": "a", "labels": ["L1", "L2"], "student": "s1", "topic": "loops"},
    {"id": "b", "labels": [], "student": "s1", "topic": "loops"},
    {"id": "c", "labels": ["L2"], "student": "s2", "topic": "lists"},
    {"id": "d", "labels": ["L3"], "student": "s2", "topic": "lists"},
    {"id": "e", "labels": [], "student": "s3", "topic": "lists"},
    {"id": "f", "labels": ["L1"], "student": "s3", "topic": "loops"},
]
CONFIG = {
    "truth": "data/truth.jsonl",
    "taxonomy": "data/taxonomy.jsonl",
    "detections": "data/detections.jsonl",
    "columns": {
        "truth": {"topic": "topic", "cluster": "student"},
        "taxonomy": {"description": "description", "topic": "topic"},
        "detections": {"description": "description", "topic": "topic", "confidence": "confidence"},
    },
    "matchers": {"use": ["fuzzy"]},
    "bootstrap": {"resamples": 200},
    "report": False,
}


def detection(item, name, *, strategy="s", model="m", description=None, topic=None, confidence=None):
    return {
        "item": item,
        "model": model,
        "strategy": strategy,
        "name": name,
        "description": description,
        "topic": topic,
        "confidence": confidence,
    }


class Classroom:
    """Writes truth, taxonomy and detections, and evaluates them."""

    def __init__(self, root: Path, recorder):
        self.root, self.recorder = root, recorder
        (root / "data").mkdir()
        self.truth, self.taxonomy = copy.deepcopy(TRUTH), copy.deepcopy(TAXONOMY)
        self.detections = [detection("a", "off by one")]
        self.config = json.loads(json.dumps(CONFIG))

    def write(self, name, content):
        path = self.root / "data" / name
        if isinstance(content, list):
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        path.write_text(content, encoding="utf-8")
        return path

    def run(self, *, item_ids=None, files=(), seed=None, **overrides):
        self.write("truth.jsonl", self.truth)
        self.write("taxonomy.jsonl", self.taxonomy)
        self.write("detections.jsonl", self.detections)
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        config = pipeline.configure([ConfigFile("evaluation.yaml", self.config)], dotted)
        named = {role: self.root / path for role, path in pipeline.data_files(config).items()}
        data = Data([Path(f) for f in files], named, item_ids, seed)
        return pipeline.run(data, config, self.recorder)

    def counts(self, **options):
        """Return (tp, fp, fn) by cell."""
        metrics = self.run(**options).metrics
        cells = {name[5:-3] for name in metrics if name.startswith("cell.") and name.endswith(".tp")}
        return {c: tuple(metrics[f"cell.{c}.{of}"] for of in ("tp", "fp", "fn")) for c in cells}

    @property
    def evaluation(self):
        """The whole of the last run, as it was saved."""
        import msgspec

        from corrida.pipelines.evaluation.results import Evaluation

        return msgspec.json.decode(self.recorder.texts["evaluation.json"], type=Evaluation)


@pytest.fixture
def classroom(tmp_path, recorder):
    return Classroom(tmp_path, recorder)
