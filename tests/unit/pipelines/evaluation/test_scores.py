"""Intervals, means, kappas, calibration, contrasts and sweeps against other ways to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_oracle
from statsmodels.stats.multitest import multipletests

from corrida.pipelines.evaluation.results import Counts
from corrida.pipelines.evaluation.score.agreement import cohen_kappa, fleiss_kappa
from corrida.pipelines.evaluation.score.calibration import calibrate
from corrida.pipelines.evaluation.score.resampling import intervals, macro, micro, patterns
from corrida.pipelines.evaluation.settings import Bootstrap

from .conftest import detection

MODELS = ("m", "n", "o")


def f1_of(clusters, settings, seed):
    return intervals(*patterns(clusters), {"f1": micro("f1")}, settings, seed)["f1"]


def grid(classroom, size=40):
    """Two strategies, three models of different quality, confidences; all by one seed."""
    rng = np.random.default_rng(5)
    names = {label["id"]: label["name"] for label in classroom.taxonomy}
    classroom.truth = [
        {"id": f"i{i}", "labels": [f"L{1 + i % 3}"] if i % 4 else [], "student": f"s{i // 4}", "topic": "t"}
        for i in range(size)
    ]
    classroom.detections = []
    for strategy, bonus in (("s", 0.0), ("t", 0.2)):
        for model, skill in zip(MODELS, (0.2, 0.5, 0.7), strict=True):
            for item in classroom.truth:
                sure = round(float(rng.random()), 3)
                right = rng.random() < skill + bonus
                found = item["labels"][0] if right and item["labels"] else f"L{1 + rng.integers(3)}"
                if right or rng.random() < 0.4:
                    name = names[found] if rng.random() < 0.8 else "something else entirely"
                    classroom.detections.append(
                        detection(item["id"], name, strategy=strategy, model=model, confidence=sure)
                    )
    return classroom


def test_rates_and_means_are_those_of_the_counts(classroom):
    grid(classroom).run(matchers__use=["fuzzy", "semantic"])
    found = classroom.evaluation
    assert len(found.cells) == 12
    for cell in found.cells:
        tp, fp, fn = cell.counts.tp, cell.counts.fp, cell.counts.fn
        assert cell.rates.f1.value == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert cell.rates.precision.value == pytest.approx(tp / (tp + fp))
        assert cell.rates.recall.value == pytest.approx(tp / (tp + fn))
        assert cell.rates.f1.low <= cell.rates.f1.value <= cell.rates.f1.high
    for mean in found.means:
        inside = [cell for cell in found.cells if getattr(cell, mean.axis) == mean.name]
        assert mean.cells == len(inside)
        assert mean.macro.f1.value == pytest.approx(np.mean([cell.rates.f1.value for cell in inside]))
        tp, fp, fn = (sum(getattr(cell.counts, of) for cell in inside) for of in ("tp", "fp", "fn"))
        assert mean.counts == Counts(tp, fp, fn)
        assert mean.micro.f1.value == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert mean.macro.f1.low < mean.macro.f1.value < mean.macro.f1.high


def test_intervals_are_those_of_resampling_clusters_one_by_one():
    rng = np.random.default_rng(0)
    clusters = rng.poisson([1.5, 0.7, 0.5], size=(60, 3)).astype(float)
    found = f1_of(clusters, Bootstrap(resamples=20_000), 1)
    drawn = clusters[rng.integers(0, 60, size=(20_000, 60))].sum(axis=1)
    f1 = 2 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
    low, high = np.quantile(f1, [0.025, 0.975])
    # BCa against percentiles: near for 60 clusters, and not the same.
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)


def test_many_clusters_give_the_same_intervals_together_as_apart():
    """Above 5,000 patterns the clusters with little influence are drawn together."""
    rng = np.random.default_rng(0)
    clusters = rng.poisson([1.5, 0.7, 0.5], size=(6_000, 3)).astype(float)
    settings = Bootstrap(resamples=4_000)
    apart = f1_of(clusters, settings, 1)
    each = np.ones(len(clusters), dtype=np.int64)
    rows = np.hstack([clusters, clusters])
    together = intervals(rows, each, {"a": micro("f1"), "b": macro("f1")}, settings, seed=2)
    for one in together.values():
        assert one.value == pytest.approx(apart.value)
        assert one.low == pytest.approx(apart.low, abs=0.001)
        assert one.high == pytest.approx(apart.high, abs=0.001)


def test_a_cluster_of_many_items_is_one_unit():
    few = np.repeat([[3.0, 1.0, 0.0], [0.0, 2.0, 3.0]], 5, axis=0)
    many = np.repeat(few, 20, axis=0)
    narrow = f1_of(many, Bootstrap(), 0)
    wide = f1_of(few * 20, Bootstrap(), 0)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_a_single_cluster_has_no_interval(classroom):
    classroom.truth = [row | {"student": "s"} for row in classroom.truth]
    classroom.run()
    estimate = classroom.evaluation.cells[0].rates.recall
    assert (estimate.low, estimate.high) == (None, None)


def test_kappas_are_those_of_statsmodels():
    rng = np.random.default_rng(2)
    units = 300
    base = rng.random(units) < 0.2
    said = np.array([np.where(rng.random(units) < 0.15, ~base, base) for _ in range(3)])
    yes = [np.flatnonzero(one) for one in said]
    table = np.zeros((2, 2))
    for a, b in zip(said[0], said[1], strict=True):
        table[int(a), int(b)] += 1
    kappa, observed = cohen_kappa(yes[0], yes[1], units)
    assert kappa == pytest.approx(cohens_kappa(table).kappa)
    assert observed == pytest.approx((said[0] == said[1]).mean())
    counts, _ = aggregate_raters(said.T.astype(int))
    assert fleiss_kappa(said.sum(axis=0)[said.any(axis=0)], 3, units) == pytest.approx(fleiss_oracle(counts))


def test_kappa_of_models_that_always_say_nothing_is_absent():
    nothing = np.array([], dtype=np.int64)
    assert cohen_kappa(nothing, nothing, 10) == (None, 1.0)
    assert fleiss_kappa(nothing, 3, 10) is None


def test_agreement_is_over_all_items_and_labels(classroom):
    classroom.detections = [
        detection("a", "off by one", model="m"),
        detection("a", "off by one", model="n"),
        detection("b", "copied list", model="m"),
        detection("c", "zebra crossing", model="n"),
    ]
    classroom.run()
    (found,) = classroom.evaluation.agreement
    table = np.array([[18 - 2, 0], [1, 1]])
    assert (found.models, found.units) == (("m", "n"), 18)
    assert found.cohen[0].kappa == pytest.approx(cohens_kappa(table).kappa)


def test_calibration_by_hand():
    sure = np.array([0.1, 0.2, 0.9, 1.0, np.nan, 0.0])
    right = np.array([False, True, True, True, True, False])
    found = calibrate("c", sure, right, 5)
    assert (found.decisions, found.without) == (5, 1)
    assert [(b.low, b.high, b.count) for b in found.bins] == [(0, 0.2, 3), (0.8, 1, 2)]
    assert found.bins[0].confidence == pytest.approx(0.1)
    assert found.bins[0].precision == pytest.approx(1 / 3)
    assert found.ece == pytest.approx(3 / 5 * abs(1 / 3 - 0.1) + 2 / 5 * abs(1 - 0.95))
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.01 + 0 + 0) / 5)


def test_without_confidences_there_is_no_calibration(classroom):
    classroom.run()
    assert classroom.evaluation.calibration == ()
    assert "calibration.csv" not in classroom.recorder.tables


def test_a_decision_is_as_confident_as_the_surest_of_its_detections(classroom):
    classroom.detections = [
        detection("a", "off by one", confidence=0.3),
        detection("a", "Off By One", confidence=0.8),
        detection("b", "off by one"),
    ]
    classroom.run()
    (found,) = classroom.evaluation.calibration
    assert (found.decisions, found.without) == (1, 1)
    assert found.brier == pytest.approx(0.04)


def test_the_best_cell_comes_with_those_that_may_be_as_good(classroom):
    grid(classroom, 80).run(bootstrap__resamples=2000)
    best = classroom.evaluation.best
    f1 = {cell.name: cell.rates.f1.value for cell in classroom.evaluation.cells}
    assert f1[best.cell] == max(f1.values())
    assert "fuzzy+s+m" not in best.tied  # a bad one
    assert len(best.contrasts) == 5
    for contrast in best.contrasts:
        assert contrast.difference == pytest.approx(f1[contrast.b] - f1[best.cell])
        assert contrast.low <= contrast.difference <= contrast.high
        assert contrast.clusters == 20
        assert (contrast.b in best.tied) == (not contrast.real)
    adjusted = multipletests([c.p_value for c in best.contrasts], method="holm")[1]
    assert [c.p_adjusted for c in best.contrasts] == pytest.approx(list(adjusted))


def test_a_copy_of_the_best_is_tied_with_it(classroom):
    grid(classroom)
    classroom.detections += [d | {"model": "copy"} for d in classroom.detections if d["model"] == "o"]
    classroom.run()
    best = classroom.evaluation.best
    assert {best.cell.replace("copy", "o"), *(c.replace("copy", "o") for c in best.tied)} >= {
        best.cell.replace("copy", "o")
    }
    twin = next(
        c
        for c in best.contrasts
        if c.b == best.cell.replace("copy", "o") or c.b == best.cell.replace("+o", "+copy")
    )
    assert (twin.difference, twin.p_value, twin.judgement) == (0, 1, "tied")


def test_matchers_are_compared_in_pairs_with_holm(classroom):
    grid(classroom).run(matchers__use=["fuzzy", "semantic", "hybrid"])
    found = classroom.evaluation
    assert [(c.a, c.b) for c in found.matcher_contrasts] == [
        ("fuzzy", "semantic"), ("fuzzy", "hybrid"), ("semantic", "hybrid"),
    ]  # fmt: skip
    for contrast in found.matcher_contrasts:
        a, b = found.mean("matcher", contrast.a), found.mean("matcher", contrast.b)
        assert contrast.difference == pytest.approx(b.macro.f1.value - a.macro.f1.value)
    adjusted = multipletests([c.p_value for c in found.matcher_contrasts], method="holm")[1]
    assert [c.p_adjusted for c in found.matcher_contrasts] == pytest.approx(list(adjusted))


def test_a_matcher_alone_is_not_compared_and_nothing_else_is_named(classroom):
    outcome = grid(classroom).run()
    assert classroom.evaluation.matcher_contrasts == ()
    assert outcome.findings["best_config"].startswith("fuzzy+")
    assert not [name for name in outcome.metrics if "hybrid" in name or "semantic" in name]


def test_recall_of_labels_and_topics(classroom):
    classroom.detections = [detection("a", "off by one"), detection("d", "off by one")]
    classroom.run()
    found = classroom.evaluation
    by_label = {one.label: (one.expected, one.found, one.wrong) for one in found.label_counts}
    assert by_label == {"L1": (2, 1, 1), "L2": (2, 0, 0), "L3": (1, 0, 0)}
    assert {one.topic: one.recall for one in found.topic_counts} == {"loops": 0.5, "syntax": 0, "lists": 0}


def test_a_swept_threshold_counts_as_a_run_with_that_threshold(classroom):
    grid(classroom)
    classroom.run(sweep__over="threshold", sweep__steps=20, matchers__use=["fuzzy", "hybrid"], seed=4)
    for sweep in classroom.evaluation.sweeps:
        assert (sweep.clusters_choosing, sweep.clusters_reporting) == (5, 5)
        assert len(sweep.points) == 20
        assert max(p.counts.f1 for p in sweep.points) == next(
            p.counts.f1 for p in sweep.points if p.threshold == sweep.chosen
        )
        as_good = [p.threshold for p in sweep.points if p.counts.f1 == max(q.counts.f1 for q in sweep.points)]
        assert sweep.chosen == min(
            as_good, key=lambda threshold: abs(threshold - 0.5)
        )  # no move without a gain
    halves = {sweep.matcher: sweep for sweep in classroom.evaluation.sweeps}
    order = np.random.default_rng(4).permutation(10)
    for half, of in ((order[:5], "choosing"), (order[5:], "reporting")):
        ids = [row["id"] for i, row in enumerate(classroom.truth) if i // 4 in half]
        for matcher, sweep in halves.items():
            for point in sweep.points[::4]:
                if of == "reporting" and point.threshold != sweep.chosen:
                    continue
                key = f"matchers__{matcher}__threshold"
                classroom.run(item_ids=ids, matchers__use=[matcher], **{key: point.threshold})
                counts = classroom.evaluation.mean("matcher", matcher).counts
                assert counts == (point.counts if of == "choosing" else sweep.at_chosen)


def test_the_same_seed_gives_the_same_numbers(classroom):
    grid(classroom).run(seed=3)
    first = classroom.recorder.texts["evaluation.json"]
    classroom.run(seed=3)
    assert classroom.recorder.texts["evaluation.json"] == first
    classroom.run(seed=4)
    assert classroom.recorder.texts["evaluation.json"] != first


def test_very_many_clusters_are_compared_to_the_same_end(monkeypatch):
    """Above some thousand clusters every contrast is tested by itself, over patterns."""
    from corrida.pipelines.evaluation.score import contrasts

    rng = np.random.default_rng(1)
    a = rng.poisson([1.0, 0.8, 0.6], size=(300, 3)).astype(float)
    b = a + np.where(rng.random((300, 1)) < 0.3, [1.0, 0.0, -1.0], 0.0) * (a[:, 2:] > 0)
    sums = {"a": a[None], "b": b[None], "c": np.roll(a, 1, axis=0)[None]}
    together = contrasts.compare_matchers(sums, Bootstrap(), seed=0)
    monkeypatch.setattr(contrasts, "_TOGETHER", 10)
    alone = contrasts.compare_matchers(sums, Bootstrap(), seed=0)
    assert [c.judgement for c in together] == [c.judgement for c in alone]
    assert together[0].judgement == "higher"
    for one, other in zip(together, alone, strict=True):
        assert one.difference == pytest.approx(other.difference)
        assert one.low == pytest.approx(other.low, abs=0.006)
        assert one.high == pytest.approx(other.high, abs=0.006)
        assert one.p_value == pytest.approx(other.p_value, abs=0.02)


def test_a_cell_of_few_patterns_is_drawn_by_itself_among_many_clusters(classroom, monkeypatch):
    from corrida.pipelines.evaluation.score import grid as module

    grid(classroom).run(bootstrap__resamples=4000)
    together = classroom.evaluation
    monkeypatch.setattr(module, "EXACT_PATTERNS", 5)
    classroom.run(bootstrap__resamples=4000)
    for one, other in zip(together.cells, classroom.evaluation.cells, strict=True):
        assert one.rates.f1.value == other.rates.f1.value
        assert one.rates.f1.low == pytest.approx(other.rates.f1.low, abs=0.02)
        assert one.rates.f1.high == pytest.approx(other.rates.f1.high, abs=0.02)


def test_the_swaps_are_all_tried_where_clusters_are_few(classroom):
    classroom.detections = [
        detection("a", "off by one"),
        detection("c", "assignment as comparison"),
        detection("c", "assignment as comparison", model="n"),
    ]
    classroom.run()
    (contrast,) = classroom.evaluation.best.contrasts
    # They differ in one cluster: swapping it or not gives the difference seen both times.
    assert contrast.p_value == 1
    assert contrast.low <= contrast.difference <= contrast.high
