"""What others send: addresses, headers, and run folders that were made to do harm. Each gets a sentence, and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
import uvicorn
from starlette.testclient import TestClient
from tests.conftest import open_to_all

import corrida
from corrida.project import find_project
from corrida.web import file_table, forms, run_files, server
from corrida.web.guard import Guard
from corrida.web.viewer import create_viewer

SECRET = "the secret of another folder"
EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
NINES = "9" * 5_000
LONG = "x" * 5_000


@pytest.fixture
def run_dir(project: Path) -> Path:
    """A run with a bit of everything, and a secret beside the store."""
    (project / "secret.txt").write_text(f"{SECRET}\n")
    outside = project / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(f"{SECRET}\n")
    line = {
        "step": 1,
        "time": 1.0,
        "metrics": {SECRET: 1},
        "item_id": SECRET,
        "note": SECRET,
        "dataset": {SECRET: 1},
    }
    (outside / "lines.jsonl").write_text(json.dumps(line) + "\n")
    pl.DataFrame({"item_id": [SECRET], "output": [SECRET]}).write_parquet(outside / "items.parquet")
    for name in ("one", "two"):
        with corrida.start_run(pipeline="train", run_tag=name, primary_metric="loss", direction="min") as run:
            run.log({"loss": 0.5}, step=1)
            run.log_metrics({"loss": 0.5})
            run.log_items([{"item_id": "a", "output": "x", "expected": "x"}])
            (Path(run.dir) / "t.csv").write_text("a,b\n1,2\n")
    return project / "runs" / "run_one"


def said(text: str) -> str:
    """Return the sentence of a page that could not be shown."""
    found = re.search(
        r'<section class="empty">.*?<p>(.*?)</p>|<p class="problem"[^>]*>(.*?)</p>', text, re.DOTALL
    )
    return next(filter(None, found.groups()), "") if found else ""


# -- addresses ----------------------------------------------------------------------------------------------


PIECES = [
    "..", "%2e%2e", "%252e%252e", "..%2f..", "..%5c..", "..\\..", "%c0%ae%c0%ae", "%ef%bc%8e%ef%bc%8e", "a%00b", "%0d%0aX:%20y",
    "%ff", "%ed%a0%80", LONG, "%F0%9F%92%A9", "%zz", ".claimed", "run_one%2f..%2f..", "@x", "latest~9" + "9" * 30,
]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/{}", "/runs/{}", "/runs/{}/view/t.csv", "/runs/{}/files/t.csv", "/runs/{}/items", "/runs/{}/promote", "/runs/{}/restore",
        "/runs/{}/events", "/runs/{}/history.json?name=loss", "/runs/run_one/view/{}", "/runs/run_one/files/{}/secret.txt",
        "/runs/run_one/files/config/{0}/{0}/{0}/secret.txt", "/static/x/{}", "/static/x/{0}/{0}/guard.py", "/items/{}", "/serving/{}",
        "/search?q={}", "/compare?run={}&run=run_two", "/explore?run={}", "/promote?run={}",
    ],
)  # fmt: skip
def test_no_address_leads_out_or_breaks(pages: TestClient, run_dir: Path, path: str) -> None:
    for piece in PIECES:
        answer = pages.get("http://127.0.0.1:8765" + path.format(piece))
        assert answer.status_code < 500, piece
        assert SECRET not in answer.text
        assert "root:x:" not in answer.text


JUNK = [
    "", NINES, "-1", "1e9", "٣", "NaN", "%00", "%ED%A0%80", quote(EVIL), "%E2%80%AE", "(" * 2_000, "not%20" * 2_000,
    quote("metrics.a = 1 and " * 250 + "seed = 1"), quote("seed = " + NINES), quote("metrics.a > 1e999"), quote("a/" + LONG),
    quote("id," * 300), quote("`a`b`.`"), quote("loss ~ '" + "a" * 5_000 + "'"), "a&{0}=b&{0}=",
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", "pipeline filter sort columns page"), ("/explore", "run filter axis x"), ("/promote", "run"), ("/search", "q"),
        ("/compare?run=run_one&run=run_two", "run metric slices items page"), ("/items", "id pipeline page"), ("/items/a", "newest"),
        ("/aliases", "alias page"), ("/serving", "status page"), ("/runs/run_one", "tab metric"),
        ("/runs/run_one?tab=charts", "with smooth page"), ("/runs/run_one/items", "filter sort page item"),
        ("/runs/run_one/history.json?name=loss", "with smooth"), ("/runs/run_one/view/t.csv", "page"),
    ],
)  # fmt: skip
def test_no_part_of_a_query_breaks_a_page(pages: TestClient, run_dir: Path, path: str, names: str) -> None:
    for name in names.split():
        for junk in JUNK:
            answer = pages.get(f"{path}{'&' if '?' in path else '?'}{name}={junk.format(name)}")
            assert answer.status_code in {200, 302, 303, 400, 404}, (name, junk[:80])
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text


@pytest.mark.parametrize(
    "asked", [f"bytes=0-{NINES}", f"bytes={NINES}-", f"bytes=-{NINES}", "bytes=٣-٤", "bytes=5-2", "bytes=-0"]
)
def test_no_range_breaks_a_file(pages: TestClient, run_dir: Path, asked: str) -> None:
    answer = pages.get("/runs/run_one/files/t.csv", headers=[(b"range", asked.encode())])
    assert answer.status_code in {200, 206, 416}


def test_a_filter_of_items_reads_no_file_and_fills_no_memory(pages: TestClient, run_dir: Path) -> None:
    many = "a" * 1_000
    for text in (
        "output IN (SELECT * FROM read_csv('/etc/passwd'))", f"REPLACE(REPLACE(output,'x','{many}'),'a','{many}') = 'x'",
        "LPAD(output, 1000000000, 'x') = 'x'", "E'a\\'' = replace(output, 'x', 'y') OR 'b' = 'b'", "/* ' */ select /* ' */ = 1",
    ):  # fmt: skip
        answer = pages.get("/runs/run_one/items", params={"filter": text})
        assert answer.status_code == 400
        assert "a filter on this page takes no" in answer.text
    for text in ("output = 'x'", "expected <> 'select one'", "output IS DISTINCT FROM 'replace'"):
        assert pages.get("/runs/run_one/items", params={"filter": text}).status_code == 200, text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "POST", "FOO"])
def test_other_methods_are_told_which_there_are(pages: TestClient, run_dir: Path, method: str) -> None:
    for path in ("/", "/runs/run_one", "/runs/run_one/files/t.csv", "/runs/run_one/promote"):
        answer = pages.request(method, path)
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_what_nobody_foresaw_is_a_page_too(
    project: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(SECRET)

    app = Guard(create_viewer(find_project(project)), "127.0.0.1")
    monkeypatch.setattr("corrida.web.freshness.Freshness.look", fail)
    with TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client:
        answer = client.get("/")
    assert answer.status_code == 500
    assert "this page could not be made (RuntimeError)" in said(answer.text)
    assert SECRET not in answer.text
    assert "content-security-policy" in answer.headers


# -- pages of other sites -----------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_lead_here_and_load_nothing(pages: TestClient, run_dir: Path, site: str) -> None:
    led = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    for path in ("/", "/runs.json", "/runs/run_one/files/t.csv", "/explore.json"):
        assert pages.get(path, headers=led).status_code == 200
        for mode, dest in (
            ("no-cors", "script"),
            ("no-cors", "image"),
            ("cors", "empty"),
            ("navigate", "iframe"),
            ("navigate", "object"),
        ):
            loaded = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
            assert pages.get(path, headers=loaded).status_code == 403
    typed = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert pages.get("/", headers=typed).status_code == 200


def test_one_name_and_one_origin(pages: TestClient, run_dir: Path) -> None:
    own = ("origin", "http://127.0.0.1:8765")
    assert pages.get("/", headers=[own]).status_code == 200
    assert pages.get("/", headers=[own, ("origin", "http://evil.example")]).status_code == 403
    names = [("host", "127.0.0.1:8765"), ("host", "evil.example")]
    assert pages.get("/", headers=names).status_code == 403
    forwarded = {"x-forwarded-host": "127.0.0.1:8765", "forwarded": "host=127.0.0.1", "host": "evil.example"}
    assert pages.get("/", headers=forwarded).status_code == 403


# -- what is no request -------------------------------------------------------------------------------------


@pytest.fixture
def port(project: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a viewer that waits less long than usual."""
    monkeypatch.setattr("corrida.inference.connection.HEAD_SECONDS", 0.3)
    monkeypatch.setattr(forms, "SECONDS", 0.3)
    viewer = create_viewer(find_project(project), write=True, warm=False)
    config = uvicorn.Config(
        Guard(viewer, "127.0.0.1"), http=server._Connection, ws="none", log_config=None, access_log=False
    )
    listening = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    running.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def sent(port: int, text: str) -> str:
    """Return all that is answered to some bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connected:
        connected.sendall(text.encode())
        got = b""
        while piece := connected.recv(1 << 16):
            got += piece
    return got.decode()


def test_what_is_no_request_gets_a_sentence(port: int) -> None:
    host = f"Host: 127.0.0.1:{port}\r\n"
    assert "took longer than 0.3 s" in sent(port, f"GET / HTTP/1.1\r\n{host}")
    for text in (
        "NONSENSE\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\n{host}{host}\r\n",
    ):
        answer = sent(port, text)
        assert answer.startswith("HTTP/1.1 400 ")
        assert answer.endswith("\r\n\r\nthe request cannot be read\n")
    close = f"{host}Connection: close\r\n"
    for target in ("http://evil.example/", f"http://127.0.0.1:{port}/aliases", "*", "evil.example:80"):
        assert sent(port, f"GET {target} HTTP/1.1\r\n{close}\r\n").startswith("HTTP/1.1 404 ")
    form = f"{close}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nalias=x"
    assert "did not come in whole within 0.3 s" in sent(port, f"POST /aliases/demote HTTP/1.1\r\n{form}")


# -- run folders that somebody sent -------------------------------------------------------------------------

PLACES = [
    "", "?tab=inputs", "?tab=files", "?tab=results", "?tab=charts", "/items", "/promote", "/restore", "/history.json?name=loss",
]  # fmt: skip
OWN = {
    "run.json": "secret.txt", "history.jsonl": "lines.jsonl", "items.parquet": "items.parquet", "manifest.json": "lines.jsonl",
    "annotations.jsonl": "lines.jsonl", "git.diff": "secret.txt", "config": ".", "config/a.yaml": "secret.txt", "predictions": ".",
    "predictions/20260101_000000_aaaaaa.json": "secret.txt", "models": ".", "t.csv": "secret.txt", "log.txt": "secret.txt",
    ".items": ".", ".items/1.jsonl": "lines.jsonl",
}  # fmt: skip


def _link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


@pytest.mark.parametrize(
    ("name", "ended"),
    [(name, True) for name in OWN]
    + [(name, False) for name in ("history.jsonl", ".items", ".items/1.jsonl")],
)
def test_what_stands_in_the_place_of_a_file_is_neither_followed_nor_awaited(
    pages: TestClient, run_dir: Path, name: str, ended: bool
) -> None:
    outside = run_dir.parent.parent / "outside" / OWN[name]
    ways = (_link(str(outside)), os.mkfifo, _link("/dev/zero"), _link(Path(name).name))
    for number, put in enumerate(ways):
        folder = run_dir.with_name(f"bad_{number}")
        shutil.copytree(run_dir, folder)
        told = json.loads((folder / "run.json").read_text())
        copies = [{"file": "config/a.yaml", "origin": "a.yaml", "sha256": "sha256:" + "0" * 64}]
        told |= {"id": folder.name, "configs": copies, "git": {"diff": "git.diff"}}
        if not ended:
            told["status"] = "running"
            (folder / "items.parquet").unlink()
        (folder / "run.json").write_text(json.dumps(told))
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        put(path)
        own = [f"/{way}/{name}{rest}" for way in ("view", "files") for rest in ("", "/secret.txt")]
        for place in (*PLACES, *own):
            answer = pages.get(f"/runs/{folder.name}{place}")
            assert answer.status_code < 500 or said(answer.text), place
            assert SECRET not in answer.text, place
    assert pages.get("/").text.count('href="/runs/bad_') >= len(ways) - 1
    assert pages.get("/runs/run_two").status_code == 200


def test_links_in_the_place_of_a_run_lead_nowhere(pages: TestClient, run_dir: Path) -> None:
    runs, empty = run_dir.parent, run_dir.parent.parent / "empty"
    empty.mkdir()
    (empty / "config").mkdir()
    (empty / "config" / "secret.txt").write_text(SECRET)
    links = {
        "loop": "loop",
        "etc": "/etc",
        "root": "/",
        "gone": "nowhere",
        "half": str(empty),
        "out": str(runs.parent / "outside"),
    }
    for name, to in links.items():
        (runs / name).symlink_to(to)
    page = pages.get("/")
    assert page.status_code == 200
    for name in links:
        assert f'href="/runs/{name}"' not in page.text
        for place in (
            "",
            "/files/secret.txt",
            "/files/passwd",
            "/files/etc/passwd",
            "/files/config/secret.txt",
            "/items",
        ):
            assert pages.get(f"/runs/{name}{place}").status_code == 404


ODD: dict[str, list[Any]] = {
    "created": ["not a date", "\u202eevil\x1b[31m", ""],
    "order": [-(2**62), 2**63, 2**64],
    "pipeline": [EVIL, "", "\u202e" + LONG],
    "tags": [{EVIL: EVIL, "": "", "`'\"": "x"}],
    "params": [{EVIL: {"a.b": [EVIL, None, 1e308]}}, {"x": 2**70}],
    "metrics": [{EVIL: 1.0, "n": "NaN", "i": "-Infinity", "": 5e-324}, {"a": "word"}],
    "primary_metric": [{"name": EVIL, "direction": "max"}, {"name": "loss", "direction": "up"}],
    "item_counts": [{"many": 3}, {"count": -1}],
    "columns": [[{"header": EVIL, "field": EVIL}], [{"header": "", "field": "metrics.`"}]],
    "git": [{"commit": EVIL, "branch": EVIL, "diff": "../../secret.txt"}, {"diff": "/etc/passwd"}, {"diff": "a\0b"}],
    "configs": [[{"file": f, "origin": EVIL, "sha256": "x"}] for f in ("config/../../../secret.txt", "/etc/passwd", "config/a\0b")],
    "files": [{"../../secret.txt": {"size": 1, "sha256": "x"}, "items.parquet": {"size": -5, "sha256": EVIL}}],
    "error": [{"type": EVIL, "message": EVIL, "where": EVIL}],
    "parent": ["@x", "odd", EVIL],
    "duration": [-1.0, 1e300, "long"],
    "status": ["running", "crashed", EVIL],
    "invocation": [{"kind": "pipeline", "uses": EVIL, "overrides": {EVIL: EVIL}, "items": "../../secret.txt"}],
    "environment": [{EVIL: EVIL, "packages": {EVIL: [EVIL]}}],
    "argv": [["a\0b", EVIL]],
    "format_version": [None, 99, "1"],
}  # fmt: skip


@pytest.mark.parametrize("field", ODD)
def test_whatever_a_run_says_of_itself_is_text(pages: TestClient, run_dir: Path, field: str) -> None:
    folder = run_dir.with_name("odd")
    shutil.copytree(run_dir, folder)
    told = json.loads((run_dir / "run.json").read_text())
    for value in ODD[field]:
        (folder / "run.json").write_text(json.dumps({**told, "id": "odd", field: value}))
        places = ["/", "/explore?pipeline=", "/explore.json?pipeline=", "/search?q=odd", "/runs.csv"]
        places += [f"/runs/odd{place}" for place in PLACES]
        places += ["/compare?run=run_two&run=odd", "/compare?run=odd&run=run_two&run=run_one"]
        for place in places:
            answer = pages.get(place)
            assert answer.status_code < 500 or said(answer.text), (place, value)
            assert SECRET not in answer.text
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert not re.search(r"<script>alert|<img src=x|\u202e|\x1b", answer.text), (place, value)


def test_one_damaged_run_does_not_stop_the_others(pages: TestClient, run_dir: Path) -> None:
    (run_dir / "manifest.json").unlink(missing_ok=True)
    (run_dir / "manifest.json").symlink_to("/dev/zero")
    answer = pages.get("/items?flaky=1")
    assert answer.status_code == 200
    assert "run_one" in answer.text


# -- documents and tables that are larger than they look ------------------------------------------------------

MERGES = "a: &a {x: 1}\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{','.join(['*' + chr(97 + i)] * 10)}]}}\n" for i in range(9)
)
BOMBS = {
    "flow.yaml": "[" * 100_000, "map.yaml": "{a: " * 90_000, "block.yaml": "- " * 200_000, "merges.yaml": MERGES, "self.yaml": "&a [*a, *a]",
    "base60.yaml": "a: " + "1:" * 100_000 + "1", "number.yaml": "a: 0x" + "f" * 400_000, "deep.json": "[" * 3_000_000,
    "number.json": '{"a": ' + "9" * 1_000_000 + "}", "brackets.md": "![" * 10_000, "line.csv": "x" * 2_000_000,
    "columns.csv": "," * 100_000 + "\n1\n", "wide.csv": ",".join(f"c{i}" for i in range(10_000)) + "\n" + "1," * 9_999 + "1\n",
    "quote.csv": 'a,b\n"1,' + "x,y\n" * 50_000, "formula.csv": "a,b\n=cmd|'/c calc'!A1,+1\n", "zero.csv": "a,b\n\0\0,\0\n",
    "star.csv": "*,^a.*$,a\n1,2,3\n",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_documents_that_grow_when_they_are_read(pages: TestClient, run_dir: Path, name: str) -> None:
    (run_dir / name).write_text(BOMBS[name])
    answer = pages.get(f"/runs/run_one/view/{name}")
    assert answer.status_code == 200
    assert len(answer.content) < 3_000_000


def test_names_of_columns_are_no_patterns(pages: TestClient, run_dir: Path) -> None:
    (run_dir / "star.csv").write_text(BOMBS["star.csv"])
    page = pages.get("/runs/run_one/view/star.csv").text
    assert re.findall(r'<th scope="col"[^>]*>([^<]+)<span class="type"', page) == ["*", "^a.*$", "a"]


def test_tables_that_fill_the_memory(
    pages: TestClient, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_table, "_UNPACKED", 2_000_000)
    monkeypatch.setattr(file_table, "_READ", 2_000_000)
    with corrida.start_run(pipeline="train", run_tag="one") as run:
        folder = Path(run.dir)
        pl.DataFrame({"a": ["x" * 3_000_000]}).write_parquet(folder / "cell.parquet")
        pl.DataFrame({"a": ["x" * 1_000_000] * 200, "b": [b"y" * 1_000] * 200}).write_parquet(
            folder / "cells.parquet"
        )
    for name, head in (("hole.csv", b""), ("later.csv", b"a,b\n1,2\n")):
        with (folder / name).open("wb") as file:
            file.write(head)
            file.truncate(5 << 30)
    assert (folder / "cell.parquet").stat().st_size < 5_000
    assert "take 3.0 MB of memory; download it" in pages.get("/runs/run_one/view/cell.parquet").text
    cells = pages.get("/runs/run_one/view/cells.parquet")
    assert "1–100 of 200 rows" in cells.text
    assert "1000 bytes" in cells.text
    assert len(cells.content) < 200_000
    assert "its first line has more than" in pages.get("/runs/run_one/view/hole.csv").text
    assert "1–1 of the first 1 rows" in pages.get("/runs/run_one/view/later.csv").text
    assert pages.get("/runs/run_one?tab=files").status_code == 200


def test_folders_without_an_end(pages: TestClient, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "MOST_FOLDERS", 50)
    monkeypatch.setattr(run_files, "MOST_FILES", 40)
    deep = run_dir
    for _ in range(60):
        deep = deep / "d"
        deep.mkdir()
    (run_dir / "circle").symlink_to(".")
    assert "circle" in pages.get("/runs/run_one?tab=files").text
    assert run_files.list_files(run_dir)[1]
    for i in range(60):
        (run_dir / f"f{i}.txt").write_text("")
    files, more = run_files.list_files(run_dir)
    assert len(files) == 40
    assert more


def test_a_file_that_is_cut_while_it_is_sent(pages: TestClient, run_dir: Path) -> None:
    path = run_dir / "t.csv"
    for name in ("t.csv", "log.txt"):
        assert pages.get(f"/runs/run_one/view/{name}").status_code in {200, 404}
    path.write_bytes(b"")
    assert "the file is empty" in pages.get("/runs/run_one/view/t.csv").text
    path.unlink()
    assert "is not there" in said(pages.get("/runs/run_one/view/t.csv").text)
    shutil.rmtree(run_dir)
    assert pages.get("/runs/run_one/view/t.csv").status_code == 404
    shutil.rmtree(run_dir.parent)
    for place in ("/", "/runs/run_two", "/aliases", "/search?q=a", "/explore.json", "/compare"):
        answer = pages.get(place)
        assert answer.status_code < 500 or said(answer.text)


# -- the rights of the one who looks --------------------------------------------------------------------------

READER = """
import os, sys, json
from starlette.testclient import TestClient
from corrida.project import find_project
from corrida.web.guard import Guard
from corrida.web.viewer import create_viewer
from pathlib import Path


def look(places):
    app = Guard(create_viewer(find_project(Path(sys.argv[1])), warm=False), "127.0.0.1")
    with TestClient(app, base_url="http://127.0.0.1:8765", follow_redirects=False) as client:
        return [(place, answer.status_code, answer.text) for place in places for answer in [client.get(place)]]


look(sys.argv[2:])  # what Python is made of may lie where nobody may look
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(json.dumps(look(sys.argv[2:])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_the_user_may_not_read_is_told_so(run_dir: Path) -> None:
    project = run_dir.parent.parent
    (run_dir / "t.csv").chmod(0o600)
    two = run_dir.with_name("run_two")
    (two / "run.json").chmod(0o000)
    (two / "t.csv").chmod(0o000)
    places = [
        "/",
        "/runs/run_one",
        "/runs/run_one/view/t.csv",
        "/runs/run_one/files/t.csv",
        "/runs/run_two",
        "/runs/run_two/view/t.csv",
    ]
    places += [
        "/runs/run_one?tab=files",
        "/compare?run=run_one&run=run_two",
        "/aliases",
        "/search?q=run",
        "/serving",
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(project / "cache")}
    with open_to_all(project):
        done = subprocess.run(
            [sys.executable, "-c", READER, str(project), *places],
            capture_output=True, text=True, timeout=120, check=False, env=environment,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    answers = {place: (status, text) for place, status, text in json.loads(done.stdout)}
    for place, (status, text) in answers.items():
        assert status < 500 or said(text), place
    assert answers["/"][0] == 200
    assert answers["/runs/run_one"][0] == 200
    for place in ("/runs/run_one/view/t.csv", "/runs/run_one/files/t.csv"):
        assert answers[place][0] == 404
        assert "may not be read by the user who runs the viewer" in answers[place][1]
    assert "Permission denied" in answers["/runs/run_two"][1]
