"""A small project in a temporary folder, and a recorder that keeps everything in memory."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from corrida.pipelines.contract import ConfigFile, Data
from corrida.pipelines.executors import choose_executor, open_executor
from corrida.pipelines.matching import pipeline
from corrida.pipelines.model_files import written_model

if TYPE_CHECKING:
    from pathlib import Path


class MemoryRecorder:
    """Keeps what a pipeline reports.

    ``children`` are the recorders of its child runs, each with ``params``, ``description``, ``outcome`` and ``error``.
    What is put below the folder ``before`` is what an earlier run had saved; ``asked_jobs`` are the jobs of the
    executors that were opened, and ``executor_name`` is the one that the person asks for.
    """

    def __init__(self, run_id="run_memory"):
        self.run_id = run_id
        self.steps, self.texts, self.tables, self.warnings, self.models = [], {}, {}, [], {}
        self.files, self.children, self.asked_jobs = {}, [], []
        self.lines = {}
        self.before = self.executor_name = self.jobs = None
        self.params, self.description, self.outcome, self.error = {}, None, None, None

    def log(self, metrics, step=None):
        self.steps.append((step, dict(metrics)))

    def save_text(self, name, text):
        self.texts[name] = text

    def save_bytes(self, name, data):
        self.files[name] = data

    def append(self, name, record):
        self.lines.setdefault(name, []).append(json.loads(json.dumps(record)))

    def log_params(self, params):
        self.params |= params

    def saved(self, name):
        return None

    def save_table(self, name, frame):
        self.tables[name] = frame

    def save_model(self, name, write, *, format, libraries=(), facts=None):  # noqa: A002
        self.models[name] = dict(written_model(write, format=format, libraries=libraries, facts=facts or {}))

    @contextlib.contextmanager
    def child(self, name, *, params=None, description=None):
        child = type(self)(f"{self.run_id}-{name}")
        child.params, child.description = dict(params or {}), description
        child.executor_name, child.jobs = self.executor_name, self.jobs
        self.children.append(child)
        try:
            yield child
        except BaseException as error:
            child.error = error
            raise

    def finish(self, outcome):
        self.outcome = outcome

    @contextlib.contextmanager
    def executor(self, jobs=1):
        self.asked_jobs.append(jobs)
        with open_executor(*choose_executor(self.executor_name, self.jobs, jobs)) as executor:
            yield executor

    def earlier(self, name):
        path = None if self.before is None else self.before / name
        return path if path is not None and path.exists() else None

    def progress(self, items, *, total=None, label=""):
        yield from items

    def warn(self, message):
        self.warnings.append(message)


CLASSIFICATION = """level,code,title
major,2,PROFESSIONALS
major,5,TRADES
major,9,ELEMENTARY
minor,24,Finance professionals
minor,52,Metal trades
minor,92,Service helpers
unit,2421,Accountants
unit,2422,Actuaries
unit,5223,Fitters
unit,9271,Porters
unit,9272,Kitchen helpers
"""
INDEX = """title,code,industry
"Accountant, fund",2421,bank
"Accountant, cost",2421,
Actuary,2422,insurance
"Fitter, boiler",5223,shipbuilding
"Porter, kitchen",9272,hotel
"Porter, hospital",9271,hospital
"""
TITLES = """id,title,industry,gold
a,fund accountants,bank,2421
b,kitchen porter,,9272
c,boiler fitter,shipbuilding,5223
d,astronaut,,2422
"""
GENERAL = {
    "version": "1.0",
    "classification": "data/classification.csv",
    "index": "data/index.csv",
    "columns": {"id": "id", "text": "title", "sector": "industry", "expected": "gold"},
    "index_columns": {"sector": "industry"},
}


def make_rule(rule_id="R1", condition=None, code="9271", **more):
    return {
        "id": rule_id,
        "name": f"rule {rule_id}",
        "priority": 10,
        "active": True,
        "condition": condition or {"title_contains_any": ["porter"]},
        "action": {"code": code},
        **more,
    }


class Project:
    """Writes a project and runs the matching pipeline in it."""

    def __init__(self, root: Path):
        self.root = root
        (root / "data").mkdir()
        self.write("classification.csv", CLASSIFICATION)
        self.write("index.csv", INDEX)
        self.write("titles.csv", TITLES)
        self.general, self.rules, self.sectors = GENERAL, None, None

    def write(self, name, text):
        path = self.root / "data" / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def configure(self, **overrides):
        files = [ConfigFile("config/matching.json", json.loads(json.dumps(self.general)))]
        if self.rules is not None:
            files.append(ConfigFile("config/rules.json", {"version": "1.1", "rules": self.rules}))
        if self.sectors is not None:
            files.append(ConfigFile("config/sectors.json", {"version": "1.0", **self.sectors}))
        return pipeline.configure(files, {key.replace("__", "."): value for key, value in overrides.items()})

    def run(self, item_ids=None, files=("titles.csv",), **overrides):
        config = self.configure(**overrides)
        recorder = MemoryRecorder()
        named = {role: self.root / path for role, path in pipeline.data_files(config).items()}
        data = Data([self.root / "data" / name for name in files], named, item_ids)
        outcome = pipeline.run(data, config, recorder)
        return outcome, recorder

    def outputs(self, **options):
        items = self.run(**options)[0].items
        return dict(zip(items["item_id"], items["output"], strict=True))


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def new_project(tmp_path_factory):
    return lambda: Project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def rule():
    return make_rule


@pytest.fixture
def recorder():
    return MemoryRecorder()
