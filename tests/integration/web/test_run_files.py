"""Files of a run: previews, and that nothing gets out or runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

import corrida

if TYPE_CHECKING:
    from starlette.testclient import TestClient

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def folder(project: Path) -> Path:
    secret = project / "secret.txt"
    secret.write_text("the secret\n")
    (project / "outside").mkdir()
    (project / "outside" / "inner.txt").write_text("the secret\n")
    with corrida.start_run(pipeline="train", run_tag="r") as run:
        run.log_metrics({"loss": 1.0})
        at = Path(run.dir)
        (at / "plots").mkdir()
        (at / "plots" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2_000))
        (at / "a.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'>{EVIL}</svg>")
        (at / "t.csv").write_text("id,name,x\n" + "".join(f"{i},n{i},{i}.5\n" for i in range(250)))
        pl.DataFrame({"id": range(250), "words": [["a", "b"]] * 250}).write_parquet(at / "t.parquet")
        (at / "bad.parquet").write_bytes(b"PAR1 no table PAR1")
        (at / "empty.csv").write_text("")
        (at / "mixed.csv").write_text("a\n" + "1\n" * 2_000 + "word\n")
        (at / "r.md").write_text(
            f"# T\n\n{EVIL} [j](javascript:alert(1)) [d](data:text/html,x) [o](https://example.org) [f](t.csv)\n\n"
            "![in](plots/a.png) ![out](https://evil.example/x.png) ![up](../../secret.txt)\n\n|a|\n|-:|\n|1|\n"
        )
        (at / "a.json").write_text(json.dumps({"deep": {"list": list(range(9_000)), "t": EVIL}}))
        (at / "bomb.yaml").write_text(
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
            )
        )
        (at / "p.html").write_text(f"<h1>Page</h1>{EVIL}")
        (at / "m.pkl").write_bytes(b"\x80\x04cos\nsystem\n")
        (at / f"{EVIL.replace('/', '_')}.txt").write_text("odd name\n")
        (at / "line\nend.txt").write_text("odd name\n")
        (at / "日本 é.txt").write_text("日本語\n")
        os.symlink(secret, at / "link.txt")
        os.symlink(project / "outside", at / "linked")
        return at


def test_files_are_listed_with_kind_and_size(pages: TestClient, folder: Path) -> None:
    page = pages.get("/runs/run_r?tab=files").text
    for name in ("plots/a.png", "t.parquet", "r.md", "日本 é.txt", "line⏎end.txt"):
        assert name in page
    assert page.count("link, not followed") == 2
    assert "/files/link.txt" not in page
    assert EVIL.replace("/", "_") not in page  # escaped


@pytest.mark.parametrize(
    "name",
    [
        "link.txt", "linked/inner.txt", "linked", "..%2fsecret.txt", "..%2f..%2fsecret.txt", "%2e%2e/%2e%2e/secret.txt",
        "%2fetc%2fpasswd", "plots", "", "plots/..%2f..%2f..%2fsecret.txt", ".claimed", "no.txt", "a%00b", "plots//a.png",
    ],
)  # fmt: skip
def test_no_way_leads_out(pages: TestClient, folder: Path, name: str) -> None:
    for way in ("view", "files"):
        answer = pages.get(f"/runs/run_r/{way}/{name}")
        assert answer.status_code == 404
        assert "the secret" not in answer.text


def test_a_pipe_is_no_file(pages: TestClient, folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    assert pages.get("/runs/run_r/files/pipe.txt").status_code == 404


def test_raw_files_can_do_nothing(pages: TestClient, folder: Path) -> None:
    expected = {
        "plots/a.png": ("image/png", "inline"),
        "a.svg": ("image/svg+xml", "inline"),
        "t.csv": ("application/octet-stream", "attachment"),
        "p.html": ("application/octet-stream", "attachment"),
        "p.html?frame=1": ("text/html; charset=utf-8", "inline"),
        "r.md": ("text/plain; charset=utf-8", "inline"),
        "m.pkl": ("application/octet-stream", "attachment"),
        "a.json?download": ("text/plain; charset=utf-8", "attachment"),
    }
    for name, (kind, shown) in expected.items():
        answer = pages.get(f"/runs/run_r/files/{name}")
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith(shown)
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "allow-" not in policy
        assert "script-src" not in policy
    odd = pages.get("/runs/run_r/files/line%0Aend.txt")
    assert odd.text == "odd name\n"
    assert "\n" not in odd.headers["content-disposition"]


def test_ranges(pages: TestClient, folder: Path) -> None:
    whole = (folder / "plots" / "a.png").read_bytes()
    address = "/runs/run_r/files/plots/a.png"
    part = pages.get(address, headers={"range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole[4:12])
    assert part.headers["content-range"] == f"bytes 4-11/{len(whole)}"
    assert pages.get(address, headers={"range": "bytes=-5"}).content == whole[-5:]
    assert pages.get(address, headers={"range": "bytes=2000-"}).content == whole[2000:]
    assert pages.get(address, headers={"range": "bytes=99999-"}).status_code == 416
    assert pages.get(address, headers={"range": "nonsense"}).content == whole
    head = pages.head(address)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(whole)))
    full = pages.get(address)
    assert full.content == whole
    assert pages.get(address, headers={"if-none-match": full.headers["etag"]}).status_code == 304


def test_tables_have_pages(pages: TestClient, folder: Path) -> None:
    for name in ("t.csv", "t.parquet"):
        first = pages.get(f"/runs/run_r/view/{name}").text
        assert "1–100 of 250 rows" in first
        assert "Int64" in first
        last = pages.get(f"/runs/run_r/view/{name}?page=3").text
        assert "201–250 of 250 rows" in last
        assert 'rel="next"' not in last
        assert "no such page" in pages.get(f"/runs/run_r/view/{name}?page=9").text
    assert "word" in pages.get("/runs/run_r/view/mixed.csv?page=21").text


def test_damaged_tables_give_a_sentence(pages: TestClient, folder: Path) -> None:
    assert "cannot be read as a table" in pages.get("/runs/run_r/view/bad.parquet").text
    assert "the file is empty" in pages.get("/runs/run_r/view/empty.csv").text
    (folder / "t.parquet").write_bytes(b"PAR1 altered PAR1")
    assert "was altered since the run" in pages.get("/runs/run_r/view/t.parquet").text
    (folder / "later.parquet").write_bytes(b"PAR1 later PAR1")
    assert "not among the files that the run run_r sealed" in pages.get("/runs/run_r/view/later.parquet").text


def test_markdown_is_tame(pages: TestClient, folder: Path) -> None:
    page = pages.get("/runs/run_r/view/r.md").text
    assert "<h3>T</h3>" in page
    assert "<script>alert" not in page
    assert 'href="javascript:' not in page
    assert 'href="data:' not in page
    assert 'href="https://example.org" rel="noopener noreferrer nofollow"' in page
    assert 'href="/runs/run_r/view/t.csv"' in page
    assert (
        '<img src="/runs/run_r/files/plots/a.png" alt="in"' in page
        or 'src="/runs/run_r/files/plots/a.png"' in page
    )
    assert "evil.example" not in page
    assert "secret" not in page
    assert 'class="right"' in page
    assert "style=" not in page


def test_trees_fold_and_have_an_end(pages: TestClient, folder: Path) -> None:
    page = pages.get("/runs/run_r/view/a.json").text
    assert "<details" in page
    assert "9,000 elements" in page
    assert "more; the file itself has all" in page
    assert "<script>alert" not in page
    bomb = pages.get("/runs/run_r/view/bomb.yaml")
    assert bomb.status_code == 200
    assert len(bomb.content) < 2_000_000


def test_html_is_shown_in_a_box_without_rights(pages: TestClient, folder: Path) -> None:
    answer = pages.get("/runs/run_r/view/p.html")
    assert '<iframe class="boxed" sandbox src="/runs/run_r/files/p.html?frame=1"' in answer.text
    assert "frame-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-src" not in pages.get("/runs/run_r/view/r.md").headers["content-security-policy"]


def test_what_cannot_be_shown_is_a_download(pages: TestClient, folder: Path) -> None:
    page = pages.get("/runs/run_r/view/m.pkl").text
    assert "no way to show" in page
    assert "?download" in page
    assert "日本語" in pages.get("/runs/run_r/view/日本 é.txt").text
