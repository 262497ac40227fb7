"""What a person reads of an analysis and of its charge."""

from __future__ import annotations

import pytest

from corrida.cli.charges import charge_line
from corrida.inference.report_text import sentences


@pytest.mark.parametrize(("column", "said"), [("operation", "an operation"), ("sector", "a sector")])
def test_what_was_unseen_has_its_article(column: str, said: str) -> None:
    report = {"alignment": {"unseen": {column: {"rows": 1, "most": {"trueque": 1}}}}}
    assert sentences(report) == [f"1 row with {said} that training had not seen (trueque)"]


def test_a_refund_is_a_negative_number_with_a_minus() -> None:
    refund = {"kind": "refund", "units": -3, "amount": "-0.15", "reason": "re-trained"}
    assert charge_line(refund) == ("refund", "−3 rows, −0.15, re-trained")
