"""Gates: what passes, what fails, what is in doubt."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import corrida
from corrida.analysis.gate import check_rules
from corrida.analysis.gate_rules import GateRule, read_drop
from corrida.errors import BadInput, InvalidConfig, InvalidData, InvalidMetric
from corrida.project import read_settings

SIZE = 600


def _run(
    run_id, broken=0, fixed=0, *, size=SIZE, start=0, items=True, pipeline="p", loss=None, log=None, **more
):
    """Record a run that is right in two items of three, but for the first ones that are broken or fixed."""
    right = np.arange(start, start + size) % 3 != 0
    right[np.flatnonzero(right)[:broken]] = False
    right[np.flatnonzero(np.arange(start, start + size) % 3 == 0)[:fixed]] = True
    with corrida.start_run(run_id=run_id, pipeline=pipeline, primary_metric="accuracy") as run:
        frame = pl.DataFrame(
            {
                "item_id": [f"i{n}" for n in range(start, start + size)],
                "output": ["a" if r else "b" for r in right],
                "expected": ["a"] * size,
                "group": [f"g{n * 4 // size}" for n in range(size)],
                "writer": [f"w{n // 6}" for n in range(size)],
            }
        )
        metrics = {"accuracy": float(right.mean())}
        if loss is not None:
            values = np.random.default_rng(0).gamma(2, 1, size) + loss
            frame = frame.with_columns(loss=values)
            metrics["loss"] = float(values.mean())
        if items:
            run.log_items(frame.with_columns(**more))
        run.log_metrics(metrics | (log or {}))
    return corrida.Store("runs").get(run_id)


def _gate(base, new, max_drop=0.05, metric="accuracy", **options):
    return corrida.gate(base, new, metric=metric, max_drop=max_drop, **options)


@pytest.fixture(autouse=True)
def _here(project):
    return project


@pytest.mark.parametrize(
    ("broken", "fixed", "outcome", "said"),
    [
        (0, 0, "passed", "the same in each of 600 shared items"),
        (0, 20, "passed", "a drop of more than 0.05 is excluded"),
        (2, 0, "passed", "a drop of more than 0.05 is excluded"),  # worse, and no more than allowed
        (60, 0, "failed", "a drop of more than 0.05 is certain"),
        (30, 2, "doubt", "a drop of more than 0.05 cannot be excluded"),
    ],
)
def test_a_rule_is_decided_by_the_interval(broken, fixed, outcome, said):
    result = _gate(_run("base"), _run("new", broken, fixed))
    rule = result.rules[0]
    assert (rule.outcome, result.outcome) == (outcome, outcome)
    assert said in rule.sentence
    assert result.passed is (outcome == "passed")
    assert bool(result) is result.passed
    low, high = rule.interval
    if outcome == "failed":
        assert high < -0.05
    elif outcome == "doubt":
        assert low < -0.05 <= high
    elif broken or fixed:
        assert low >= -0.05
    assert rule.difference == pytest.approx((fixed - broken) / SIZE)


def test_more_items_take_away_the_doubt():
    result = _gate(_run("base"), _run("new", 12), max_drop=0.03)
    assert result.outcome == "doubt"
    needed = int(result.rules[0].sentence.split("about ")[1].split(" items")[0].replace(",", ""))
    factor = -(-needed // SIZE)
    larger = _gate(
        _run("large", size=SIZE * factor), _run("larger", 12 * factor, size=SIZE * factor), max_drop=0.03
    )
    assert larger.outcome == "passed"


def test_doubt_counts_as_the_rule_says():
    base, new = _run("base"), _run("new", 30)
    assert not _gate(base, new).passed
    assert (
        "gate in doubt: 1 rule undecided (accuracy), which counts as broken" in str(_gate(base, new)).lower()
    )
    lenient = _gate(base, new, on_doubt="pass")
    assert lenient.passed
    assert lenient.sentence.startswith("gate passed, in doubt")
    assert not _gate(base, _run("worse", 200), on_doubt="pass").passed


def test_a_loss_that_rises_is_a_drop():
    base, new, better = _run("base", loss=0.0), _run("new", loss=0.5), _run("better", loss=-0.5)
    worse = _gate(base, new, metric="loss", max_drop=0.1)
    assert worse.outcome == "failed"
    assert "a rise of more than 0.1 is certain" in worse.rules[0].sentence
    assert "rise ≤ 0.1" in str(worse)
    assert _gate(base, better, metric="loss", max_drop=0.1).passed
    assert _gate(base, new, metric="loss", max_drop=0.6).passed


def test_a_drop_relative_to_the_base():
    base, new = _run("base"), _run("new", 60)  # 0.667 to 0.567: a drop of 15 %
    result = _gate(base, new, max_drop="14%")
    assert result.rules[0].allowed == pytest.approx(0.14 * 2 / 3)
    assert result.outcome == "doubt"
    assert _gate(base, new, max_drop="5 %").outcome == "failed"
    assert _gate(base, new, max_drop="30%").passed
    assert "drop ≤ 5 %" in str(_gate(base, new, max_drop="5 %"))


def test_what_cannot_be_decided_is_a_doubt_and_said():
    base = _run("base", log={"only_base": 1.0, "size": 3.0, "f1": 0.5})
    cases = {
        "no items": (
            _run("bare", items=False),
            "accuracy",
            "0.6667 in both, but could not be tested: no items in bare",
        ),
        "no items, moved": (_run("moved", 9, items=False), "accuracy", "moved has no items"),
        "one run lacks it": (_run("new"), "f1", "f1 is missing in new"),
        "no better side": (_run("sized", log={"size": 2.0}), "size", "no better side of size is known"),
        "other work": (_run("other", pipeline="q"), "accuracy", "not the same work: p and q"),
        "no shared items": (_run("far", start=3000), "accuracy", "the runs share no items"),
        "one item": (_run("single", size=1), "accuracy", "1 shared item is too little to test"),
    }
    for name, (new, metric, said) in cases.items():
        rule = _gate(base, new, metric=metric).rules[0]
        assert rule.outcome == "doubt", name
        assert said in rule.sentence, name
    rule = _gate(base, _run("again"), metric="only_base").rules[0]
    assert (rule.outcome, rule.base, rule.new) == ("doubt", 1.0, None)


def test_a_run_that_has_not_finished_is_a_doubt():
    base = _run("base")
    run = corrida.start_run(run_id="failed", pipeline="p")
    run.log_items(base.items())
    run.log_metrics({"accuracy": 1.0})
    run.fail(ZeroDivisionError("the end"))
    assert "failed is failed" in _gate(base, "failed").rules[0].sentence


def test_a_rule_of_the_project_on_a_metric_that_neither_run_has_is_a_doubt():
    base, new = _run("base"), _run("new")
    rule = check_rules(base, new, [GateRule(metric="nothing", max_drop=0)]).rules[0]
    assert rule.outcome == "doubt"
    assert rule.sentence == "cannot be decided: nothing is missing in base and new"
    assert rule.base is None
    with pytest.raises(InvalidMetric, match="neither run has the metric 'nothing'; there are accuracy"):
        _gate(base, new, metric="nothing")


def test_items_that_only_one_run_has_are_a_doubt_unless_the_rule_says_otherwise():
    base, new = _run("base"), _run("new", size=SIZE + 10)
    result = _gate(base, new)
    assert result.outcome == "doubt"
    assert "but 10 items only the new run has could not be compared" in result.rules[0].sentence
    assert _gate(base, new, shared_items=True).passed
    assert _gate(base, _run("bad", 100, size=SIZE + 10)).outcome == "failed"


def test_a_drop_that_was_logged_and_that_the_items_do_not_show_is_a_doubt():
    result = _gate(_run("base"), _run("new", log={"accuracy": 0.2}))
    assert result.outcome == "doubt"
    assert "but the runs logged accuracy 0.6667 and 0.2" in result.rules[0].sentence


def test_items_with_a_number_in_one_run_only_are_a_doubt():
    def lost(name):
        right = np.arange(SIZE) % 3 != 0
        with corrida.start_run(run_id=name, pipeline="p", primary_metric="loss", direction="min") as run:
            losses = np.where(right | (name == "base"), 1.0, np.nan)
            run.log_items(pl.DataFrame({"item_id": [str(n) for n in range(SIZE)], "loss": losses}))
            run.log_metrics({"loss": 1.0})
        return corrida.Store("runs").get(name)

    result = _gate(lost("base"), lost("new"), metric="loss")
    assert result.outcome == "doubt"
    assert "but 200 shared items could not be compared" in result.rules[0].sentence


def test_a_drop_in_percentage_points_is_not_taken_for_a_share():
    base, new = _run("base", log={"accuracy": 200 / 3}), _run("new", 60, log={"accuracy": 170 / 3})
    assert _gate(base, new, max_drop=5).outcome == "doubt"
    result = _gate(base, new, max_drop=11)
    assert result.outcome == "doubt"
    assert "on another scale, 66.6667 where the items give 0.6667" in result.rules[0].sentence
    assert _gate(base, new, max_drop=30).passed


def test_a_run_against_itself_passes():
    base = _run("base", items=False)
    result = _gate(base, base)
    assert result.passed
    assert result.rules[0].sentence == "base and new are the same run"


def test_several_rules_must_all_hold():
    base, new = _run("base", loss=0.0), _run("new", 0, 20, loss=2.0)
    result = _gate(base, new, metric=["accuracy", "loss"], max_drop=0.05)
    assert [rule.outcome for rule in result.rules] == ["passed", "failed"]
    assert result.sentence == "gate failed: 1 of 2 rules broken (loss)"
    rules = [
        GateRule(metric="accuracy", max_drop=0.05, confidence=0.99),
        GateRule(metric="loss", max_drop=3, cluster="writer"),
    ]
    both = check_rules(base, new, rules)
    assert both.sentence == "gate passed: 2 rules kept"
    assert "in 100 clusters" in both.rules[1].sentence
    assert "99 % interval" in both.rules[0].sentence


def _uneven():
    """Return two runs alike over all, of which the first half got worse by 20 points and the other better."""
    half = pl.Series(["first"] * 300 + ["second"] * 300)
    right = np.arange(SIZE) % 3 != 0
    later = right.copy()
    later[np.flatnonzero(right[:300])[:60]] = False
    later[300 + np.flatnonzero(~right[300:])[:60]] = True
    runs = []
    for run_id, values in (("even", right), ("uneven", later)):
        with corrida.start_run(run_id=run_id, pipeline="p", primary_metric="accuracy") as run:
            output = ["a" if r else "b" for r in values]
            run.log_items(
                pl.DataFrame(
                    {
                        "item_id": [f"i{n}" for n in range(SIZE)],
                        "output": output,
                        "expected": ["a"] * SIZE,
                        "half": half,
                    }
                )
            )
            run.log_metrics({"accuracy": float(values.mean())})
        runs.append(corrida.Store("runs").get(run_id))
    return runs


def test_segments_are_judged_by_their_own_greatest_drop():
    base, new = _uneven()
    assert _gate(base, new).passed
    certain = _gate(base, new, slices="half", slices_max_drop=0.1)
    assert certain.outcome == "failed"
    assert [s.segment for s in certain.rules[0].broken] == ["half = first"]
    assert "half = first drops further than a segment may" in certain.rules[0].sentence
    near = _gate(base, new, slices="half", slices_max_drop=0.18)
    assert near.outcome == "doubt"
    assert "as far as seen, which is not certain" in near.rules[0].sentence
    assert _gate(base, new, slices="half", slices_max_drop=0.25).passed
    assert _gate(base, new, slices="half", slices_max_drop="50%").passed
    assert certain.comparison.slices is not None
    nothing = _gate(base, new, slices="expected")
    assert nothing.outcome == "doubt"
    assert "its slices cannot be judged: no column could be cut" in nothing.rules[0].sentence


def test_what_is_printed():
    base, new = _uneven()
    result = _gate(base, new, slices="half", slices_max_drop=0.1)
    lines = result.to_markdown().splitlines()
    assert lines[0] == "Gate failed: 1 rule broken (accuracy)"
    assert any(line.startswith("| accuracy | drop ≤ 0.05, any half 0.1 |") for line in lines)
    assert repr(result) == str(result)
    plain = json.loads(json.dumps(result.to_json()))
    assert plain["outcome"] == "failed"
    assert plain["rules"][0]["broken"][0]["segment"] == "half = first"
    assert plain["rules"][0]["holds"] is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, (0, False)), ("0.01", (0.01, False)), ("1%", (0.01, True)), ("2.5 %", (0.025, True))],
)
def test_greatest_drops(value, expected):
    assert read_drop(value, "max_drop") == pytest.approx(expected)


@pytest.mark.parametrize("value", [-0.01, float("nan"), float("inf"), "x", "", "-1%", "1%%", "..%", "%", [1]])
def test_drops_that_are_none(value):
    with pytest.raises(BadInput, match="max_drop must be a number from 0 on"):
        _gate(_run("base"), _run("new"), max_drop=value)


def test_rules_that_cannot_be_used():
    base, new = _run("base"), _run("new")
    with pytest.raises(
        BadInput, match=r"the gate has no rules; give --metric and --max-drop, or write \[\[gate"
    ):
        corrida.gate(base, new)
    with pytest.raises(BadInput, match="give --max-drop"):
        corrida.gate(base, new, metric="accuracy")
    with pytest.raises(BadInput, match="give --metric"):
        corrida.gate(base, new, max_drop=0.1)
    with pytest.raises(BadInput, match="confidence must lie between 0 and 1"):
        _gate(base, new, confidence=95)
    with pytest.raises(BadInput, match="has slices_max_drop and no slices"):
        _gate(base, new, slices_max_drop=0.1)
    with pytest.raises(BadInput, match="no column 'grop' to slice by; did you mean group"):
        _gate(base, new, slices="grop")
    with pytest.raises(InvalidData, match="no column 'wrter' to cluster by; did you mean writer"):
        _gate(base, new, cluster="wrter")
    with pytest.raises(BadInput, match="must name a metric"):
        check_rules(base, new, [GateRule(metric=" ", max_drop=0)])
    with pytest.raises(BadInput, match="on_doubt is pass or fail, not maybe"):
        _gate(base, new, on_doubt="maybe")


def _settings(project, text):
    (project / "corrida.toml").write_text(text, encoding="utf-8")
    return read_settings(project / "corrida.toml")


def test_rules_of_the_project_and_of_a_pipeline(project):
    settings = _settings(
        project,
        '[[gate.rules]]\nmetric = "f1"\nmax_drop = "1%"\nslices = "auto"\n'
        '[pipelines.jobs]\n[[pipelines.jobs.gate.rules]]\nmetric = "accuracy"\nmax_drop = 0\non_doubt = "pass"\n'
        "[pipelines.free]\ngate = {}\n",
    )
    assert [rule.metric for rule in settings.gate_rules("any")] == ["f1"]
    assert settings.gate_rules("any")[0].slice_specs == ("auto",)
    assert [(rule.metric, rule.max_drop, rule.on_doubt) for rule in settings.gate_rules("jobs")] == [
        ("accuracy", 0, "pass")
    ]
    assert settings.gate_rules("free") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gate]\nrule = 1", "[gate] unknown key 'rule'; did you mean rules?"),
        ("gate = 3", "gate must be a table"),
        ("[gate]\nrules = 3", "[gate] rules must be a list"),
        ('[[gate.rules]]\nmetric = "f1"', "[[gate.rules]] 1: the key max_drop is missing"),
        (
            '[[gate.rules]]\nmetric = "f1"\nmax_drop = -0.5',
            "[[gate.rules]] 1: max_drop must be a number from 0 on",
        ),
        (
            '[[gate.rules]]\nmetric = "f1"\nmax_drop = true',
            "max_drop must be a number, or a share such as 1%",
        ),
        (
            '[[gate.rules]]\nmetric = "f1"\nmax_drop = 0\nconfidnce = 1',
            "unknown key 'confidnce'; did you mean confidence?",
        ),
        ('[[gate.rules]]\nmetric = "f1"\nmax_drop = 0\non_doubt = "x"', "on_doubt cannot be 'x'"),
        ('[[gate.rules]]\nmetric = "f1"\nmax_drop = 0\nslices = 3', "slices must be text or a list"),
        (
            '[[pipelines.j.gate.rules]]\nmetric = "f1"\nmax_drop = "x"',
            "[[pipelines.j.gate.rules]] 1: max_drop must",
        ),
    ],
)
def test_settings_that_cannot_be_read(project, text, message):
    with pytest.raises(InvalidConfig) as error:
        _settings(project, text)
    assert message in str(error.value)
    assert str(error.value).startswith("corrida.toml: ")
