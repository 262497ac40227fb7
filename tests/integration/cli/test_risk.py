"""``corrida run risk``: from labelled transactions to a run that can be compared, and files that cannot be used."""

from __future__ import annotations

import json

import pytest

from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions

QUICK = (
    "--set",
    "supervised.boosting_rounds=10",
    "--set",
    "supervised.forest_trees=10",
    "--set",
    "anomaly.trees=20",
)


@pytest.fixture
def payments(project):
    write_transactions(generate_transactions(6, Shape(clients=80, days=150, schemes=0.5)), project / "t.csv")
    return project


@pytest.mark.slow
def test_two_runs_are_listed_compared_and_reported(payments, corrida):
    corrida("run", "risk", "--data", "t.csv", "--run-id", "a", *QUICK, "--set", "report=false")
    said = corrida(
        "run", "risk", "--data", "t.csv", "--run-id", "b", *QUICK, "--set", "thresholds.low=0.05"
    ).out
    assert "test transactions of" in said
    listed = {run["id"]: run for run in corrida("list", "--json").json}
    assert set(listed) == {"a", "b"}
    compared = corrida("compare", "a", "b").out
    assert "cost" in compared
    assert "clusters" in compared
    assert "thresholds.low" in compared
    folder = payments / "runs" / "b"
    report = (folder / "report.md").read_text()
    for heading in ("Classes", "Thresholds", "Risks", "Features", "Model card", "Limits of the law"):
        assert f"### {heading}" in report
    assert (folder / "report.html").exists()
    assert {p.name for p in (folder / "assets").iterdir()} == {
        "confusion.png", "importance.png", "learning.png", "precision_recall.png", "reliability.png", "thresholds.png",
    }  # fmt: skip
    assert not list((folder / "models").rglob("*.pkl"))
    assert json.loads((folder / "manifest.json").read_text())["dataset"]["labels"]["limpio"] > 1000
    assert "cost" in corrida("compare", "a", "b", "--slices", "sector").out


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(payments, corrida):
    for name in ("a", "b"):
        corrida(
            "run", "risk", "--data", "t.csv", "--run-id", name, "--seed", "3", *QUICK, "--set", "report=false"
        )
    one, other = (payments / "runs" / name for name in ("a", "b"))
    for file in ("items.parquet", "metrics.json", "thresholds.csv", "q_learning.csv", "features.csv"):
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


def test_bad_files_are_refused_in_one_sentence_and_leave_no_run(project, corrida):
    def refused(content, *options):
        (project / "x.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        return corrida.refuses("run", "risk", "--data", "x.csv", *options)

    head = "cliente_id,monto,fecha,tipo_operacion,sector_actividad,clasificacion\n"
    assert "x.csv: the file is empty" in refused("")
    assert "no rows" in refused(head)
    said = refused("cliente_id,monto,fecha,tipo_operacion\n1,2,3,4\n")
    assert "no column for the sector (sector_actividad)" in said
    assert "Name it with --set columns.sector=NAME." in said
    assert "no column of true classes" in refused(head.replace(",clasificacion", "") + "1,2,2025-01-01,a,b\n")
    assert "occurs 2 times" in refused("monto,monto\n1,2\n")
    assert "quote is not closed" in refused(head + '1,"2,2025-01-01,a,b,limpio\n')
    assert "zip" in refused(b"PK\x03\x04" + bytes(50))
    assert "at least 100 are needed" in refused(head + "1,2,2025-01-01,a,b,limpio\n" * 20)
    assert "'wrong' of row 1" in refused(head + "1,2,2025-01-01,a,b,wrong\n" * 200)
    assert "there is no column 'kunde' (columns.client)" in refused(
        head + "1,2,3,4,5,6\n", "--set", "columns.client=kunde"
    )
    assert not (project / "runs").exists() or not list((project / "runs").glob("run_*"))


def test_bad_settings_are_refused(payments, corrida):
    (payments / "guardrails.json").write_text(
        json.dumps(
            {
                "uma": [{"from": "2025-02-01", "to": "2026-01-31", "value": -1, "source": "x"}],
                "activities": [],
            }
        )
    )
    said = corrida.refuses("run", "risk", "--data", "t.csv", "--config", "guardrails.json")
    assert "guardrails.json: guardrails.uma[0].value" in said
    assert "low (0.9) must be less than high" in corrida.refuses(
        "run", "risk", "--data", "t.csv", "--set", "thresholds.low=0.9"
    )
    assert (
        "did you mean"
        in corrida.refuses("run", "risk", "--data", "t.csv", "--set", "threshold.low=0.9").lower()
    )
