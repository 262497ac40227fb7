"""Series in files, read and run in memory."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from corrida.pipelines.contract import ConfigFile, Data
from corrida.pipelines.forecasting import pipeline
from corrida.pipelines.forecasting.data import read_panel


def months(count, year=2015, month=1):
    return [f"{year + (month - 1 + i) // 12}-{(month - 1 + i) % 12 + 1:02d}-01" for i in range(count)]


def wave(count, level=100.0, slope=1.0, height=10.0):
    """A trend with a season of twelve, and a disturbance that is the same each time."""
    return [
        level + slope * i + height * math.sin(2 * math.pi * i / 12) + (i * 7919 % 13) / 6.5 - 1
        for i in range(count)
    ]


class Bench:
    """Writes series and runs the pipeline on them."""

    months = staticmethod(months)
    wave = staticmethod(wave)

    def __init__(self, root: Path, recorder):
        self.root, self.recorder = root, recorder

    def write(self, rows, header=("unique_id", "ds", "y"), name="series.csv"):
        path = self.root / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    def series(self, name="a", values=None, dates=None):
        values = wave(72) if values is None else values
        return [[name, day, value] for day, value in zip(dates or months(len(values)), values, strict=True)]

    def configure(self, **settings):
        return pipeline.configure([ConfigFile("forecasting.yaml", settings)], {})

    def read(self, path, **settings):
        return read_panel([path], self.configure(**settings))

    def run(self, path, item_ids=None, seed=None, **settings):
        given = {
            "models": ["DynamicOptimizedTheta"],
            "horizon": 6,
            "n_windows": 3,
            "report": False,
        } | settings
        return pipeline.run(
            Data([path], item_ids=item_ids, seed=seed), self.configure(**given), self.recorder
        )

    def load(self):
        """Write the models as a run does, and load them."""
        folder = self.root / "models"
        for name, files in self.recorder.models.items():
            for file, content in files.items():
                (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / name / file).write_bytes(content)
        return pipeline.load(folder)


@pytest.fixture
def bench(tmp_path, recorder):
    return Bench(tmp_path, recorder)
