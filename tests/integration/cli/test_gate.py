"""``corrida compare --gate``, ``--slices`` and ``promote`` with rules."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import corrida as package

DOCS = Path(__file__).resolve().parents[3] / "docs"
RULES = '[[gate.rules]]\nmetric = "accuracy"\nmax_drop = 0.05\n'


def record(run_id: str, broken: int = 0, *, size: int = 400, pipeline: str = "p", **columns: Any) -> None:
    """Record a run that is right in three items of four, but for the first ones."""
    right = [n >= broken and n % 4 != 0 for n in range(size)]
    frame = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(size)],
            "output": ["a" if r else "b" for r in right],
            "expected": ["a"] * size,
            "half": ["first" if n < size / 2 else "第二" for n in range(size)],
            "only_one": ["same"] * size,
        }
    )
    with package.start_run(run_id=run_id, pipeline=pipeline, primary_metric="accuracy") as run:
        run.log_items(frame.with_columns(**columns))
        run.log_metrics({"accuracy": sum(right) / size, "seconds": 3.0})


@pytest.fixture(autouse=True)
def _runs(project: Path) -> None:
    record("base")
    record("same")
    record("doubtful", 24)
    record("worse", 100)


def test_exit_codes(corrida: Any) -> None:
    rule = ("--gate", "--metric", "accuracy", "--max-drop", "0.05")
    said = corrida("compare", "base", "same", *rule).out
    assert said.startswith("Gate passed: 1 rule kept\n")
    assert "Verdict" in said
    assert corrida("compare", "base", "worse", *rule, code=1).out.startswith("Gate failed: 1 rule broken")
    said = corrida("compare", "base", "doubtful", *rule, code=1).out
    assert said.startswith("Gate in doubt: 1 rule undecided (accuracy), which counts as broken")
    assert "doubt counts as fail" in said
    assert "in doubt" in corrida("compare", "base", "doubtful", *rule, "--on-doubt", "pass").out
    assert corrida("compare", "worse", "base", *rule).out.startswith("Gate passed")
    assert corrida("compare", "base", "base", *rule).out.startswith("Gate passed")


def test_markdown_and_json(corrida: Any) -> None:
    rule = ("--gate", "--metric", "accuracy", "--max-drop", "5%")
    lines = corrida("compare", "base", "worse", *rule, "--md", code=1).out.splitlines()
    assert lines[0] == "Gate failed: 1 rule broken (accuracy)"
    assert "| metric | allowed | base | new | difference | interval | result |" in lines
    assert "### Verdict" in lines
    found = corrida("compare", "base", "worse", *rule, "--json", code=1).json
    assert found["gate"]["passed"] is False
    assert found["gate"]["rules"][0]["rule"]["max_drop"] == "5%"
    assert found["verdict"]["outcome"] == "worse"


def test_rules_of_the_project(project: Path, corrida: Any) -> None:
    (project / "corrida.toml").write_text(RULES + 'slices = ["half"]\nslices_max_drop = 0.3\n')
    assert corrida("compare", "base", "same", "--gate").out.startswith("Gate passed")
    said = corrida("compare", "base", "worse", "--gate", code=1).out
    assert "half = first" in said
    assert "any half 0.3" in said
    (project / "corrida.toml").write_text(RULES + "[pipelines.p]\ngate = {}\n")
    assert "the gate has no rules" in corrida.refuses("compare", "base", "same", "--gate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--gate"],
            "the gate has no rules; give --metric and --max-drop, or write [[gate.rules]] in corrida.toml",
        ),
        (["--gate", "--metric", "accuracy"], "give --max-drop, such as 0.01 or 1%"),
        (["--gate", "--max-drop", "0.1"], "give --metric"),
        (["--gate", "--metric", "accuracy", "--max-drop", "-1"], "max_drop must be a number from 0 on"),
        (["--gate", "--metric", "accuracy", "--max-drop", "much"], "max_drop must be a number from 0 on"),
        (["--gate", "--metric", "accuracy", "--max-drop", "0", "--confidence", "95"], "between 0 and 1"),
        (["--gate", "--metric", "acuracy", "--max-drop", "0"], "neither run has the metric 'acuracy'"),
        (["--gate", "--metric", "accuracy", "--max-drop", "0", "--slices", "hlf"], "did you mean half"),
        (["--gate", "--on-doubt", "pass"], "--on-doubt: part of a rule"),
        (["--gate", "--metric", "accuracy", "--max-drop", "0", "--margin", "1"], "--margin: not with --gate"),
        (["--max-drop", "0.1"], "--max-drop: only with --gate"),
        (["--slices", "hlf"], "the items have no column 'hlf' to slice by; did you mean half"),
        (["--slices", "half,half"], "name a column twice"),
    ],
)
def test_bad_input(arguments: list[str], message: str, corrida: Any) -> None:
    said = corrida("compare", "base", "same", *arguments, code=2).err
    assert message in " ".join(said.split())


def test_slices(corrida: Any) -> None:
    found = corrida("compare", "base", "worse", "--slices", "half", "--json").json["slices"]
    assert [(s["segment"], s["outcome"]) for s in found["found"]] == [
        ("half = first", "worse"),
        ("half = 第二", "tied"),
    ]
    assert found["found"][0]["q_value"] < 1e-9
    said = corrida("compare", "base", "worse", "--slices", "auto", "--slices", "half").out
    assert "1 worse, 0 better, 1 within noise" in said
    assert "column only_one not used: it has one value, same" in said
    assert (
        "| worse | half = first | 200 |"
        in corrida("compare", "base", "worse", "--slices", "half", "--md").out
    )
    few = corrida("compare", "base", "worse", "--slices", "half", "--slice-min", "201").out
    assert "not looked at: no segment has 201 items to test" in few


def test_slices_of_what_is_not_tested(corrida: Any) -> None:
    said = corrida("compare", "base", "worse", "--slices", "half", "--metric", "seconds").out
    assert "not looked at: seconds is not tested; see the verdict" in said
    with package.start_run(run_id="bare", pipeline="p") as run:
        run.log_metrics({"accuracy": 0.5})
    assert "not looked at: no items in bare" in corrida("compare", "base", "bare", "--slices", "half").out


@pytest.mark.parametrize("width", [80, 140])
def test_on_a_terminal(width: int, corrida: Any) -> None:
    rule = ("--gate", "--metric", "accuracy", "--max-drop", "0.05", "--slices", "half")
    said = corrida.terminal(width, "compare", "base", "worse", *rule, code=1)
    assert "Gate failed" in said
    assert "half = 第二" not in said.split("Comparison")[0]
    assert all(len(line) <= width for line in said.splitlines())


def test_a_report_has_the_slices(project: Path, corrida: Any) -> None:
    corrida("report", "base", "worse", "--slices", "half", "--to", "out")
    assert (project / "out" / "assets" / "slices.png").exists()
    assert "half = first" in (project / "out" / "report.html").read_text(encoding="utf-8")
    assert "no column" in corrida.refuses("report", "base", "worse", "--slices", "x", "--to", "other")
    assert not (project / "other").exists()


def test_promote_obeys_the_rules(project: Path, corrida: Any) -> None:
    (project / "corrida.toml").write_text(RULES)
    first = corrida("promote", "base").out
    assert "the rules of the gate were not asked: no run was @production, so there was nothing" in first
    refused = corrida.refuses("promote", "worse", code=1)
    assert refused.startswith("worse is not promoted, gate failed: 1 rule broken (accuracy)")
    assert "--force" in refused
    assert "which counts as broken" in corrida.refuses("promote", "doubtful", code=1)
    assert package.Store("runs").resolve("@production") == "base"
    assert "gate passed: 1 rule kept (compared with base)" in corrida("promote", "same").out
    assert "it was @production already" in corrida("promote", "same").out


def test_force_takes_a_reason_and_is_recorded(project: Path, corrida: Any) -> None:
    (project / "corrida.toml").write_text(RULES)
    corrida("promote", "base")
    assert "takes a reason; give it with --reason" in corrida.refuses("promote", "worse", "--force")
    assert "takes a reason" in corrida.refuses("promote", "worse", "--force", "--reason", " ")
    corrida("promote", "worse", "--force", "--reason", "análisis legal")
    now = package.Store("runs").aliases()["production"]
    assert now.run == "worse"
    assert now.reason == "análisis legal (forced: gate failed: 1 rule broken (accuracy))"
    corrida("promote", "same", "--force", "--reason", "it passes anyway")
    assert package.Store("runs").aliases()["production"].reason == "it passes anyway"


def test_without_rules_promote_asks_nothing(corrida: Any) -> None:
    corrida("promote", "base")
    assert corrida("promote", "worse").out == "@production is worse\n"


def test_a_base_that_is_gone_or_unreadable(project: Path, corrida: Any) -> None:
    (project / "corrida.toml").write_text(RULES)
    corrida("promote", "base")
    (project / "runs" / "base" / "run.json").write_text("{")
    corrida.refuses("promote", "worse", code=1)
    corrida("promote", "worse", "--force", "--reason", "the base is lost")
    assert "could not be judged" in (package.Store("runs").aliases()["production"].reason or "")
    (project / "runs" / "worse").rename(project / "elsewhere")
    assert "worse, is gone, so there was nothing to compare with" in corrida("promote", "same").out


def test_from_python(project: Path) -> None:
    from corrida.errors import BadInput, Refused

    (project / "corrida.toml").write_text(RULES)
    assert package.gate("base", "same").passed
    assert package.promote("base").run == "base"
    with pytest.raises(Refused, match="worse is not promoted"):
        package.promote("worse")
    with pytest.raises(BadInput, match="takes a reason"):
        package.promote("worse", force=True)
    assert package.promote("worse", force=True, reason="known").run == "worse"


def _blocks(language: str) -> list[str]:
    page = (DOCS / "gate.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_settings_in_the_docs_are_read(project: Path) -> None:
    from corrida.analysis.gate_rules import GateRule
    from corrida.project import read_settings

    for text in _blocks("toml"):
        (project / "corrida.toml").write_text(text, encoding="utf-8")
        assert read_settings(project / "corrida.toml").gate_rules("jobs")
    shown = {
        key
        for text in _blocks("toml")
        for rule in tomllib.loads(text).get("gate", {}).get("rules", [])
        for key in rule
    }
    assert shown == set(GateRule.__struct_fields__)


def test_the_workflow_in_the_docs_does_what_it_says(toy: Any, corrida: Any) -> None:
    """Every corrida command of the workflow runs, in order, on the main branch and then on a pull request."""
    import shutil
    import subprocess

    import yaml

    shutil.rmtree(toy.root / "runs")  # those of this module
    (toy.root / "corrida.toml").write_text(
        (toy.root / "corrida.toml").read_text() + '[[gate.rules]]\nmetric = "precision"\nmax_drop = "1%"\n'
    )
    toy.texts([f"{n},{'a cook' if n % 2 else 'a baker'},{'C' if n % 2 else 'B'}" for n in range(400)])
    toy.rules(
        "1", [{"id": "R1", "word": "cook", "answer": "C"}, {"id": "R2", "word": "baker", "answer": "B"}]
    )
    workflows = [yaml.safe_load(text) for text in _blocks("yaml")]
    assert len(workflows) == 1
    jobs = workflows[0]["jobs"]
    bin_folder = str(Path(corrida.script).parent)

    def steps(job: str, commit: str) -> tuple[int, str]:
        """Run the steps of a job that call corrida, as GitHub's shell does."""
        said = ""
        for step in jobs[job]["steps"]:
            script = step.get("run", "")
            if not re.search(r"^corrida ", script, re.MULTILINE):
                continue
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", script], capture_output=True, text=True, check=False,
                env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "GITHUB_SHA": commit,
                     "GITHUB_STEP_SUMMARY": "summary.md"},
            )  # fmt: skip
            said += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, said
        return 0, said

    code, said = steps("base", "a" * 40)
    assert code == 0, said
    (toy.root / "runs").rename(toy.root / "base-runs")  # as the artifact is fetched
    code, said = steps("gate", "b" * 40)
    assert code == 0, said
    assert (toy.root / "gate.md").read_text().startswith("Gate passed")
    shutil.rmtree(toy.root / "runs")
    toy.rules("2", [{"id": "R1", "word": "a ", "answer": "C"}])
    code, said = steps("gate", "c" * 40)
    assert code == 1, said
    assert (toy.root / "gate.md").read_text().startswith("Gate failed")
    assert (
        json.loads((toy.root / "runs" / "pull_cccccccccc" / "run.json").read_text())["status"] == "finished"
    )
