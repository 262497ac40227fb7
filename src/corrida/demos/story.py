"""What a demo is made of: its project, and the steps that ``corrida demo`` plays."""

from __future__ import annotations

from typing import NamedTuple


class Replace(NamedTuple):
    """A step: somebody edits a file of the project; the new content comes from the demo's ``steps`` folder."""

    told: str
    source: str
    target: str


class Command(NamedTuple):
    """A step: a command of corrida, typed in the project folder, and the exit code that it has to end with."""

    told: str
    arguments: tuple[str, ...]
    code: int = 0


class Demo(NamedTuple):
    """A demo: the folders of its project and of its steps, what it shows, its steps, and what to try next.

    Attributes:
        name: how it is called, and the folder in this package whose ``steps`` it uses.
        project: the folder in this package that is laid out.
    """

    name: str
    project: str
    title: str
    steps: tuple[Replace | Command, ...]
    next_steps: tuple[str, ...]
