"""``corrida demo evaluation``: two seeds, with all that is installed and with the base alone."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_the_demo_runs_two_seeds_and_puts_them_together(project: Path, corrida: Any) -> None:
    said = corrida("demo", "evaluation").out
    assert "not installed" not in said
    assert said.count("finished, in runs/run_seed") == 2
    assert "classroom: 2 runs together" in said
    assert "the runs share no items" in said
    for seed in (1, 2):
        folder = project / "runs" / f"run_seed{seed}"
        assert json.loads((folder / "manifest.json").read_text())["dataset"]["generator_seed"] == seed
        assert (folder / "report.html").exists()
        assert len(list((folder / "assets").glob("*.png"))) == 5
        assert {"fuzzy.f1", "semantic.f1", "hybrid.f1"} <= set(
            json.loads((folder / "metrics.json").read_text())
        )
    assert (project / "reports" / "seeds" / "report.html").exists()


def test_with_the_base_installation_the_demo_says_what_is_missing(
    project: Path, corrida: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    heavy = {"wordllama", "vl_convert", "jinja2"}
    find, bring = importlib.util.find_spec, builtins.__import__

    def lacking(name: str, *more: Any) -> Any:
        return None if name in heavy else find(name, *more)

    def refused(name: str, *more: Any, **options: Any) -> Any:
        if name.partition(".")[0] in heavy:
            raise ImportError(name)
        return bring(name, *more, **options)

    monkeypatch.setattr("corrida.demos.story.find_spec", lacking)
    monkeypatch.setattr(builtins, "__import__", refused)
    said = corrida("demo", "evaluation")
    assert "only the fuzzy matcher runs; pip install 'corrida[evaluation]'" in said.out
    assert "reports are text only; pip install 'corrida[report]'" in said.out
    assert '"matchers.use=[fuzzy]"' in said.out
    for seed in (1, 2):
        folder = project / "runs" / f"run_seed{seed}"
        assert "### Grid" in (folder / "report.md").read_text()
        assert not (folder / "report.html").exists()
        assert "semantic.f1" not in json.loads((folder / "metrics.json").read_text())
    assert not (project / "reports").exists()
