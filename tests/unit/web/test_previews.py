"""Markdown and trees as HTML that can do nothing, and files that are opened without a way out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrida.errors import ArtifactNotFound
from corrida.web.folded import folded
from corrida.web.markdown import render_markdown
from corrida.web.raw_file import _part
from corrida.web.run_files import kind_of, list_files, opened

_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def _markdown(text: str, name: str = "docs/a.md") -> str:
    return str(render_markdown(text, name, "/view/", "/files/"))


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "vbscript:x", "//evil.example/x",
        "/runs/other", "file:///etc/passwd", "&#106;avascript:alert(1)", "../../../x", "\\\\evil\\x", "http://[", "jav&#x0A;ascript:x",
    ],
)  # fmt: skip
def test_links_lead_to_the_run_or_openly_outside(link: str) -> None:
    page = _markdown(f"[a](<{link}>)\n\n![b](<{link}>)")
    assert not re.search(r'(?:href|src)="(?!https?://|mailto:|/view/docs|/files/docs)', page), page


def test_links_and_pictures_of_the_run_are_relative_to_the_file() -> None:
    page = _markdown("[a](b%20c.csv#x) ![d](../p/e.png) ![far](https://evil.example/x.png)")
    assert 'href="/view/docs/b%20c.csv"' in page
    assert 'src="/files/p/e.png"' in page
    assert "[picture: far]" in page


def test_headings_stand_below_those_of_the_page_and_leave_no_level_out() -> None:
    assert re.findall(r"<h\d>\w", _markdown("# A\n### B\n> ###### C\n\n### D")) == [
        "<h3>A",
        "<h4>B",
        "<h5>C",
        "<h4>D",
    ]
    assert re.findall(r"<h\d>\w", _markdown("".join(f"{'#' * n} {n}\n" for n in range(1, 7))))[-1] == "<h6>6"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_markdown_never_lets_html_through(text: str) -> None:
    page = _markdown(f"{text}\n\n<script>alert(1)</script> {text}<img onerror=x>")
    assert "<script" not in page
    assert "<img onerror" not in page
    assert "style=" not in page or "style=" in text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_VALUES)
def test_trees_hold_any_value(value: Any) -> None:
    made = str(folded(value))
    assert made.startswith('<ul class="tree">')
    assert made.count("<li>") == made.count("</li>") - made.count('<li class="quiet">')


def test_a_tree_has_an_end() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    assert "too deep" in str(folded(deep))
    assert "5,000 more" in str(folded(list(range(10_000))))
    assert "&lt;b&gt;" in str(folded({"<b>": "<b>"}))


def test_kinds() -> None:
    names = {
        "a.PNG": "image",
        "a.tsv": "table",
        "a.yml": "tree",
        "a.MD": "markdown",
        "a": "",
        "png": "",
        "a.pkl": "",
    }
    assert {name: kind_of(name) for name in names} == names


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-", (0, 10)), ("bytes=2-4", (2, 5)), ("bytes=-3", (7, 10)), ("bytes=5-99", (5, 10)), ("bytes=10-", None), ("bytes=-0", None),
     ("bytes=4-2", None), ("bytes=-", (0, 10)), ("bytes=0-1,3-4", (0, 10)), ("lines=1-2", (0, 10))],
)  # fmt: skip
def test_ranges(asked: str, part: tuple[int, int] | None) -> None:
    assert _part(asked, 10) == part


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "sub").mkdir(parents=True)
    (run / "sub" / "a.txt").write_text("inside")
    (run / ".hidden").write_text("x")
    (tmp_path / "secret").write_text("x")
    os.symlink(tmp_path, run / "out")
    os.symlink(tmp_path / "secret", run / "secret.txt")
    os.symlink(run / "sub" / "a.txt", run / "own.txt")
    files, more = list_files(run)
    assert not more
    assert [(one.name, one.link) for one in files] == [
        ("out", True), ("own.txt", True), ("secret.txt", True), ("sub/a.txt", False)
    ]  # fmt: skip
    with opened(run, "sub/a.txt") as fd:
        assert os.read(fd, 99) == b"inside"
    before = len(os.listdir("/proc/self/fd"))
    for name in (
        "out/secret",
        "secret.txt",
        "own.txt",
        "sub",
        "../secret",
        "/etc/passwd",
        "sub/../sub/a.txt",
        ".hidden",
        "\0",
        "a\ud800",
        "",
    ):
        with pytest.raises(ArtifactNotFound), opened(run, name):
            pass
    assert len(os.listdir("/proc/self/fd")) == before  # nothing stays open
