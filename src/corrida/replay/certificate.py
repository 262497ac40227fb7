"""Whether a run gave again what it gave: identical, equal within a tolerance, or different, item by item."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from corrida.analysis.items_values import equal_values, item_ids
from corrida.replay.drift import Drift  # noqa: TC001 - msgspec reads the annotations
from corrida.runs.numbers import json_number
from corrida.runs.plain import plain

if TYPE_CHECKING:
    import polars as pl

_LISTED = 10_000
Outcome = Literal["identical", "equal", "differs"]


class Difference(msgspec.Struct, frozen=True):
    """A value that is not the same; ``within`` when it is as near as the tolerance asks."""

    name: str
    before: Any
    after: Any
    within: bool = False


class ItemDifference(msgspec.Struct, frozen=True):
    """An item with the columns that are not the same."""

    item_id: str
    columns: tuple[Difference, ...]

    @property
    def within(self) -> bool:
        """Whether all of them are as near as the tolerance asks."""
        return all(column.within for column in self.columns)


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a rerun proves of the run that it executed again.

    Attributes:
        original: the id of that run.
        rerun: the id of the new one; of its child, when a script makes a run of its own.
        outcome: ``identical``: every metric and every value of every item is the same to the last bit; ``equal``: some
            are not, but all are within the tolerance; ``differs``: some are not, or the run failed.
        tolerance: numbers are equal when they differ by at most this, or by at most this share of the larger one.
        ignored: metrics and columns of items that were left out.
        metrics: how many metrics were compared.
        metrics_differing: those that are not the same.
        items: how many items either run has; None when neither has any.
        beyond: how many items have a value that is not the same and not within the tolerance either.
        within: how many others have one that is not the same.
        items_differing: these items, those beyond first, else in the order of the original run; at most 10,000.
        only_original, only_rerun: items that only one of them has.
        files: other files that the run saved, by what became of them: ``same``, ``different``, ``missing``, ``new``. They
            decide only where there are neither metrics nor items: a report may hold the time.
        failure: why the new run failed.
        suspects: what is not as it was, the most likely first; with an outcome of ``identical`` it did no harm.
        format_version: of this file.
    """

    original: str
    rerun: str
    outcome: Outcome
    tolerance: float
    metrics: int
    metrics_differing: tuple[Difference, ...] = ()
    items: int | None = None
    beyond: int = 0
    within: int = 0
    items_differing: tuple[ItemDifference, ...] = ()
    only_original: tuple[str, ...] = ()
    only_rerun: tuple[str, ...] = ()
    files: dict[str, tuple[str, ...]] = {}
    ignored: tuple[str, ...] = ()
    failure: str | None = None
    suspects: tuple[Drift, ...] = ()
    format_version: int = 1

    def sentence(self) -> str:
        """Return the outcome in words."""
        if self.failure:
            return f"differs: {self.original} had finished, and now it failed: {self.failure}"
        if not self.metrics and self.items is None:
            return self._about_files()
        what = f"{self.metrics} metric{'s' if self.metrics != 1 else ''}"
        if self.items is not None:
            what = f"{self.items:,} item{'s' if self.items != 1 else ''} and {what}"
        if self.outcome == "identical":
            verb = "is" if self.metrics == 1 and self.items is None else "are"
            return f"identical: {what} {verb} the same to the last bit"
        if self.outcome == "equal":
            return f"equal within {self.tolerance:g}: of {what} none differs by more"
        far = self.beyond + len(self.only_original) + len(self.only_rerun)
        parts = [f"{far:,} of {self.items:,} items"] if self.items is not None else []
        count = sum(not metric.within for metric in self.metrics_differing)
        parts.append(f"{count} of {self.metrics} metrics")
        return f"differs in {' and '.join(parts)}"

    def _about_files(self) -> str:
        """Return the outcome of a run that logged neither metrics nor items."""
        same, whole = len(self.files.get("same", ())), sum(map(len, self.files.values()))
        if not whole:
            return "identical: it gave no metrics, items or files, so nothing could differ"
        if self.outcome == "identical":
            return f"identical: it gave no metrics and no items, and the same {_files(whole)} to the last bit"
        return f"differs: it gave no metrics and no items, and {whole - same} of {_files(whole)} are not the same"


class Result(msgspec.Struct, frozen=True):
    """What a run gave: its metrics, its items, and its other files by digest."""

    metrics: dict[str, float]
    items: Any  # a polars frame, or None
    files: dict[str, str]


def certify(
    original: str,
    rerun: str,
    before: Result,
    after: Result,
    *,
    tolerance: float = 0.0,
    ignored: Collection[str] = (),
    suspects: Iterable[Drift] = (),
    failure: str | None = None,
) -> Certificate:
    """Compare what a run gave with what it gave again.

    Args:
        original: id of the run.
        rerun: id of the run that executed it again.
        before: what the first gave.
        after: what the second gave.
        tolerance: two numbers are equal when ``|a - b| <= max(t * max(|a|, |b|), t)``; 0 asks for the same bits.
        ignored: names of metrics and of columns of items that do not count.
        suspects: what is not as it was.
        failure: why the second failed.
    """
    metrics = _metric_differences(before.metrics, after.metrics, tolerance, ignored)
    names = {*before.metrics, *after.metrics} - {*ignored}
    items, differing, only = _items_differences(before.items, after.items, tolerance, ignored)
    files = _file_differences(before.files, after.files)
    if not names and items is None:  # nothing else can tell
        only = (files.get("different", ()) + files.get("missing", ()), files.get("new", ()))
    near_all = all(d.within for d in metrics) and all(d.within for d in differing)
    far = not near_all or any(only) or failure is not None
    outcome: Outcome = "differs" if far else "equal" if metrics or differing else "identical"
    return Certificate(
        original=original,
        rerun=rerun,
        outcome=outcome,
        tolerance=tolerance,
        metrics=len(names),
        metrics_differing=tuple(metrics),
        items=items,
        beyond=sum(not d.within for d in differing),
        within=sum(d.within for d in differing),
        items_differing=tuple(sorted(differing, key=lambda d: d.within)[:_LISTED]),
        only_original=only[0] if items is not None else (),
        only_rerun=only[1] if items is not None else (),
        files=files,
        ignored=tuple(sorted(ignored)),
        failure=failure,
        suspects=tuple(suspects),
    )


def near(a: float, b: float, tolerance: float) -> bool:
    """Tell whether two numbers are equal within a tolerance, relative or absolute; NaN is near NaN."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    return tolerance > 0 and math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def _metric_differences(
    before: Mapping[str, float], after: Mapping[str, float], tolerance: float, ignored: Collection[str]
) -> list[Difference]:
    found = []
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name), after.get(name)
        if name in ignored or (a is not None and b is not None and near(a, b, 0.0)):
            continue
        within = a is not None and b is not None and near(a, b, tolerance)
        found.append(Difference(name, _shown(a), _shown(b), within))
    return found


def _shown(value: Any) -> Any:
    return json_number(value) if isinstance(value, float) else value if value is None else plain(value)


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"


_Only = tuple[tuple[str, ...], tuple[str, ...]]


def _items_differences(
    a: pl.DataFrame | None, b: pl.DataFrame | None, tolerance: float, ignored: Collection[str]
) -> tuple[int | None, list[ItemDifference], _Only]:
    import polars as pl

    if a is None and b is None:
        return None, [], ((), ())
    empty = pl.DataFrame({"item_id": []}, schema={"item_id": pl.String})
    a, b = _with_text_ids(empty if a is None else a), _with_text_ids(empty if b is None else b)
    only = tuple(
        tuple(one.join(two, on="item_id", how="anti", maintain_order="left")["item_id"].to_list())
        for one, two in ((a, b), (b, a))
    )
    shared = a.select("item_id").join(b.select("item_id"), on="item_id", how="semi", maintain_order="left")
    left = shared.join(a, on="item_id", how="left", maintain_order="left")
    right = shared.join(b, on="item_id", how="left", maintain_order="left")
    columns: dict[int, list[Difference]] = {}
    for name in dict.fromkeys([*left.columns, *right.columns]):
        if name == "item_id" or name in ignored:
            continue
        nothing = pl.repeat(None, len(shared), eager=True)
        one = left[name] if name in left.columns else nothing
        two = right[name] if name in right.columns else nothing
        places = (~equal_values(one, two)).arg_true()
        pairs = zip(places, one.gather(places).to_list(), two.gather(places).to_list(), strict=True)
        for place, before, after in pairs:
            within = (
                isinstance(before, int | float) and isinstance(after, int | float)
                and not isinstance(before, bool) and near(before, after, tolerance)
            )  # fmt: skip
            columns.setdefault(place, []).append(Difference(name, _shown(before), _shown(after), within))
    ids = shared["item_id"]
    found = [ItemDifference(ids[place], tuple(columns[place])) for place in sorted(columns)]
    return len(shared) + len(only[0]) + len(only[1]), found, (only[0], only[1])


def _with_text_ids(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(item_ids(frame["item_id"]).alias("item_id"))


def _file_differences(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names = sorted({*before, *after})
    kinds: dict[str, list[str]] = {"same": [], "different": [], "missing": [], "new": []}
    for name in names:
        if name not in after:
            kinds["missing"].append(name)
        elif name not in before:
            kinds["new"].append(name)
        else:
            kinds["same" if before[name] == after[name] else "different"].append(name)
    return {kind: tuple(found) for kind, found in kinds.items() if found}


def difference_text(difference: Difference) -> str:
    """Write a difference with every digit: ``score 0.53 → 0.5300000001``."""
    values = ["–" if value is None else str(value) for value in (difference.before, difference.after)]
    return f"{difference.name} {values[0]} → {values[1]}"


def suspects_of(certificate: Certificate, *, seed: int | None, kinds: Sequence[str] = ()) -> list[str]:
    """Return in words what may be to blame for a difference, the most likely first."""
    found = [drift.text for drift in certificate.suspects if not kinds or drift.kind in kinds]
    if seed is None and certificate.outcome != "identical":
        found.append("no seed was recorded: if the pipeline draws random numbers, they were others")
    if certificate.outcome != "identical" and all("new package" in d.text for d in certificate.suspects):
        found.append(
            "nothing else that is recorded differs: what is left is chance, time, the order of threads, the network, "
            "and files that the pipeline opens by itself"
        )
    return found
