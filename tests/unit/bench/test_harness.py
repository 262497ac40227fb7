"""The arithmetic of the benchmarks: medians, ratios, budgets, tables."""

from pathlib import Path

import pytest

from bench.harness import results
from bench.harness.budgets import (
    at_least_times,
    at_most_seconds,
    at_most_times,
    better_than_every_peer,
    never,
)
from bench.harness.case import Case, Entry
from bench.harness.contestants import CONTESTANTS
from bench.harness.environments import pinned_version, requirements
from bench.harness.machine import file_system
from bench.harness.place import ContestantFailed, Place
from bench.harness.report import report, summary
from bench.harness.rounds import Measured, measure
from bench.harness.units import quantity, times
from bench.workloads import all_cases

PEERS = [name for name, contestant in CONTESTANTS.items() if contestant.is_peer]


def case(*names, **options):
    entries = tuple(Entry(*name.split("/")) for name in names)
    return Case("work", "some work", entries, lambda _place, _entry: {"value": 1.0}, **options)


def measured(rounds, **options):
    found = Measured(case(*rounds, **options))
    for name, values in rounds.items():
        samples = [value if isinstance(value, dict) else {"value": value} for value in values]
        found.samples[Entry(*name.split("/")).label] = samples
    return found


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path / "bench")
    yield place
    place.close()


def test_the_middle_is_the_median_and_the_quartiles():
    assert results.middle([5.0, 1.0, 2.0, 4.0, 3.0]) == results.Middle(3.0, 2.0, 4.0)
    assert results.middle([7.0]) == results.Middle(7.0, 7.0, 7.0)


def test_ratios_are_taken_round_by_round():
    # In the second round the machine was ten times slower, for both.
    found = measured({"floor": [1.0, 10.0, 1.0], "corrida": [2.0, 20.0, 3.0]})
    assert results.ratio(found, "corrida", "plain Python") == 2.0
    assert results.ratio(found, "MLflow", "plain Python") is None


def test_the_best_peer_is_the_quickest_that_lost_nothing():
    found = measured(
        {
            "corrida": [1.0],
            "floor": [0.1],
            "mlflow": [{"value": 2.0, "lost": 5}],
            "sacred": [{"value": 3.0, "lost": 0}],
            "aim": [4.0],
        }
    )
    assert results.best_peer(found) == "Sacred"
    rates = measured({"mlflow": [2.0], "sacred": [3.0]}, unit="calls/s")
    assert results.best_peer(rates) == "Sacred"
    assert results.best_peer(measured({"floor": [1.0], "corrida": [2.0]})) is None


@pytest.mark.parametrize(
    ("budget", "met"),
    [
        (at_most_times(2, "plain Python"), True),
        (at_most_times(1.9, "plain Python"), False),
        (at_most_times(2, "plain Python, fsync"), None),
        (at_most_seconds(0.2), True),
        (at_most_seconds(0.19), False),
        (better_than_every_peer(), False),
        (never("lost", "no run lost"), None),
    ],
)
def test_budgets_in_seconds(budget, met):
    found = measured({"floor": [0.1, 0.1], "corrida": [0.2, 0.2], "sacred": [0.15, 0.15]})
    assert budget.judge(found).met is met


def test_budgets_of_rates_want_more():
    found = measured({"floor": [100.0], "corrida": [60.0], "sacred": [50.0]}, unit="calls/s")
    assert at_least_times(0.5, "plain Python").judge(found).met is True
    assert at_least_times(0.7, "plain Python").judge(found).met is False
    assert better_than_every_peer().judge(found).met is True


def test_one_lost_run_in_one_round_misses_the_budget():
    kept, lost = {"value": 1.0, "lost": 0}, {"value": 1.0, "lost": 1}
    assert never("lost", "none").judge(measured({"corrida": [kept, kept]})).met is True
    assert never("lost", "none").judge(measured({"corrida": [kept, lost]})).met is False


def test_numbers_as_people_read_them():
    assert quantity(0.00016, "s") == "0.16 ms"
    assert quantity(0.0235, "s") == "23.5 ms"
    assert quantity(1.234, "s") == "1.23 s"
    assert quantity(71900, "calls/s") == "71,900 calls/s"
    assert quantity(0.9993, "share") == "99.93%"
    assert times(0.031) == "0.031 ×"


def test_every_round_runs_every_contestant_once_and_the_first_does_not_count(place):
    done = []

    def work(_place, entry):
        done.append(entry.contestant)
        return {"value": float(len(done))}

    found = measure(
        place,
        Case("work", "work", (Entry("floor"), Entry("corrida"), Entry("sacred")), work),
        contestants=["floor", "corrida"],
        rounds=3,
    )
    assert len(done) == 2 * 4
    assert all(set(done[i : i + 2]) == {"floor", "corrida"} for i in range(0, 8, 2))
    assert {label: len(samples) for label, samples in found.samples.items()} == {
        "plain Python": 3,
        "corrida": 3,
    }


def test_what_is_done_small_is_done_once(tmp_path):
    done = []

    def work(_place, entry):
        done.append(entry.contestant)
        return {"value": float(len(done))}

    place = Place(tmp_path / "bench", tiny=True)
    measure(place, Case("work", "work", (Entry("floor"),), work), contestants=["floor"], rounds=1)
    place.close()
    assert done == ["floor"]


def test_a_contestant_that_fails_is_out_and_named(place):
    def work(_place, entry):
        if entry.contestant == "corrida":
            raise ContestantFailed("it said no")
        return {"value": 1.0}

    found = measure(
        place,
        Case("work", "work", (Entry("floor"), Entry("corrida")), work),
        contestants=["floor", "corrida"],
        rounds=2,
    )
    assert found.failures == {"corrida": "it said no"}
    assert len(found.samples["plain Python"]) == 2
    assert "failed" in summary(found)


def test_the_page_names_versions_budgets_and_reasons_and_no_paths(tmp_path):
    found = measured(
        {"floor": [0.1], "corrida": [0.3], "sacred": [0.2]},
        budgets=(at_most_times(2, "plain Python", why_missed="the disk is slow"), at_most_seconds(1)),
    )
    page = report([found], {"floor": "3.11.7", "corrida": "0.1.0", "sacred": "0.8.7"}, tmp_path)
    assert "Sacred 0.8.7" in page
    assert "| some work | corrida: at most 2 × plain Python | 3.00 × | missed: the disk is slow |" in page
    assert "| some work | corrida: at most 1.00 s | 300 ms | met |" in page
    assert str(tmp_path) not in page
    tables = [line.count("|") for line in page.splitlines() if line.startswith("| corrida | 300 ms")]
    assert tables == [5]


def test_the_file_system_is_that_of_the_innermost_mount(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    table = f"/dev/a / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\nserver:/x {tmp_path}/inn nfs rw 0 0\n"
    assert file_system(inner, table) == "tmpfs"
    assert file_system(Path("/"), table) == "ext4"


def test_the_environment_of_a_contestant_is_not_that_of_the_user(place, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    environment = place.environment("mlflow")
    assert "MLFLOW_TRACKING_URI" not in environment
    assert environment["HOME"] != str(Path.home())
    assert environment["WANDB_MODE"] == "offline"


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_is_pinned_exactly(peer):
    lines = requirements(peer).read_text(encoding="utf-8").splitlines()
    assert all("==" in line for line in lines)
    assert pinned_version(peer)


def test_cases_have_names_of_their_own_and_their_own_entries():
    cases = all_cases()
    assert len({c.name for c in cases}) == len(cases)
    for found in cases:
        labels = [entry.label for entry in found.entries]
        assert len(set(labels)) == len(labels)
        for budget in found.budgets:
            assert budget.judge(Measured(found)).met is None
