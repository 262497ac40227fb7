"""Names of analyses, and the folders that people see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.errors import InvalidName
from corrida.inference.spool import Spool, being_written, check_id, id_for


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", ".hidden", "a b", "ñ", "x" * 101, "a\0b", "x_error", "x.csv", "x.JSON", "a\n"]
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
