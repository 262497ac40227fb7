"""All that is known of how two runs answered the same files: counts, scores with intervals, and single rows."""

from __future__ import annotations

import math
from collections import Counter
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.errors import RunNotFound
from corrida.inference.shadow_difference import NOT_SCORED, SHADOW, Difference, Moments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from corrida.inference.shadow import Shadow, Shadows
    from corrida.runs.store import Store

CONFIDENCE = 0.95
LEAST_UNITS = 30
"""Fewer rows give no interval: the mean of so few is not spread as the normal distribution says."""


class Made(msgspec.Struct, frozen=True):
    """A run, as it was when it answered."""

    id: str
    digest: str


class ScoreShift(msgspec.Struct, frozen=True, kw_only=True):
    """How far a score is apart, shadow less production.

    Attributes:
        name: of the column.
        rows: with a number in both.
        mean: of the differences.
        low, high: the interval of the mean; None where there are too few rows.
        unit: what was taken as independent: single ``rows``, or whole ``analyses`` where there are enough.
    """

    name: str
    rows: int
    mean: float
    low: float | None = None
    high: float | None = None
    unit: Literal["rows", "analyses"] = "rows"


class FileDifference(msgspec.Struct, frozen=True):
    """One analysis that both runs scored."""

    analysis: str
    rows: int
    differ: int


class PairSummary(msgspec.Struct, kw_only=True):
    """What two runs answered to the same files.

    Attributes:
        production, shadow: the runs.
        analyses: that both scored.
        waiting: that the shadow has yet to score.
        failed: that it could not score, by why.
        rows, differ: of all analyses.
        decision: the column of the decisions.
        table: rows by both decisions: ``[production, shadow, rows]``.
        scores: how far the numbers are apart.
        truth: rows whose truth was in the files, and who was right; see
            :class:`corrida.inference.shadow_difference.Difference`.
        missing: columns that only one of them answers with.
        files: the analyses, those with the most differing rows first.
        items: rows that differ.
    """

    production: Made
    shadow: Made
    analyses: int = 0
    waiting: int = 0
    failed: dict[str, int] = {}
    rows: int = 0
    differ: int = 0
    decision: str | None = None
    table: list[tuple[str, str, int]] = []
    scores: list[ScoreShift] = []
    truth: dict[str, int] = {}
    missing: dict[str, list[str]] = {}
    files: list[FileDifference] = []
    items: list[dict[str, Any]] = []


def summarize(
    shadows: Shadows, *, shadow: str | None = None, production: str | None = None, analysis: str | None = None
) -> list[PairSummary]:
    """Return a summary for each pair of runs, the newest first.

    Args:
        shadows: of the database.
        shadow: only this run as the shadow, by its id.
        production: only this run as the one that was published, by its id.
        analysis: only this one.
    """
    pairs: dict[tuple[Made, Made], list[Shadow]] = {}
    for one, run, digest in shadows.of_pairs():
        if one.run_id is None or one.run_digest is None:
            continue  # the shadow pointed nowhere
        if shadow in {None, one.run_id} and production in {None, run} and analysis in {None, one.analysis}:
            pairs.setdefault((Made(run, digest), Made(one.run_id, one.run_digest)), []).append(one)
    return [_summary(*made, found) for made, found in pairs.items()]


def run_of(store: Store, reference: str, known: Sequence[str]) -> str:
    """Return the id of a run that a person names: in the store, or one that was removed from it since.

    Raises:
        RunNotFound, InvalidReference, AmbiguousReference: nothing fits, or several.
    """
    if reference in known:
        return reference
    try:
        return store.resolve(reference)
    except RunNotFound:
        found = [name for name in known if name.startswith(reference)]
        if len(found) != 1:
            raise
        return found[0]


def rows_that_differ(
    folder: Path, pair: PairSummary, limit: int, *, was: str | None = None, now: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield rows with different answers, file by file.

    Args:
        folder: of the differences.
        pair: whose.
        limit: at most so many; 0 for all.
        was: only with this decision in production; ``(not scored)`` for none.
        now: only with this decision of the shadow.
    """
    import polars as pl

    left: int | None = limit if limit > 0 else None
    for file in pair.files:
        path = folder / f"{file.analysis}.parquet"
        if not file.differ or not path.exists():
            continue
        frame = pl.scan_parquet(path)
        if pair.decision is not None and pair.decision + SHADOW in frame.collect_schema():
            for column, wanted in ((pair.decision, was), (pair.decision + SHADOW, now)):
                if wanted is not None:
                    text = pl.col(column).cast(pl.String).fill_null(NOT_SCORED)
                    frame = frame.filter(text == wanted)
        found = (frame if left is None else frame.head(left)).collect()
        for row in found.iter_rows(named=True):
            yield {"analysis": file.analysis, **row}
        if left is not None:
            left -= found.height
            if left <= 0:
                return


def _summary(production: Made, shadow: Made, found: list[Shadow]) -> PairSummary:
    pair = PairSummary(production=production, shadow=shadow)
    table: Counter[tuple[str, str]] = Counter()
    failed: Counter[str] = Counter()
    truth: Counter[str] = Counter()
    scores: dict[str, list[Moments]] = {}
    for one in found:
        if one.status != "compared" or one.summary is None:
            if one.status == "failed":
                failed[one.message or one.code or ""] += 1
            else:
                pair.waiting += 1
            continue
        difference = msgspec.json.decode(one.summary, type=Difference)
        pair.analyses += 1
        pair.rows += difference.rows
        pair.differ += difference.differ
        pair.decision = pair.decision or difference.decision
        pair.missing = pair.missing or difference.missing
        table.update({(a, b): rows for a, b, rows in difference.table})
        truth.update(difference.truth)
        for name, moments in difference.scores.items():
            scores.setdefault(name, []).append(moments)
        pair.files.append(FileDifference(one.analysis, difference.rows, difference.differ))
    pair.files.sort(key=lambda file: -file.differ)
    pair.table = sorted((a, b, rows) for (a, b), rows in table.items())
    pair.scores = [shift_of(name, parts) for name, parts in scores.items()]
    pair.failed, pair.truth = dict(failed), dict(truth)
    return pair


def shift_of(name: str, parts: Sequence[Moments]) -> ScoreShift:
    """Put the differences of several files together.

    The interval is ``mean ± z · se``. With at least 30 files each of them counts as one draw, since rows of a file go together:
    ``se² = k / (k - 1) · Σ (nᵢ (mᵢ - mean))² / N²`` (ratio estimator over clusters; Cochran, Sampling Techniques, 1977, 9.7).
    With fewer files, rows count as independent, which makes the interval too narrow where they are not.
    """
    whole = Moments()
    for part in parts:
        whole.add(part)
    files = len(parts)
    by_file = files >= LEAST_UNITS
    if by_file:
        squares = math.fsum((part.n * (part.mean - whole.mean)) ** 2 for part in parts)
        error = math.sqrt(files / (files - 1) * squares) / whole.n
    elif whole.n >= LEAST_UNITS:
        error = math.sqrt(whole.squares / (whole.n - 1) / whole.n)
    else:
        return ScoreShift(name=name, rows=whole.n, mean=whole.mean)
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
    return ScoreShift(
        name=name, rows=whole.n, mean=whole.mean, low=whole.mean - reach, high=whole.mean + reach,
        unit="analyses" if by_file else "rows",
    )  # fmt: skip
