"""The state of a comparison, to an address and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from corrida.web.address import item_address
from corrida.web.compare_state import CompareState

TEXT = st.text(st.characters(codec="utf-8"), max_size=12).map(str.strip)


@given(
    st.lists(TEXT.filter(bool), max_size=4), TEXT, TEXT, TEXT.filter(lambda t: t != "all"),
    st.integers(1, 999), st.lists(TEXT, max_size=3),
)  # fmt: skip
def test_an_address_leads_back_to_its_state(
    runs: list[str], metric: str, find: str, items: str, page: int, raw: list[str]
) -> None:
    state = CompareState(tuple(runs), metric=metric, find=find, items=items, page=page, raw=tuple(raw))
    assert CompareState.of(QueryParams(state.address(page=page)[1:])) == state


def test_another_choice_begins_at_the_first_page() -> None:
    state = CompareState(("a", "b"), items="broken", page=7)
    assert state.address(items="fixed") == "?run=a&run=b&items=fixed"


def test_the_baseline_moves_to_the_front_and_runs_can_go() -> None:
    state = CompareState(("a", "b", "c"), metric="f1")
    assert state.based_on("c") == "?run=c&run=a&run=b&metric=f1"
    assert state.without("b") == "?run=a&run=c&metric=f1"
    assert state.only("a", "c") == "?run=a&run=c&metric=f1"


def test_a_file_is_shown_and_hidden_again() -> None:
    state = CompareState(("a", "b"), page=2)
    shown = state.showing("config/a b.json")
    assert shown == "?run=a&run=b&page=2&raw=config%2Fa+b.json"
    assert CompareState.of(QueryParams(shown[1:])).showing("config/a b.json") == "?run=a&run=b&page=2"


def test_what_a_browser_takes_for_a_step_stands_in_the_query() -> None:
    assert item_address("", "T/1 é") == "/items/T%2F1%20%C3%A9"
    assert item_address("/x", "../runs", "jobs") == "/x/items?id=..%2Fruns&pipeline=jobs"
    assert item_address("", ".") == "/items?id=."
