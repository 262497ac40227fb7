"""Reading tables: every bad file is refused with its place and the mend."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrida.errors import InvalidData
from corrida.pipelines import inputs
from corrida.pipelines.inputs import id_column, read_table, require_columns, rows_named, suggest, text_column


@pytest.fixture
def file(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path, *said):
    with pytest.raises(InvalidData) as caught:
        read_table(path)
    for part in (path.name, *said):
        assert re.search(part, str(caught.value)), str(caught.value)


def test_codes_stay_text_and_empty_is_null(file):
    frame = read_table(file("id,code\n1,0110\n2,\n"))
    assert frame.to_dict(as_series=False) == {"id": ["1", "2"], "code": ["0110", None]}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_blank_lines_and_quoted_line_breaks(file, end):
    frame = read_table(file(f'\ufeffid,t{end}1,"a{end}b, ""c"""{end}{end}2,d{end}{end}'))
    assert frame.columns == ["id", "t"]
    assert frame.rows() == [("1", f'a{end}b, "c"'), ("2", "d")]


def test_tsv_json_and_parquet_agree(file, tmp_path):
    expected = [("01", "á"), ("02", None)]
    pl.DataFrame(expected, schema=["id", "t"], orient="row").write_parquet(tmp_path / "t.parquet")
    paths = [
        file("id\tt\n01\tá\n02\t\n", "t.tsv"),
        file('[{"id":"01","t":"á"},{"id":"02"}]', "t.json"),
        file('{"id":"01","t":"á"}\n\n{"id":"02","t":null}\n', "t.jsonl"),
        file('\ufeff{"id":"01","t":"á"}\n{"id":"02","t":null}\n', "t.ndjson"),
        tmp_path / "t.parquet",
    ]
    for path in paths:
        assert read_table(path).rows() == expected, path


def test_json_column_that_mixes_text_and_numbers_is_text(file):
    frame = read_table(file('[{"id":"x1","n":1},{"id":2,"n":2.5}]', "t.json"))
    assert frame["id"].to_list() == ["x1", "2"]
    assert frame["n"].to_list() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("", "t.csv", ["is empty"]),
        ("id,t\n", "t.csv", ["no rows"]),
        ("\nid,t\n1,2\n", "t.csv", ["first line is blank"]),
        (b"id,t\n1,ok\n2,caf\xe9\n", "t.csv", ["line 3", "0xE9", "iconv -f LATIN1"]),
        ("id,t\n1,a\n".encode("utf-16"), "t.csv", ["UTF-16"]),
        (b"id,t\n1,a\x00b\n", "t.csv", ["line 2", "NUL"]),
        ("id,t\n1,a\n2,b,c\n", "t.csv", ["line 3 has 3 fields", "2 columns"]),
        ('id,t\n1,"a\nb"\n2\n', "t.csv", ["line 4 has 1 field,"]),
        ('id,t\n1,a\n2,"b\n3,c\n', "t.csv", ["line 3", "quote"]),
        ("id;t\n1;2\n", "t.csv", ["semicolons", "commas"]),
        ("id\tt\n1\t2\n", "t.csv", ["tabs", r"\.tsv"]),
        ("id,t\n1,2\n", "t.tsv", ["commas", "tabs"]),
        ("id,t,id\n1,2,3\n", "t.csv", ["'id' occurs 2 times"]),
        ("{", "t.json", ["not valid JSON"]),
        ("{}", "t.json", ["array of objects"]),
        ("[]", "t.json", ["no rows"]),
        ("[1]", "t.json", ["row 1 is not an object"]),
        ('{"a":1}\n{"a":\n', "t.jsonl", ["line 2 is not valid JSON"]),
        ("PAR1nonsense", "t.parquet", ["Parquet"]),
        ("x", "t.xlsx", ["must be one of"]),
        ("x", "t", ["must be one of"]),
    ],
)
def test_bad_files(file, content, name, said):
    refused(file(content, name), *said)


def test_missing_file_names_the_nearest_and_a_folder_is_no_table(file, tmp_path):
    file("a\n1\n", "titles.csv")
    refused(tmp_path / "title.csv", "no such file", "Did you mean 'titles.csv'")
    (tmp_path / "d.csv").mkdir()
    refused(tmp_path / "d.csv", "not a file")
    refused(tmp_path / "no" / "t.csv", "no such file")


def test_brackets_in_a_name_are_not_a_pattern(file):
    assert read_table(file("a\n1\n", "t[1].csv")).rows() == [("1",)]


@pytest.mark.parametrize("content", [b"id,t\n1,a\n2\n", b"id,t\n1,a\n2,b,c\n", b'id,t\n1,a\n2,"b\n'])
def test_large_files_are_as_strict(file, monkeypatch, content):
    monkeypatch.setattr(inputs, "STRICT_READER_BYTES", 0)
    refused(file(content), "line 3")


@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',"\n'), max_size=6)]
            * 2
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_both_readers_read_the_same(tmp_path, rows):
    path = tmp_path / "both.csv"
    quoted = ["id,t", *(",".join(f'"{v.replace(chr(34), chr(34) * 2)}"' for v in row) for row in rows)]
    path.write_text("\n".join(quoted) + "\n", encoding="utf-8", newline="")
    strict = read_table(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "STRICT_READER_BYTES", 0)
        assert read_table(path).equals(strict)
    assert strict.rows() == [tuple(v or None for v in row) for row in rows]


def test_columns_are_named_with_the_nearest(file):
    path = file("Id,text\n1,a\n")
    with pytest.raises(InvalidData, match=r"no column 'id'.*Id, text.*Did you mean 'Id'"):
        require_columns(read_table(path), path, ["id"])
    require_columns(read_table(path), path, ["Id", "text"])
    assert suggest("zzz", ["id"]) == ""


def test_ids_must_be_there_once(file):
    path = file('id,t\n1,a\n2,"b\nb"\n\n1,c\n2,d\n')
    with pytest.raises(InvalidData, match=r"'1' at line 2, 6; '2' at line 3, 7"):
        id_column(read_table(path), path, "id")
    path = file("id,t\n1,a\n ,b\n")
    with pytest.raises(InvalidData, match="empty at line 3"):
        id_column(read_table(path), path, "id")
    path = file('{"id":1}\n\n{"id":1}\n', "t.jsonl")
    with pytest.raises(InvalidData, match=r"'1' at line 1, 3"):
        id_column(read_table(path), path, "id")
    path = file('[{"id":1},{"id":1}]', "t.json")
    with pytest.raises(InvalidData, match=r"'1' at row 1, 2"):
        id_column(read_table(path), path, "id")


def test_many_duplicates_are_counted(file):
    path = file("id\n" + "".join(f"{n}\n{n}\n" for n in range(9)))
    with pytest.raises(InvalidData, match="and 4 other ids"):
        id_column(read_table(path), path, "id")
    assert rows_named(path, range(8)).endswith("and 3 more")


def test_numbers_become_the_digits_that_were_meant(tmp_path):
    frame = pl.DataFrame(
        {"f": [2136.0, None], "i": [1, 2], "h": [1.5, 2.0], "n": [float("nan"), 1.0], "l": [[1], [2]]}
    )
    assert text_column(frame, tmp_path, "f").to_list() == ["2136", None]
    assert text_column(frame, tmp_path, "i").to_list() == ["1", "2"]
    for column in "hnl":
        with pytest.raises(InvalidData, match="must be text"):
            text_column(frame, tmp_path, column)
