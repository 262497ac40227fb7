"""A synthetic classroom: students answer questions, some with a planted misconception, and two readers look for them.

All of it is made up, in words of our own, and follows from the seed alone. The truth is known by construction, so a
pipeline can be shown, tried and tested on it; nothing follows from it for real students or real models.
"""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corrida.errors import BadInput
from corrida.pipelines.evaluation.generate_words import (
    CORRECT,
    ELSEWHERE,
    FILLERS,
    MISCONCEPTIONS,
    QUESTIONS,
    Misconception,
)
from corrida.runs.files import atomic_write, explained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_BY_LABEL = {one.label: one for one in MISCONCEPTIONS}


@dataclass(frozen=True)
class Reader:
    """Somebody who looks for misconceptions, made up: how often it hits, and how it words what it found.

    Attributes:
        name: the model in the detections.
        hit: the chance to find a planted misconception.
        near: the chance to take an answer for a misconception whose words it holds, though it is correct.
        idle: the chance to remark on any answer something that is no misconception.
        wording: chances of the near, the free and the far wording of a finding; they add up to 1.
    """

    name: str
    hit: float
    near: float
    idle: float
    wording: tuple[float, float, float]


READERS = (
    Reader("simulated_careful", hit=0.75, near=0.20, idle=0.04, wording=(0.65, 0.25, 0.10)),
    Reader("simulated_eager", hit=0.90, near=0.65, idle=0.15, wording=(0.45, 0.35, 0.20)),
)
# What a strategy does to a reader: it multiplies the chances of a hit, of falling for a near miss and of an idle remark.
STRATEGIES: Mapping[str, tuple[float, float, float]] = {
    "baseline": (0.85, 1.0, 1.0),
    "rubric_only": (1.0, 0.6, 0.4),
}


@dataclass(frozen=True)
class Shape:
    """What a classroom is like.

    Attributes:
        students: how many; each answers ``questions`` questions.
        questions: 1 to 4.
        planted: the share of answers with a misconception, 0 to 1; kept exactly, up to rounding.
        second: the chance that such an answer has a second one.
        near_miss: the chance that a clean answer is correct in nearly the words of a misconception.
    """

    students: int = 60
    questions: int = 4
    planted: float = 0.225
    second: float = 0.15
    near_miss: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            BadInput: a number is out of its range.
        """
        if self.students < 1:
            raise BadInput(f"a classroom has at least 1 student, not {self.students}")
        if not 1 <= self.questions <= len(QUESTIONS):
            raise BadInput(f"a classroom has 1 to {len(QUESTIONS)} questions, not {self.questions}")
        for name in ("planted", "second", "near_miss"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} is a share from 0 to 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Classroom:
    """A classroom as tables.

    Attributes:
        truth: one row an answer: id, student, topic, question, answer, labels.
        taxonomy: one row a misconception: id, name, description, topic.
        detections: what the made-up readers found: item, model, strategy, name, description, topic, confidence.
        facts: of the data set.
    """

    truth: list[dict[str, Any]]
    taxonomy: list[dict[str, str]]
    detections: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def generate_classroom(seed: int, shape: Shape | None = None, *, detections: bool = True) -> Classroom:
    """Make a classroom; the same seed and shape give the same one.

    Args:
        seed: of all that is drawn. It stands in the ids of the answers, as answers of another seed are other answers.
        shape: how many students and questions, and the shares.
        detections: also let the made-up readers look.
    """
    shape = shape or Shape()
    draw = random.Random(f"classroom {seed}")  # noqa: S311 - not for secrets
    topics = list(QUESTIONS)[: shape.questions]
    places = [(student, topic) for student in range(1, shape.students + 1) for topic in topics]
    planted = set(draw.sample(range(len(places)), round(shape.planted * len(places))))
    truth: list[dict[str, Any]] = []
    traps: dict[str, Misconception | None] = {}
    for place, (student, topic) in enumerate(places):
        item = f"{seed}-s{student:02d}-q{topics.index(topic) + 1}"
        labels, near, answer = _answer(topic, shape, draw, planted=place in planted)
        traps[item] = near
        truth.append(
            {
                "id": item,
                "student": f"{seed}-s{student:02d}",
                "topic": topic,
                "question": QUESTIONS[topic],
                "answer": answer,
                "labels": [one.label for one in labels],
            }
        )
    taxonomy = [
        {"id": one.label, "name": one.name, "description": one.description, "topic": one.topic}
        for one in MISCONCEPTIONS
    ]
    found = [row for item in truth for row in _read(item, traps[item["id"]], draw)] if detections else []
    facts = {
        "assignment": "synthetic classroom: programming for beginners",
        "generated_with": "corrida, in words of its own; no real students, no real models",
        "generator_seed": seed,
        "students": shape.students,
        "questions": shape.questions,
    }
    return Classroom(truth, taxonomy, found, facts)


def write_classroom(classroom: Classroom, folder: Path) -> list[str]:
    """Write ``truth.jsonl``, ``taxonomy.csv``, ``dataset.json`` and, where there are any, ``detections.csv``.

    Args:
        classroom: what to write.
        folder: made where it is missing; files of these names are replaced.

    Returns:
        The names of the files.

    Raises:
        StoreError: the folder cannot be written.
    """
    files = {
        "truth.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in classroom.truth),
        "taxonomy.csv": _csv(classroom.taxonomy),
        "dataset.json": json.dumps(classroom.facts, ensure_ascii=False, indent=2) + "\n",
    }
    if classroom.detections:
        files["detections.csv"] = _csv(classroom.detections)
    with explained(f"writing a classroom to {folder.name}"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            atomic_write(folder / name, text.encode())
    return list(files)


def _answer(
    topic: str, shape: Shape, draw: random.Random, *, planted: bool
) -> tuple[list[Misconception], Misconception | None, str]:
    """Return the misconceptions of an answer, the one it only sounds like, and the answer."""
    own = [one for one in MISCONCEPTIONS if one.topic == topic]
    labels: list[Misconception] = []
    near = None
    if planted:
        labels = draw.sample(own, 2 if draw.random() < shape.second else 1)
        said = [draw.choice(one.held) for one in labels]
    elif draw.random() < shape.near_miss:
        near = draw.choice(own)
        said = [near.near]
    else:
        said = [draw.choice(CORRECT[topic])]
    if draw.random() < 0.5:
        said.insert(draw.randrange(len(said) + 1), draw.choice(FILLERS))
    return labels, near, " ".join(said)


def _read(item: Mapping[str, Any], near: Misconception | None, draw: random.Random) -> list[dict[str, Any]]:
    """Return what the made-up readers find in an answer."""
    found = []
    for strategy, (hit, fall, idle) in STRATEGIES.items():
        for reader in READERS:
            said: list[tuple[tuple[str, str], str, float]] = [
                (_worded(_BY_LABEL[label], reader, draw), item["topic"], 0.6)
                for label in item["labels"]
                if draw.random() < reader.hit * hit
            ]
            if near is not None and draw.random() < reader.near * fall:
                said.append((_worded(near, reader, draw), item["topic"], 0.45))
            if draw.random() < reader.idle * idle:
                said.append((draw.choice(ELSEWHERE), "", 0.3))
            found += [
                {
                    "item": item["id"],
                    "model": reader.name,
                    "strategy": strategy,
                    "name": name,
                    "description": description,
                    "topic": topic,
                    "confidence": round(min(1.0, least + 0.4 * draw.random()), 2),
                }
                for (name, description), topic, least in said
            ]
            if not said:  # it looked and found nothing
                empty = dict.fromkeys(("name", "description", "topic", "confidence"), "")
                found.append({"item": item["id"], "model": reader.name, "strategy": strategy, **empty})
    return found


def _worded(one: Misconception, reader: Reader, draw: random.Random) -> tuple[str, str]:
    return draw.choices(one.described, reader.wording)[0]


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
