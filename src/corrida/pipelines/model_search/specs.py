"""What a model of a search is: how it is built, what may vary, and what its features are made into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from corrida.errors import InvalidConfig, MissingExtra
from corrida.pipelines.model_search.distributions import Distribution, checked_space

Task = Literal["regression", "classification"]
Preprocessing = Literal["plain", "predictive", "none"]
TASKS: tuple[Task, ...] = ("regression", "classification")
PREPROCESSINGS: tuple[Preprocessing, ...] = ("plain", "predictive", "none")


@dataclass(frozen=True)
class ModelSpec:
    """A model of a search.

    Attributes:
        name: as it is called in reports, files and child runs: letters, digits, ``_``, ``-`` and ``.``.
        build: returns a new, unfitted estimator with the interface of scikit-learn.
        task: what it predicts.
        space: the parameters of what ``build`` returns that the search varies, by name: a list of values or a
            distribution. Empty where there is nothing to search.
        preprocessing: ``plain``: text is one-hot encoded, and gaps are filled by the median where the estimator
            cannot take them. ``predictive``: gaps are filled and marked, numbers scaled, text one-hot encoded, always.
            ``none``: the estimator gets the features and labels as they were given.
        packages: installed packages that it needs.
        description: one line.

    Raises:
        InvalidConfig: an attribute cannot be used.
    """

    name: str
    build: Callable[[], Any]
    task: Task = "regression"
    space: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing = "plain"
    packages: tuple[str, ...] = ("scikit-learn",)
    description: str = ""

    def __post_init__(self) -> None:
        import re

        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", str(self.name)):
            raise InvalidConfig(
                f"a model cannot be called {self.name!r}; use 1 to 64 letters, digits, '_', '-' and '.', "
                "a letter or digit first"
            )
        if not callable(self.build):
            raise InvalidConfig(f"{self.name}: build is no function; give one that returns a new estimator")
        if self.task not in TASKS:
            raise InvalidConfig(f"{self.name}: the task {self.task!r} is none of {', '.join(TASKS)}")
        if self.preprocessing not in PREPROCESSINGS:
            raise InvalidConfig(
                f"{self.name}: the preprocessing {self.preprocessing!r} is none of {', '.join(PREPROCESSINGS)}"
            )
        object.__setattr__(self, "space", checked_space(self.space, self.name))

    @property
    def distributions(self) -> Mapping[str, Distribution]:
        """The space, each entry a distribution."""
        return self.space

    def require(self) -> None:
        """Refuse when a package that it needs is not installed.

        Raises:
            MissingExtra: saying what to install.
        """
        lacking = missing_packages(self.packages)
        if lacking:
            raise MissingExtra(
                f"the model {self.name} needs {', '.join(lacking)}; install it with: pip install 'corrida[search]'"
            )


def missing_packages(packages: tuple[str, ...]) -> list[str]:
    """Return those of the packages that are not installed."""
    from importlib.util import find_spec

    modules = {"scikit-learn": "sklearn", "xgboost-cpu": "xgboost"}
    return [name for name in packages if find_spec(modules.get(name, name).replace("-", "_")) is None]
