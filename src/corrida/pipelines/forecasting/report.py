"""The report of a forecasting run: Markdown with pictures, and a page that stands alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from corrida.analysis.blocks import Heading, Line, Table
from corrida.analysis.pages import Banner, Figure, Part
from corrida.pipelines.forecasting import charts
from corrida.pipelines.forecasting.models import MODELS, NAIVE
from corrida.pipelines.report_files import save_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corrida.analysis.blocks import Style
    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.forecasting.results import Results

TITLE: Final = "Forecasting"
_ABSENT: Final = "–"
_MOST_SERIES: Final = 15
_NEAR: Final = 0.05  # how far a coverage may lie from its level and still be called near it


def write_report(results: Results, recorder: Recorder) -> None:
    """Save ``report.md`` with its pictures in ``assets/``, and ``report.html``, which stands alone.

    Without the extra ``report`` the text is saved without pictures, and a warning says what to install.

    Args:
        results: what was found.
        recorder: of the run.
    """
    save_report(recorder, TITLE, report_parts(results), subtitle=_subtitle(results))


def report_parts(results: Results) -> list[Part]:
    """Return the report as headings, lines, tables and figures, the answer first."""
    return [
        _banner(results),
        *_examples(results),
        *_choice(results),
        *_models(results),
        *_steps(results),
        *_intervals(results),
        *_series(results),
        *_saved(results),
        *_failed(results),
        *_reading(results),
    ]


def _subtitle(results: Results) -> str:
    panel, config = results.panel, results.config
    ends = max(panel.frequency.text(panel.cutoff(one)) for one in panel.series)
    return (
        f"{len(panel):,} series, frequency {panel.frequency}, up to {ends}; "
        f"{_counted(len(results.trials.models), 'model')}; horizon {config.horizon}, "
        f"{_counted(config.n_windows, 'window')} of validation"
    )


def _banner(results: Results) -> Banner:
    metrics = results.metrics
    if not results.spreads:
        return Banner("no error", "No item was asked for that has an error.", "warning")
    first = results.spreads[0]
    if "cherry_pick.mase" not in metrics:
        why = (
            "no series has a MASE, as none changes from season to season"
            if not results.scaled
            else "what the choice for each series is worth needs two windows or more"
        )
        return Banner(
            f"{results.unit} {first.mean:.3g}",
            f"{first.model} has the lowest mean error over all series. There is no score of cherry-pick: {why}.",
            "warning",
        )
    mine, single = (metrics[f"{name}.mase"] for name in ("cherry_pick", "best_single"))
    naive = metrics.get("naive.mase", float("inf"))
    text = (
        f"Cherry-pick, on windows that the choice did not see. The best single model for all series has "
        f"{single:.3f} there, {NAIVE} {_number(metrics.get('naive.mase'))}. {_judged(results)}"
    )
    style: Style = "plain" if mine < naive else "warning"
    difference = results.against_single
    if difference is not None and mine < naive:
        style = {"lower": "good", "higher": "warning"}.get(difference.judge(), "plain")  # type: ignore[assignment]
    return Banner(f"MASE {mine:.3f}", text, style)


def _judged(results: Results) -> str:
    """Say whether the choice for each series is better than one model for all."""
    difference = results.against_single
    if difference is None:
        return "With so few series it cannot be said whether choosing for each series helps."
    between = (
        f"the difference over series is {difference.difference:+.3f} "
        f"({difference.low:+.3f} to {difference.high:+.3f}, {100 * difference.confidence:g} % interval)"
    )
    word = difference.judge()
    if word == "lower":
        return f"Choosing for each series helps: {between}."
    if word == "higher":
        return f"One model for all series is better here: {between}. Forecast with it."
    if difference.identical:
        return "Both take the same model everywhere."
    return f"Whether choosing for each series helps is not decided: {between}."


def _examples(results: Results) -> Iterator[Part]:
    spec = charts.examples(results)
    if spec is None:
        return
    yield Heading("Series")
    yield Figure("series", spec, "the best, the median and the worst series with their forecasts")
    rows = [
        (one.word, one.series, results.final[one.series].model, f"{one.error:.3g}")
        for one in results.examples
    ]
    yield Table(("", "series", "model", results.unit), rows, right=frozenset({3}), whole=frozenset({1}))
    error = f"mean {results.unit} of the model that is chosen"
    seen = "on windows that the choice did not see" if results.honest else "on the windows of the validation"
    yield Line(f"Best, median and worst by the {error}, {seen}.", "quiet")


def _choice(results: Results) -> Iterator[Part]:
    yield Heading("A model for each series")
    metrics = results.metrics
    spec = charts.choice_errors(results)
    if spec is not None:
        yield Figure("cherry_pick", spec, "cherry-pick against the best single model and SeasonalNaive")
        optimism = metrics["cherry_pick.optimism"]
        seen = f"On the same windows the choice that saw them has {metrics['cherry_pick.mase_seen']:.3f}"
        if optimism > 0.0005:
            yield Line(
                f"{seen}: it looks better by {optimism:.3f} than it is. That is its optimism; the honest figure is "
                f"{metrics['cherry_pick.mase']:.3f}."
            )
        else:
            yield Line(
                f"{seen}, so seeing them made it look no better than {metrics['cherry_pick.mase']:.3f}."
            )
    else:
        yield Line(
            "There is no score on windows that the choice did not see; that needs two windows and a MASE."
        )
    taken = Counter(choice.model for choice in results.final.values())
    best = Counter(choice.best for choice in results.final.values())
    single = next(iter(results.final.values())).single
    rows = [
        (
            model,
            f"{taken[model]:,}",
            f"{best[model]:,}",
            "the best single model" if model == single else "",
        )
        for model in results.trials.models
    ]
    columns = ("model, simplest first", "chosen for series", "lowest error on series", "")
    yield Table(columns, rows, right=frozenset({1, 2}))
    yield Line(
        f"Rule {results.config.cherry_pick.rule}: cherry_pick.csv says for each series which model was taken, and why.",
        "quiet",
    )


def _models(results: Results) -> Iterator[Part]:
    yield Heading("Models")
    if not results.spreads:
        return
    yield Figure("error_by_model", charts.model_errors(results), "error of each model over the series")
    shown = [spread.model for spread in results.spreads]
    rows = [
        (
            model,
            *(_number(results.metrics.get(f"{model}.{name}")) for name in ("mase", "mae", "rmse", "smape")),
        )
        for model in (*shown, *(m for m in results.trials.models if m not in shown))
    ]
    yield Table(("model", "MASE", "MAE", "RMSE", "sMAPE %"), rows, right=frozenset({1, 2, 3, 4}))
    yield Line(
        "Means over series and windows; metrics.csv has each. A mean of MAE or RMSE is ruled by series of great values.",
        "quiet",
    )


def _steps(results: Results) -> Iterator[Part]:
    spec = charts.step_errors(results)
    if spec is not None:
        yield Heading("Steps ahead")
        yield Figure("error_by_step", spec, "error of each model by the number of steps ahead")


def _intervals(results: Results) -> Iterator[Part]:
    levels = results.config.levels
    if not levels:
        return
    yield Heading("Prediction intervals")
    rows: list[tuple[str, ...]] = []
    styles: list[Style] = []
    narrow = False
    for model in results.trials.models:
        kind = "its own" if _own(results, model) else "conformal"
        for level in levels:
            covered = results.metrics.get(f"{model}.coverage_{level}")
            judged = _width(covered, level)
            narrow |= judged == "too narrow" and kind == "its own"
            rows.append(
                (model, kind, f"{level} %", _ABSENT if covered is None else f"{100 * covered:.1f} %", judged)
            )
            styles.append("warning" if judged == "too narrow" else "plain")
    yield Table(("model", "interval", "level", "covered", ""), rows, right=frozenset({2, 3}), styles=styles)
    yield Line(
        f"How often what happened lay inside, in the validation. Within {100 * _NEAR:g} points of the level it is called near.",
        "quiet",
    )
    if narrow:
        yield Line(
            "Where intervals of a model's own cover too little, set intervals to conformal: they then come from the errors of validation."
        )


def _own(results: Results, model: str) -> bool:
    return MODELS[model].own_intervals and results.config.intervals == "own"


def _width(covered: float | None, level: int) -> str:
    if covered is None:
        return "too few errors for an interval"
    away = covered - level / 100
    return "near its level" if abs(away) <= _NEAR + 1e-9 else "too wide" if away > 0 else "too narrow"


def _series(results: Results) -> Iterator[Part]:
    ranked = sorted(results.chosen_errors.items(), key=lambda one: -one[1])[:_MOST_SERIES]
    if len(ranked) < 2:
        return
    yield Heading("The series that are forecast worst")
    rows = []
    for series, error in ranked:
        choice = results.final[series]
        rows.append((series, f"{error:.3g}", choice.model, choice.why))
    yield Table(("series", results.unit, "model", "why"), rows, right=frozenset({1}))
    left = len(results.panel) - len(ranked)
    if left > 0:
        yield Line(
            f"{left:,} more: cherry_pick.csv has every series, items.parquet each with its cutoffs.", "quiet"
        )


def _saved(results: Results) -> Iterator[Part]:
    panel, trials = results.panel, results.trials
    yield Heading("What was validated, and what was saved")
    cutoffs = [
        sorted({trials.one(series, trials.models[0], window).cutoff for series in trials.series})
        for window in trials.windows
    ]
    rows = []
    for window, found in zip(trials.windows, cutoffs, strict=True):
        first, last = panel.frequency.text(found[0]), panel.frequency.text(found[-1])
        rows.append(
            (
                f"window {window}",
                first if first == last else f"{first} to {last}",
                f"{results.config.horizon} steps",
            )
        )
    ends = sorted({panel.cutoff(one) for one in panel.series})
    first, last = panel.frequency.text(ends[0]), panel.frequency.text(ends[-1])
    rows.append(("saved", first if first == last else f"{first} to {last}", ""))
    yield Table(("fit", "learns up to", "judged on the next"), rows)
    yield Line(
        "The errors are those of the fits of the windows. The models in the folder models were fitted once more, on all the "
        "data, and were not judged themselves."
    )


def _failed(results: Results) -> Iterator[Part]:
    failed = results.trained.failed
    if not failed:
        return
    yield Heading("Models that failed")
    yield Line("They are left out everywhere above; the folder failures says more.", "warning")
    yield Table(("model", "why"), list(failed.items()))


def _reading(results: Results) -> Iterator[Part]:
    season = results.panel.season_length
    before = "one season" if season > 1 else "one step"
    yield Heading("How to read this")
    yield Line(
        f"MASE: the mean absolute error over the mean absolute difference to {before} ({_counted(season, 'step')}) before, in the "
        "values before the cutoff (Hyndman and Koehler 2006). Below 1 is better than repeating what was."
    )
    yield Line("sMAPE: the mean of 200 |y − f| / (|y| + |f|), in percent (Makridakis and Hibon 2000).")
    yield Line(
        "Windows that the choice did not see: for each window from the second on, models are chosen by the earlier windows "
        "alone."
    )
    if any(not _own(results, model) for model in results.trials.models):
        yield Line(
            "Conformal intervals are as wide as errors of the validation; those of a window come from the other windows."
        )
    constant = [series for series in results.trials.series if series not in results.chosen_errors]
    if constant and results.scaled:
        yield Line(
            f"{_counted(len(constant), 'series')} without a MASE {'is' if len(constant) == 1 else 'are'} in no mean of it.",
            "warning",
        )
    yield Line(f"{_ABSENT} means not defined. It is not 0.")


def _number(value: float | None) -> str:
    if value is None:
        return _ABSENT
    return (
        f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 or noun == 'series' else 's'}"
