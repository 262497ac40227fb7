"""Several runs together."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

import corrida
from corrida.analysis.aggregate import aggregate_runs
from corrida.analysis.aggregate_report import aggregate_blocks, aggregate_sentences
from corrida.analysis.aggregate_results import AggregateOptions
from corrida.analysis.aggregate_samples import mean_rate, sign_flip
from corrida.analysis.blocks import to_text
from corrida.errors import BadInput

QUICK = AggregateOptions(resamples=500)


def grid_items(rng, prefix, chances, students=40):
    """Items of a grid: in each cell a true label is found with its chance; every item has one label."""
    rows = []
    for (matcher, strategy), chance in chances.items():
        for student, question in itertools.product(range(students), range(3)):
            hit = int(rng.random() < chance)
            item = f"{prefix}s{student}-q{question}"
            cell = f"{matcher}+{strategy}+m"
            rows.append(
                {
                    "item_id": f"{item}|{cell}", "item": item, "cell": cell, "matcher": matcher, "strategy": strategy,
                    "model": "m", "cluster": f"{prefix}s{student}", "tp": hit, "fp": 1 - hit, "fn": 1 - hit,
                }
            )  # fmt: skip
    return pl.DataFrame(rows)


def f1(frame, **where):
    for column, value in where.items():
        frame = frame.filter(pl.col(column) == value)
    cells = frame.group_by("cell").agg(pl.col("tp", "fp", "fn").sum())
    return float((2 * cells["tp"] / (2 * cells["tp"] + cells["fp"] + cells["fn"])).mean())


def save(project, frames, pipeline="grid", **tags):
    """Keep each frame as a run with a seed of its own, and return the records."""
    for seed, frame in enumerate(frames):
        with corrida.start_run(
            pipeline=pipeline, run_id=f"r{seed}", seed=seed, tags=tags, primary_metric="a.f1"
        ) as run:
            run.log_metrics({f"{m}.f1": f1(frame, matcher=m) for m in frame["matcher"].unique()})
            run.log_items(frame)
    return corrida.Store(project / "runs").runs()


def chances(a, b, *, second=0.0):
    return {(m, s): p + (second if s == "y" else 0) for m, p in (("a", a), ("b", b)) for s in ("x", "y")}


def test_what_is_better_in_every_run_is_consistent(project):
    rng = np.random.default_rng(1)
    runs = save(project, [grid_items(rng, f"{i}-", chances(0.4, 0.8, second=0.1)) for i in range(6)])
    found = aggregate_runs(runs, options=QUICK)
    assert found.runs == tuple(f"r{i}" for i in range(6))
    matcher, strategy = found.axes
    (pair,) = matcher.contrasts
    assert (pair.better, pair.other, pair.wins, pair.judgement) == ("b", "a", 6, "consistent")
    assert pair.low < pair.difference < pair.high
    assert pair.p_seeds == pair.least_p_seeds == 2 / 64
    assert matcher.levels[0].name == "b"
    assert matcher.levels[0].firsts == 6
    assert strategy.levels[0].name == "y"
    assert "b is better than a in every run" in aggregate_sentences(found)[0]
    assert found.cautions == ()


def test_the_numbers_are_those_of_the_items(project):
    rng = np.random.default_rng(2)
    frames = [grid_items(rng, f"{i}-", chances(0.5, 0.6)) for i in range(3)]
    found = aggregate_runs(save(project, frames), ["a.f1"], QUICK)
    values = [f1(frame, matcher="a") for frame in frames]
    (spread,) = found.metrics
    assert spread.values == pytest.approx(values)
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    level = next(level for level in found.axes[0].levels if level.name == "a")
    assert level.values == pytest.approx(values)
    assert level.worst == pytest.approx(min(values))
    assert level.worst_run == f"r{np.argmin(values)}"
    (pair,) = found.axes[0].contrasts
    differences = [f1(frame, matcher=pair.better) - f1(frame, matcher=pair.other) for frame in frames]
    assert pair.differences == pytest.approx(differences)
    # the sampling error of a share of 240 independent decisions in clusters of 6
    assert spread.sampling_error == pytest.approx(np.sqrt(0.25 / 240), rel=0.35)


def test_no_difference_is_rarely_called_one(project):
    rng = np.random.default_rng(3)
    called, varied = 0, 0
    for number in range(40):
        frames = [grid_items(rng, f"{i}-", chances(0.5, 0.5), students=15) for i in range(3)]
        folder = project / str(number)
        folder.mkdir()
        for seed, frame in enumerate(frames):
            with corrida.start_run(
                pipeline="grid", run_id=f"r{seed}", seed=seed, store=folder / "runs"
            ) as run:
                run.log_metrics({"a.f1": f1(frame, matcher="a")})
                run.log_items(frame)
        found = aggregate_runs(
            corrida.Store(folder / "runs").runs(), ["a.f1"], AggregateOptions(resamples=300)
        )
        called += sum(
            pair.judgement in {"consistent", "on average"} for axis in found.axes for pair in axis.contrasts
        )
        varied += found.metrics[0].p_value <= 0.05
    assert called <= 10  # 80 tests at the level 0.05: more than 10 has a chance below 0.2 %
    assert varied <= 8


def test_seeds_that_add_to_the_spread_are_told(project):
    rng = np.random.default_rng(4)
    runs = save(project, [grid_items(rng, f"{i}-", chances(p, p)) for i, p in enumerate((0.2, 0.5, 0.8))])
    spread = aggregate_runs(runs, ["a.f1"], QUICK).metrics[0]
    assert spread.p_value < 0.01
    assert spread.beyond > 0.2
    assert spread.beyond < spread.deviation


def test_runs_of_the_same_items_share_their_sampling_error(project):
    rng = np.random.default_rng(5)
    frame = grid_items(rng, "", chances(0.4, 0.6))
    found = aggregate_runs(save(project, [frame, frame, frame]), ["a.f1"], QUICK)
    assert found.shared_items
    assert found.metrics[0].deviation == 0
    assert found.metrics[0].beyond == 0
    # three copies of a run are no more evidence than one
    alone = aggregate_runs(corrida.Store(project / "runs").runs()[:2], ["a.f1"], QUICK)
    assert found.axes[0].contrasts[0].high == pytest.approx(alone.axes[0].contrasts[0].high, abs=0.02)


def test_any_pipeline_has_means_and_spreads(project):
    for seed, loss in enumerate((0.5, 0.7, 0.6)):
        with corrida.start_run(pipeline="train", run_id=f"t{seed}", seed=seed) as run:
            run.log_metrics({"loss": loss, **({"extra": 1.0} if seed else {})})
    found = aggregate_runs(corrida.Store(project / "runs").runs(), options=QUICK)
    loss, extra = sorted(found.metrics, key=lambda m: m.name, reverse=True)
    assert (loss.mean, loss.runs, loss.sampling_error) == (pytest.approx(0.6), 3, None)
    assert extra.values == (None, 1.0, 1.0)
    assert found.axes == ()
    text = to_text(aggregate_blocks(found))
    assert "its items do not say how much of that is sampling" in text
    assert "–" in text


def test_what_cannot_be_known_is_said(project):
    rng = np.random.default_rng(6)
    for seed in (1, 1, 2):
        name = f"r{len(list((project / 'runs').glob('r*'))) if (project / 'runs').exists() else 0}"
        with corrida.start_run(
            pipeline="grid", run_id=name, seed=seed, params={"threshold": 0.5 + (name == "r2") * 0.1}
        ) as run:
            run.log_metrics({"a.f1": 0.5})
            run.log_items(grid_items(rng, name, chances(0.5, 0.5), students=5))
    found = aggregate_runs(corrida.Store(project / "runs").runs(), options=QUICK)
    said = "\n".join(found.cautions)
    assert "differ in more than their seed: threshold" in said
    assert "r0 and r1 have the seed 1" in said
    assert "it takes at least 6" in said


def test_what_is_refused(project):
    with corrida.start_run(pipeline="one", run_id="a") as run:
        run.log_metrics({"f1": 0.5})
    with corrida.start_run(pipeline="two", run_id="b") as run:
        run.log_metrics({"f1": 0.5})
    with pytest.raises(ValueError, match="stop"), corrida.start_run(pipeline="one", run_id="c"):
        raise ValueError("stop")
    with corrida.start_run(pipeline="one", run_id="d") as run:
        run.log_metrics({"f1": 0.6})
    runs = {run.id: run for run in corrida.Store(project / "runs").runs()}
    with pytest.raises(BadInput, match="only a"):
        aggregate_runs([runs["a"], runs["a"]])
    with pytest.raises(BadInput, match="one and two"):
        aggregate_runs([runs["a"], runs["b"]])
    with pytest.raises(BadInput, match="c is failed"):
        aggregate_runs([runs["a"], runs["c"]])
    with pytest.raises(BadInput, match="did you mean f1"):
        aggregate_runs([runs["a"], runs["d"]], ["f2"])
    with pytest.raises(BadInput, match="confidence"):
        aggregate_runs([runs["a"], runs["d"]], options=AggregateOptions(confidence=95))


@pytest.mark.parametrize(
    ("differences", "p"),
    [([1.0], 1), ([1, 2, 3], 0.25), ([1, 1, -1], 1), ([1, 2, 3, 4, 5, 6], 2 / 64), ([0, 0], 1)],
)
def test_the_sign_flip_test_by_hand(differences, p):
    assert sign_flip(differences) == pytest.approx(p)


def test_a_rate_that_is_not_defined_is_left_out_of_a_mean():
    counts = np.array([[3, 1, 1], [0, 2, 0]], dtype=float)
    assert float(mean_rate("f1", counts)) == pytest.approx(0.75)
    assert float(mean_rate("precision", counts)) == pytest.approx(0.375)
    assert np.isnan(mean_rate("recall", counts[1:]))


def test_items_of_a_cluster_are_taken_together(project):
    rng = np.random.default_rng(7)
    frames = []
    for number in range(2):  # a student has all questions right or none
        frame = grid_items(rng, f"{number}-", chances(0.5, 0.5), students=60)
        right = {student: int(rng.random() < 0.5) for student in frame["cluster"].unique(maintain_order=True)}
        hit = pl.col("cluster").replace_strict(right)
        frames.append(frame.with_columns(tp=hit, fp=1 - hit, fn=1 - hit))
    runs = save(project, frames)
    errors = {
        cluster: aggregate_runs(runs, ["a.f1"], AggregateOptions(resamples=500, cluster=cluster))
        .metrics[0]
        .sampling_error
        for cluster in ("none", "cluster")
    }
    assert errors["cluster"] == pytest.approx(np.sqrt(3) * errors["none"], rel=0.2)
    with pytest.raises(BadInput, match="no column 'ward'"):
        aggregate_runs(runs, ["a.f1"], AggregateOptions(cluster="ward"))
