"""``corrida demo risk``: made-up payments, two runs, and a scored file."""

from __future__ import annotations

from importlib.resources import files

import polars as pl
import pytest


@pytest.mark.slow
def test_the_demo_trains_promotes_and_scores(project, corrida):
    said = corrida("demo", "risk").out
    assert said.count("finished, in runs/") == 2
    assert "@production is wider" in said
    for end in ("0.45", "0.2"):
        assert (
            f"no threshold of the grid costs less for inusual than its end, {end}: a wider grid"
            in " ".join(said.split())
        )
    assert "none costs less than 0.2, an end of the grid" in (project / "runs/wider/report.md").read_text()
    amounts = pl.read_csv(project / "data/transactions.csv", infer_schema=False)["monto"]
    assert not amounts.str.contains(r"\.\d{3,}").any()  # of pesos and cents
    assert "3,008 of 3,008 rows scored: " in said
    assert pl.read_csv(project / "data/transactions.csv")["origen"].unique().to_list() == ["sintetico"]
    (scored,) = (project / "runs/wider/predictions").glob("*.parquet")
    frame = pl.read_parquet(scored)
    assert set(frame["class"].unique()) == {"limpio", "relevante", "inusual", "preocupante"}


def test_the_limits_of_the_demo_are_those_of_the_pipeline():
    demo = files("corrida.demos") / "risk/config/guardrails.json"
    assert demo.read_bytes() == (files("corrida.pipelines.risk") / "guardrails.json").read_bytes()
