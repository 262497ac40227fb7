"""search_runs: filters, orders and pages as MLflow's own database answers them on the same runs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

pytestmark = [
    pytest.mark.slow,
    *(
        pytest.mark.filterwarnings(f"ignore::{kind}")  # MLflow's own, about its own
        for kind in ("DeprecationWarning", "FutureWarning", "ResourceWarning", "UserWarning")
    ),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
COUNT = 40
TEXTS = ["", "a", "A", "ab", "Ab_c", "día", "100%", "x'y", "-1", "10"]


def fill(client: MlflowClient) -> dict[str, str]:
    """Make the same runs in any store; return the id of each by its number."""
    chance = random.Random(7)
    ids = {}
    experiments = [client.create_experiment("one"), client.create_experiment("two")]
    for number in range(COUNT):
        run = client.create_run(
            chance.choice(experiments), start_time=1_700_000_000_000 + chance.randrange(5) * 1000,
            run_name=f"n{chance.randrange(9)}",
        )  # fmt: skip
        run_id = run.info.run_id
        ids[run_id] = str(number)
        metrics = [
            Metric(name, chance.choice([0.0, 1.0, -1.5, 2.5, float("nan")]), 5, step)
            for name in ("m", "n o") for step in range(2) if chance.random() < 0.7
        ]  # fmt: skip
        params = [Param(name, chance.choice(TEXTS)) for name in ("p", "q r") if chance.random() < 0.7]
        tags = [RunTag(name, chance.choice(TEXTS)) for name in ("t", "u.v") if chance.random() < 0.7]
        client.log_batch(run_id, metrics, params, [*tags, RunTag("number", str(number))])
        if chance.random() < 0.5:
            data = Dataset(chance.choice(["d1", "D2"]), f"{number % 3}", "local", "{}")
            client.log_inputs(
                run_id,
                [DatasetInput(data, [InputTag("mlflow.data.context", chance.choice(["train", "test"]))])],
            )
        if number % 3:
            status = chance.choice(["FINISHED", "FAILED", "KILLED"])
            client.set_terminated(run_id, status, end_time=1_700_000_100_000 + chance.randrange(3))
        if number % 7 == 0:
            client.delete_run(run_id)
    return ids


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store of corrida and a database of MLflow with the same runs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("both")
        patch.setenv("CORRIDA_CACHE_DIR", str(folder / "cache"))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(folder)
        ours, theirs = MlflowClient(f"corrida:{folder}/runs"), MlflowClient(f"sqlite:///{folder}/mlflow.db")
        fill(ours)
        fill(theirs)
        yield ours, theirs


def numbers(client: MlflowClient, text: str, order: list[str], view: int, page: int) -> list[str]:
    experiments = [client.get_experiment_by_name(name).experiment_id for name in ("one", "two")]
    found: list[str] = []
    token = None
    while True:
        got = client.search_runs(experiments, text, view, page, order, token)
        assert len(got) <= page
        found += [run.data.tags["number"] for run in got]
        token = got.token
        if not token:
            return found


def quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


NUMBER = st.sampled_from(["0", "1", "-1.5", "2.5", "1e1"])
TEXT = st.sampled_from([*TEXTS, "%a%", "_b%", "A%", "n1", "n%"])
CLAUSE = st.one_of(
    st.tuples(st.sampled_from(["metrics.m", "metrics.`n o`", "metric.nope"]),
              st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), NUMBER).map(" ".join),
    st.tuples(st.sampled_from(["params.p", "params.`q r`", "tags.t", "tags.`u.v`", "tag.nope", "attributes.run_name"]),
              st.sampled_from(["=", "!=", "LIKE", "ILIKE"]), TEXT.map(quoted)).map(" ".join),
    st.tuples(st.sampled_from(["params.p", "tags.t", "tags.nope"]), st.sampled_from(["IS NULL", "IS NOT NULL"])).map(" ".join),
    st.tuples(st.just("attributes.status"), st.sampled_from(["=", "!="]),
              st.sampled_from(["'RUNNING'", "'FINISHED'", "'FAILED'", "'KILLED'"])).map(" ".join),
    st.tuples(st.sampled_from(["attributes.start_time", "created", "end_time"]), st.sampled_from(["=", "!=", "<", ">="]),
              st.sampled_from(["1700000000000", "1700000002000", "1700000100001"])).map(" ".join),
    st.tuples(st.sampled_from(["dataset.name", "dataset.digest", "dataset.context"]), st.sampled_from(["=", "LIKE", "ILIKE"]),
              st.sampled_from(["'d1'", "'d%'", "'1'", "'train'", "'TEST'"])).map(" ".join),
)  # fmt: skip
ORDER = st.tuples(
    st.sampled_from(
        [
            "metrics.m",
            "metrics.`n o`",
            "params.p",
            "tags.t",
            "attributes.start_time",
            "end_time",
            "attributes.status",
        ]
    ),
    st.sampled_from(["", " ASC", " DESC"]),
).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    clauses=st.lists(CLAUSE, max_size=3),
    order=st.lists(ORDER, max_size=3),
    view=st.sampled_from([ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL]),
    page=st.sampled_from([3, 7, 1000]),
)
def test_the_answer_is_that_of_the_database(
    both: Any, clauses: list[str], order: list[str], view: int, page: int
) -> None:
    # Ties are broken by run ids, which differ between the stores: a last key settles them.
    order = [*order, "tags.number"]
    text = " AND ".join(clauses)
    answers: list[Any] = []
    for client in both:
        try:
            answers.append(numbers(client, text, order, view, page))
        except MlflowException as error:
            answers.append(error.error_code if "duplicate" not in str(error) else "duplicate")
    assert answers[0] == answers[1], text


@pytest.mark.parametrize(
    "text",
    [
        "metrics.m > 'x'",
        "params.p = 1",
        "nope = 'x'",
        "metrics.m >",
        "a OR b",
        "params.p > 'x'",
        "metrics.m IS NULL",
    ],
)
def test_a_filter_that_cannot_be_read_is_bad_input(both: Any, text: str) -> None:
    for client in both:
        with pytest.raises(MlflowException) as refused:
            client.search_runs([client.get_experiment_by_name("one").experiment_id], text)
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_experiments_are_searched_alike(both: Any) -> None:
    for text, order in [("name LIKE 'o%'", None), ("name ILIKE 'T%'", ["name DESC"]), (None, ["name ASC"])]:
        answers = [
            [one.name for one in client.search_experiments(filter_string=text, order_by=order)]
            for client in both
        ]
        assert answers[0] == answers[1]


def test_the_folder_alone_answers(both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog is a cache: another machine, without it, gives the same answer."""
    ours = both[0]
    before = numbers(ours, "metrics.m > 0", ["tags.number"], ViewType.ALL, 1000)
    monkeypatch.setenv("CORRIDA_CACHE_DIR", str(tmp_path / "fresh"))
    root = ours._tracking_client.store.root
    assert (
        numbers(MlflowClient(f"corrida:///{root}"), "metrics.m > 0", ["tags.number"], ViewType.ALL, 1000)
        == before
    )
