"""Better, worse, tied or not enough items; and when two values are not of the same work."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import corrida
from corrida.errors import BadInput, InvalidData, InvalidMetric


@pytest.fixture
def run(project):
    def make(run_id, answers, pipeline="jobs", expected="x"):
        with corrida.start_run(run_id=run_id, pipeline=pipeline, primary_metric="f1") as run:
            run.log_items([{"item_id": i, "output": o, "expected": expected} for i, o in answers.items()])
            run.log_metrics({"f1": sum(o == "x" for o in answers.values()) / len(answers)})

    return make


def _cautions(a="a", b="b"):
    return corrida.compare(a, b).verdict.cautions


def test_the_same_work_needs_no_caution(run):
    run("a", {str(i): "x" if i % 2 else "y" for i in range(40)})
    run("b", {str(i): "x" for i in range(40)})
    assert _cautions() == ()


def test_other_items_are_said_with_the_verdict(run):
    run("a", {"1": "x", "2": "y"})
    run("b", {"1": "x", "3": "x", "4": "x"})
    assert "1 shared, 1 only in A, 2 only in B" in _cautions()[0]
    text = str(corrida.compare("a", "b"))
    assert text.index("not the same items") < text.index("Configs")
    assert "not the same items" in corrida.compare("a", "b").to_json()["verdict"]["cautions"][0]


def test_another_truth_and_another_pipeline_are_said(run):
    run("a", {"1": "x"})
    run("b", {"1": "x"}, pipeline="others", expected="y")
    assert [c.split(":")[0] for c in _cautions()] == ["not the same work", "not the same truth"]


@pytest.mark.parametrize("wrong", ["maximize", "", 1])
def test_a_direction_is_checked_before_the_work(project, wrong):
    with pytest.raises(corrida.errors.BadInput, match="'max'"):
        corrida.start_run(primary_metric="f1", direction=wrong)
    with pytest.raises(corrida.errors.BadInput, match="'max'"):
        corrida.start_run(directions={"x": wrong})
    assert list(corrida.Store("runs")) == []


@pytest.mark.parametrize("name", ["params", "tags", "directions"])
def test_what_must_be_a_mapping_is_checked(project, name):
    with pytest.raises(corrida.errors.BadInput, match=f"{name} must be a mapping"):
        corrida.start_run(**{name: ["a"]})


def test_an_id_and_a_tag_exclude_each_other(project):
    with pytest.raises(corrida.errors.BadInput, match="one of them"):
        corrida.start_run(run_id="a", run_tag="b")


def test_directions_of_other_metrics(project):
    for value in (1, 2):
        with corrida.start_run(pipeline="p", directions={"speed*": "min"}) as run:
            run.log_metrics({"speed.x": value})
    (metric,) = corrida.compare("latest~1", "latest").metrics
    assert metric.direction == "min"
    assert metric.better is False


@pytest.fixture
def noisy(project):
    """Runs of a noisy pipeline: each item is right with some chance, and has a loss; items of one author alike."""

    def make(run_id, seed, right=0.7, size=400, metric="accuracy", change=None, loss=0.0, **options):
        ease, rng = np.random.default_rng(0).random(size), np.random.default_rng(seed)
        rows = [
            {"item_id": f"i{n}", "output": "x" if ease[n] < right + rng.normal(0, 0.02) else None, "expected": "x",
             "loss": float(ease[n] + loss + rng.normal(0, 0.3)), "author": f"w{n // 10}"}
            for n in range(size)
        ]  # fmt: skip
        rows = [row for row in map(change or (lambda row: row), rows) if row]
        metrics = {"accuracy": sum(r["output"] == r["expected"] for r in rows) / len(rows)}
        losses = [r["loss"] for r in rows if r.get("loss") is not None and math.isfinite(r["loss"])]
        if losses:
            metrics["loss"] = sum(losses) / len(losses)
        options.setdefault("primary_metric", metric)
        options.setdefault("direction", "min" if metric == "loss" else "max")
        with corrida.start_run(run_id=run_id, pipeline="jobs", directions={"loss": "min"}, **options) as run:
            run.log_items(rows)
            run.log_metrics(metrics)

    return make


def test_better_worse_and_the_numbers(noisy):
    noisy("a", 1)
    noisy("b", 2, right=0.8)
    found = corrida.compare("a", "b").verdict
    assert found.outcome == "better"
    assert found.sentence.startswith("better: accuracy 0.")
    assert f"{found.items} shared items" in found.sentence
    assert found.items == 400
    assert found.interval[0] > 0
    assert found.p_value < 0.001
    assert found.method == "exact McNemar test and Tango's score interval"
    assert found.tested == "accuracy"
    back = corrida.compare("b", "a").verdict
    assert back.outcome == "worse"
    assert back.interval == pytest.approx((-found.interval[1], -found.interval[0]))
    json.dumps(corrida.compare("a", "b").to_json(), allow_nan=False)


def test_a_loss_that_falls_is_better(noisy):
    noisy("a", 1, metric="loss")
    noisy("b", 2, metric="loss", loss=-0.1)
    found = corrida.compare("a", "b").verdict
    assert (found.outcome, found.tested) == ("better", "mean(loss)")
    assert found.interval[1] < 0
    assert found.method == "randomization test and BCa bootstrap interval"
    assert (found.resamples, found.seed) == (10_000, 0)
    assert corrida.compare("a", "b").verdict == found  # the draws are fixed


def test_not_enough_items_and_how_many_it_would_take(noisy):
    noisy("a", 1, size=80)
    noisy("b", 5, right=0.72, size=80)
    found = corrida.compare("a", "b").verdict
    assert found.outcome == "underpowered"
    assert found.interval[0] <= 0 < found.interval[1]
    assert found.needed > 80
    assert found.detectable is None or found.detectable > found.difference
    assert found.sentence.startswith("not enough items: accuracy")
    assert "it would take about" in found.sentence
    assert "items at the effect seen" in found.sentence


def test_tied_inside_the_margin_and_by_identity(noisy):
    noisy("a", 1)
    noisy("b", 2)
    assert corrida.compare("a", "b", margin=0.05).verdict.outcome == "tied"
    assert "inside the margin of ±0.05" in corrida.compare("a", "b", margin=0.05).verdict.sentence
    noisy("c", 1)
    same = corrida.compare("a", "c").verdict
    assert same.outcome == "tied"
    assert "the same in each of 400 shared items" in same.sentence


def test_the_same_value_from_other_items_is_no_tie(run):
    run("a", {str(i): "x" if i < 20 else "y" for i in range(40)})
    run("b", {str(i): "y" if i < 20 else "x" for i in range(40)})
    found = corrida.compare("a", "b").verdict
    assert found.difference == 0
    assert found.outcome == "underpowered"
    assert "about" in found.sentence
    assert "to call them tied" in found.sentence


def test_clusters_are_what_counts(noisy):
    def by_author(row):  # the second run differs by author, not by item
        return row | {"loss": row["loss"] + (0.4 if int(row["author"][1:]) % 5 == 0 else -0.05)}

    noisy("a", 1, metric="loss", size=200)
    noisy("b", 1, metric="loss", size=200, change=by_author)
    items, clusters = corrida.compare("a", "b").verdict, corrida.compare("a", "b", cluster="author").verdict
    assert items.clusters is None
    assert (clusters.clusters, clusters.items) == (20, 200)
    assert "200 shared items in 20 clusters" in clusters.sentence
    assert clusters.interval[1] - clusters.interval[0] > 1.5 * (items.interval[1] - items.interval[0])
    assert "only 20 clusters: the interval is rough" in clusters.cautions
    with pytest.raises(InvalidData, match="did you mean author"):
        corrida.compare("a", "b", cluster="autor")


def test_one_cluster_tells_nothing(noisy):
    noisy("a", 1, change=lambda row: row | {"all": 1})
    noisy("b", 2, right=0.9, change=lambda row: row | {"all": 1})
    found = corrida.compare("a", "b", cluster="all").verdict
    assert found.outcome == "underpowered"
    assert found.interval is None
    assert "400 shared items in 1 cluster, which is too little to test" in found.sentence


def test_one_item(run):
    run("a", {"1": "x"})
    run("b", {"1": "y"})
    found = corrida.compare("a", "b").verdict
    assert found.outcome == "underpowered"
    assert "1 shared item, which is too little to test" in found.sentence


def test_several_metrics_share_the_level(noisy):
    noisy("a", 1)
    noisy("b", 2, right=0.74, loss=-0.06)
    alone = [corrida.compare("a", "b", metric=name).verdict for name in ("accuracy", "loss")]
    both = corrida.compare("a", "b", metric=["accuracy", "loss"])
    assert both.verdict == both.verdicts[0]
    assert [v.metric for v in both.verdicts] == ["accuracy", "loss"]
    low, high = sorted(range(2), key=lambda i: alone[i].p_value)
    assert both.verdicts[low].p_adjusted == pytest.approx(min(1, 2 * alone[low].p_value))
    assert both.verdicts[high].p_adjusted == pytest.approx(
        max(alone[high].p_value, both.verdicts[low].p_adjusted)
    )
    assert all("by Holm" in v.sentence for v in both.verdicts)
    assert str(both).count("shared items)") == 2


def test_the_other_metrics_have_intervals_too(noisy):
    noisy("a", 1)
    noisy("b", 2, right=0.8)
    accuracy, loss = corrida.compare("a", "b").metrics
    assert (accuracy.tested, accuracy.real) == ("accuracy", True)
    assert (loss.tested, loss.real) == ("mean(loss)", False)
    assert loss.low < loss.difference < loss.high
    text = str(corrida.compare("a", "b"))
    assert "within noise" in text
    assert "p (Holm)" in text


def test_on_different_items_the_verdict_is_on_the_shared_ones(noisy):
    noisy("a", 1, change=lambda row: row if row["item_id"] != "i0" else None)
    noisy("b", 2, right=0.8, change=lambda row: row if int(row["item_id"][1:]) < 380 else None)
    found = corrida.compare("a", "b").verdict
    assert found.items == 379
    assert (found.left_out.only_a, found.left_out.only_b) == (20, 1)
    assert found.left_out.low < found.difference < found.left_out.high
    assert any("over the items of either run the difference lies between" in c for c in found.cautions)
    noisy("c", 3, metric="loss", change=lambda row: row if row["item_id"] != "i0" else None)
    assert any("nothing bounds" in c for c in corrida.compare("b", "c").verdict.cautions)


def test_a_logged_difference_of_other_items_gets_no_interval_of_the_shared_ones(run):
    """B mends 40 of the shared items, and fails all that only it has: the table must not say both at once."""
    run("a", {str(i): "x" if i < 180 else "y" for i in range(300)})
    run("b", {str(i): "x" if i < 220 else "y" for i in range(600)})
    found = corrida.compare("a", "b")
    assert found.verdict.outcome == "better"
    (row,) = found.metrics
    assert (row.better, row.tested, row.low, row.p_value) == (False, None, None, None)


def test_the_same_items_of_other_data_are_said_first(noisy, project):
    for name, seed in (("a", 1), ("b", 2)):
        (project / "gold.csv").write_text(f"id\n{name}\n", encoding="utf-8")
        noisy(
            name,
            seed,
            data=["gold.csv"],
            change=lambda r, name=name: r | {"expected": "z"} if name == "b" and r["item_id"] == "i3" else r,
        )
    cautions = corrida.compare("a", "b").verdict.cautions
    assert (
        cautions[0]
        == "the items have the same ids, but the data are not the same: gold.csv has other content"
    )
    assert cautions[1].startswith("not the same truth: 1 item has")


def test_losses_that_are_no_numbers_are_said(noisy):
    noisy("a", 1, metric="loss", change=lambda r: r | {"loss": math.nan} if r["item_id"] == "i3" else r)
    noisy("b", 2, metric="loss")
    found = corrida.compare("a", "b").verdict
    assert found.items == 399
    assert found.left_out.unknown == 1
    assert any(c.startswith("1 shared item says nothing of mean(loss)") for c in found.cautions)
    assert found.left_out.one_sided == 1


def test_losses_that_are_all_no_numbers_are_said(noisy):
    noisy("a", 1, metric="loss")
    with corrida.start_run(run_id="b", pipeline="jobs", primary_metric="loss", direction="min") as run:
        run.log_items([{"item_id": f"i{n}", "loss": math.nan} for n in range(400)])
        run.log_metrics({"loss": 0.1})
    found = corrida.compare("a", "b").verdict
    assert found.outcome == "untested"
    assert found.sentence.endswith("the column loss holds no finite number in the items of b")


def test_an_infinite_loss_is_no_tie_on_the_rest(noisy):
    noisy("a", 1, metric="loss")
    noisy("b", 1, metric="loss", change=lambda r: r | {"loss": math.inf} if r["item_id"] == "i3" else r)
    with corrida.start_run(run_id="c", pipeline="jobs", primary_metric="loss", direction="min") as run:
        run.log_items(corrida.Store("runs").get("b").items())
        run.log_metrics({"loss": math.inf})
    found = corrida.compare("a", "c").verdict
    assert found.outcome == "unknown"
    assert "inf, so the runs cannot be compared by it" in found.sentence
    assert any("1 of them in one run only" in c for c in corrida.compare("a", "b").verdict.cautions)


def test_the_same_value_without_items_is_said_to_be_as_logged(project):
    for name in ("a", "b"):
        with corrida.start_run(run_id=name, pipeline="jobs", primary_metric="f1") as run:
            run.log_metrics({"f1": 0.5})
    assert corrida.compare("a", "b").verdict.sentence == (
        "tied: f1 is 0.5 in both, as logged; not tested: a and b have no items"
    )


def test_a_better_side_that_the_name_contradicts_is_said(noisy):
    for seed, name in enumerate(("a", "b")):
        noisy(name, seed, metric="loss", direction="max")
    assert any(c.startswith("the runs say that more loss is better, where its name") for c in _cautions())
    for seed, name in enumerate(("c", "d")):
        noisy(name, seed, metric="loss")
    assert not any("where its name" in c for c in _cautions("c", "d"))


def test_what_cannot_be_tested_says_why(noisy, project):
    noisy("a", 1)
    with corrida.start_run(run_id="bare", pipeline="jobs", primary_metric="accuracy") as run:
        run.log_metrics({"accuracy": 0.5})
    found = corrida.compare("a", "bare").verdict
    assert found.outcome == "untested"
    assert found.sentence.endswith("whether that is more than chance cannot be said: bare has no items")
    for name, value in (("c", 0.7), ("d", 0.8)):
        with corrida.start_run(run_id=name, pipeline="jobs", primary_metric="auc") as run:
            run.log_items([{"item_id": "1", "output": "x"}])
            run.log_metrics({"auc": value, "accuracy": value})
    assert "the items do not tell how auc comes about" in corrida.compare("c", "d").verdict.sentence
    untrue = corrida.compare("c", "d", metric="accuracy").verdict
    assert untrue.sentence.endswith("the items of c and d have no expected answer")
    assert "share no items" in corrida.compare("a", "c", metric="accuracy").verdict.sentence
    assert corrida.compare("c", "d").verdict.p_value is None


def test_a_metric_may_declare_its_measure(noisy):
    for name, seed in (("a", 1), ("b", 2)):
        noisy(name, seed, measures={"accuracy": "accuracy where author=w1"})
    found = corrida.compare("a", "b").verdict
    assert found.tested == "accuracy where author=w1"
    assert any("what is tested is accuracy where author=w1 of the items" in c for c in found.cautions)
    assert corrida.Store().get("a").measures == {"accuracy": "accuracy where author=w1"}
    with pytest.raises(InvalidMetric, match="no measure"):
        corrida.start_run(measures={"accuracy": "nonsense"})


def test_no_better_side(noisy):
    def with_words(more):
        return lambda row: row | {"words": int(row["item_id"][1:]) % 7 + more}

    for name, more in (("a", 0), ("b", 2)):
        with corrida.start_run(run_id=name, pipeline="jobs", primary_metric=None) as run:
            rows = [with_words(more)({"item_id": f"i{n}"}) for n in range(50)]
            run.log_items(rows)
            run.log_metrics({"words": sum(r["words"] for r in rows) / 50})
    found = corrida.compare("a", "b").verdict
    assert found.outcome == "unknown"
    assert "more than chance, but no better side is known" in found.sentence


@pytest.mark.parametrize(
    ("options", "message"),
    [({"confidence": 95}, "95 % is 0.95"), ({"confidence": 0}, "between 0 and 1"), ({"confidence": 1.0}, "between 0 and 1"),
     ({"confidence": math.nan}, "between 0 and 1"), ({"margin": -0.1}, "margin must be 0 or more"),
     ({"margin": math.inf}, "margin must be 0 or more"), ({"resamples": 5}, "between 100 and 1,000,000")],
)  # fmt: skip
def test_options_outside_of_their_range(run, options, message):
    run("a", {"1": "x"})
    with pytest.raises(BadInput, match=message):
        corrida.compare("a", "a", **options)


def test_the_command_line(noisy, corrida):
    noisy("a", 1)
    noisy("b", 2, right=0.8)
    said = corrida("compare", "a", "b", "--metric", "loss", "--metric", "accuracy", "--cluster", "author", "--confidence", "0.9",
                   "--margin", "0.02", "--resamples", "1000", "--json").json  # fmt: skip
    assert [v["metric"] for v in said["verdicts"]] == ["loss", "accuracy"]
    verdict = said["verdicts"][1]
    assert verdict["outcome"] == "better"
    assert (verdict["confidence"], verdict["margin"], verdict["clusters"], verdict["resamples"]) == (
        0.9,
        0.02,
        40,
        1000,
    )
    assert "90 % interval" in verdict["sentence"]
    assert "better: accuracy" in corrida("compare", "a", "b", "--md").out
    assert "95 % is 0.95" in corrida.refuses("compare", "a", "b", "--confidence", "95")
    assert "did you mean author" in corrida.refuses("compare", "a", "b", "--cluster", "autor")
    assert "there are accuracy, loss" in corrida.refuses("compare", "a", "b", "--metric", "nope")


def test_quick_comparisons_test_nothing(noisy):
    from corrida.analysis.compare import compare_runs

    noisy("a", 1)
    noisy("b", 2, right=0.8)
    store = corrida.Store()
    found = compare_runs(store.get("a"), store.get("b"), test=False)
    assert found.verdict.outcome == "untested"
    assert "no test was asked for" in found.verdict.sentence
    assert found.items.counts.fixed > 0


def test_numbers_are_loaded_only_where_items_are_compared(noisy):
    noisy("a", 1)
    noisy("b", 2, right=0.8)
    for name in ("c", "d"):
        with corrida.start_run(run_id=name, pipeline="bare", primary_metric="accuracy") as run:
            run.log_metrics({"accuracy": 0.5})
    code = (
        "import sys, corrida; print(corrida.compare(*{runs!r}).verdict.outcome, "
        "*(m for m in ('numpy', 'scipy', 'polars') if m in sys.modules))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code.format(runs=runs)], capture_output=True, text=True, check=True
        ).stdout
        for runs in (("c", "d"), ("a", "b"))
    ]
    assert [line.split() for line in said] == [["tied"], ["better", "numpy", "polars"]]


def test_a_row_that_was_not_tested_has_no_colour_beside_tested_ones(noisy):
    from corrida.analysis.blocks import Table
    from corrida.analysis.compare_report import comparison_blocks

    noisy("a", 1)
    noisy("b", 2)
    for name, auc in (("c", 0.9), ("d", 0.1)):
        with corrida.start_run(run_id=name, pipeline="jobs", primary_metric="accuracy") as run:
            frame = corrida.Store("runs").get("a" if name == "c" else "b").items()
            run.log_items(frame)
            right = float((frame["output"] == frame["expected"]).fill_null(value=False).mean())
            run.log_metrics({"accuracy": right, "auc": auc})
    table = next(b for b in comparison_blocks(corrida.compare("c", "d")) if isinstance(b, Table))
    styles = {row[0]: (row[4], style) for row, style in zip(table.rows, table.styles, strict=True)}
    assert styles["auc"] == ("not tested", "plain")
