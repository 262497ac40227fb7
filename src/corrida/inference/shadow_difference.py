"""Two tables of results for one file, row by row: which answers differ, and how far the scores are apart.

Which of two answers is right is not said: that takes the truth, which a file that is to be scored seldom holds. Where both
tables have a column ``expected``, it is counted.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidData
from corrida.inference.problems import FILE_CHANGED, Failed, Problem
from corrida.inference.spool import ROWS
from corrida.runs.files import digest_file, fsync_dir, write_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from corrida.inference.protocol import Score
    from corrida.pipelines.streaming import ScoreReport

DIFFERENCE_ROWS = "difference.parquet"
DIFFERENCE = "difference.json"
FORMAT_VERSION = 1
SHADOW = "_shadow"
"""The columns of the shadow's answers end so."""
NOT_SCORED = "(not scored)"
TOLERANCE = 1e-9
_DECISIONS = ("class", "prediction", "label", "decision")
_KEYS = ("row", "item_id")
_TRUTH = "expected"
_CHUNK = 50_000


class Moments(msgspec.Struct):
    """Differences of a score, shadow less production: how many, their mean, and the sum of squares around it."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, other: Moments) -> None:
        """Take further differences in (Chan, Golub, LeVeque 1979)."""
        if other.n:
            n, apart = self.n + other.n, other.mean - self.mean
            self.mean += apart * other.n / n
            self.squares += other.squares + apart * apart * self.n * other.n / n
            self.n = n


class Difference(msgspec.Struct, kw_only=True):
    """How the answers of two runs to one file differ.

    Attributes:
        rows: that both answered.
        differ: of them with another decision; without a column of decisions, with another score.
        decision: the column of the decisions; None when the answers are numbers only.
        table: how many rows have which two decisions: ``[production, shadow, rows]``.
        scores: of the numbers in both tables.
        truth: rows whose truth is in the file, and those of them that either, only production, and only the shadow
            got right: ``known``, ``production``, ``shadow``, ``broken``, ``fixed``; empty when none is.
        missing: columns that only one table has, by ``production`` and ``shadow``.
    """

    rows: int = 0
    differ: int = 0
    decision: str | None = None
    table: list[tuple[str, str, int]] = []
    scores: dict[str, Moments] = {}
    truth: dict[str, int] = {}
    missing: dict[str, list[str]] = {}


def store_difference(request: Score, report: ScoreReport) -> Difference:
    """Compare the rows that were just scored with those that were published; both files are durable on return.

    ``difference.parquet`` has the rows that differ with both answers, ``difference.json`` the rest.

    Raises:
        Failed: the published rows were altered, or are gone.
        InvalidData: the two tables cannot be matched row by row.
    """
    against = request.against
    assert against is not None  # noqa: S101 - the caller looks
    work, ours = Path(request.work), Path(against.rows)
    try:
        intact = digest_file(ours).sha256 == against.sha256
    except FileNotFoundError:
        intact = False
    if not intact:
        raise Failed(Problem(code=FILE_CHANGED, message="the published rows are gone or were altered"))
    found = compare_rows(ours, work / ROWS, work / DIFFERENCE_ROWS, request.stamp)
    digest = digest_file(work / DIFFERENCE_ROWS, durable=True).sha256
    content = {
        "format_version": FORMAT_VERSION,
        **request.stamp,
        "status": "compared",
        **msgspec.to_builtins(found),
        "report": msgspec.to_builtins(report),
        "results": {
            "file": f"{request.stamp['analysis_id']}.parquet",
            "rows": found.differ,
            "sha256": digest,
        },
    }
    text = msgspec.json.format(msgspec.json.encode(content, enc_hook=str))
    write_new(work / DIFFERENCE, text + b"\n", durable=True)
    fsync_dir(work)
    return found


def compare_rows(ours: Path, theirs: Path, target: Path, stamp: dict[str, Any]) -> Difference:
    """Compare two tables of results, and write the rows that differ.

    Args:
        ours: what was published.
        theirs: what the shadow answered to the same file.
        target: a new Parquet file: the columns of ``ours``, and those of ``theirs`` that differ anywhere.
        stamp: what the new file says of itself.

    Raises:
        InvalidData: the tables cannot be matched row by row.
    """
    pair = _Pair(ours, theirs)
    found = Difference(rows=pair.rows, decision=pair.decision, missing=pair.missing)
    table: Counter[tuple[str, str]] = Counter()
    changed: set[str] = set()
    for a, b in pair.chunks():
        pair.check(a, b)
        found.differ += int(pair.differs(a, b).sum())
        changed |= {name for name in pair.common if name not in changed and _unequal(a[name], b[name]).any()}
        for name in pair.scores:
            found.scores.setdefault(name, Moments()).add(_moments(a[name], b[name]))
        if pair.decision is not None:
            table.update(_decisions(a[pair.decision], b[pair.decision]))
            _count_truth(found.truth, pair, a, b)
    found.table = sorted((one, other, rows) for (one, other), rows in table.items())
    found.scores = {name: one for name, one in found.scores.items() if one.n}
    if not found.truth.get("known"):
        found.truth = {}
    _write(pair, [name for name in pair.common if name in changed], target, stamp)
    return found


class _Pair:
    """Two tables with one row a row of the same file."""

    def __init__(self, ours: Path, theirs: Path) -> None:
        import polars as pl

        self._ours, self._theirs = pl.scan_parquet(ours), pl.scan_parquet(theirs)
        a, b = self._ours.collect_schema(), self._theirs.collect_schema()
        lengths = [frame.select(pl.len()).collect().item() for frame in (self._ours, self._theirs)]
        if lengths[0] != lengths[1]:
            raise InvalidData(
                f"the runs answered {lengths[0]:,} and {lengths[1]:,} rows; they cannot be matched row by row"
            )
        self.rows: int = lengths[0]
        self.missing = {"production": [n for n in a if n not in b], "shadow": [n for n in b if n not in a]}
        self.missing = {side: names for side, names in self.missing.items() if names}
        self.keys = [name for name in _KEYS if name in a and name in b]
        plain = [n for n in a if n in b and n not in self.keys and not (a[n].is_nested() or b[n].is_nested())]
        self.common = plain
        self.decision = next(
            (name for name in _DECISIONS if name in plain and not (a[name].is_float() or b[name].is_float())),
            None,
        )
        self.scores = [
            n for n in plain if n not in {self.decision, _TRUTH} and a[n].is_numeric() and b[n].is_numeric()
        ]
        if self.decision is None and not self.scores:
            raise InvalidData("the two runs have no answers in common that could be compared")

    def chunks(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Yield both tables in parts."""
        for start in range(0, self.rows, _CHUNK):
            yield self._ours.slice(start, _CHUNK).collect(), self._theirs.slice(start, _CHUNK).collect()

    def check(self, a: pl.DataFrame, b: pl.DataFrame) -> None:
        for name in self.keys:
            if _unequal(a[name], b[name]).any():
                raise InvalidData(
                    f"the rows of the two runs stand for different {name}s; they cannot be matched"
                )

    def differs(self, a: pl.DataFrame, b: pl.DataFrame) -> pl.Series:
        """Tell of each row whether the decisions differ, or without decisions the scores."""
        import polars as pl

        if self.decision is not None:
            return _unequal(a[self.decision], b[self.decision])
        found = pl.repeat(value=False, n=a.height, dtype=pl.Boolean, eager=True)
        for name in self.scores:
            found |= _unequal(a[name], b[name])
        return found


def _unequal(a: pl.Series, b: pl.Series) -> pl.Series:
    """Tell where two columns differ; numbers may be apart by what rounding does to them."""
    import polars as pl

    if a.dtype.is_numeric() and b.dtype.is_numeric():
        x, y = a.cast(pl.Float64), b.cast(pl.Float64)
        largest = (
            pl.DataFrame([x.abs().alias("x"), y.abs().alias("y")]).max_horizontal().fill_null(0.0).clip(1.0)
        )
        apart = ((x - y).abs() > TOLERANCE * largest).fill_null(value=False)
        return x.ne_missing(y) & (apart | x.is_null() | y.is_null() | ~x.is_finite() | ~y.is_finite())
    if a.dtype != b.dtype:
        a, b = a.cast(pl.String), b.cast(pl.String)
    return a.ne_missing(b)


def _moments(a: pl.Series, b: pl.Series) -> Moments:
    import polars as pl

    apart = (b.cast(pl.Float64) - a.cast(pl.Float64)).drop_nulls()
    apart = apart.filter(apart.is_finite())
    if not apart.len():
        return Moments()
    mean = float(apart.sum()) / apart.len()
    return Moments(apart.len(), mean, float(((apart - mean) ** 2).sum()))


def _decisions(a: pl.Series, b: pl.Series) -> Counter[tuple[str, str]]:
    import polars as pl

    texts = [one.cast(pl.String).fill_null(NOT_SCORED).alias(name) for one, name in ((a, "a"), (b, "b"))]
    return Counter({(x, y): rows for x, y, rows in pl.DataFrame(texts).group_by("a", "b").len().iter_rows()})


def _count_truth(truth: dict[str, int], pair: _Pair, a: pl.DataFrame, b: pl.DataFrame) -> None:
    import polars as pl

    if _TRUTH not in pair.common or pair.decision is None:
        return
    known = a[_TRUTH].is_not_null()
    told = a[_TRUTH].cast(pl.String)
    right_a = a[pair.decision].cast(pl.String).eq_missing(told) & known
    right_b = b[pair.decision].cast(pl.String).eq_missing(told) & known
    counted = {
        "known": known, "production": right_a, "shadow": right_b,
        "fixed": ~right_a & right_b, "broken": right_a & ~right_b,
    }  # fmt: skip
    for name, rows in counted.items():
        truth[name] = truth.get(name, 0) + int(rows.sum())


def _write(pair: _Pair, changed: list[str], target: Path, stamp: dict[str, Any]) -> None:
    """Write the rows that differ, part by part."""
    import polars as pl
    import pyarrow.parquet as pq

    writer: Any = None
    position = count(1)
    try:
        for a, b in pair.chunks():
            if "row" not in a.columns:
                numbers = [next(position) for _ in range(a.height)]
                a = a.insert_column(0, pl.Series("row", numbers, dtype=pl.UInt32))  # noqa: PLW2901
            both = a.with_columns(
                b[name].alias(name + SHADOW) for name in changed if name + SHADOW not in a.columns
            )
            table = both.filter(pair.differs(a, b)).to_arrow()
            if writer is None:
                told = {b"corrida_shadow": msgspec.json.encode(stamp, enc_hook=str)}
                writer = pq.ParquetWriter(target, table.schema.with_metadata(told), compression="zstd")
            writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()
