"""Style, scripts and the figures' JavaScript: packed on the way, and kept by browsers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient


def test_what_stays_the_same_travels_packed(pages: TestClient) -> None:
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', pages.get("/").text)
    assert any(path.endswith("style.css") for path in found)
    for path in [*found, "/vega.js"]:
        plain, packed = (pages.get(path, headers={"accept-encoding": how}) for how in ("identity", "gzip"))
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert plain.content == packed.content  # unpacked by the client
        assert int(packed.headers["content-length"]) < len(plain.content)
        for answer in (plain, packed):
            assert answer.headers["vary"] == "accept-encoding"
            assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/", "/aliases", "/serving"])
def test_pages_do_not(pages: TestClient, path: str) -> None:
    """A page may hold the key of a form beside text of others, whose length together would tell of the key."""
    assert "content-encoding" not in pages.get(path, headers={"accept-encoding": "gzip"}).headers
