"""Files as they really come: each by all ways in, to a real server with a run that scores transactions.

What cannot be used ends in ``failed`` with one sentence, the same whichever way it came; what can be used is scored, row by
row; and of neither anything half-done is left.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import httpx2
import polars as pl
import psutil
import pytest
import sqlalchemy as sa

from corrida.inference.database import analyses
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.pipelines.risk.generate import Shape, generate_transactions, write_transactions
from corrida.project import find_project

pytestmark = pytest.mark.slow  # they share a server or models, which take long to make

HEADER = "cliente_id,monto,fecha,tipo_operacion,sector_actividad\n"
ROW = "X,4321.5,2025-03-03T12:00:00,tarjeta,comercio\n"
QUICK = ["supervised.boosting_rounds=12", "supervised.forest_trees=12", "anomaly.trees=20", "report=false"]
TELLTALE = re.compile(r"/tmp|/dev|/home|/usr|/work|Traceback|\.py\b|site-packages|polars|Errno|0x[0-9a-f]{6}")
PARQUET = "application/vnd.apache.parquet"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", HEADER + ROW)
    return buffer.getvalue()


def parquet(rows: int = 1, **columns) -> bytes:
    buffer = io.BytesIO()
    whole = {
        "cliente_id": ["a"], "monto": [1.0], "fecha": ["2025-03-03"], "tipo_operacion": ["tarjeta"],
        "sector_actividad": ["comercio"],
    } | columns  # fmt: skip
    pl.DataFrame(whole).head(rows).write_parquet(buffer)
    return buffer.getvalue()


def amounts(*texts: str) -> str:
    return HEADER + "".join(f'X,"{text}",2025-03-03,tarjeta,comercio\n' for text in texts)


def dates(*texts: str) -> str:
    return HEADER + "".join(f"X,10,{text},tarjeta,comercio\n" for text in texts)


NO_COLUMNS = ",".join(f"c{i}" for i in range(10_000))

# What is refused: the content, and what is said of it.
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "blank.csv": ("\n\n  \n", "the first line must hold the column names"),
    "only_bom.csv": (b"\xef\xbb\xbf", "the first line must hold the column names"),
    "only_header.csv": (HEADER, "there are column names but no rows"),
    "missing.csv": ("cliente_id,fecha,tipo_operacion\nX,2025-03-03,tarjeta\n", r"no column for the amount \(monto\)"),
    "no_dates.csv": ("cliente_id,monto,tipo_operacion,sector_actividad\nX,1,t,c\n", r"no column for the date"),
    "doubled.csv": (HEADER.replace("monto", "monto,monto") + ROW.replace("4321.5", "1,2"), "'monto' occurs 2 times"),
    "delimiter.csv": ((HEADER + ROW).replace(",", "^"), "Is the delimiter right"),
    "utf16.csv": ((HEADER + ROW).encode("utf-16"), "UTF-16; save it as UTF-8"),
    "open_quote.csv": (f'{HEADER}"{ROW}' + ROW * 5, "starts on line 2 does not end: a quote is not closed"),
    "nul.csv": (f"{HEADER}{ROW}X\0,1,2025-03-03,tarjeta,comercio\n", "line 3 holds a NUL byte"),
    "columns.csv": (f"{NO_COLUMNS}\n" + "1," * 9_999 + "1\n", "10,000 columns; at most 1,000"),
    "wide.csv": (f"{HEADER.strip()},{NO_COLUMNS}\n{ROW.strip()}" + ",1" * 10_000, "10,005 columns; at most 1,000"),
    "zip.csv": (zipped(), "no CSV file but a zip archive"),
    "gzip.csv": (gzip.compress((HEADER + ROW).encode()), "compressed by gzip; unpack it"),
    "pdf.csv": (b"%PDF-1.7\n", "a PDF; export the table as CSV"),
    "is_parquet.csv": (parquet(), "Parquet; name it .parquet"),
    "is_csv.parquet": (HEADER + ROW, "cannot be read as Parquet"),
    "cut.parquet": (parquet()[:600], "cannot be read as Parquet"),
    "lists.parquet": (parquet(cliente_id=[["a", "b"]]), "column 'cliente_id' holds List"),
    "bytes.parquet": (parquet(fecha=[b"\xff"]), "column 'fecha' holds Binary"),
    "no_rows.parquet": (parquet(rows=0), "column names but no rows"),
    "page.csv": ("<html><body>404</body></html>", "column names but no rows"),
    "escapes.csv": ("\x1b[2Ja\x07,b\n1,2\n", "no column for the client"),
}  # fmt: skip

# What is scored: the content, and how many of how many rows.
SCORED: dict[str, tuple[str | bytes, int, int]] = {
    "one_row.csv": (HEADER + ROW, 1, 1),
    "semicolons.csv": ((HEADER + ROW).replace(",", ";"), 1, 1),
    "bom.csv": (b"\xef\xbb\xbf" + (HEADER + ROW).encode(), 1, 1),
    "latin1.csv": ((HEADER + "Peña,12,2025-03-03,tarjeta,joyería\n").encode("latin-1"), 1, 1),
    "thousands.csv": (amounts("1.234,56", "12.345,00"), 2, 2),
    "no_numbers.csv": (amounts("NaN", "inf", "-inf", "1e400", "", "--", "0x10", "1_000", "9" * 400), 0, 9),
    "negative.csv": (amounts("-5", "5"), 1, 2),
    "dates.csv": (dates("2025-03-03", "25/12/2025", "03/04/2025", "", "2025-02-30", "99999999", "hoy"), 3, 7),
    "ragged.csv": (f"{HEADER}X,1\n{ROW}{ROW.strip()},more,more\n", 1, 3),
    "mac.csv": ((HEADER + ROW * 3).replace("\n", "\r"), 3, 3),
    "long.csv": (f"{HEADER}{'X' * 900_000},1,2025-03-03,tarjeta,comercio\n{ROW}", 2, 2),
    "formula.csv": (HEADER + ROW.replace("X,", "=cmd|'/c calc'!A0,"), 1, 1),
    "nan.parquet": (parquet(monto=[float("nan")]), 0, 1),
    "good.parquet": (parquet(), 1, 1),
}  # fmt: skip

CONTENTS = {name: content for name, (content, *_) in (REFUSED | SCORED).items()}
# Each comes as the body of a request, and in one of the other ways, by turns.
WAYS = {name: ("raw", ("form", "submit", "drop")[number % 3]) for number, name in enumerate(CONTENTS)}


def as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def id_of(way: str, name: str) -> str:
    return f"{way}-{name.replace('.', '-')}"


class Bank:
    """A project with a run in production, a server, and everything handed over to it in all ways."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_transactions(
            generate_transactions(4, Shape(clients=110, days=180, schemes=0.4)), root / "t.csv"
        )
        (root / "corrida.toml").write_text(
            "[serve]\nsettle_seconds = 0.3\nupload_idle = 1\n", encoding="utf-8"
        )
        settings = [argument for one in QUICK for argument in ("--set", one)]
        self.corrida("run", "risk", "--data", "t.csv", "--run-id", "a", *settings)
        self.corrida("promote", "a")
        self.service = Service(runner_of(find_project(root)))
        self.log = root / "serve.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from corrida.cli.main import main; main()", "serve", "--port", "0"],
                cwd=root, stdout=subprocess.PIPE, stderr=out, stdin=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        self.address = self.process.stdout.readline().split()[-1]
        self.port = int(self.address.rpartition(":")[2])
        self.http = httpx2.Client(base_url=self.address, timeout=90, trust_env=False)
        self.jobs: dict[str, dict] = {}

    def corrida(self, *arguments: str) -> str:
        command = [sys.executable, "-c", "from corrida.cli.main import main; main()", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    def hand_over(self) -> None:
        files = self.root / "files"
        files.mkdir()
        for name, content in CONTENTS.items():
            data = as_bytes(content)
            (files / name).write_bytes(data)
            kind = {"content-type": PARQUET if name.endswith("parquet") else "text/csv"}
            asked = {"id": id_of("raw", name), "filename": name}
            assert self.http.post("/v1/analyses", params=asked, content=data, headers=kind).status_code == 202
            if "form" in WAYS[name]:
                fields = {"id": id_of("form", name)}
                answer = self.http.post("/v1/analyses", files={"file": (name, data)}, data=fields)
                assert answer.status_code == 202, answer.text
            if "drop" in WAYS[name]:
                (self.spool / "pending" / (id_of("drop", name) + Path(name).suffix)).write_bytes(data)
        names = [name for name in CONTENTS if "submit" in WAYS[name]]
        told = json.loads(self.corrida("submit", "--json", *(f"files/{name}" for name in names)))
        ids = {id_of("submit", name): one["id"] for name, one in zip(names, told, strict=True)}
        for name in CONTENTS:
            for way in WAYS[name]:
                self.jobs[id_of(way, name)] = self.ended(ids.get(id_of(way, name), id_of(way, name)))

    def ended(self, job_id: str, seconds: float = 120.0) -> dict:
        end = time.monotonic() + seconds
        while True:
            answer = self.http.get(f"/v1/analyses/{job_id}")
            if answer.status_code == 200 and answer.json()["status"] in {"processed", "failed", "cancelled"}:
                return answer.json()
            assert time.monotonic() < end, (job_id, answer.text, self.log.read_text()[-3000:])
            time.sleep(0.05)

    def until(self, check, seconds: float = 60.0):
        end = time.monotonic() + seconds
        while not (found := check()):
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return found

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(self.spool / folder))

    def said(self, event: str) -> list[dict]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def drop(self, name: str, data: str = HEADER + ROW, *, old: bool = True) -> Path:
        path = self.spool / "pending" / name
        temporary = path.with_name(f".{os.getpid()}.tmp")
        temporary.write_text(data)
        if old:
            os.utime(temporary, (1, 1))
        return temporary.rename(path)

    def raw(self, *pieces: bytes) -> bytes:
        """Send bytes as they are, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            for piece in pieces:
                connection.sendall(piece)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(65_536):
                    got += piece
            return got

    def nothing_came(self, before: int) -> None:
        assert self.count() == before
        self.until(lambda: os.listdir(self.spool / ".corrida" / "incoming") == [])

    def count(self) -> int:
        with self.service.database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(analyses)).scalar() or 0

    def close(self) -> None:
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.service.close()


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    made = Bank(tmp_path_factory.mktemp("bank"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def all_ways(bank):
    bank.hand_over()
    return bank


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence_whichever_way_it_came(all_ways, name):
    said = set()
    for way in WAYS[name]:
        job = all_ways.jobs[id_of(way, name)]
        assert job["status"] == "failed"
        assert job["error"]["code"] == "invalid_file"
        assert "links" in job
        assert job["attempt"] == 1  # it could not pass, and was not tried again
        message = job["error"]["message"]
        assert message.startswith(job["file"] + ": ")
        assert message.isprintable()
        assert not TELLTALE.search(message)
        said.add(message.removeprefix(job["file"]))
        file = json.loads((all_ways.spool / "failed" / f"{job['id']}_error.json").read_text())
        assert file["error"] == job["error"]
        assert (all_ways.spool / "failed" / f"{job['id']}{Path(name).suffix}").read_bytes() == as_bytes(
            CONTENTS[name]
        )
        assert not (all_ways.spool / "processed" / f"{job['id']}.json").exists()
    assert len(said) == 1
    assert re.search(REFUSED[name][1], said.pop())


@pytest.mark.parametrize("name", SCORED)
def test_what_can_be_used_is_scored_row_by_row_whichever_way_it_came(all_ways, name):
    _, scored, rows = SCORED[name]
    answers = set()
    for way in WAYS[name]:
        job = all_ways.jobs[id_of(way, name)]
        assert job["status"] == "processed", job
        assert (job["report"]["rows"], job["report"]["scored"]) == (rows, scored)
        assert sum(job["report"]["not_scored"].values()) == rows - scored
        page = all_ways.http.get(f"/v1/analyses/{job['id']}/results").json()
        assert page["total"] == len(page["rows"]) == rows
        for row in page["rows"]:
            assert (row["problem"] is None) == (row["class"] is not None)
        answers.add(json.dumps(page["rows"]))
        ending = (
            ".input.parquet" if name.endswith("parquet") else Path(name).suffix
        )  # not the name of its results
        assert (all_ways.spool / "processed" / (job["id"] + ending)).read_bytes() == as_bytes(CONTENTS[name])
    assert len(answers) == 1


def test_nothing_half_done_is_left(all_ways):
    assert all_ways.names("pending") == []
    assert os.listdir(all_ways.spool / ".corrida" / "incoming") == []
    all_ways.until(lambda: os.listdir(all_ways.spool / ".corrida" / "work") == [])
    assert not [
        name for folder in ("processed", "failed") for name in all_ways.names(folder) if name.startswith(".")
    ]


def test_thousands_and_latin1_are_read_as_they_were_meant(all_ways):
    def rows(name):
        return all_ways.http.get(f"/v1/analyses/{id_of('raw', name)}/results").json()["rows"]

    assert [row["amount"] for row in rows("thousands.csv")] == [1234.56, 12345.0]
    assert rows("latin1.csv")[0]["client"] == "Peña"
    assert [row["date"] for row in rows("dates.csv")][:3] == ["2025-03-03", "2025-12-25", "2025-04-03"]


def test_an_empty_file_is_refused_at_once_or_once_it_was_left_empty(bank):
    before = bank.count()
    for answer in (
        bank.http.post("/v1/analyses", content=b"", headers={"content-type": "text/csv"}),
        bank.http.post("/v1/analyses", files={"file": ("a.csv", b"")}),
    ):
        assert answer.json()["error"]["message"] == "the file is empty; there is nothing to score"
    (bank.root / "empty.csv").touch()
    done = subprocess.run(
        [sys.executable, "-c", "from corrida.cli.main import main; main()", "submit", "empty.csv"],
        cwd=bank.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "corrida: the file is empty; there is nothing to score\n")
    bank.nothing_came(before)
    bank.drop("nothing.csv", "")
    job = bank.ended("nothing")
    assert job["error"] == {"code": "invalid_file", "message": "the file is empty; there is nothing to score"}
    assert {"nothing.csv", "nothing_error.json"} <= set(bank.names("failed"))
    bank.drop("being_filled.csv", "", old=False)
    time.sleep(1)
    assert "being_filled.csv" in bank.names("pending")
    (bank.spool / "pending" / "being_filled.csv").write_text(HEADER + ROW)
    assert bank.ended("being_filled")["status"] == "processed"


def test_strange_names_and_things_in_pending_stop_no_other_file(bank):
    pending = bank.spool / "pending"
    os.symlink("/etc/passwd", pending / "link.csv")
    os.symlink("/nowhere", pending / "dangling.csv")
    os.mkfifo(pending / "fifo.csv")
    (pending / "folder.csv").mkdir()
    (pending / "sheet.xlsx").write_bytes(zipped())
    listening = socket.socket(socket.AF_UNIX)
    there = os.getcwd()
    os.chdir(pending)  # an address of a socket must be short
    listening.bind("socket.csv")
    os.chdir(there)
    names = [
        "表格.csv", "año ñ.csv", "new\nline.csv", "-rf.csv", "a" * 251 + ".csv", "é" * 125 + ".csv", "x.CSV", "esc\x1b[31m.csv",
        "$(touch x).csv", "of_error.csv", "a.csv.csv", "a..b.csv", "CON.csv", "\udcff\udcfe.csv",
    ]  # fmt: skip
    for number, name in enumerate(names):
        bank.drop(name, f"{HEADER}{ROW}Z,{number},2025-01-01,tarjeta,comercio\n")
    (pending / ".hidden.csv").write_text(HEADER + ROW)
    left = {"link.csv", "dangling.csv", "fifo.csv", "folder.csv", "sheet.xlsx", "socket.csv", ".hidden.csv"}
    bank.until(lambda: set(bank.names("pending")) == left)
    for line in bank.said("picked up")[-len(names) :]:
        assert line["file"].isprintable()
        assert bank.ended(line["analysis"])["status"] == "processed"
    why = {}
    bank.until(
        lambda: (
            why.update({one["file"]: one["message"] for one in bank.said("left in pending")})
            or "sheet.xlsx" in why
        )
    )
    assert why["link.csv"] == why["dangling.csv"] == "it is a link; put the file itself there"
    assert why["fifo.csv"] == why["folder.csv"] == why["socket.csv"] == "it is no file"
    assert why["sheet.xlsx"].startswith("its name ends in none of .csv")
    assert len([one for one in bank.said("left in pending") if one["file"] == "fifo.csv"]) == 1  # said once
    assert not bank.said("duty failed")
    listening.close()
    for name in left - {"folder.csv"}:
        (pending / name).unlink()
    (pending / "folder.csv").rmdir()


def test_a_second_name_of_a_file_is_a_file_and_a_name_is_not_held_against_it(bank):
    path = bank.root / "kept.csv"
    path.write_text(HEADER + ROW)
    os.utime(path, (1, 1))
    os.link(path, bank.spool / "pending" / "second.csv")
    assert bank.ended("second")["status"] == "processed"
    assert path.read_text() == HEADER + ROW


def test_a_file_that_grows_is_not_taken_while_somebody_writes_to_it(bank):
    with (bank.spool / "pending" / "growing.csv").open("w") as file:
        file.write(HEADER)
        for _ in range(12):
            file.write(ROW)
            file.flush()
            time.sleep(0.1)
        assert bank.http.get("/v1/analyses/growing").status_code == 404
    assert bank.ended("growing")["report"]["rows"] == 12


def test_the_sizes_are_what_they_are_said_to_be_however_they_come(bank):
    """Nothing of 501 MB is kept, 500 MB are, and the memory of the server does not grow with either."""
    server = psutil.Process(bank.process.pid)
    before, memory = bank.count(), server.memory_info().rss
    block = (b"X,4321.5,2025-03-03T12:00:00,tarjeta,comercio" + b" " * 955)[:999] + b"\n"
    block *= 1000
    most = 0

    def body(size):
        nonlocal most
        yield HEADER.encode()
        left = size - len(HEADER)
        while left > 0:
            yield block[:left]
            left -= len(block)
            most = max(most, server.memory_info().rss)

    answer = bank.http.post("/v1/analyses", content=body(501_000_000))  # in pieces, without a length
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "the file is larger than 500,000,000 bytes; send it in parts"
    head = b"POST /v1/analyses HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 502000000\r\n\r\n"
    assert b" 413 " in bank.raw(head + HEADER.encode())
    bank.nothing_came(before)
    answer = bank.http.post("/v1/analyses?id=largest", content=body(500_000_000))
    assert answer.status_code == 202
    assert answer.json()["size"] == 500_000_000
    bank.http.delete("/v1/analyses/largest")
    assert bank.ended("largest")["status"] == "cancelled"
    assert most - memory < 40_000_000
    (bank.spool / "failed" / "largest.csv").unlink()
    with (bank.spool / "pending" / "too_large.csv").open("wb") as file:
        file.truncate(500_000_001)  # a hole: it is refused by its size, unread
    job = bank.ended("too_large")
    assert job["error"]["message"] == "the file is larger than 500,000,000 bytes; send it in parts"
    assert "too_large.csv" in bank.names("failed")


@pytest.mark.parametrize(
    ("what", "status"),
    {
        "two lengths": (b"content-length: 4\r\ncontent-length: 40\r\n\r\nx\n1\n", 400),
        "length and pieces": (b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 400),
        "pieces and length": (b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 400),
        "a length below nothing": (b"content-length: -4\r\n\r\nx\n1\n", 400),
        "a length beyond all": (b"content-length: " + b"9" * 30 + b"\r\n\r\nx\n1\n", 400),
        "an encoding of pieces": (b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        "a piece of no size": (b"connection: close\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nx\r\n", 400),
        "a bomb": (b"connection: close\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nx\n1\n", 415),
        "a bomb behind a pretext": (b"connection: close\r\ncontent-encoding: identity\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nx\n1\n", 415),
        "a key with a line in it": (b"idempotency-key: a\0b\r\ncontent-length: 4\r\n\r\nx\n1\n", 400),
        "another site": (b"connection: close\r\norigin: http://127.0.0.1\r\norigin: http://evil.example\r\ncontent-length: 4\r\n\r\nx\n1\n", 403),
        "it stands still": (b"connection: close\r\ncontent-length: 400\r\n\r\nx\n1\n", 408),
    }.values(),
    ids=lambda value: None if isinstance(value, int) else repr(value[:30]),
)  # fmt: skip
def test_requests_that_say_two_things_or_nothing_keep_nothing(bank, what, status):
    before = bank.count()
    got = bank.raw(b"POST /v1/analyses HTTP/1.1\r\nhost: 127.0.0.1\r\n" + what)
    assert got.startswith(b"HTTP/1.1 %d" % status), got
    assert got.count(b"HTTP/1.1") == 1  # what follows is no second request
    error = json.loads(got.partition(b"\r\n\r\n")[2])["error"]
    assert set(error) == {"code", "message", "request_id"}
    bank.nothing_came(before)


@pytest.mark.parametrize("cut", [10, 60, 120, 150, 190, 230])
def test_a_form_that_is_cut_off_anywhere_leaves_nothing(bank, cut):
    before = bank.count()
    body = (
        b'--B\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        + (HEADER + ROW).encode()
    )
    whole = (
        b"POST /v1/analyses HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=B\r\n"
        b"content-length: 400\r\n\r\n" + body
    )
    with socket.create_connection(("127.0.0.1", bank.port), timeout=30) as connection:
        connection.sendall(whole[:cut])
    bank.until(lambda: os.listdir(bank.spool / ".corrida" / "incoming") == [])
    bank.nothing_came(before)
    assert bank.http.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('name="id"|i1;name="id"|i2;FILE', "field_twice"),
        ("FILE;FILE", "several_files"),
        ('name="id"|../../x;FILE', "invalid_id"),
        ('name="webhook"|http://127.0.0.1:9/;FILE', "invalid_input"),
        ('name="id"|other;FILE', "field_twice"),
        ("".join(f'name="f{i}"|v;' for i in range(2000)) + "FILE", "unknown_field"),
        ('name="file"; filename="' + "a" * 1_000_000 + '"|x;', "bad_form"),
    ],
)
def test_forms_that_say_two_things_or_too_much_keep_nothing(bank, body, code):
    before = bank.count()
    parts = b""
    for part in filter(None, body.replace("FILE", 'name="file"; filename="a.csv"|x\n1\n').split(";n")):
        header, _, value = (part if part.startswith("name") else f"n{part}").partition("|")
        parts += f"--B\r\ncontent-disposition: form-data; {header}\r\n\r\n{value.rstrip(';')}\r\n".encode()
    answer = bank.http.post(
        "/v1/analyses?id=asked" if "other" in body else "/v1/analyses", content=parts + b"--B--\r\n",
        headers={"content-type": "multipart/form-data; boundary=B"},
    )  # fmt: skip
    assert answer.json()["error"]["code"] == code, answer.text
    assert not TELLTALE.search(answer.text)
    bank.nothing_came(before)
