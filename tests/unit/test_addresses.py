"""Addresses are told from file names, and lose their passwords before they are written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from corrida.runs.snapshot.addresses import is_address, without_password
from corrida.runs.snapshot.environment import relative_argv


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://me:secret@host/jobs?table=offers", "postgresql://me@host/jobs?table=offers"),
        ("postgresql://me:se:cr/et@ss@host/jobs", "postgresql://me@host/jobs"),
        ("postgresql://me:se cret@host/jobs", "postgresql://me@host/jobs"),
        ("--data=postgresql://me:se c@ret@host/jobs", "--data=postgresql://me@host/jobs"),
        ("postgresql://host:5432/jobs ask me@home", "postgresql://host:5432/jobs ask me@home"),
        ("postgresql+psycopg://:secret@host/jobs", "postgresql+psycopg://@host/jobs"),
        ("postgresql://me:${DB_PASSWORD}@host/jobs", "postgresql://me:${DB_PASSWORD}@host/jobs"),
        ("postgresql://me@host/jobs", "postgresql://me@host/jobs"),
        ("postgresql://me@host/jobs?password=secret&table=a", "postgresql://me@host/jobs?table=a"),
        ("postgresql://me@host/jobs?table=a&password=secret", "postgresql://me@host/jobs?table=a"),
        ("postgresql://me@host/jobs?password=se#cret&table=a", "postgresql://me@host/jobs?table=a"),
        ("--db=mysql://me:secret@host/jobs", "--db=mysql://me@host/jobs"),
        ("https://me:secret@host/a", "https://me@host/a"),
        ("https://host:8080/users/@me", "https://host:8080/users/@me"),
        ("sqlite:///jobs.db?table=a@b:c", "sqlite:///jobs.db?table=a@b:c"),
        ("José: 12:30 @ home", "José: 12:30 @ home"),
    ],
)
def test_without_password(text: str, clean: str) -> None:
    assert without_password(text) == clean


def test_what_is_an_address() -> None:
    assert is_address("sqlite:///jobs.db")
    assert is_address("postgresql+psycopg://host/db")
    assert not is_address("data/offers.csv")
    assert not is_address("a:/b")
    assert not is_address("://x")


def test_the_command_line_is_recorded_without_passwords_and_places() -> None:
    given = [
        "corrida",
        "run",
        "--data",
        "sqlite:////home/me/p/jobs.db?table=a",
        "--data=postgresql://me:x@h/d",
        "--o=/home/me/p/y",
    ]
    assert relative_argv(given, Path("/home/me/p")) == [
        "corrida", "run", "--data", "sqlite:///jobs.db?table=a", "--data=postgresql://me@h/d", "--o=y",
    ]  # fmt: skip
