"""The state of the table of runs, in its address and back."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from corrida.runs.query import compile_filter, names_in_filter
from corrida.web.address import RunsState, quoted, tag_condition
from corrida.web.columns import chooser, listed


@pytest.mark.parametrize(
    "value", ["plain", "O'Neil", "back\\slash", "''", "検索 <b>", 'with "quotes"', "end\\"]
)
def test_a_tag_of_any_text_can_be_filtered_by(value: str) -> None:
    condition = tag_condition("owner name", value)
    assert condition is not None
    assert compile_filter(condition).values[-1] == value
    assert names_in_filter(condition) == ["tags.owner name"]


def test_a_tag_that_no_filter_can_name_leads_nowhere() -> None:
    assert tag_condition("a`b", "x") is None
    assert tag_condition('a"b', "x") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "tags.a = 'x'"),
        ("metrics.f1 > 0.5", "metrics.f1 > 0.5 and tags.a = 'x'"),
        ("seed = 1 OR seed = 2", "(seed = 1 OR seed = 2) and tags.a = 'x'"),
        ("tags.a = 'x'", "tags.a = 'x'"),
    ],
)
def test_a_condition_is_added_to_a_filter(before: str, after: str) -> None:
    address = RunsState(filter=before, page=3).with_condition("tags.a = 'x'")
    assert parse_qs(address[1:]) == {"filter": [after]}


def test_columns_move_one_place() -> None:
    state = RunsState(pipeline="jobs")
    shown = chooser(state, ["id", "metrics.a,b", "seed"], []).shown
    assert [bool(one.left) for one in shown] == [False, True, True]
    assert [bool(one.right) for one in shown] == [True, True, False]
    assert parse_qs(shown[1].left[1:]) == {"pipeline": ["jobs"], "columns": ["`metrics.a,b`,id,seed"]}


def test_fields_that_are_shown_are_not_offered_again() -> None:
    names = [f"metrics.m{i}" for i in range(100)] + ["params.lr"]
    offered = chooser(RunsState(), ["id", "metrics.m0"], names)
    groups = {group.title: group for group in offered.groups}
    assert "Tags" not in groups
    assert groups["Parameters"].fields == [("params.lr", "lr")]
    assert ("metrics.m0", "m0") not in groups["Metrics"].fields
    assert len(groups["Metrics"].fields) + groups["Metrics"].more == 99
    assert "id" not in dict(groups["Run"].fields)


def test_names_with_signs_are_quoted() -> None:
    assert quoted("metrics.f1") == "metrics.f1"
    assert listed(["id", "params.a b"]) == "id,`params.a b`"
