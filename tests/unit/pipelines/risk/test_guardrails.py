"""The limits of the law by activity and day."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
import pytest

from corrida.errors import InvalidConfig
from corrida.pipelines.risk.guardrails import Guardrails, Law, check_guardrails, default_guardrails


def checked(law, sector, day, pesos, *, cash=False, total=None, section=None):
    array = np.array
    days = (dt.date.fromisoformat(day) - dt.date(1970, 1, 1)).days
    cents = round(pesos * 100)
    found = law.check(
        array([law.activity_of(sector, section)]),
        array([days]),
        array([cents]),
        array([cash]),
        array([round((pesos if total is None else total) * 100)]),
    )
    return {name for name, value in vars(found).items() if value.dtype == bool and value[0]}


@pytest.fixture(scope="module")
def law():
    return Law(default_guardrails())


@pytest.mark.parametrize(
    ("day", "uma"),
    [
        ("2023-06-01", 103.74),
        ("2024-06-01", 108.57),
        ("2025-02-01", 113.14),
        ("2026-01-31", 113.14),
        ("2026-02-01", 117.31),
    ],
)
def test_limits_go_with_the_uma_of_the_day(law, day, uma):
    limit = round(8025 * uma, 2)
    assert "noticed" in checked(law, "inmobiliaria", day, limit)
    assert "noticed" not in checked(law, "inmobiliaria", day, limit - 0.01)


@pytest.mark.parametrize(
    ("sector", "uma", "cash"),
    [
        ("inmobiliaria", 8025, 8025),
        ("automotriz", 6420, 3210),
        ("Joyería", 1605, 3210),
        ("traslado-valores", 3210, None),
    ],
)
def test_notice_and_cash_by_activity(law, sector, uma, cash):
    assert "noticed" in checked(law, sector, "2025-06-01", uma * 113.14 + 0.01)
    assert "noticed" not in checked(law, sector, "2025-06-01", uma * 113.14 - 0.02)
    if cash is not None and cash < uma:
        assert "paid_cash" in checked(law, sector, "2025-06-01", cash * 113.14 + 0.01, cash=True)
        assert "paid_cash" not in checked(law, sector, "2025-06-01", cash * 113.14 + 0.01)


def test_a_reform_counts_from_its_day(law):
    amount = 400 * 113.14
    assert "noticed" not in checked(law, "activos_virtuales", "2025-07-16", amount)
    assert "noticed" in checked(law, "activos_virtuales", "2025-07-17", amount)


def test_a_sum_reaches_the_limit_of_notice(law):
    assert checked(law, "joyeria", "2025-06-01", 10_000, total=200_000) == {"summed"}


def test_the_section_says_the_activity_before_the_sector_does(law):
    assert "noticed" in checked(law, "comercio", "2025-06-01", 10**6, section="V_inmuebles")
    assert checked(law, "comercio", "2025-06-01", 10**9) == set()


def test_a_day_without_limits_does_not_pass_for_unlimited(law):
    assert checked(law, "inmobiliaria", "2031-01-01", 10**9) == {"unknown"}
    assert checked(law, "comercio", "2031-01-01", 10**9) == set()


@pytest.mark.parametrize(
    ("word", "cash"),
    [
        ("Efectivo", True),
        ("depósito en efectivo", True),
        ("transferencia", False),
        ("inefectivo", False),
        (None, False),
    ],
)
def test_what_is_cash(law, word, cash):
    assert law.is_cash(word) is cash


def test_every_value_has_a_source():
    law = default_guardrails()
    check_guardrails(law)
    assert all("INEGI" in one.source for one in law.uma)
    assert all("LFPIORPI" in limits.source for activity in law.activities for limits in activity.limits)


def test_periods_that_overlap_are_refused():
    built = msgspec.to_builtins(default_guardrails())
    built["uma"][1]["from"] = built["uma"][0]["to"]
    with pytest.raises(InvalidConfig, match="reaches into"):
        check_guardrails(msgspec.convert(built, Guardrails))


def test_a_sector_of_two_activities_is_refused():
    built = msgspec.to_builtins(default_guardrails())
    built["activities"][0]["sectors"] = ["Joyería"]
    with pytest.raises(InvalidConfig, match="joyeria"):
        check_guardrails(msgspec.convert(built, Guardrails))
