"""Small projects, each with the story that ``corrida demo`` plays."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from corrida.demos.evaluation_story import EVALUATION
from corrida.demos.forecasting_story import FORECASTING
from corrida.demos.matching_story import MATCHING
from corrida.demos.model_search_story import MODEL_SEARCH
from corrida.demos.risk_story import RISK
from corrida.demos.story import Command, Demo, Generate, Replace
from corrida.demos.verdicts_story import VERDICTS
from corrida.errors import AlreadyExists, NotFound
from corrida.runs.files import explained

__all__ = ["DEMOS", "Command", "Demo", "Generate", "Replace", "find_demo", "lay_out", "read_step"]

DEMOS = {demo.name: demo for demo in (MATCHING, VERDICTS, EVALUATION, FORECASTING, MODEL_SEARCH, RISK)}


def find_demo(name: str, *, neural: bool = False) -> Demo:
    """Return a demo by name.

    Args:
        name: of the demo.
        neural: with neural networks.

    Raises:
        NotFound: there is none of that name, or none with networks.
        MissingExtra: what it needs is not installed.
    """
    if name not in DEMOS:
        raise NotFound(f"there is no demo {name!r}; there are {', '.join(DEMOS)}")
    demo = DEMOS[name]
    if neural:
        if demo.neural is None:
            others = ", ".join(one for one in DEMOS if DEMOS[one].neural)
            raise NotFound(f"the demo {name} has no networks; leave --neural out, or take {others}")
        demo = demo.neural
    demo.require()
    return demo


def lay_out(demo: Demo, folder: Path) -> None:
    """Copy the project of a demo into ``folder``, which is empty or does not exist.

    Raises:
        AlreadyExists: there is something in the folder, or it is a file.
        StoreError: the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise AlreadyExists(f"{folder.name} is a file; choose another folder with --to")
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyExists(
            f"{folder.name} is not empty; choose another folder with --to, or remove it first"
        )
    with (
        explained(f"laying out the demo in {folder.name}", "go to another folder"),
        as_file(files(__name__) / demo.project) as source,
    ):
        shutil.copytree(
            source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("steps", "__pycache__")
        )


def read_step(demo: Demo, name: str) -> bytes:
    """Return a file of the demo's ``steps`` folder."""
    return (files(__name__) / demo.name / "steps" / name).read_bytes()
