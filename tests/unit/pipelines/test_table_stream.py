"""Files that people send: every record comes out once, or the file is refused in one sentence."""

from __future__ import annotations

import csv
import io
import random
import zipfile

import polars as pl
import pytest

from corrida.errors import InvalidData
from corrida.pipelines import table_stream
from corrida.pipelines.table_stream import open_table


@pytest.fixture
def stream(tmp_path):
    def opened(content, name="a.csv", **limits):
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return open_table(file, **limits)

    return opened


def rows(table, *columns):
    return pl.concat(list(table.chunks(columns or table.header)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter(stream, delimiter):
    found = rows(stream(f"a{delimiter}b\n1{delimiter}2\n3{delimiter}4\n"))
    assert found.select("row", "a", "b").rows() == [(1, "1", "2"), (2, "3", "4")]


def test_byte_order_mark_quotes_and_line_breaks_in_fields(stream):
    found = rows(stream('\ufeff"a","b, c"\r\n"x\ny","say ""hi"""\r\n1,2'))
    assert found.columns[:2] == ["a", "b, c"]
    assert found.select("a", "b, c").rows() == [("x\ny", 'say "hi"'), ("1", "2")]


def test_latin_1_is_read_and_said(stream):
    table = stream("a,b\nJosé,1\nZoë,2\n".encode("latin-1"))
    assert rows(table)["a"].to_list() == ["José", "Zoë"]
    assert table.reading["encoding"] == "Latin-1"


def test_a_record_with_too_many_or_too_few_fields_says_so_and_the_others_are_read(stream):
    found = rows(stream("a,b,c\n1,2,3\n1,2\n\n1,2,3,4\n,,\n5,6,\n"))
    assert found["row"].to_list() == [1, 2, 3, 4, 5]
    assert found["problem"].to_list() == [
        None,
        "2 fields where there are 3 columns",
        "4 fields where there are 3 columns",
        None,
        None,
    ]


def test_columns_that_are_not_wanted_do_not_move_others(stream):
    found = rows(stream("a,b,c\n1,2,3\n1,2,3,4\n"), "c", "a")
    assert found.select("c", "a").rows() == [("3", "1"), (None, None)]


def test_blocks_end_where_records_end(stream, monkeypatch):
    monkeypatch.setattr(table_stream, "_BLOCK", 64)
    draw = random.Random(1)
    signs = 'ab,"\n é;'
    given = [["".join(draw.choices(signs, k=draw.randint(0, 12))) for _ in range(3)] for _ in range(300)]
    given = [[one.strip("\n") or "x" for one in fields] for fields in given]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["p", "q", "r"], *given])
    chunks = list(stream(text.getvalue()).chunks(["p", "q", "r"]))
    found = pl.concat(chunks)
    assert len(chunks) > 10
    assert found["row"].to_list() == list(range(1, 301))
    assert found["problem"].null_count() == 300
    assert [list(row) for row in found.select("p", "q", "r").rows()] == given


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("a,b\n", "no rows"),
        ("\n\n  \n", "column names"),
        ("a,b,a\n1,2,3\n", "column 'a' occurs 2 times"),
        ("a,b\n1,2\n3,\0\n", "line 3 holds a NUL byte"),
        ('a,b\n1,2\n"3,4\n5,6\n', "record that starts on line 3 does not end"),
        (b"\xff\xfea\0,\0b\0", "UTF-16"),
        (b"\x1f\x8b\x08", "gzip"),
        (",".join(f"c{i}" for i in range(10_000)) + "\n1\n", "10,000 columns"),
    ],
)
def test_a_file_that_is_no_table_is_refused(stream, content, said):
    with pytest.raises(InvalidData, match=said) as caught:
        rows(stream(content))
    assert "\n" not in str(caught.value)


def test_a_zip_that_is_named_csv_is_refused(stream):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
    with pytest.raises(InvalidData, match="zip"):
        stream(packed.getvalue())


def test_an_open_quote_does_not_fill_the_memory(stream, monkeypatch):
    monkeypatch.setattr(table_stream, "_BLOCK", 1024)
    monkeypatch.setattr(table_stream, "_LONGEST_RECORD", 4096)
    text = "a,b\n1,2\n" + '3,"4\n' + "5,6\n" * 100_000
    with pytest.raises(InvalidData, match="line 3 does not end"):
        rows(stream(text))


def test_limits_of_size_and_rows(stream):
    with pytest.raises(InvalidData, match="at most 4 are taken"):
        stream("a,b\n1,2\n", max_bytes=4)
    with pytest.raises(InvalidData, match="more than 2 rows"):
        rows(stream("a,b\n1,2\n1,2\n1,2\n", max_rows=2))


def test_parquet_keeps_its_types(tmp_path):
    pl.DataFrame({"a": [1, 2], "b": ["x", None]}).write_parquet(tmp_path / "a.parquet")
    table = open_table(tmp_path / "a.parquet")
    assert rows(table).select("row", "a", "b").rows() == [(1, 1, "x"), (2, 2, None)]
    (tmp_path / "b.parquet").write_bytes(b"not this")
    with pytest.raises(InvalidData, match="Parquet"):
        open_table(tmp_path / "b.parquet")


@pytest.mark.parametrize("values", [[["a", "b"]], [{"a": 1}], [b"\xff"]], ids=["lists", "structs", "bytes"])
def test_a_column_that_holds_more_than_a_value_a_row_is_refused_where_it_is_needed(stream, values):
    buffer = io.BytesIO()
    pl.DataFrame({"a": values, "b": [1]}).write_parquet(buffer)
    table = stream(buffer.getvalue(), "a.parquet")
    with pytest.raises(InvalidData, match=r"the column 'a' holds .*; one text or number is needed\."):
        rows(table)
    assert rows(table, "b")["b"].to_list() == [1]


def test_a_parquet_file_that_breaks_further_down_is_refused(stream):
    buffer = io.BytesIO()
    numbers = pl.DataFrame({"a": [f"{i * 7919 % 100_003:06d}" for i in range(9000)]})
    numbers.write_parquet(buffer, row_group_size=1500, compression="zstd", statistics=False)
    content = bytearray(buffer.getvalue())
    middle = len(content) * 2 // 3
    content[middle : middle + 400] = bytes(255 - byte for byte in content[middle : middle + 400])
    table = stream(bytes(content), "a.parquet")
    with pytest.raises(InvalidData, match=r"a\.parquet: it cannot be read from row 1 on; write it again\."):
        rows(table)
