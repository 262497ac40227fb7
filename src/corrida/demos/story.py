"""What a demo is made of: its project, and the steps that ``corrida demo`` plays."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from corrida.errors import MissingExtra


class Replace(NamedTuple):
    """A step: somebody edits a file of the project; the new content comes from the demo's ``steps`` folder."""

    told: str
    source: str
    target: str


class Generate(NamedTuple):
    """A step: synthetic data are written to the project.

    Attributes:
        told: what is said before it.
        seed: of all that is drawn.
        target: where they go.
        kind: ``classroom`` (of the evaluation pipeline, to a folder), ``transactions`` or ``labelled transactions`` (of the
            risk pipeline, to a file).
    """

    told: str
    seed: int
    target: str
    kind: str = "classroom"


class Optional(NamedTuple):
    """What is not part of the base installation, and what a demo does without it.

    Attributes:
        modules: all of them are needed.
        missing: the sentence that says what is left out, and what to install.
        there: arguments that a command gets when they are installed.
        without: arguments that it gets when they are not.
    """

    modules: tuple[str, ...]
    missing: str
    there: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Tell whether all modules are there, without importing them."""
        return all(find_spec(module) is not None for module in self.modules)


class Command(NamedTuple):
    """A step: a command of corrida, typed in the project folder.

    Attributes:
        told: what is said before it.
        arguments: of ``corrida``.
        code: the exit code that it has to end with.
        optional: adds arguments by what is installed.
    """

    told: str
    arguments: tuple[str, ...]
    code: int = 0
    optional: tuple[Optional, ...] = ()

    @property
    def typed(self) -> tuple[str, ...]:
        """The arguments, with those that go with what is installed."""
        more = (
            argument for one in self.optional for argument in (one.there if one.installed else one.without)
        )
        return (*self.arguments, *more)


class Demo(NamedTuple):
    """A demo: the folders of its project and of its steps, what it shows, its steps, and what to try next.

    Attributes:
        name: how it is called, and the folder in this package whose ``steps`` it uses.
        project: the folder in this package that is laid out.
        needs: what it cannot do without.
        neural: the same with neural networks, where there is that.
    """

    name: str
    project: str
    title: str
    steps: tuple[Replace | Command | Generate, ...]
    next_steps: tuple[str, ...]
    needs: tuple[Optional, ...] = ()
    neural: Demo | None = None

    def require(self) -> None:
        """Look whether all that the demo needs is installed.

        Raises:
            MissingExtra: something is not; it says what to install.
        """
        for one in self.needs:
            if not one.installed:
                raise MissingExtra(one.missing)

    def left_out(self) -> list[str]:
        """Return a sentence for everything that the demo leaves out, as it is not installed."""
        wanted = [one for step in self.steps if isinstance(step, Command) for one in step.optional]
        return list(dict.fromkeys(one.missing for one in wanted if not one.installed))
