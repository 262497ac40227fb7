"""The report of a risk run: the answer first, then the model card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.analysis.blocks import Heading, Line, Table
from corrida.analysis.pages import Banner, Figure, Part, page_html, page_markdown
from corrida.errors import MissingExtra
from corrida.pipelines.risk import charts
from corrida.pipelines.risk.features import FEATURES
from corrida.pipelines.risk.metrics import confusion, outvoted
from corrida.pipelines.risk.settings import ALARMS, CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.risk.settings import RiskConfig
    from corrida.pipelines.risk.thresholds import Learned
    from corrida.pipelines.risk.training import Trained

TITLE = "Risk of transactions"
_SAID_OF_LAYERS = {
    "guardrail": "the limits of the law",
    "supervised": "the ensemble, by its learned thresholds",
    "unsupervised": "the anomalies alone",
    "none": "nobody: limpio",
}


def write_report(
    trained: Trained,
    config: RiskConfig,
    items: pl.DataFrame,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
    recorder: Recorder,
) -> None:
    """Save ``report.md`` with its pictures in ``assets/``, and ``report.html``, which stands alone.

    Without the extra ``report`` the text is saved without pictures, and a warning says what to install.
    """
    parts = report_parts(trained, config, items, metrics, facts)
    subtitle = f"{items.height:,} test transactions of {items['client'].n_unique():,} clients; guardrails {config.guardrails.version}"
    try:
        text, pictures = page_markdown(TITLE, parts, subtitle=subtitle)
        page = page_html(TITLE, parts, subtitle=subtitle)
    except MissingExtra as error:
        recorder.warn(f"report.md has no pictures and there is no report.html: {error}")
        plain = [part for part in parts if not isinstance(part, Figure)]
        recorder.save_text("report.md", page_markdown(TITLE, plain, subtitle=subtitle)[0])
        return
    for name, picture in pictures.items():
        recorder.save_bytes(name, picture)
    recorder.save_text("report.md", text)
    recorder.save_text("report.html", page)


def report_parts(
    trained: Trained,
    config: RiskConfig,
    items: pl.DataFrame,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
) -> list[Part]:
    """Return the report as headings, lines, tables and figures."""
    return [
        *_answer(metrics),
        *_classes(trained, items, metrics),
        *_thresholds(trained, config),
        *_risks(trained, metrics),
        *_features(trained),
        *_card(trained, config, facts),
        *_law(config),
    ]


def _answer(metrics: Mapping[str, float]) -> list[Part]:
    parts = [f"A test transaction costs {metrics['cost']:,.2f} in mistakes on average."]
    parts += [
        f"Alarms of at least {alarm}: {metrics[f'missed.{alarm}']:,} missed, {metrics[f'false_alarms.{alarm}']:,} false."
        for alarm in ALARMS
        if f"missed.{alarm}" in metrics
    ]
    return [Banner(f"cost {metrics['cost']:,.2f}", " ".join(parts))]


def _classes(trained: Trained, items: pl.DataFrame, metrics: Mapping[str, float]) -> list[Part]:
    rows = []
    counts = confusion(items, trained.lowest)
    for name, row in zip(CLASSES[trained.lowest :], counts, strict=True):
        rates = [_rate(metrics.get(f"{rate}.{name}")) for rate in ("precision", "recall", "f1")]
        rows.append((name, *rates, f"{sum(row):,}"))
    layers = [
        (name, _SAID_OF_LAYERS[name], f"{count:,}") for name, count in outvoted(trained.decided).items()
    ]
    return [
        Heading("Classes"),
        Table(("class", "precision", "recall", "F1", "true ones"), rows[::-1], right=frozenset({1, 2, 3, 4})),
        Figure(
            "confusion",
            charts.confusion_chart(items, trained.lowest),
            "Counts of true against given classes.",
        ),
        Line("Who decided:"),
        Table(("layer", "", "test transactions"), layers[::-1], right=frozenset({2})),
    ]


def _thresholds(trained: Trained, config: RiskConfig) -> list[Part]:
    if not trained.learned:
        return []
    rows = []
    for alarm, one in trained.learned.items():
        costs = getattr(config.thresholds, alarm)
        rows.append(
            (
                alarm,
                f"{one.threshold:g}",
                f"{one.costs.min():,.3f}",
                f"{one.by_learning:g}",
                _span(one),
                f"{costs.missed:,.0f} / {costs.false_alarm:,.0f}",
            )
        )
    parts: list[Part] = [
        Heading("Thresholds"),
        Line(
            "Learned by Q-learning on the costs of mistakes, and checked against every threshold of the grid."
        ),
        Table(
            ("alarm", "used", "cost", "learned", "cheapest", "cost of missed / false"),
            rows,
            right=frozenset({1, 2, 3, 4}),
        ),
    ]
    parts += [
        Line(
            f"{one.alarm}: none costs less than {one.end:g}, an end of the grid; a wider grid may be cheaper.",
            "warning",
        )
        for one in trained.learned.values()
        if one.end is not None and one.positives
    ]
    return [
        *parts,
        Figure("thresholds", charts.cost_curves(trained), "Mean cost by threshold, one panel an alarm."),
        Figure("learning", charts.learning_curves(trained), "Threshold and change of values by episode."),
    ]


def _risks(trained: Trained, metrics: Mapping[str, float]) -> list[Part]:
    rows = [
        (alarm, *(_rate(metrics.get(f"{name}.{alarm}")) for name in ("auc_pr", "ece", "brier")))
        for alarm in ALARMS
        if f"ece.{alarm}" in metrics
    ]
    if not rows:
        return []
    return [
        Heading("Risks"),
        Line("A risk is the calibrated probability that a transaction is at least of the class."),
        Table(
            ("at least", "AUC-PR", "calibration error (ECE)", "Brier score"), rows, right=frozenset({1, 2, 3})
        ),
        Figure(
            "reliability",
            charts.reliability_curves(trained),
            "Risks that were given against shares that were so.",
        ),
        Figure(
            "precision_recall", charts.precision_recall(trained), "Precision against recall of the alarms."
        ),
    ]


def _features(trained: Trained) -> list[Part]:
    chart = charts.importance_chart(trained)
    figure: list[Part] = [] if chart is None else [Figure("importance", chart, "Importance of features.")]
    rows = [(one.name, one.meaning) for one in FEATURES]
    return [Heading("Features"), *figure, Table(("feature", "what it is"), rows)]


def _card(trained: Trained, config: RiskConfig, facts: Mapping[str, Any]) -> list[Part]:
    labels = ", ".join(f"{name} {count:,}" for name, count in facts["labels"].items())
    s, a, c = config.supervised, config.anomaly, trained.counts
    kinds = ", ".join(
        f"{CLASSES[level]} {one.kind}" for level, one in sorted(trained.layers.ensemble.calibrations.items())
    )
    rows = [
        ("meant for", "pointing people to transactions they should look at; a person decides, and the law is read by lawyers"),
        ("not meant for", "deciding alone about a client; other countries' laws; data unlike the training data (see drift)"),
        ("data", f"{facts['transactions']:,} transactions of {facts['clients']:,} clients, {facts['first']} to {facts['last']}; {labels}"),
        ("split", f"by {config.split.by}: {c['train']:,} to learn, {c['calibration']:,} to calibrate and choose thresholds, {c['test']:,} to measure"),
        ("layer 1", f"stacking of boosted trees ({s.boosting_rounds} rounds), a forest ({s.forest_trees} trees) and a linear model; calibration: {kinds}"),
        ("layer 2", f"isolation forest ({a.trees} trees) and k-means ({a.clusters} clusters), as shares of the training rows; alarm from {a.alarm:.1%} on by both"),
        ("layer 3", f"Q-learning over {config.thresholds.points} thresholds from {config.thresholds.low:g} to {config.thresholds.high:g}"),
        ("law", f"{config.guardrails.law}, version {config.guardrails.version}"),
        ("history", "of a client, 180 days back; a new file without history is scored as if its clients had none before"),
        ("dates", "a date without a time gives no hour, and no night"),
        ("errors", "a row that cannot be scored, or a model that fails, is an error and never a class"),
    ]  # fmt: skip
    return [Heading("Model card"), Table(("", ""), rows)]


def _law(config: RiskConfig) -> list[Part]:
    law = config.guardrails
    latest = max(law.uma, key=lambda one: one.to)
    rows = []
    for activity in law.activities:
        one = max(activity.limits, key=lambda limits: limits.from_)
        limits = [_uma(value) for value in (one.identification, one.notice, one.cash)]
        rows.append((activity.activity, *limits, one.source))
    return [
        Heading("Limits of the law"),
        Line(
            f"In UMA a day, the latest of each activity; one UMA is {latest.value:g} pesos until {latest.to} ({latest.source})."
        ),
        Line(law.about, "quiet"),
        Table(("activity", "identification", "notice", "cash", "source"), rows, right=frozenset({1, 2, 3})),
    ]


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _span(one: Learned) -> str:
    best = one.grid[one.costs <= one.costs.min() + 1e-12]
    return f"{best[0]:g}" if len(best) == 1 else f"{best[0]:g} to {best[-1]:g}"


def _uma(value: float | None) -> str:
    return "–" if value is None else "always" if value == 0 else f"{value:,.0f}"
