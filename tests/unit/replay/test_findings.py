"""The sentence with which a bisection ends."""

from __future__ import annotations

import pytest

from corrida.replay.findings import Blame, sentence

TWELVE = tuple(f"c{n}" for n in range(12))
A, B, C = "R61.priority 40 → 10", "R7.active true → false", "k 1 → 2"


@pytest.mark.parametrize(
    ("blames", "expected"),
    [
        (
            [Blame(items=TWELVE, causes=((A,),)), Blame(items=("h1", "h2"), causes=((A, B),))],
            f"{A} breaks 12 of the 14; together with {B} the other 2",
        ),
        (
            [Blame(items=TWELVE, causes=((A,),), metric=True), Blame(items=("h1",), causes=((B, C),))],
            f"{A} makes f1 worse and breaks 12 of the 13; {B} together with {C} breaks the other 1",
        ),
        ([Blame(items=("x",), causes=((A,),))], f"{A} breaks x"),
        (
            [Blame(items=TWELVE, causes=((A,), (B, C)))],
            f"{A}, and as well {B} together with {C} breaks all 12",
        ),
        ([Blame(metric=True, causes=((A, B, C),))], f"{A} together with {B} and {C} makes f1 worse"),
        (
            [Blame(items=("x",), causes=((A,),)), Blame(items=("y",), kind="fixed", causes=((A,),))],
            f"{A} breaks 1 of the 2; {A} fixes the other 1",
        ),
        (
            [
                Blame(items=TWELVE, causes=((A,),)),
                Blame(items=("y", "z"), causes=((A, B, C),), minimal=False),
            ],
            f"{A} breaks 12 of the 14; the other 2 not narrowed down further than 3 changes",
        ),
        (
            [Blame(metric=True, causes=((A, B),), minimal=False)],
            "f1 not narrowed down further than 2 changes",
        ),
    ],
)
def test_in_words(blames, expected):
    assert sentence(blames, "f1") == expected
