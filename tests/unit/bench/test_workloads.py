"""Every workload runs, with corrida and plain Python, at a small size."""

import pytest

from bench.__main__ import main
from bench.harness.place import Place
from bench.harness.rounds import measure
from bench.workloads import all_cases


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("bench"), tiny=True)
    yield place
    place.close()


# Another case runs every line of these, on other data or models; each of them takes half a minute.
SAME_CODE = {
    "model_search": "model_search_workers",
    "model_search_light": "model_search_workers",
    "risk_million": "risk_500_mb",
}


def test_what_is_left_out_is_run_by_another_case():
    assert {*SAME_CODE, *SAME_CODE.values()} <= {case.name for case in all_cases()}


@pytest.mark.parametrize(
    "case",
    [
        # Real workers are started, and models are trained for them.
        pytest.param(case, id=case.name, marks=pytest.mark.slow if case.name.startswith("risk") else ())
        for case in all_cases()
        if case.name not in SAME_CODE
    ],
)
def test_a_workload_runs(place, case, monkeypatch):
    monkeypatch.delenv("CORRIDA_CACHE_DIR")  # each contestant has a home of its own
    found = measure(place, case, contestants=["floor", "corrida"], rounds=1)
    assert not found.failures
    labels = {entry.label for entry in case.entries if not entry.is_peer}
    assert found.samples.keys() == labels
    for label in labels:
        (sample,) = found.samples[label]
        assert sample["value"] > 0
        assert sample.get("lost", 0) == 0
        assert sample.get("ended_with_error", 0) == 0


def test_the_command_writes_the_page(tmp_path, capsys):
    page = tmp_path / "page.md"
    arguments = ["--only", "import", "--peers", "none", "--rounds", "1", "--tiny"]
    assert main([*arguments, "--folder", str(tmp_path / "bench"), "--output", str(page)]) == 0
    assert "plain Python" in capsys.readouterr().out
    assert "## Budgets" in page.read_text(encoding="utf-8")
    assert str(tmp_path) not in page.read_text(encoding="utf-8")


def test_a_case_or_peer_that_is_not_known_is_refused():
    with pytest.raises(SystemExit, match="no case starts with nothing"):
        main(["--only", "nothing"])
    with pytest.raises(SystemExit, match="no peer is called nobody"):
        main(["--peers", "nobody"])
