"""Small layers that are trained once, and what scores with them."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from corrida.pipelines.contract import Data
from corrida.pipelines.model_files import written_model
from corrida.pipelines.risk import pipeline
from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

SMALL = {
    "supervised.boosting_rounds": 12,
    "supervised.forest_trees": 12,
    "supervised.forest_depth": 7,
    "anomaly.trees": 20,
    "anomaly.clusters": 4,
}


class Recorder:
    """Keeps what is reported; models go to a folder."""

    def __init__(self, folder):
        self.folder, self.steps, self.texts, self.tables, self.files, self.warnings = (
            folder,
            [],
            {},
            {},
            {},
            [],
        )

    def log(self, metrics, step=None):
        self.steps.append((step, dict(metrics)))

    def save_text(self, name, text):
        self.texts[name] = text

    def save_bytes(self, name, data):
        self.files[name] = data

    def save_table(self, name, frame):
        self.tables[name] = frame

    def save_model(self, name, write, *, format, libraries=(), facts=None):  # noqa: A002
        for file, content in written_model(write, format=format, libraries=libraries, facts=facts or {}):
            place = self.folder / "models" / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def progress(self, items, *, total=None, label=""):
        yield from items

    def warn(self, message):
        self.warnings.append(message)


def trained_on(folder, frame, **settings):
    """Train on a frame of transactions and return all that came of it."""
    file = folder / "transactions.csv"
    write_transactions(frame, file)
    recorder = Recorder(folder)
    config = pipeline.configure([], {"report": False, **SMALL, **settings})
    outcome = pipeline.run(Data(files=[file], seed=1), config, recorder)
    return SimpleNamespace(
        outcome=outcome, recorder=recorder, config=config, models=folder / "models", file=file, frame=frame
    )


@pytest.fixture(scope="session")
def transactions():
    return generate_transactions(5, Shape(clients=110, days=180, schemes=0.4))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, transactions):
    return trained_on(tmp_path_factory.mktemp("risk"), transactions)


@pytest.fixture(scope="session")
def predictor(trained):
    return pipeline.load(trained.models)


@pytest.fixture(scope="session")
def train():
    return trained_on


@pytest.fixture
def scored(predictor, tmp_path):
    """Score the text of a file, and return the rows and the report."""

    def score(text, *, name="new.csv", history=None, **options):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        stream = predictor.score(file, history=history, **options)
        return pl.concat(list(stream)), stream.report

    return score
