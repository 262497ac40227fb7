"""Forms: keys, names, and what counts once."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from corrida.errors import Refused
from corrida.web.forms import BadForm, Done, Forms


def _request(cookie: str = "") -> Request:
    headers = [(b"cookie", f"corrida_session={cookie}".encode())] if cookie else []
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers})


def test_a_key_belongs_to_its_session_and_process() -> None:
    forms = Forms()
    first, second = forms.session(_request()), forms.session(_request())
    assert first.new
    assert first.id != second.id
    assert first.key != second.key
    assert forms.check(_request(first.id), {"key": first.key}).id == first.id
    for request, key in (
        (_request(first.id), second.key),
        (_request(first.id), ""),
        (_request(), first.key),
        (_request(first.id), Forms().session(_request(first.id)).key),
    ):
        with pytest.raises(BadForm, match="not of this session"):
            forms.check(request, {"key": key})


@pytest.mark.parametrize("cookie", ["", "short", "a" * 44, "a" * 42 + "\xe9", "../../x"])
def test_a_cookie_that_is_not_ours_is_replaced(cookie: str) -> None:
    headers = [(b"cookie", f"corrida_session={cookie}".encode("latin-1"))]
    request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})
    session = Forms().session(request)
    assert session.new
    assert session.id != cookie


def test_once() -> None:
    forms = Forms()
    session = forms.session(_request())
    done: list[int] = []

    def act() -> Done:
        done.append(1)
        return Done("/next", f"done {len(done)}")

    assert forms.once(session, {"once": "a"}, act) == forms.once(session, {"once": "a"}, act)
    assert len(done) == 1
    forms.once(session, {"once": "b"}, act)
    assert len(done) == 2
    other = forms.session(_request())
    forms.once(other, {"once": "a"}, act)
    assert len(done) == 3
    assert forms.said(_request(session.id), "a") == Done("/next", "done 1")
    assert forms.said(_request(other.id), "b") is None


def test_what_failed_can_be_sent_again() -> None:
    forms = Forms()
    session = forms.session(_request())

    def refused() -> Done:
        raise Refused("no")

    with pytest.raises(Refused):
        forms.once(session, {"once": "a"}, refused)
    assert forms.once(session, {"once": "a"}, lambda: Done("/", "yes")).message == "yes"
