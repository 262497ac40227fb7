"""Names of analyses, and the folders that people see."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.errors import InvalidName
from corrida.inference.foreign_files import being_written, digest_of, plain_name
from corrida.inference.problems import problem_of, public
from corrida.inference.spool import Spool, check_id, id_for


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "a/b",
        ".hidden",
        "a b",
        "ñ",
        "x" * 101,
        "a\0b",
        "x_error",
        "x.csv",
        "x.JSON",
        "a\n",
        "x.input",
    ],
)
def test_an_id_outside_the_grammar_is_refused(name):
    with pytest.raises(InvalidName):
        check_id(name)


@given(st.text(max_size=80), st.integers(0, 2**256 - 1))
def test_any_name_gives_an_id_that_is_one(name, number):
    digest = f"sha256:{number:064x}"
    assert check_id(id_for(name + ".csv", digest)) == id_for(name + ".csv", digest)


def test_a_spool_keeps_its_id(tmp_path):
    assert Spool(tmp_path / "s").id == Spool(tmp_path / "s").id != Spool(tmp_path / "other").id


def test_a_file_that_somebody_has_open_for_writing_is_known(tmp_path):
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        file.write("x")
        assert being_written(path)
    assert being_written(path) is False
    with path.open("rb"):
        assert being_written(path) is False
    assert being_written(tmp_path / "gone.csv") is None


@given(st.binary(min_size=1, max_size=300))
def test_any_name_of_a_file_can_be_told(raw):
    name = plain_name(os.fsdecode(raw))
    assert name.isprintable()
    assert len(name.encode()) <= 800


def test_only_files_are_read_and_no_further_than_asked(tmp_path):
    path, link, pipe = tmp_path / "a", tmp_path / "link", tmp_path / "pipe"
    path.write_bytes(b"x" * 5_000_000)
    link.symlink_to(path)
    os.mkfifo(pipe)
    whole = 5_000_000, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert digest_of(path) == digest_of(link, follow=True) == digest_of(path, copy=tmp_path / "b") == whole
    assert (tmp_path / "b").read_bytes() == path.read_bytes()
    assert 1000 < digest_of(path, most=1000)[0] < 3_000_000
    for other in (link, pipe, tmp_path):
        with pytest.raises(OSError):
            digest_of(other)


def test_messages_hold_no_paths_but_addresses_and_nothing_that_a_terminal_obeys():
    assert public("write https://HOST/PATH/x") == "write https://HOST/PATH/x"
    assert public("no /srv/data/x.csv, nor sqlite:////srv/data/y.db") == "no x.csv, nor sqlite:///y.db"
    assert public("a\x1b[2Jb") == "a\N{REPLACEMENT CHARACTER}[2Jb"


def test_what_the_system_says_of_our_files_is_said_without_their_names():
    full = problem_of(OSError(28, "No space left on device", "/srv/spool/work/x.parquet"))
    assert full.message == "a file cannot be read or written: No space left on device"
    assert (full.code, full.may_pass) == ("storage", True)
    assert (
        problem_of(MemoryError()).message == "there is not enough memory to score the file; send it in parts"
    )
