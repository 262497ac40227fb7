"""Two runs side by side."""

from __future__ import annotations

import json
import math

import pytest

import corrida
from corrida.analysis.blocks import to_markdown, to_text
from corrida.analysis.compare_report import comparison_blocks
from corrida.analysis.metrics_diff import compare_metrics, format_difference
from corrida.errors import CorridaError, InvalidMetric


@pytest.fixture
def make(project):
    (project / "config").mkdir()
    (project / "data.csv").write_text("id\n1\n", encoding="utf-8")

    def run(run_id, metrics=None, items=None, rules=None, version="1.1", data=None, **options):
        if rules is not None:
            content = {"version": version, "description": "rules", "rules": rules}
            (project / "config/matching_rules_business.json").write_text(
                json.dumps(content), encoding="utf-8"
            )
            options["configs"] = ["config/*.json"]
        if data is not None:
            (project / "data.csv").write_text(data, encoding="utf-8")
            options["data"] = ["data.csv"]
        with corrida.start_run(
            run_id=run_id, pipeline="jobs", primary_metric="precision", **options
        ) as started:
            started.log_metrics(metrics or {})
            if items:
                started.log_items(items)
        return corrida.Store().get(run_id)

    return run


def _item(number, output, expected="C"):
    return {"item_id": str(number), "text": f"text {number}", "output": output, "expected": expected,
            "correct": output == expected}  # fmt: skip


@pytest.fixture
def seed_case(make):
    rule = {"id": "R1", "word": "x", "active": True}
    a = make("a", {"precision": 0.23, "loss": 2.0}, [_item(1, "C"), _item(2, "X"), _item(3, None)], [rule])
    b = make(
        "b", {"precision": 0.64, "loss": 1.5}, [_item(1, "X"), _item(2, "C"), _item(3, "C")],
        [rule, {"id": "R53", "word": "y", "active": True}], "1.2", description="Agregué regla R53",
    )  # fmt: skip
    return corrida.compare(a, b)


def test_the_first_question_reads_like_its_example_and_says_more(seed_case):
    text = str(seed_case)
    assert "matching_rules_business: 1.1 → 1.2 (+1 rule R53)" in text
    # Three items do not bear out what was logged, and would not suffice to.
    assert "not enough items: precision 0.5 → 0.6667" in text
    assert "the runs logged precision 0.23 and 0.64, their items give 0.5 and 0.6667" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["precision", "0.23", "0.64", "+0.41", "better"] in lines
    assert ["loss", "2", "1.5", "−0.5", "better"] in lines
    assert "1 broken, 2 fixed, 0 changed, 0 same" in text
    assert ["broken", "1", "C", "X", "C", "text", "1"] in lines
    assert "Agregué regla R53" in text
    assert seed_case.a.id in repr(seed_case)
    assert "<pre>" in seed_case._repr_html_()


def test_markdown_and_json(seed_case):
    text = seed_case.to_markdown()
    assert "### Configs" in text
    assert "| precision | 0.23 | 0.64 | +0.41 | better |" in text
    whole = json.loads(json.dumps(seed_case.to_json()))
    assert whole["verdict"]["difference"] == pytest.approx(2 / 3 - 1 / 2)
    assert whole["metrics"][0]["difference"] == pytest.approx(0.41)
    assert whole["items"]["broken"] == 1
    assert len(seed_case.to_json(items=1)["items"]["differing"]) == 1


def test_how_many_items_are_listed(seed_case):
    def rows(limit):
        text = to_text(comparison_blocks(seed_case, items=limit))
        return text, sum(line.split()[:1] in (["broken"], ["fixed"]) for line in text.splitlines())

    text, count = rows(2)
    assert count == 2
    assert "and 1 more: corrida compare a b --items 0" in text
    text, count = rows(0)
    assert count == 3
    assert "more" not in text.split("Items")[1]


def test_details_and_only_changed(make):
    rule = {"id": "R1", "word": "x"}
    a = make("a", {"precision": 0.5, "same": 1}, rules=[rule])
    b = make("b", {"precision": 0.6, "same": 1}, rules=[rule | {"word": "y"}], version="1.2")
    found = corrida.compare(a, b)
    brief = to_text(comparison_blocks(found, only_changed=True))
    assert "same" not in brief.split("Metrics")[1].split("Items")[0]
    assert "Data and environment" not in brief
    assert "R1.word" in to_text(comparison_blocks(found, details=True))
    assert "same" in to_text(comparison_blocks(found))


def test_a_metric_in_one_run_only(make):
    found = corrida.compare(make("a", {"old": 1}), make("b", {"precision": 0.5}))
    lines = [line.split() for line in str(found).split("Metrics\n")[1].splitlines()]
    assert ["precision", "–", "0.5", "–"] in lines
    assert ["old", "1", "–", "–"] in lines
    assert found.verdict.outcome == "unknown"
    assert "missing in a" in found.verdict.sentence


def test_numbers_that_have_no_difference(make):
    a = make("a", {"precision": math.nan, "up": math.inf, "down": -math.inf})
    b = make("b", {"precision": 0.5, "up": math.inf, "down": 1})
    rows = {m.name: m for m in compare_metrics(a, b)}
    assert rows["precision"].difference is None
    assert rows["up"].difference == 0
    assert rows["down"].difference == math.inf
    found = corrida.compare(a, b)
    assert found.verdict.sentence == "precision is nan and 0.5, so the runs cannot be compared by it"
    json.dumps(found.to_json(), allow_nan=False)


def test_which_metric_decides(make):
    a, b = make("a", {"x": 1, "loss": 3}), make("b", {"x": 2, "loss": 3})
    assert corrida.compare(a, b, metric="loss").verdict.outcome == "tied"
    assert "no better side" in corrida.compare(a, b, metric="x").verdict.sentence
    with pytest.raises(InvalidMetric, match="there are x, loss"):
        corrida.compare(a, b, metric="nope")


def test_item_sets_that_differ_are_said(make):
    a = make("a", {"precision": 1}, [_item(1, "C"), _item(2, "C")])
    b = make("b", {"precision": 1}, [_item(2, "C", "D"), _item(3, "C"), _item(4, "C")])
    text = str(corrida.compare(a, b))
    assert "1 only in A, 2 only in B: the metrics are not of the same items" in text
    assert "only in A: 1" in text
    assert "only in B: 3, 4" in text
    assert "another expected answer" in text
    assert "no items in c" in str(corrida.compare(a, make("c", {"precision": 1})))


def test_what_else_differs_is_said(make, project, monkeypatch):
    a = make("a", {"precision": 1}, data="id\n1\n", seed=1, source="gold")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    b = make("b", {"precision": 1}, data="id\n1\n2\n", seed=2, source="silver")
    found = corrida.compare(a, b)
    text = str(found).split("Data and environment\n")[1]
    assert "data.csv has other content: 1 → 2 rows" in text
    assert "seed 1 → 2" in text
    assert "source gold → silver" in text
    assert {c.kind for c in found.circumstances} >= {"data", "seed", "source"}
    (project / "data.csv").rename(project / "moved.csv")
    c = make("c", {"precision": 1}, seed=2, source="silver")
    assert "data.csv is gone" in str(corrida.compare(b, c))


def test_parameters_that_differ_are_shown_once(make):
    a = make("a", {"precision": 1}, rules=[], params={"version": "1.1", "top_k": 5})
    b = make("b", {"precision": 1}, rules=[], version="1.2", params={"version": "1.2", "top_k": 7})
    configs = str(corrida.compare(a, b)).split("Configs\n")[1].split("\n\n")[0]
    assert "top_k: 5 → 7" in configs
    assert configs.count("1.1 → 1.2") == 1


def test_nothing_differs(make):
    a = make("a", {"precision": 1}, rules=[])
    text = str(corrida.compare(a, a))
    assert "byte for byte" in text
    assert "the same packages and machine; no data is recorded; code is not recorded (no git)" in text
    assert to_markdown(comparison_blocks(corrida.compare(a, a)))


def test_a_run_that_cannot_be_read(make, project):
    a = make("a", {"precision": 1})
    (project / "runs/a/run.json").write_text("{", encoding="utf-8")
    with pytest.raises(CorridaError):
        corrida.compare("a", "a")
    damaged = corrida.Store().runs()[0]
    with pytest.raises(CorridaError):
        corrida.compare(damaged, a)


def test_differences_are_signed():
    assert format_difference(0.41) == "+0.41"
    assert format_difference(-0.5) == "−0.5"
    assert format_difference(71.1 - 51.1) == "+20"  # 19.999999999999993: no point is left at the end
