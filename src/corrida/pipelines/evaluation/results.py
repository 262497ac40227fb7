"""All results of an evaluation as plain structs: what metrics, tables, charts and the report are made of.

Nothing here computes anything but ratios of counts. A number that is not defined (nothing to divide by) is None, never
0. :func:`msgspec.to_builtins` turns the whole into JSON, and ``msgspec.convert(..., Evaluation)`` back.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Axis = Literal["matcher", "strategy", "model"]
AXES: tuple[Axis, ...] = ("matcher", "strategy", "model")
Rate = Literal["precision", "recall", "f1"]
RATES: tuple[Rate, ...] = ("precision", "recall", "f1")


class Estimate(msgspec.Struct, frozen=True):
    """A number with its interval.

    Attributes:
        value: the number.
        low: lower end of the interval; None when there is none, as with a single cluster.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


class Counts(msgspec.Struct, frozen=True):
    """Decisions counted in units of (item, label).

    Attributes:
        tp: true labels that were found, once or ten times.
        fp: labels that were given and are not true, and names of detections that no label was given to.
        fn: true labels that were not found.
    """

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float | None:
        """Return tp / (tp + fp); None without any detection."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Return tp / (tp + fn); None without any true label."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """Return 2 tp / (2 tp + fp + fn); None where recall is: without true labels there is nothing to find."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn) if self.tp + self.fn else None


class Rates(msgspec.Struct, frozen=True):
    """Precision, recall and F1, each with its interval; None where not defined."""

    precision: Estimate | None = None
    recall: Estimate | None = None
    f1: Estimate | None = None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the grid.

    Attributes:
        matcher, strategy, model: where it is.
        counts: over all its items.
        rates: of those counts (micro averages), with cluster-bootstrap intervals.
        items: how many items were counted.
        failed: items that the detector could not answer; they are not counted, neither as clean nor as missed.
        detections: how many detections were matched.
        unmatched: how many of them got no label.
        clean_items: items without true labels.
        clean_fp: false positives in them.
        clean_flagged: how many of them have a false positive.
    """

    matcher: str
    strategy: str
    model: str
    counts: Counts
    rates: Rates
    items: int
    failed: int = 0
    detections: int
    unmatched: int
    clean_items: int
    clean_fp: int
    clean_flagged: int

    @property
    def name(self) -> str:
        """``matcher+strategy+model``."""
        return cell_name(self.matcher, self.strategy, self.model)

    @property
    def clean_fp_rate(self) -> float | None:
        """False positives for each clean item; None without clean items."""
        return _ratio(self.clean_fp, self.clean_items)


class Mean(msgspec.Struct, frozen=True, kw_only=True):
    """The means over all cells of one matcher, strategy or model.

    Attributes:
        axis: what the cells have in common.
        name: the matcher, strategy or model.
        cells: how many there are.
        counts: summed over the cells.
        micro: of the summed counts.
        macro: the mean of the cells' rates; a cell in which one is not defined is left out of it.
    """

    axis: Axis
    name: str
    cells: int
    counts: Counts
    micro: Rates
    macro: Rates


class LabelCount(msgspec.Struct, frozen=True, kw_only=True):
    """How one label fared in one cell.

    Attributes:
        cell: ``matcher+strategy+model``.
        label: its id; name and topic stand in :class:`LabelInfo`.
        expected: items that have it.
        found: how many of those got it.
        wrong: items that got it without having it.
    """

    cell: str
    label: str
    expected: int
    found: int
    wrong: int

    @property
    def recall(self) -> float | None:
        """Found / expected; None when no item has it."""
        return _ratio(self.found, self.expected)


class TopicCount(msgspec.Struct, frozen=True, kw_only=True):
    """How the labels of one topic fared in one cell; see :class:`LabelCount`."""

    cell: str
    topic: str
    expected: int
    found: int
    wrong: int

    @property
    def recall(self) -> float | None:
        """Found / expected; None when no item has a label of the topic."""
        return _ratio(self.found, self.expected)


class LabelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A label of the taxonomy, and how many items have it."""

    label: str
    name: str
    topic: str | None = None
    expected: int = 0


class ReliabilityBin(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions whose confidence lies in (low, high], the first bin with its lower end.

    Attributes:
        low, high: ends of the bin.
        count: decisions in it; a bin without any is left out.
        confidence: their mean.
        precision: the share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    precision: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a cell is right as often as it is confident.

    A decision is a label given to an item, or a name without a label (never right); its confidence is the greatest of
    its detections. Decisions without a confidence are left out.

    Attributes:
        cell: ``matcher+strategy+model``.
        decisions: how many have a confidence.
        without: how many have none.
        ece: expected calibration error over the bins.
        brier: mean squared difference of confidence and being right.
        bins: the reliability curve.
    """

    cell: str
    decisions: int
    without: int
    ece: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


class CohenKappa(msgspec.Struct, frozen=True, kw_only=True):
    """How two models agree on which labels items have; kappa is None when both always say the same one thing."""

    a: str
    b: str
    kappa: float | None
    observed: float


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How the models agree under one matcher and strategy.

    The unit is (item, label) over all items that every model answered and all labels of the taxonomy.

    Attributes:
        matcher, strategy: under which.
        models: at least two, sorted.
        units: items × labels.
        cohen: each pair of models.
        fleiss: all models together; None when they always say the same one thing.
    """

    matcher: str
    strategy: str
    models: tuple[str, ...]
    units: int
    cohen: tuple[CohenKappa, ...]
    fleiss: float | None


class Contrast(msgspec.Struct, frozen=True, kw_only=True):
    """A paired difference ``b - a`` of F1 between two matchers (macro means) or two cells.

    Attributes:
        a, b: matchers, or cells.
        f1_a, f1_b: on the items that both have.
        difference: ``f1_b - f1_a``, with ``low`` and ``high``.
        p_value: two-sided, of this test alone.
        p_adjusted: by Holm's method for all contrasts of its kind.
        real: whether the difference is more than chance, at 1 - confidence after adjusting.
        judgement: ``higher``, ``lower``, ``tied`` (the interval lies inside the margin) or ``underpowered``.
        clusters: independent units.
    """

    a: str
    b: str
    f1_a: float
    f1_b: float
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    real: bool
    judgement: Literal["higher", "lower", "tied", "underpowered"]
    clusters: int


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The cell with the greatest F1.

    It was picked among all cells on the same items, so its own F1 is a little too good; the sweep and other seeds say
    how much.

    Attributes:
        cell: ``matcher+strategy+model``.
        f1: with its interval.
        contrasts: every other cell (b) against it (a), the best first.
        tied: the cells whose difference from it may be chance.
    """

    cell: str
    f1: Estimate
    contrasts: tuple[Contrast, ...] = ()
    tied: tuple[str, ...] = ()


class SweepPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a matcher over all its cells at one threshold, on the half where thresholds are chosen."""

    threshold: float
    counts: Counts


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds of one matcher, chosen on one half of the clusters and reported on the other.

    Attributes:
        matcher: whose.
        points: on the choosing half, thresholds ascending: the precision-recall curve.
        chosen: the threshold with the greatest F1 there; the greater one of several.
        configured: the threshold that the run used.
        at_chosen: counts on the other half at the chosen threshold.
        at_configured: counts on the other half at the configured threshold.
        clusters_choosing, clusters_reporting: sizes of the halves.
    """

    matcher: str
    points: tuple[SweepPoint, ...]
    chosen: float
    configured: float
    at_chosen: Counts
    at_configured: Counts
    clusters_choosing: int
    clusters_reporting: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an evaluation found.

    Attributes:
        matchers, strategies, models: the axes in the order in which they are shown; a (strategy, model) pair that does
            not occur in the detections has no cells.
        thresholds: of each matcher.
        items, clean_items, clusters: what was evaluated; ``clusters`` equals ``items`` when nothing says which belong
            together.
        labels: the taxonomy in its order.
        cells: matchers, then strategies, then models.
        means: of matchers, strategies and models.
        label_counts: labels that are expected or were given, by cell.
        topic_counts: labels without a topic are under ``""``.
        calibration: of cells with confidences.
        agreement: under each matcher and strategy with at least two models.
        matcher_contrasts: matchers in pairs.
        best: None when no cell has an F1.
        sweeps: empty when thresholds were not swept.
        confidence, resamples, seed: of the intervals.
        dataset: facts of the dataset, as in manifest.json.
    """

    matchers: tuple[str, ...]
    strategies: tuple[str, ...]
    models: tuple[str, ...]
    thresholds: dict[str, float]
    items: int
    clean_items: int
    clusters: int
    labels: tuple[LabelInfo, ...]
    cells: tuple[Cell, ...]
    means: tuple[Mean, ...]
    label_counts: tuple[LabelCount, ...]
    topic_counts: tuple[TopicCount, ...]
    calibration: tuple[Calibration, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    matcher_contrasts: tuple[Contrast, ...] = ()
    best: Best | None = None
    sweeps: tuple[Sweep, ...] = ()
    confidence: float = 0.95
    resamples: int = 10_000
    seed: int = 0
    dataset: dict[str, object] = {}

    def cell(self, matcher: str, strategy: str, model: str) -> Cell | None:
        """Return a cell of the grid; None when the pair of strategy and model does not occur."""
        name = cell_name(matcher, strategy, model)
        return next((cell for cell in self.cells if cell.name == name), None)

    def mean(self, axis: Axis, name: str) -> Mean | None:
        """Return the means of one matcher, strategy or model."""
        return next((mean for mean in self.means if mean.axis == axis and mean.name == name), None)


def cell_name(matcher: str, strategy: str, model: str) -> str:
    """Return the name of a cell, as it stands in metrics and items."""
    return f"{matcher}+{strategy}+{model}"


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
