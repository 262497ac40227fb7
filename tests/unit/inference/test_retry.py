"""When a file is tried again, and what everybody may know of why it failed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.errors import (
    AliasNotFound,
    DamagedRun,
    EndpointFailed,
    InvalidData,
    MissingExtra,
    PipelineFailed,
    StoreError,
)
from corrida.inference.problems import Problem, problem_of, public
from corrida.inference.retry import Retries, wait_before_next

PASSES = Problem(code="x", message="it may pass", may_pass=True)
LASTS = Problem(code="x", message="it lasts")


def test_the_wait_doubles_up_to_a_cap():
    policy = Retries(20, 1.0, 60.0)
    assert [wait_before_next(PASSES, n, policy, 1.0) for n in (1, 2, 3, 6, 7, 19)] == [1, 2, 4, 32, 60, 60]
    assert [wait_before_next(PASSES, n, policy, 0.0) for n in (1, 2, 3)] == [0.5, 1, 2]


def test_what_cannot_pass_is_not_tried_again_and_the_last_try_is_the_last():
    policy = Retries(3, 1.0, 60.0)
    assert wait_before_next(LASTS, 1, policy, 0.5) is None
    assert wait_before_next(PASSES, 2, policy, 0.5) is not None
    assert wait_before_next(PASSES, 3, policy, 0.5) is None


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 1000))
def test_the_wait_stays_within_its_bounds(tries, draw, first, most):
    wait = wait_before_next(PASSES, tries, Retries(20_000, first, most), draw)
    assert wait is not None
    assert 0 < wait <= most


def store_error(number):
    error = StoreError("writing failed: the disk is full; free some space and try again")
    error.__cause__ = OSError(number, "no")
    return error


@pytest.mark.parametrize(
    ("error", "code", "may_pass"),
    [
        (InvalidData("new.csv: the file is empty"), "invalid_file", False),
        (AliasNotFound("no run is @production"), "no_model", False),
        (DamagedRun("models/x was altered"), "model_damaged", False),
        (EndpointFailed("no answer"), "service_unavailable", True),
        (MissingExtra("pip install it"), "not_installed", False),
        (PipelineFailed("no number"), "model_failed", False),
        (store_error(errno.ENOSPC), "storage", True),
        (store_error(errno.EACCES), "storage", False),
        (OSError(errno.ENOSPC, "No space left on device"), "storage", True),
        (MemoryError(), "out_of_memory", True),
        (ZeroDivisionError("in our code"), "internal", True),
    ],
)
def test_each_error_has_a_code_and_says_whether_it_may_pass(error, code, may_pass):
    found = problem_of(error)
    assert (found.code, found.may_pass) == (code, may_pass)


def test_nothing_public_carries_a_path_or_the_words_of_an_unforeseen_error(monkeypatch):
    found = problem_of(ValueError("/home/me/secret.py broke"), detail="Traceback …")
    assert "secret" not in found.message
    assert found.detail == "Traceback …"
    assert public("/srv/data/a b/new.csv: row 3 is wrong\nmore") == "new.csv: row 3 is wrong"
    assert (
        public("open /srv/spool/pending/x.csv failed", (Path("/srv/spool/pending/x.csv"),))
        == "open x.csv failed"
    )
    monkeypatch.chdir("/")
    path = Path("/srv/spool/pending/x.csv")
    assert public("srv/spool/pending/x.csv: is empty", (path,), "my file.csv") == "my file.csv: is empty"
    assert public("3/4 of the rows, and/or 1/2") == "3/4 of the rows, and/or 1/2"
