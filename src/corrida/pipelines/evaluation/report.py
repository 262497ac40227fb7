"""The report of an evaluation: Markdown with pictures, and a page that stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from corrida.analysis.blocks import Heading, Line, Table
from corrida.analysis.pages import Banner, Figure, Part
from corrida.pipelines.evaluation import charts
from corrida.pipelines.report_files import save_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from corrida.analysis.blocks import Style
    from corrida.analysis.charts.theme import Spec
    from corrida.pipelines.contract import Recorder
    from corrida.pipelines.evaluation.results import Cell, Contrast, Estimate, Evaluation, Rates, Sweep

TITLE: Final = "Evaluation"
_MOST_FACTS = 12
_MOST_LABELS = 30
_ABSENT = charts.ABSENT


def write_report(evaluation: Evaluation, recorder: Recorder) -> None:
    """Save ``report.md`` with its pictures in ``assets/``, and ``report.html``, which stands alone.

    Without the extra ``report`` the text is saved without pictures, and a warning says what to install: the numbers of a
    run are not lost for want of a picture.

    Args:
        evaluation: what was found.
        recorder: of the run.
    """
    save_report(recorder, TITLE, report_parts(evaluation), subtitle=_subtitle(evaluation))


def report_parts(evaluation: Evaluation) -> list[Part]:
    """Return the report as headings, lines, tables and figures, the answer first."""
    parts: list[Part] = [_banner(evaluation)]
    parts += _data(evaluation)
    parts += _best(evaluation)
    parts += _grid(evaluation)
    parts += _means(evaluation)
    parts += _contrasts(evaluation)
    parts += _labels(evaluation)
    parts += _clean(evaluation)
    parts += _calibration(evaluation)
    parts += _agreement(evaluation)
    parts += _thresholds(evaluation)
    parts += _failed(evaluation)
    parts += _reading(evaluation)
    return parts


def _subtitle(evaluation: Evaluation) -> str:
    clusters = f" of {evaluation.clusters:,} clusters" if evaluation.clusters != evaluation.items else ""
    grid = " × ".join(
        _counted(len(names), word)
        for names, word in (
            (evaluation.matchers, "matcher"),
            (evaluation.strategies, "strategy"),
            (evaluation.models, "model"),
        )
    )
    return f"{_counted(evaluation.items, 'item')}{clusters}; {grid}"


def _banner(evaluation: Evaluation) -> Banner:
    best = evaluation.best
    if best is None:
        return Banner(
            "no F1",
            "No item has a label, so there is nothing to find: only false positives are counted.",
            "warning",
        )
    text = f"{best.cell} has the greatest F1: {_interval(best.f1)}. "
    if not best.contrasts:
        return Banner(f"F1 {best.f1.value:.3f}", f"{text}There is no other cell to compare it with.")
    # Where neither limit moves from 0, every resample of the items gave both cells the same F1.
    same = {one.b for one in best.contrasts if not one.low and not one.high}
    others = [name for name in best.tied if name not in same]
    if best.tied:
        parts = [f"{len(same)} {'has' if len(same) == 1 else 'have'} the same counts"] if same else []
        parts += [f"{len(others)} may be as good, since the difference may be chance"] if others else []
        text += f"Of {_counted(len(best.contrasts), 'other cell')} {'; '.join(parts)}. They are listed below."
    else:
        text += f"Each of the other {_counted(len(best.contrasts), 'cell')} is lower by more than chance."
    return Banner(f"F1 {best.f1.value:.3f}", text, "plain" if best.tied else "good")


def _data(evaluation: Evaluation) -> list[Part]:
    facts = [
        (name, value)
        for name, value in evaluation.dataset.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    parts: list[Part] = [Heading("Data")]
    parts.append(
        Line(
            f"{evaluation.items:,} items, of which {evaluation.clean_items:,} are clean (no true label); "
            f"{len(evaluation.labels):,} labels in the taxonomy."
        )
    )
    if facts:
        rows = [(name.replace("_", " "), _fact(value)) for name, value in facts[:_MOST_FACTS]]
        parts.append(Table(("fact", "value"), rows))
    if len(facts) > _MOST_FACTS:
        parts.append(Line(f"{len(facts) - _MOST_FACTS} more stand in manifest.json.", "quiet"))
    return parts


def _best(evaluation: Evaluation) -> list[Part]:
    best = evaluation.best
    if best is None:
        return []
    parts: list[Part] = [Heading("Best cell, and what may be as good")]
    tied = [one for one in best.contrasts if one.b in best.tied]
    rows = [(best.cell, f"{best.f1.value:.3f}", _limits(best.f1), "", "", "best")]
    rows += [(c.b, f"{c.f1_b:.3f}", "", _difference(c), _p(c.p_adjusted), _judged(c)) for c in tied]
    parts.append(
        Table(
            ("cell", "F1", "interval", "less than the best by", "p (Holm)", ""),
            rows,
            right=frozenset({1}),
            styles=["strong"],
        )
    )
    parts.append(
        Line(
            "The best was picked among all cells on the same items, so its own F1 is a little too good. Other seeds "
            "say how much: corrida aggregate.",
            "quiet",
        )
    )
    return parts


def _grid(evaluation: Evaluation) -> list[Part]:
    parts: list[Part] = [Heading("Grid")]
    parts += _figure(
        "matcher_strategy_grid",
        charts.matcher_strategy_grid(evaluation),
        "F1 of every cell with its interval",
    )
    best = evaluation.best.cell if evaluation.best else None
    styles: list[Style] = ["strong" if cell.name == best else "plain" for cell in evaluation.cells]
    rows = [
        (
            cell.matcher,
            cell.strategy,
            cell.model,
            *(f"{n:,}" for n in (cell.counts.tp, cell.counts.fp, cell.counts.fn)),
            *_rates(cell.rates),
        )
        for cell in evaluation.cells
    ]
    columns = ("matcher", "strategy", "model", "tp", "fp", "fn", "precision", "recall", "F1")
    parts.append(Table(columns, rows, right=frozenset(range(3, 9)), styles=styles))
    return parts


def _means(evaluation: Evaluation) -> list[Part]:
    parts: list[Part] = [Heading("Matchers, strategies and models")]
    parts += _figure(
        "matcher_ablation",
        charts.matcher_ablation(evaluation),
        "precision, recall and F1 of each matcher with intervals",
    )
    rows = [
        (mean.axis, mean.name, str(mean.cells), *_rates(mean.macro), _short(mean.micro.f1))
        for mean in evaluation.means
    ]
    columns = ("", "name", "cells", "precision", "recall", "F1", "F1 of all counts")
    parts.append(Table(columns, rows, right=frozenset(range(2, 7))))
    parts.append(
        Line(
            "Means over cells, each counting the same; a cell in which a rate is not defined is left out of its mean.",
            "quiet",
        )
    )
    return parts


def _contrasts(evaluation: Evaluation) -> list[Part]:
    found = evaluation.matcher_contrasts
    if not found:
        return []
    rows = [
        (f"{c.b} − {c.a}", f"{c.difference:+.3f}", f"{c.low:+.3f} to {c.high:+.3f}", _p(c.p_value), _p(c.p_adjusted), _judged(c))
        for c in found
    ]  # fmt: skip
    columns = ("matchers", "difference of F1", "interval", "p", "p (Holm)", "")
    table = Table(columns, rows, right=frozenset({1, 3, 4}))
    note = f"Paired on the same items: whole clusters are swapped ({evaluation.resamples:,} times) and resampled."
    return [Heading("Matchers in pairs"), table, Line(note, "quiet")]


def _labels(evaluation: Evaluation) -> list[Part]:
    figures = [
        *_figure("label_recall", charts.label_recall(evaluation), "how often each label was found"),
        *_figure(
            "topic_heatmap", charts.topic_heatmap(evaluation), "recall of each topic by strategy and matcher"
        ),
    ]
    parts: list[Part] = [Heading("Labels and topics"), *figures] if figures else []
    best = evaluation.best
    if best is None or not parts:
        return parts
    about = {one.label: one for one in evaluation.labels}
    own = [one for one in evaluation.label_counts if one.cell == best.cell]
    wrong = sorted((one for one in own if one.wrong), key=lambda one: -one.wrong)[:_MOST_LABELS]
    never = [one for one in own if one.expected and not one.found]
    if never:
        names = ", ".join(one.label for one in never[:_MOST_LABELS])
        more = f" and {len(never) - _MOST_LABELS} more" if len(never) > _MOST_LABELS else ""
        parts.append(Line(f"Never found in the best cell: {names}{more}."))
    if wrong:
        parts.append(Line("Labels that the best cell gave to items that do not have them:"))
        rows = [
            (one.label, about[one.label].name if one.label in about else "", f"{one.wrong:,}", f"{one.found:,}", f"{one.expected:,}")
            for one in wrong
        ]  # fmt: skip
        parts.append(
            Table(
                ("label", "name", "wrongly given", "rightly given", "expected"),
                rows,
                right=frozenset({2, 3, 4}),
            )
        )
    return parts


def _clean(evaluation: Evaluation) -> list[Part]:
    if not evaluation.clean_items:
        return [
            Heading("Clean items"),
            Line("There are none, so false alarms on items without a label could not be seen."),
        ]
    rows = [
        (cell.name, f"{cell.clean_fp:,}", _number(cell.clean_fp_rate), f"{cell.clean_flagged:,} of {cell.clean_items:,}", _share(cell))
        for cell in evaluation.cells
    ]  # fmt: skip
    columns = ("cell", "false positives", "for each clean item", "items with any", "")
    return [Heading("Clean items"), Table(columns, rows, right=frozenset({1, 2, 3, 4}))]


def _calibration(evaluation: Evaluation) -> list[Part]:
    if not evaluation.calibration:
        return []
    rows = [
        (one.cell, f"{one.decisions:,}", f"{one.without:,}", f"{one.ece:.3f}", f"{one.brier:.3f}")
        for one in evaluation.calibration
    ]
    columns = ("cell", "decisions", "without confidence", "expected calibration error", "Brier score")
    figures = _figure(
        "calibration", charts.calibration(evaluation), "confidence against the share that is right"
    )
    return [Heading("Calibration"), *figures, Table(columns, rows, right=frozenset({1, 2, 3, 4}))]


def _agreement(evaluation: Evaluation) -> list[Part]:
    rows = [
        (one.matcher, one.strategy, f"{pair.a}, {pair.b}", _number(pair.kappa), _number(pair.observed), _number(one.fleiss))
        for one in evaluation.agreement
        for pair in one.cohen
    ]  # fmt: skip
    if not rows:
        return []
    columns = ("matcher", "strategy", "models", "Cohen's kappa", "same decision", "Fleiss' kappa of all")
    note = "On items × labels. Most of those are rightly empty in both, so kappa says more than the share of same decisions."
    return [
        Heading("Agreement of models"),
        Table(columns, rows, right=frozenset({3, 4, 5})),
        Line(note, "quiet"),
    ]


def _thresholds(evaluation: Evaluation) -> list[Part]:
    parts: list[Part] = [Heading("Thresholds")]
    if not evaluation.sweeps:
        rows = [(name, f"{threshold:g}") for name, threshold in evaluation.thresholds.items()]
        parts.append(Table(("matcher", "threshold"), rows, right=frozenset({1})))
        parts.append(
            Line(
                "As configured, or the default. sweep.over: threshold chooses them on half of the clusters and reports "
                "on the other half.",
                "quiet",
            )
        )
        return parts
    parts += _figure(
        "precision_recall",
        charts.precision_recall(evaluation),
        "F1 by threshold, and precision against recall",
    )
    columns = ("matcher", "used here", "F1 there", "chosen", "F1 there", "clusters: chosen on", "reported on")
    parts.append(Table(columns, [_swept(one) for one in evaluation.sweeps], right=frozenset(range(1, 7))))
    parts.append(
        Line(
            "F1 is that of the half that had no part in choosing. This run used the thresholds of its configuration throughout.",
            "quiet",
        )
    )
    return parts


def _swept(sweep: Sweep) -> tuple[str, ...]:
    return (
        sweep.matcher,
        f"{sweep.configured:g}",
        _number(sweep.at_configured.f1),
        f"{sweep.chosen:g}",
        _number(sweep.at_chosen.f1),
        f"{sweep.clusters_choosing:,}",
        f"{sweep.clusters_reporting:,}",
    )


def _failed(evaluation: Evaluation) -> list[Part]:
    pairs = {
        (cell.strategy, cell.model): (cell.failed, cell.items) for cell in evaluation.cells if cell.failed
    }
    if not pairs:
        return []
    rows = [(s, m, f"{failed:,}", f"{items:,}") for (s, m), (failed, items) in pairs.items()]
    return [
        Heading("Not answered"),
        Line(
            "A detector could not answer these items. They count neither as clean nor as missed; failed.csv says why.",
            "warning",
        ),
        Table(("strategy", "model", "not answered", "counted"), rows, right=frozenset({2, 3})),
    ]


def _reading(evaluation: Evaluation) -> list[Part]:
    percent = f"{100 * evaluation.confidence:g} %"
    return [
        Heading("How to read this"),
        Line("Counted are pairs of item and label. A true label found once or ten times is one true positive."),
        Line("A label that the item does not have is a false positive, in clean items too; so is a finding without a label."),
        Line(
            f"Intervals hold {percent}: BCa bootstrap of {_counted(evaluation.clusters, 'cluster')}, "
            f"{evaluation.resamples:,} resamples, seed {evaluation.seed}."
        ),
        Line(f"{_ABSENT} means not defined: there is nothing to divide by. It is not 0."),
    ]  # fmt: skip


def _figure(name: str, spec: Spec | None, alt: str) -> Iterator[Figure]:
    if spec is not None:
        yield Figure(name, spec, alt)


def _rates(rates: Rates) -> Sequence[str]:
    return [_short(estimate) for estimate in (rates.precision, rates.recall, rates.f1)]


def _short(estimate: Estimate | None) -> str:
    """Return ``0.58 (0.46–0.69)``."""
    if estimate is None:
        return _ABSENT
    return f"{estimate.value:.2f}" + (
        f" ({estimate.low:.2f}–{estimate.high:.2f})"
        if estimate.low is not None and estimate.high is not None
        else ""
    )


def _interval(estimate: Estimate) -> str:
    """Return ``0.581 (0.460 to 0.690)``."""
    limits = _limits(estimate)
    return f"{estimate.value:.3f}" + (f" ({limits})" if limits != _ABSENT else "")


def _limits(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return _ABSENT
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def _difference(contrast: Contrast) -> str:
    numbers = (round(-n, 3) + 0.0 for n in (contrast.difference, contrast.high, contrast.low))
    return "{:.3f} ({:.3f} to {:.3f})".format(*numbers)


def _judged(contrast: Contrast) -> str:
    return {
        "higher": "higher",
        "lower": "lower",
        "tied": "the same, within the margin",
        "underpowered": "too few items to tell",
    }[contrast.judgement]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _number(value: float | None) -> str:
    return _ABSENT if value is None else f"{value:.3f}"


def _share(cell: Cell) -> str:
    return f"{100 * cell.clean_flagged / cell.clean_items:.1f} %" if cell.clean_items else _ABSENT


def _fact(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _counted(number: int, word: str) -> str:
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"
