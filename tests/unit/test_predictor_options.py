"""Options of a prediction are what ``predict`` is declared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from corrida.errors import InvalidConfig
from corrida.execute.predictor_options import checked_options, known_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corrida.pipelines.contract import Data, Prediction


class Declared:
    def predict(
        self,
        data: Data | None = None,
        *,
        series: Sequence[str] = (),
        horizon: int | None = None,
        share: float = 0.5,
        plain: bool = False,
        way: Literal["up", "down"] = "up",
        anything=None,
    ) -> Prediction: ...


class Unknown:
    def predict(self, data=None, *, first: Nowhere = None, second: int = 0): ...  # noqa: F821


class Whatever:
    def predict(self, data=None, **options: Any): ...


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({}, {}),
        ({"series": "a"}, {"series": ["a"]}),
        ({"series": ("a", "b"), "horizon": 3}, {"series": ["a", "b"], "horizon": 3}),
        ({"share": 1, "plain": True, "way": "down"}, {"share": 1.0, "plain": True, "way": "down"}),
        ({"horizon": None, "anything": object}, {"horizon": None, "anything": object}),
    ],
)
def test_what_is_taken(given, taken):
    found = checked_options(Declared(), "p", given)
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()} == taken


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"serie": 1},
            "the prediction of p has no option 'serie'; it has series, horizon, .* Did you mean series?",
        ),
        ({"horizon": "3"}, "the option horizon is '3': it must be a whole number, not text"),
        ({"horizon": 2.5}, "the option horizon is 2.5: it must be a whole number, not a number"),
        ({"plain": "yes"}, "the option plain is 'yes': it must be true or false, not text"),
        ({"series": [1]}, "the option series is .1.: it must be text, not a whole number"),
        ({"way": "left"}, "the option way is 'left': it cannot be 'left'"),
    ],
)
def test_what_is_refused(given, sentence):
    with pytest.raises(InvalidConfig, match=sentence):
        checked_options(Declared(), "p", given)


def test_annotations_that_cannot_be_evaluated_are_not_checked_and_others_are():
    assert known_options(Unknown()) == {"first": Any, "second": int}
    assert checked_options(Unknown(), "p", {"first": "x"}) == {"first": "x"}
    with pytest.raises(InvalidConfig, match="the option second is 'x': it must be a whole number"):
        checked_options(Unknown(), "p", {"second": "x"})
    with pytest.raises(InvalidConfig, match="has no option 'third'; it has first, second"):
        checked_options(Unknown(), "p", {"third": 1})


def test_a_predictor_may_take_anything():
    assert known_options(Whatever()) is None
    assert checked_options(Whatever(), "p", {"x": 1}) == {"x": 1}


class Streams:
    def predict(self, data=None, *, history: str | None = None): ...

    def score(
        self, path, *, history: Path | None = None, work=None, max_bytes=None, max_rows=None, steps: int = 1,
        against: Path | None = None,
    ): ...  # fmt: skip


@pytest.mark.parametrize("predictor", [Streams(), Streams])
def test_with_a_file_that_is_sent_come_only_options_of_the_one_who_sends_it(predictor):
    assert known_options(predictor, served=True) == {"steps": int}
    assert checked_options(predictor, "p", {"steps": 3}, served=True) == {"steps": 3}
    for name in ("history", "work", "max_rows", "against"):
        with pytest.raises(InvalidConfig, match=f"no option '{name}' for a file that is sent; it has steps"):
            checked_options(predictor, "p", {name: "/etc/passwd"}, served=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("risk", set()),
        ("model_search", set()),
        ("forecasting", {"cherry_pick", "model", "series", "horizon"}),
    ],
)
def test_the_built_in_pipelines_say_their_options_without_a_model(name, options):
    from corrida.pipelines.registry import load_pipeline

    known = known_options(load_pipeline(name, Path()).predictor_type(), served=True)
    assert set(known) == options
    assert Any not in known.values()


def test_a_predictor_without_options():
    class Bare:
        def predict(self, data=None): ...

    with pytest.raises(InvalidConfig, match="has no option 'x'; it has none"):
        checked_options(Bare(), "p", {"x": 1})
