"""The report of a model search: Markdown with pictures, and a page that stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from corrida.analysis.blocks import Heading, Line, Table
from corrida.analysis.pages import Banner, Figure, Part
from corrida.pipelines.model_search import charts
from corrida.pipelines.model_search.leaderboard import NAMES
from corrida.pipelines.report_files import save_report
from corrida.runs.numbers import format_number

if TYPE_CHECKING:
    import numpy as np

    from corrida.analysis.blocks import Style
    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.model_search.charts.search import Candidate
    from corrida.pipelines.model_search.data import Prepared
    from corrida.pipelines.model_search.importances import Importance
    from corrida.pipelines.model_search.leaderboard import Leaderboard, Standing

_ABSENT: Final = "–"
_MOST_FEATURES = 30
_STYLES: Mapping[str, Style] = {"chosen": "strong", "worse": "quiet", "failed": "bad"}
_METRICS: Mapping[str, Sequence[str]] = {
    "regression": ("r2", "rmse", "mae"),
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", "log_loss"),
}
_TITLES = {
    "r2": "R²", "rmse": "RMSE", "mae": "MAE", "mse": "MSE", "median_ae": "median AE", "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.", "f1_macro": "F1 macro", "log_loss": "log loss", "roc_auc": "ROC AUC",
}  # fmt: skip


@dataclass(frozen=True)
class SearchStory:
    """All that a report tells.

    Attributes:
        target: what is predicted.
        prepared: the data.
        board: the models side by side.
        traces: the candidates of each model.
        method: of the search.
        output: predictions of the chosen model for the test rows.
        importances: by model.
        warnings: what was said of the data.
        stopped: why searches ended early, by model.
    """

    target: str
    prepared: Prepared
    board: Leaderboard
    traces: Mapping[str, Sequence[Candidate]]
    method: str
    output: np.ndarray[Any, Any]
    importances: Mapping[str, Sequence[Importance]]
    warnings: Sequence[str] = ()
    stopped: Mapping[str, str] = field(default_factory=dict)


def write_report(story: SearchStory, recorder: Recorder) -> None:
    """Save ``report.md`` with its pictures in ``assets/``, and ``report.html``, which stands alone.

    Without the extra ``report`` the text is saved without pictures, and a warning says what to install.
    """
    save_report(recorder, f"Models for {story.target}", report_parts(story), subtitle=_subtitle(story))


def report_parts(story: SearchStory) -> list[Part]:
    """Return the report as headings, lines, tables and figures, the answer first."""
    return [
        _banner(story.board),
        *_models(story),
        *_answers(story),
        *_importances(story),
        *_tried(story),
        *_data(story),
        *_reading(story),
    ]


def chosen_sentence(board: Leaderboard) -> str:
    """Say which model is chosen, how good it is, and which are as good."""
    one, name = board.chosen, _TITLES[board.metric]
    text = f"{one.model}, chosen by validation"
    if one.value is not None:
        ends = "" if one.value_low is None else f" ({number(one.value_low)} to {number(one.value_high)})"
        text += f", has test {name} {number(one.value)}{ends}"
    if board.as_good:
        text += f"; {_and(board.as_good)} may be as good"
    better = [s.model for s in board.standings if s.state == "better"]
    if better:
        text += f"; {_and(better)} {'does' if len(better) == 1 else 'do'} better on the test rows"
    return text


def number(value: float | None) -> str:
    """Return a number with four digits; a dash where there is none."""
    return _ABSENT if value is None else format_number(float(f"{value:.4g}"))


def _subtitle(story: SearchStory) -> str:
    facts = story.prepared.facts
    split = facts["split"]
    how = {
        "time": "by time",
        "group": f"by {split.get('column')}",
        "stratified": "by class",
        "random": "at random",
    }
    return (
        f"{facts['task']}, {facts['rows']:,} rows, split {how[split['by']]}: {split['train_rows']:,} to learn from, "
        f"{split['test_rows']:,} to test"
    )


def _banner(board: Leaderboard) -> Banner:
    said = chosen_sentence(board).removeprefix(f"{board.chosen.model}, ")
    return Banner(board.chosen.model, f"{said[:1].upper()}{said[1:]}.", "good")


def _models(story: SearchStory) -> list[Part]:
    board = story.board
    parts: list[Part] = [Heading("Models")]
    chart = charts.leaderboard_chart(board)
    if chart is not None:
        parts.append(Figure("leaderboard", chart, chosen_sentence(board)))
    shown = [
        m for m in _METRICS[story.prepared.task] if any(f"test_{m}" in s.metrics for s in board.standings)
    ]
    difference = {"squared": "MSE − chosen", "absolute": "MAE − chosen", "wrong": "errors − chosen"}[
        board.loss
    ]
    columns = [
        "model", f"val {_TITLES.get(board.scoring, board.scoring)}", *(f"test {_TITLES[m]}" for m in shown), difference,
        "p (Holm)", "", "search s",
    ]  # fmt: skip
    rows = [_row(one, shown) for one in board.standings]
    right = frozenset(range(1, len(shown) + 4)) | {len(shown) + 5}
    styles = [_STYLES.get(one.state, "plain") for one in board.standings]
    parts.append(Table(columns, rows, right, styles))
    parts += [
        Line(f"{one.model} failed: {one.reason}", "bad") for one in board.standings if one.state == "failed"
    ]
    parts += [Line(f"{model}: {why}", "quiet") for model, why in story.stopped.items() if why]
    settings = [(s.model, s.params) for s in board.standings if s.params]
    if settings:
        parts.append(Heading("Best settings"))
        parts.append(
            Table(
                ("model", "settings"),
                [
                    [model, ", ".join(f"{k}={_value(v)}" for k, v in params.items())]
                    for model, params in settings
                ],
            )
        )
    return parts


def _row(one: Standing, shown: Sequence[str]) -> list[str]:
    spread = f" ± {number(one.val_std)}" if one.val_std is not None else ""
    interval = _ABSENT
    if one.difference is not None:
        interval = f"{one.difference:+.3g} ({one.low:+.3g} to {one.high:+.3g})"
    adjusted = (
        _ABSENT
        if one.p_adjusted is None
        else ("<0.001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}")
    )
    word = {"better": "better on test"}.get(one.state, one.state)
    return [
        one.model,
        f"{number(one.val)}{spread}" if one.val is not None else _ABSENT,
        *(number(one.metrics.get(f"test_{name}")) for name in shown),
        interval,
        adjusted,
        word,
        _ABSENT if one.seconds is None else f"{one.seconds:.1f}",
    ]


def _value(value: Any) -> str:
    return (
        f"{value:.3g}" + (".0" if value.is_integer() and abs(value) < 100 else "")
        if isinstance(value, float)
        else str(value)
    )


def _answers(story: SearchStory) -> list[Part]:
    prepared, model = story.prepared, story.board.chosen.model
    if prepared.task == "classification":
        expected = [str(one) for one in prepared.y_test]
        output = [str(one) for one in story.output]
        return [
            Heading("What it answers"),
            Figure("confusion", charts.confusion_chart(model, expected, output), f"How often {model} takes one class for another"),
        ]  # fmt: skip
    times = blocks = None
    if prepared.times is not None and prepared.facts["split"]["by"] == "time":
        times = [str(one) for one in prepared.times.dt.strftime("%Y-%m-%dT%H:%M:%S").to_list()]
        blocks = (
            prepared.test_columns["block"].to_list() if "block" in prepared.test_columns.columns else None
        )
    chart = charts.residuals_chart(model, story.target, prepared.y_test, story.output, times, blocks)
    return [Heading("What it answers"), Figure("residuals", chart, f"Predictions and residuals of {model}")]


def _importances(story: SearchStory) -> list[Part]:
    model = story.board.chosen.model
    own = story.importances.get(model, ())
    words = {"squared": "mean squared error", "absolute": "mean absolute error", "wrong": "share of errors"}
    chart = charts.importances_chart(model, own, words[story.board.loss])
    if chart is None:
        return []
    parts: list[Part] = [Heading("What it goes by"), Figure("importances", chart, f"What {model} goes by")]
    others = {name: found for name, found in story.importances.items() if found}
    if len(others) > 1:
        ranks = {
            name: {one.column: place for place, one in enumerate(found, 1)} for name, found in others.items()
        }
        columns = [one.column for one in own][:_MOST_FEATURES]
        rows = [[c, *(str(ranks[name].get(c, _ABSENT)) for name in others)] for c in columns]
        parts.append(Line("The rank of each column in each model, 1 for the one that matters most:", "quiet"))
        parts.append(Table(("column", *others), rows, frozenset(range(1, len(others) + 1))))
    return parts


def _tried(story: SearchStory) -> list[Part]:
    board = story.board
    traces = charts.traces_chart(story.traces, board.scoring, higher=board.higher)
    if traces is None:
        return []
    count = sum(len(found) for found in story.traces.values())
    parts: list[Part] = [
        Heading("What was tried"),
        Line(f"{count} candidates by the method {story.method}, each in {len(story.prepared.folds)} folds."),
        Figure("search", traces, "The score of each candidate of each model"),
    ]
    one = next((s.model for s in board.standings if len(story.traces.get(s.model, ())) > 3), None)
    if one is not None:
        chart = charts.settings_chart(one, story.traces[one], board.scoring, higher=board.higher)
        if chart is not None:
            parts.append(Figure("settings", chart, f"The score of {one} by its settings"))
    return parts


def _data(story: SearchStory) -> list[Part]:
    facts = story.prepared.facts
    split, folds = facts["split"], facts["folds"]
    rows = [["target", f"{facts['target']} ({facts['task']})"]]
    features = [f"{name} ({kind})" for name, kind in facts["features"].items()]
    more = len(features) - _MOST_FEATURES
    rows.append(
        ["learnt from", ", ".join(features[:_MOST_FEATURES]) + (f" and {more} more" if more > 0 else "")]
    )
    for side in ("train", "test"):
        text = f"{split[f'{side}_rows']:,} rows"
        if f"{side}_from" in split:
            text += f", {split[f'{side}_from']} to {split[f'{side}_until']}"
        rows.append([f"{side} rows", text])
    if "test_groups" in split:
        names = [str(one) for one in split["test_groups"]]
        rows.append(
            [
                "test groups",
                ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else ""),
            ]
        )
    if split.get("gap"):
        rows.append(["gap", f"{split['gap']} times, {split['gap_rows']:,} rows are on neither side"])
    rows.append(["folds", _folds(folds)])
    parts: list[Part] = [Heading("Data"), Table(("", ""), rows)]
    parts += [Line(text, "warning") for text in story.warnings]
    return parts


def _folds(folds: Sequence[Mapping[str, Any]]) -> str:
    first, last = folds[0], folds[-1]
    if "validation_from" in first:
        return (
            f"{len(folds)}, each learns from what came before: the first validates {first['validation_from']} to "
            f"{first['validation_until']}, the last {last['validation_from']} to {last['validation_until']}"
        )
    return f"{len(folds)} of about {first['validation_rows']:,} rows"


def _reading(story: SearchStory) -> list[Part]:
    board = story.board
    units = f"{board.units} {board.clustered}s as wholes" if board.clustered else f"{board.units:,} rows"
    told = {"squared": "squared errors", "absolute": "absolute errors", "wrong": "right and wrong answers"}[
        board.loss
    ]
    lines = [
        "The model is chosen by validation in the training rows; the test rows have no say in it.",
        (
            f"Differences: {board.test or 'no test'} on {told} of the same test rows ({units}), {100 * board.confidence:g} % "
            "intervals, p-values with Holm's correction over the models."
        ),
        f"Shown as {_TITLES[NAMES[board.loss]]}: {'root of the mean squared error' if board.loss == 'squared' else 'mean over the test rows'}.",
    ]
    if board.clustered == "block":
        lines.append("A block is some neighbouring times: their errors are alike, so they count as one.")
    return [Heading("How to read this"), *(Line(text, "quiet") for text in lines)]


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
