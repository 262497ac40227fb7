"""What a forecasting model is to this pipeline, whichever library it comes from."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from corrida.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from corrida.pipelines.forecasting.panel import Forecast, Panel
    from corrida.pipelines.forecasting.settings import ForecastingConfig


class Fitted(ABC):
    """A model that has learnt from a panel."""

    @abstractmethod
    def predict(
        self, panel: Panel, horizon: int, levels: tuple[int, ...], *, newer: frozenset[str] = frozenset()
    ) -> Mapping[str, Forecast]:
        """Forecast what comes after the panel.

        Args:
            panel: the history, with the exogenous values of the future that are known.
            horizon: steps.
            levels: of the intervals in percent, where the model has its own.
            newer: series whose history is not the one learnt from; the model is applied to it as it is.

        Returns:
            One forecast for each series of the panel.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model into an empty folder, as data and never as code."""

    def longest(self) -> int | None:
        """Return the longest horizon that it can forecast; None for any."""
        return None

    def needs(self) -> int:
        """Return the number of values that a series must have for a forecast."""
        return 1

    def knows(self, series: str) -> bool:
        """Tell whether it can forecast a series of that name; a global model can forecast any."""
        del series
        return True


@dataclass(frozen=True)
class ForecastModel(ABC):
    """A model that can be trained.

    Attributes:
        name: how it is called in a configuration.
        complexity: where it stands from the simplest (0) to the most complex; of two models that are alike the
            simpler is taken.
    """

    name: str
    complexity: int

    extra: ClassVar[str] = "forecasting"
    packages: ClassVar[tuple[str, ...]]
    file_format: ClassVar[str]
    own_intervals: ClassVar[bool] = False
    learns_across: ClassVar[bool] = False
    """Whether all series are learnt together, so that one has a say in the forecast of another."""

    @property
    def uses_exogenous(self) -> bool:
        """Tell whether exogenous columns have a say."""
        return False

    @abstractmethod
    def fit(self, panel: Panel, config: ForecastingConfig, seed: int) -> Fitted:
        """Learn from a panel."""

    @abstractmethod
    def load(self, folder: Path) -> Fitted:
        """Read what :meth:`Fitted.save` wrote."""

    def require(self) -> None:
        """Look whether the libraries are installed, without importing them.

        Raises:
            MissingExtra: one is not; it says what to install.
        """
        missing = [package for package in self.packages if importlib.util.find_spec(package) is None]
        if missing:
            raise MissingExtra(
                f"{self.name} needs {' and '.join(missing)}: pip install 'corrida[{self.extra}]'"
            )
