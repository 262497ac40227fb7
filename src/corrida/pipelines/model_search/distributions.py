"""What values a parameter may take: plain data that random search, TPE and halving draw from alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidConfig

if TYPE_CHECKING:
    import numpy as np


class Uniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number between ``low`` and ``high``, both included."""

    low: float
    high: float

    @property
    def size(self) -> float:
        """How many values there are."""
        return 1 if self.low == self.high else math.inf

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of them."""
        return _is_within(value, self.low, self.high)

    def sample(self, rng: np.random.Generator) -> float:
        """Draw a value."""
        return float(rng.uniform(self.low, self.high))

    def suggest(self, trial: Any, name: str) -> float:
        """Ask Optuna for a value."""
        return float(trial.suggest_float(name, self.low, self.high))


class LogUniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number between ``low`` and ``high``, both above 0, whose logarithm is uniform."""

    low: float
    high: float

    @property
    def size(self) -> float:
        """How many values there are."""
        return 1 if self.low == self.high else math.inf

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of them."""
        return _is_within(value, self.low, self.high)

    def sample(self, rng: np.random.Generator) -> float:
        """Draw a value."""
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)

    def suggest(self, trial: Any, name: str) -> float:
        """Ask Optuna for a value."""
        return float(trial.suggest_float(name, self.low, self.high, log=True))


class IntUniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole number between ``low`` and ``high``, both included; with ``log``, small ones more often."""

    low: int
    high: int
    log: bool = False

    @property
    def size(self) -> float:
        """How many values there are."""
        return self.high - self.low + 1

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of them."""
        return isinstance(value, int) and _is_within(value, self.low, self.high)

    def sample(self, rng: np.random.Generator) -> int:
        """Draw a value."""
        if not self.log:
            return int(rng.integers(self.low, self.high, endpoint=True))
        drawn = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(max(round(drawn), self.low), self.high)

    def suggest(self, trial: Any, name: str) -> int:
        """Ask Optuna for a value."""
        return int(trial.suggest_int(name, self.low, self.high, log=self.log))


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of ``values``, all equally likely."""

    values: tuple[Any, ...]

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.values)

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of them."""
        return any(one == value and type(one) is type(value) for one in self.values)

    def sample(self, rng: np.random.Generator) -> Any:
        """Draw a value."""
        return self.values[int(rng.integers(len(self.values)))]

    def suggest(self, trial: Any, name: str) -> Any:
        """Ask Optuna for a value; by its place, since Optuna takes no tuples."""
        return self.values[trial.suggest_categorical(name, list(range(len(self.values))))]


Distribution = Uniform | LogUniform | IntUniform | Choice
Space = Mapping[str, Distribution]


def checked_space(space: Mapping[str, Any], owner: str) -> dict[str, Distribution]:
    """Return a parameter space whose every entry can be drawn from; a list or tuple is a choice.

    Args:
        space: parameter names to distributions, lists or tuples.
        owner: the spec, for the sentence.

    Raises:
        InvalidConfig: naming the parameter and the mend.
    """
    checked: dict[str, Distribution] = {}
    for name, given in space.items():
        entry = Choice(tuple(given)) if isinstance(given, list | tuple) else given
        if not isinstance(entry, Uniform | LogUniform | IntUniform | Choice):
            raise InvalidConfig(
                f"{owner}: the values of {name} are a {type(given).__name__}; "
                "give a list, or Uniform, LogUniform, IntUniform or Choice"
            )
        if why := _fault(entry):
            raise InvalidConfig(f"{owner}: the values of {name} cannot be drawn from: {why}")
        checked[str(name)] = entry
    return checked


def _fault(entry: Distribution) -> str:
    if isinstance(entry, Choice):
        return "" if entry.values else "there is none; give at least one"
    if not (math.isfinite(entry.low) and math.isfinite(entry.high)):
        return "an end is not finite"
    if entry.low > entry.high:
        return f"{entry.low:g} is more than {entry.high:g}; turn them round"
    logarithmic = isinstance(entry, LogUniform) or (isinstance(entry, IntUniform) and entry.log)
    if logarithmic and entry.low <= 0:
        return f"a logarithm needs values above 0, and they begin at {entry.low:g}"
    return ""


def _is_within(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def space_size(space: Space) -> float:
    """Return how many different candidates a space has; infinite where a parameter is continuous."""
    return math.prod(entry.size for entry in space.values())


def all_candidates(space: Space) -> Iterator[dict[str, Any]]:
    """Yield every candidate of a finite space, the last parameter moving fastest."""
    values: list[Sequence[Any]] = []
    for entry in space.values():
        if isinstance(entry, Choice):
            values.append(entry.values)
        elif isinstance(entry, IntUniform):
            values.append(range(entry.low, entry.high + 1))
        else:
            values.append([entry.low])
    for chosen in product(*values):
        yield dict(zip(space, chosen, strict=True))
