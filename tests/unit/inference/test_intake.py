"""Files that come in: limits hold while they stream, and nothing stays of one that is refused."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrida.inference.intake import Limits, RowCounter, check_length, receive
from corrida.inference.public_errors import Rejected

WIDE = Limits(max_bytes=10**9, max_rows=10**9, idle=5)
FORM = 'multipart/form-data; boundary="cut"'


def form(*parts: tuple[str, bytes], end: bytes = b"--cut--\r\n") -> bytes:
    body = b""
    for header, content in parts:
        body += (
            b"--cut\r\nContent-Disposition: form-data; " + header.encode() + b"\r\n\r\n" + content + b"\r\n"
        )
    return body + end


def take(tmp_path, body: bytes, kind: str = "text/csv", limits: Limits = WIDE, piece: int = 7):
    async def chunks():
        for start in range(0, len(body), piece):
            yield body[start : start + piece]

    return asyncio.run(receive(chunks(), kind, tmp_path / "in", limits))


def refused(tmp_path, *arguments, **named) -> Rejected:
    with pytest.raises(Rejected) as caught:
        take(tmp_path, *arguments, **named)
    assert not list(tmp_path.iterdir())  # nothing stays
    return caught.value


def test_a_body_is_written_as_it_is(tmp_path):
    body = "id,text\n1,é\n".encode() * 1000
    found = take(tmp_path, body)
    assert (tmp_path / "in").read_bytes() == body
    assert (found.size, found.sha256) == (len(body), f"sha256:{hashlib.sha256(body).hexdigest()}")


@pytest.mark.parametrize("piece", [1, 3, 8, 1000])
def test_the_file_of_a_form_is_written_as_it_is(tmp_path, piece):
    content = b"a,b\r\n--cu not really\r\n1,2\r\n"
    body = form(
        ('name="id"', b"job-1"),
        ('name="file"; filename="caf\u00e9.csv"', content),
        ('name="webhook"', b"https://h/"),
    )
    found = take(tmp_path, body, FORM, piece=piece)
    assert (tmp_path / "in").read_bytes() == content
    assert found.name == "café.csv"
    assert found.fields == {"id": "job-1", "webhook": "https://h/"}
    assert found.size == len(content)


def test_a_file_that_is_too_large_is_refused_at_the_limit(tmp_path):
    limits = Limits(max_bytes=100, max_rows=10**9, idle=5)
    assert take(tmp_path, b"x" * 100, limits=limits).size == 100
    (tmp_path / "in").unlink()
    assert (refused(tmp_path, b"x" * 101, limits=limits).status, "100 bytes") == (413, "100 bytes")
    body = form(('name="file"; filename="a.csv"', b"x" * 101))
    assert refused(tmp_path, body, FORM, limits=limits).code == "too_large"


def test_and_what_follows_is_not_read(tmp_path):
    taken = 0

    async def endless():
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1 << 20)

    limits = Limits(max_bytes=3 << 20, max_rows=10**9, idle=5)
    with pytest.raises(Rejected, match="larger than"):
        asyncio.run(receive(endless(), "text/csv", tmp_path / "in", limits))
    assert taken == 4
    check_length("3145728", limits)
    check_length(None, limits)
    with pytest.raises(Rejected, match="larger than"):
        check_length("99999999999", limits)


def test_rows_are_limited_while_they_stream(tmp_path):
    limits = Limits(max_bytes=10**9, max_rows=3, idle=5)
    assert take(tmp_path, b'a,b\n1,"x\n\ny"\n\n\r\n2,x\n\n3,x\n', limits=limits, piece=1)
    (tmp_path / "in").unlink()
    assert refused(tmp_path, b"a,b\n1,x\n2,x\n3,x\n4,x\n", limits=limits).code == "too_many_rows"
    parquet = b"PAR1" + b"\n" * 50  # line ends mean nothing there
    assert take(tmp_path, parquet, limits=limits).size == 54


def test_an_upload_that_stands_still_is_given_up(tmp_path):
    async def slow():
        yield b"a,b\n"
        await asyncio.sleep(60)
        yield b"1,2\n"

    limits = Limits(max_bytes=10**9, max_rows=10**9, idle=0.05)
    with pytest.raises(Rejected, match=r"no byte came for 0\.05 s") as caught:
        asyncio.run(receive(slow(), "text/csv", tmp_path / "in", limits))
    assert caught.value.status == 408
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (form(('name="file"; filename="a.csv"', b"x"), end=b""), FORM, "bad_form"),
        (form(('name="id"', b"x")), FORM, "no_file"),
        (
            form(('name="file"; filename="a"', b"x"), ('name="file"; filename="b"', b"y")),
            FORM,
            "several_files",
        ),
        (form(('name="alias"', b"x")), FORM, "unknown_field"),
        (form(('name="id"', b"\xff"), ('name="file"; filename="a"', b"x")), FORM, "bad_form"),
        (form(('name="id"', b"x" * 9000)), FORM, "bad_form"),
        (form(*[('name="id"', b"x")] * 2), FORM, "field_twice"),
        (b"no form at all", FORM, "bad_form"),
        (b"", FORM, "bad_form"),
        (b"x", "multipart/form-data", "bad_form"),
        (b"x", "multipart/mixed; boundary=cut", "unsupported_media_type"),
    ],
)
def test_forms_that_cannot_be_read(tmp_path, body, kind, code):
    assert refused(tmp_path, body, kind).code == code


@given(
    st.lists(st.text(alphabet='ab\n", ', max_size=6), max_size=8),
    st.lists(st.integers(1, 5), min_size=1, max_size=5),
)
def test_rows_are_counted_the_same_however_the_bytes_are_cut(cells, cuts):
    lines = ['"' + cell.replace('"', '""') + '",x\n' for cell in cells]
    data = ("\n\r\n" + "\n".join(lines)).encode()
    counter, at = RowCounter(), 0
    while at < len(data):
        for cut in cuts:
            counter.count(data[at : at + cut])
            at += cut
    assert counter.ends == len(lines)


@pytest.mark.parametrize(
    ("pause", "said"), [(0.02, "more slowly than 1,000 bytes a second"), (9, "no byte came for 0.3 s")]
)
def test_whoever_sends_a_byte_now_and_then_keeps_no_place(tmp_path, pause, said):
    async def chunks():
        for _ in range(200):
            yield b"x"
            await asyncio.sleep(pause)

    limits = Limits(max_bytes=10**9, max_rows=10**9, idle=0.3)
    with pytest.raises(Rejected, match=said) as caught:
        asyncio.run(receive(chunks(), "text/csv", tmp_path / "in", limits))
    assert (caught.value.status, caught.value.code) == (408, "too_slow")
    assert not list(tmp_path.iterdir())
