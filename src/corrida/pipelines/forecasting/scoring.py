"""What forecasts of a run were worth, now that newer data tell what happened.

Windows of the horizon follow each other from the end of the training; in each, every model of the run forecasts from
what was known at its cutoff, as it would have then. Errors are measured as those of the validation are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from corrida.errors import CorridaError, InvalidData
from corrida.pipelines.forecasting.accuracy import seasonal_scale
from corrida.pipelines.forecasting.data import some
from corrida.pipelines.forecasting.newer import values_after
from corrida.pipelines.forecasting.validation import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from corrida.pipelines.forecasting.panel import Forecast, Panel


def score(
    history: Panel,
    whole: Panel,
    models: Mapping[str, bool],
    horizon: int,
    forecast: Callable[[str, Panel, int], Mapping[str, Forecast]],
    notes: list[str],
) -> list[Trial]:
    """Return what models say of values that came after the training, beside these.

    Args:
        history: what the models were fitted on.
        whole: the same series with what came after; others are not scored.
        models: names, and whether the person asked for that one; another one that fails is left out.
        horizon: steps of a window. What is left behind the last whole window is not scored, unless there is no whole one.
        forecast: called with a model, series and a number of steps.
        notes: gets models and series that cannot be scored.

    Raises:
        InvalidData: no value came after the training.
        CorridaError: a model that was asked for cannot forecast.
    """
    after = {one.id: values_after(history, one) for one in whole.series if one.id in history.by_id}
    if not any(count > 0 for count in after.values()):
        raise InvalidData("the data hold nothing after the training, and so nothing to score forecasts by")
    if without := [one.id for one in whole.series if after.get(one.id, 0) <= 0]:
        notes.append(f"not scored, without a value after the training that they were in: {some(without)}")
    trials: list[Trial] = []
    for model, asked in models.items():
        try:
            trials += _trials(whole, after, model, horizon, forecast)
        except CorridaError as error:
            if asked:
                raise
            notes.append(f"{model} is not scored: {error}")
    return trials


def _trials(
    whole: Panel,
    after: Mapping[str, int],
    model: str,
    horizon: int,
    forecast: Callable[[str, Panel, int], Mapping[str, Forecast]],
) -> list[Trial]:
    found = []
    for number, steps, part in _windows(whole, after, horizon):
        said = forecast(model, part, steps)
        for one in part.series:
            known = len(one.y)
            found.append(
                Trial(
                    model,
                    one.id,
                    number,
                    part.cutoff(one),
                    whole.by_id[one.id].y[known : known + steps],
                    said[one.id],
                    seasonal_scale(one.y, whole.season_length),
                )
            )
    return found


def _windows(whole: Panel, after: Mapping[str, int], horizon: int) -> Iterator[tuple[int, int, Panel]]:
    """Yield the number of a window, its steps, and what was known at its cutoff; series end at different times."""
    last = max(1, max(after.values()) // horizon)
    for number in range(1, last + 1):
        steps = {
            name: min(horizon, count)
            for name, count in after.items()
            if count >= number * horizon or (number == 1 and count > 0)
        }
        for count in sorted(set(steps.values())):
            names = frozenset(name for name, one in steps.items() if one == count)
            part = whole.only(names)
            cut = tuple(
                replace(one, y=one.y[: len(one.y) - after[one.id] + (number - 1) * horizon])
                for one in part.series
            )
            yield number, count, replace(part, series=cut)
