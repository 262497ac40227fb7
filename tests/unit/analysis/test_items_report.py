"""The items of a comparison as a person reads them, where losses tell and where answers do."""

from __future__ import annotations

import itertools
import json

import pytest

import corrida as package
from corrida.analysis.blocks import to_text
from corrida.analysis.charts.losses import loss_chart
from corrida.analysis.charts.render import to_png
from corrida.analysis.compare_report import comparison_blocks
from corrida.analysis.comparison_page import comparison_parts
from corrida.analysis.items_values import format_answer
from corrida.analysis.pages import Figure


@pytest.fixture
def compared(project):
    def compare(before, after):
        for name, items in (("a", before), ("b", after)):
            with package.start_run(run_id=name, pipeline="p", primary_metric="loss", direction="min") as run:
                run.log_metrics({"loss": 1.0})
                run.log_items(items)
        return package.compare("a", "b")

    return compare


def forecasts(*losses):
    return [{"item_id": f"café@{year}", "loss": loss} for year, loss in enumerate(losses, 2001)]


def test_forecasts_are_better_or_worse_by_their_loss(compared):
    found = compared(forecasts(0.5, 0.25, 1.0, 1.0, None), forecasts(0.25, 0.5, 1.0, 3.0, None))
    text = str(found)
    assert "1 better, 2 worse by loss of 5 shared items" in text
    assert "2 worse, 1 better, 1 same, 1 without a loss in both runs" in text
    lines = [line.split() for line in text.splitlines()]
    place = lines.index(["item", "loss", "A", "loss", "B", "difference"])
    assert lines[place + 1 : place + 4] == [
        ["worse", "café@2004", "1", "3", "+2"],
        ["worse", "café@2002", "0.25", "0.5", "+0.25"],
        ["better", "café@2001", "0.5", "0.25", "−0.25"],
    ]
    assert "broken" not in text
    items = json.loads(json.dumps(found.to_json()))["items"]
    assert (items["better"], items["worse"], items["same"], items["not_comparable"]) == (1, 2, 1, 1)
    assert (items["differing"][0]["kind"], items["differing"][0]["loss_b"]) == ("worse", 3.0)
    assert "| worse | café@2004 | 1 | 3 | +2 |" in found.to_markdown()
    assert "and 2 more" in to_text(comparison_blocks(found, items=1))


def test_a_regression_shows_six_digits_and_keeps_them_all(compared):
    def rows(*outputs):
        return [
            {"item_id": str(n), "output": str(y), "expected": "12.2", "loss": (y - 12.2) ** 2}
            for n, y in enumerate(outputs)
        ]

    found = compared(rows(11.020406685308505, 12.2), rows(10.205300990851441, 12.2))
    text = str(found)
    assert "0 better, 1 worse by loss of 2 shared items" in text
    assert ["worse", "0", "1.3914", "3.9788", "+2.5874", "11.0204", "10.2053", "12.2"] in [
        line.split() for line in text.splitlines()
    ]
    assert found.to_json()["items"]["differing"][0]["output_a"] == "11.020406685308505"


def test_where_answers_are_right_or_wrong_losses_are_said_beside(compared):
    def rows(*right):
        return [
            {
                "item_id": str(n),
                "output": "x",
                "expected": "x" if ok else "y",
                "correct": ok,
                "loss": 0.5 - ok / 4 + n,
            }
            for n, ok in enumerate(right)
        ]

    before, after = rows(True, False), rows(False, True)
    for row in (*before, *after):
        row["expected"] = None
    text = str(compared(before, after))
    assert "1 fixed, 1 broken of 2 shared items" in text
    assert "1 broken, 1 fixed, 0 changed, 0 same" in text
    assert "by loss: 1 worse, 1 better, 0 equal" in text
    assert "loss A" not in text


def test_the_page_draws_losses_where_they_are_what_tells(compared):
    found = compared(forecasts(0.5, 0.25, float("inf")), forecasts(0.25, 0.5, 1.0))
    (figure,) = [
        part for part in comparison_parts(found) if isinstance(part, Figure) and part.name == "losses"
    ]
    assert figure.spec["title"]["text"] == "1 items better, 1 worse by loss"
    assert to_png(figure.spec).startswith(b"\x89PNG")


def test_of_many_items_a_bar_is_several():
    spec = loss_chart([float(n) for n in range(-5000, 5001) if n], equal=3)
    bars = spec["data"]["values"]
    assert len(bars) == 240
    assert (bars[0]["low"], bars[-1]["high"]) == (0, 10_003)
    assert all(bar["high"] == after["low"] for bar, after in itertools.pairwise(bars))
    values = [bar["difference"] for bar in bars]
    assert values == sorted(values, reverse=True)
    assert "a bar is 41 or 42 items (10,003 in all)" in spec["title"]["subtitle"]
    assert [bar["kind"] for bar in loss_chart([1.0, -1.0], equal=1)["data"]["values"]] == [
        "worse",
        "equal",
        "better",
    ]
    assert loss_chart([], equal=5) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (11.020406685308505, "11.0204"),
        ("11.020406685308505", "11.0204"),
        ("-0.00012345678901234", "-0.000123457"),
        (1234567.891, "1.23457e+06"),
        (123456.789, "123457"),
        (2.0, "2"),
        (1234567.0, "1234567"),
        ("5434", "5434"),
        ("0123.100", "0123.100"),
        ("62.0", "62.0"),
        ("1.10.100.7", "1.10.100.7"),
        ("12345678901234", "12345678901234"),
        ("naïve.answer", "naïve.answer"),
        (float("nan"), "nan"),
        (["a"], "['a']"),
    ],
)
def test_answers_in_tables(value, shown):
    assert format_answer(value) == shown
