"""What of a run is what in MLflow, and that nothing is lost between."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.bridges.mlflow.client import checked_uri, is_temporary, reason, shown_uri
from corrida.bridges.mlflow.mapping import (
    Point,
    datasets_of,
    exported_as,
    finite_or_infinite,
    flat_params,
    latest,
    param_text,
    param_value,
    status_from_mlflow,
    status_to_mlflow,
)
from corrida.errors import BadInput
from corrida.runs.run_file import Failure

numbers = st.one_of(
    st.integers(-(2**70), 2**70).map(str), st.floats().map(str), st.decimals(allow_nan=False).map(str)
)


@given(st.one_of(st.text(), numbers, st.sampled_from(["True", "False", "None", "nan", "1_000", " 1", "١"])))
def test_a_parameter_keeps_its_text(text: str) -> None:
    assert param_text(param_value(text)) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("-3", -3), ("0.1", 0.1), ("1e-05", 1e-05), ("True", True), ("0.10", "0.10"), ("1.", "1."), ("007", "007"),
     ("None", "None"), ("inf", "inf"), ("", ""), ("9223372036854775808", "9223372036854775808")],
)  # fmt: skip
def test_what_is_a_number(text: str, value: object) -> None:
    found = param_value(text)
    assert found == value
    assert type(found) is type(value)


def test_nested_parameters() -> None:
    assert flat_params({"a": {"b": 1, "c": [1, "x"]}, "d": None}) == {
        "a.b": "1",
        "a.c": '[1, "x"]',
        "d": "None",
    }


def test_the_latest_point_is_that_of_mlflow() -> None:
    points = [
        Point(0, 5, 9.0),
        Point(2, 1, 1.0),
        Point(2, 3, 2.0),
        Point(2, 3, 4.0),
        Point(2, 3, math.nan),
        Point(1, 9, 7.0),
    ]
    random.Random(1).shuffle(points)
    assert latest(points) == Point(2, 3, 4.0)


def test_infinity_in_databases() -> None:
    assert finite_or_infinite(1.7976931348623157e308) == math.inf
    assert finite_or_infinite(-1.7976931348623157e308) == -math.inf
    assert math.isnan(finite_or_infinite(math.nan))
    assert finite_or_infinite(1e308) == 1e308


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", "RUNNING"])
def test_a_status_there_and_back(status: str) -> None:
    assert status_to_mlflow(*status_from_mlflow(status)) == status


def test_other_statuses() -> None:
    assert status_from_mlflow("SCHEDULED") == ("running", None)
    assert status_to_mlflow("crashed") == "FAILED"
    assert status_to_mlflow("failed", Failure(type="KeyboardInterrupt")) == "KILLED"


def test_files_are_datasets() -> None:
    file = {
        "path": "data/a.csv",
        "size": 3,
        "sha256": "sha256:" + "ab" * 32,
        "rows": 2,
        "columns": ["x"],
        "role": "index",
    }
    there = {
        "name": "w",
        "digest": "d",
        "source_type": "code",
        "source": "{}",
        "schema": None,
        "profile": None,
        "tags": {},
    }
    first, second = datasets_of({"data": [file], "dataset": {"datasets": [there]}})
    assert first == there
    assert second["name"] == "data/a.csv"
    assert second["digest"] == "ab" * 16
    assert second["tags"] == {"mlflow.data.context": "index"}


def test_an_exported_run_is_known_by_two_tags() -> None:
    assert exported_as({"corrida.run_id": "r"}) is None
    assert exported_as({"corrida.run_id": "r", "corrida.digest": "sha256:1"}) == ("r", "sha256:1")


@pytest.mark.parametrize("uri", ["file:///a/mlruns", "mlruns", "./mlruns", "/a/b", "", "  "])
def test_addresses_that_mlflow_refuses(uri: str) -> None:
    with pytest.raises(BadInput, match=r"sqlite:///mlflow\.db"):
        checked_uri(uri)


def test_addresses(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    assert checked_uri("sqlite:///a.db") == f"sqlite:///{tmp_path}/a.db"
    assert checked_uri("a.db") == f"sqlite:///{tmp_path}/a.db"
    assert checked_uri("sqlite:////x/a.db") == "sqlite:////x/a.db"
    for same in (
        "http://host:5000",
        "corrida:runs",
        "databricks",
        "databricks://profile",
        "postgresql://u@h/d",
    ):
        assert checked_uri(same) == same


def test_what_is_shown_holds_no_password_and_no_path() -> None:
    assert shown_uri("postgresql://me:secret@host:5432/db") == "postgresql://host:5432/db"
    assert shown_uri("https://me:secret@host/path") == "https://host/path"
    assert shown_uri("sqlite:////home/me/mlflow.db") == "sqlite:///mlflow.db"


def test_what_may_succeed_later() -> None:
    away = Exception("API request to http://h failed with exception HTTPConnectionPool: Max retries exceeded")
    assert is_temporary(away)
    assert reason(away) == "nobody answers there; see whether the server runs and the address is right"
    assert is_temporary(Exception("API request to endpoint /x failed with error code 503 != 200"))
    assert is_temporary(Exception("(sqlite3.OperationalError) database is locked"))
    assert not is_temporary(Exception("INVALID_PARAMETER_VALUE: too long"))
    assert reason(Exception("API request to endpoint failed with error code 403 != 200")).startswith(
        "the server does not let"
    )
    assert (
        reason(Exception("Changing  param\nvalues is not allowed")) == "Changing param values is not allowed"
    )
